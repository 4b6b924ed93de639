use super::{ClusterSpec, Provider, load_str, load_with};
use std::{
    collections::HashMap,
    io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

fn spec(text: &str) -> ClusterSpec {
    load_str("cluster.yaml", text, Path::new("")).unwrap_or_else(|p| panic!("{p}"))
}

fn problems(text: &str) -> Vec<String> {
    load_str("cluster.yaml", text, Path::new("")).err().map_or_else(Vec::new, |p| p.0.iter().map(ToString::to_string).collect())
}

fn names_and_addresses(spec: &ClusterSpec) -> Vec<String> {
    spec.nodes().iter().map(|n| format!("{} {}", n.name, n.address.unwrap())).collect()
}

#[test]
fn two_lines_are_the_whole_cluster() {
    let spec = spec("cluster: lab\nprovider: lab\n");
    assert_eq!(names_and_addresses(&spec), ["control-plane-1 10.0.0.10", "worker-1 10.0.1.10", "worker-2 10.0.2.10", "worker-3 10.0.3.10"]);
    assert_eq!(spec.control_plane.instance_type, "t3.medium");
    assert_eq!(spec.pools[0].instance_type, "t3.small");
    assert_eq!((spec.kubernetes.version.as_str(), spec.kubernetes.containerd), ("1.36.3", 2));
    assert_eq!(spec.network.pods.to_string(), "10.244.0.0/16");
    assert_eq!(spec.access.key.as_deref(), Some(Path::new("keys/id_ed25519")));
    assert!(spec.access.ssh_from_auto);
    assert_eq!(spec.api_name(), "api.lab.internal");
}

#[test]
fn subnets_and_addresses_follow_the_vpc() {
    let spec = spec(
        "cluster: two\nprovider: lab\nnetwork: {vpc: 172.30.0.0/16}\ncontrol_plane: {count: 3}\npools:\n- {name: a, count: 4}\n- {name: b, count: 1, addresses: [172.30.1.99]}\n",
    );
    assert_eq!(
        names_and_addresses(&spec),
        [
            "control-plane-1 172.30.0.10",
            "control-plane-2 172.30.0.20",
            "control-plane-3 172.30.0.30",
            "a-1 172.30.1.10",
            "a-2 172.30.2.10",
            "a-3 172.30.3.10",
            "a-4 172.30.1.11",
            "b-1 172.30.1.99"
        ]
    );
    assert_eq!(spec.nodes()[3].subnet.unwrap().to_string(), "172.30.1.0/24");
}

#[test]
fn a_pool_that_grows_does_not_move_its_neighbour() {
    let with = |count: u32| {
        let spec = spec(&format!("cluster: c\nprovider: lab\npools: [{{name: a, count: {count}}}, {{name: b, count: 2}}]\n"));
        spec.pools[1].addresses.clone()
    };
    assert_eq!(with(1), with(100));
    assert_eq!(with(1), [Ipv4Addr::new(10, 0, 1, 50), Ipv4Addr::new(10, 0, 2, 50)]);
}

#[test]
fn static_hosts_are_counted() {
    let spec = spec(
        "cluster: own\nprovider: static\nhosts:\n- {name: a, address: 192.168.1.5, pool: control-plane}\n- {name: b, address: b.example, pool: gpu, jump: a}\n",
    );
    assert_eq!((spec.control_plane.count, spec.pools.len(), spec.pools[0].name.as_str(), spec.pools[0].count), (1, 1, "gpu", 1));
    assert_eq!(spec.nodes()[1].name, "b");
    assert!(matches!(&spec.provider, Provider::Static(h) if h[1].port == 22));
}

#[test]
fn every_problem_of_a_file_at_once() {
    let text = "\
cluster: My_Cluster
provider: lab
netwrok: {}
network:
  vpc: 10.0.0.0/16
  pods: 10.0.0.0/16
  services: 10.96.0.0/12
  private_subnets: [10.0.1.0/24, 10.0.1.128/25, 10.5.0.0/24]
kubernetes:
  version: 1.36.33
  containerd: 3
  token_ttl: 1m
  api_sans: [good.example, bad_name]
control_plane:
  count: 2
  type: t3.micro
pools:
- name: worker
  type: t3.smal
  subnets: [10.0.9.0/24]
  labels: {-bad: x}
  taints: ['a=b:NoShedule', lonely]
- name: worker
  count: 1
  addresses: [10.0.1.2, 10.0.0.77]
access: {ssh_from: [], user: Root}
dns: {servers: [127.0.0.53]}
tags: {Name: x}
";
    let found = problems(text);
    let all = found.join("\n");
    for want in [
        ":1:10: `My_Cluster` is not a name for a cluster",
        ":3:1: a specification has no key `netwrok` (did you mean `network`?)",
        ":6:9: pods 10.0.0.0/16 is the VPC, the machines' own range 10.0.0.0/16",
        ":8:34: subnet 10.0.1.128/25 overlaps subnet 10.0.1.0/24",
        ":8:49: subnet 10.5.0.0/24 lies outside the VPC",
        ":10:12: Kubernetes `1.36.33` is not known",
        ":11:15: there is no containerd 3",
        ":12:14: a join token lives between",
        ":13:28: `bad_name` is neither a DNS name nor an address",
        ":15:10: 2 control planes: etcd wants an odd number",
        ":16:9: t3.micro has 2 vCPU and 1024 MiB",
        ":19:9: unknown instance type `t3.smal` (did you mean t3.small?)",
        ":20:13: machines of `worker` in 10.0.9.0/24 would have no route",
        ":21:12: `-bad` is not the name of a label",
        ":22:12: `NoShedule` is not the effect of a taint (did you mean NoSchedule?)",
        ":22:29: taint `lonely` has no effect",
        ":23:9: there are two pools `worker`",
        ":25:15: 10.0.1.2 is reserved in 10.0.1.0/24",
        ":25:25: 10.0.0.77 lies outside the subnets of `worker`",
        ":26:10: nobody may use SSH",
        ":26:30: `Root` is not a login name",
        ":27:17: 127.0.0.53 is the machine itself",
        ":28:8: tag `Name` is not for you to set",
    ] {
        assert!(all.contains(want), "missing {want:?} in\n{all}");
    }
    let places: Vec<_> = found.iter().filter_map(|p| p.split(':').nth(1)?.parse::<u32>().ok()).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn single_problems() {
    let base = "cluster: c\nprovider: lab\n";
    let cases = [
        ("network: {pods: 10.244.1.0/16}", "has host bits set (the range that it lies in is 10.244.0.0/16)"),
        ("network: {pods: 10.244.0.0}", "the prefix length is missing"),
        ("network: {pods: 'fd00::/64'}", "IPv6 is not supported"),
        (
            "network: {pods: 10.244.0.0/23}",
            "has room for 2 nodes and 4 are wanted (each node takes a /24 for its pods: a /22 or larger fits)",
        ),
        ("network: {services: 10.244.128.0/20}", "pods 10.244.0.0/16 overlaps the services' range 10.244.128.0/20"),
        ("network: {vpc: 10.0.0.0/24}", "too small for the default subnets"),
        ("network: {vxlan_port: 0}", "0 is not a port"),
        ("network: {vxlan_port: 70000}", "70000 is not between 0 and 65535"),
        ("kubernetes: {version: 1.36}", "the nearest of"),
        ("kubernetes: {version: v1.36.3}", "without the v: 1.36.3"),
        ("kubernetes: {containerd: 1}", "Kubernetes 1.36 needs containerd 2 or later"),
        ("kubernetes: {image_registry: 'https://r.example'}", "is not host:port"),
        ("kubernetes: {package_repository: {url: x}}", "`package_repository` has no `key_url`"),
        ("control_plane: {count: 0}", "there is no control plane"),
        ("control_plane: {addresses: [10.0.0.255]}", "reserved"),
        ("pools: [{name: control-plane}]", "is the pool of the control planes"),
        ("pools: [{name: a, addresses: [10.0.1.9]}, {name: b, addresses: [10.0.1.9]}]", "10.0.1.9 belongs to a-1 already"),
        ("pools: [{name: a, addresses: [10.0.1.9, 10.0.2.9]}]", "2 addresses for 1 machines"),
        ("pools: {name: a}", "a list is wanted here"),
        ("pools: [{name: a, count: 255, subnets: [10.0.1.0/24]}]", "have room for 251 machines only"),
        ("control_plane: {count: 4000000000}", "Kubernetes is made for at most 5000"),
        ("pools: [{name: w}, {name: w-1}]", "`w-1` is the name of a node too"),
        ("cluster: d", "key `cluster` stands here twice"),
        ("hosts: [{name: a, address: b, pool: c}]", "`hosts` belongs to provider `static`"),
        ("protected: maybe", "true or false is wanted here"),
    ];
    for (line, want) in cases {
        let found = problems(&format!("{base}{line}\n"));
        assert!(found.iter().any(|p| p.contains(want)), "{line}: {found:?}");
        assert_eq!(found.len(), 1, "{line}: {found:?}");
    }
    assert!(problems("").join("").contains("empty"));
    assert!(problems("provider: labb\n").join("\n").contains("did you mean `lab`?"));
    assert!(problems("provider: lab\n").join("\n").contains("has no `cluster`"));
    assert!(problems("cluster: c\nprovider: aws\naws: {region: mars, zones: [eu-west-1a]}\n").len() == 2);
}

fn in_memory<'a>(files: &'a HashMap<&'a str, &'a str>) -> impl Fn(&Path) -> io::Result<String> + 'a {
    |path| files.get(path.to_str().unwrap_or_default()).map(|t| (*t).to_owned()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

#[test]
fn extends_merges_and_problems_name_the_right_file() {
    let mut files = HashMap::from([
        ("inv/base/aws.yaml", "provider: aws\naws: {region: eu-west-1}\ncontrol_plane: {type: m6i.large, count: 2}\ntags: {team: a}\n"),
        ("inv/dev/cluster.yaml", "extends: ../base/aws.yaml\ncluster: dev\ntags: {env: dev}\ncontrol_plane: {count: 3}\n"),
    ]);
    let spec = load_with(Path::new("inv/dev"), &in_memory(&files)).unwrap();
    assert_eq!((spec.control_plane.instance_type.as_str(), spec.control_plane.count), ("m6i.large", 3));
    assert_eq!(spec.tags.keys().collect::<Vec<_>>(), ["team", "env"]);
    assert_eq!(spec.directory, PathBuf::from("inv/dev"));

    files.insert("inv/dev/cluster.yaml", "extends: ../base/aws.yaml\ncluster: dev\ntagz: {}\n");
    let error = load_with(Path::new("inv/dev"), &in_memory(&files)).unwrap_err().to_string();
    assert!(error.contains("inv/base/aws.yaml:3:41: 2 control planes"), "{error}");
    assert!(error.contains("inv/dev/cluster.yaml:3:1: a specification has no key `tagz`"), "{error}");

    files.insert("inv/base/aws.yaml", "extends: ../dev/cluster.yaml\n");
    assert!(load_with(Path::new("inv/dev"), &in_memory(&files)).unwrap_err().to_string().contains("extends itself"));
    files.remove("inv/base/aws.yaml");
    assert!(
        load_with(Path::new("inv/dev"), &in_memory(&files))
            .unwrap_err()
            .to_string()
            .contains("inv/dev/cluster.yaml:1:10: cannot read inv/base/aws.yaml")
    );
    assert!(load_with(Path::new("nowhere"), &in_memory(&files)).unwrap_err().to_string().contains("cannot read nowhere/cluster.yaml"));
}

/// The shipped inventories are valid, and each is what its first line says.
#[test]
fn shipped_inventories() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("inventories");
    let load = |name: &str| super::load(&root.join(name)).unwrap_or_else(|p| panic!("{p}"));
    assert_eq!(load("lab").nodes().len(), 4);
    assert!(load("dev").pools[0].spot);
    let (stage, prod) = (load("stage"), load("prod"));
    assert_eq!(stage.nodes()[1].address, Some(Ipv4Addr::new(10, 1, 1, 10)));
    assert!(prod.protected && !prod.access.ssh_from_auto && prod.nodes().len() == 7);
    assert!([load("dev"), stage, prod].iter().all(|s| matches!(&s.provider, Provider::Aws(a) if a.region == "eu-central-1")));
}

/// What a person sees: file, line, excerpt, mark, hint.
#[test]
fn rendering() {
    let text = "cluster: shop\nprovider: lab\nnetwork:\n  vpc: 10.0.0.0/16\n  pods: 10.0.0.0/16\npool: []\n";
    let problems = load_str("inventories/shop/cluster.yaml", text, Path::new("")).unwrap_err();
    let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor()).with_width(100);
    let mut shown = String::new();
    for problem in &problems.0 {
        handler.render_report(&mut shown, &problem.excerpt()).unwrap();
    }
    insta::assert_snapshot!(shown);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    /// Whatever stands in the file: an answer, quickly, and every problem with its place.
    #[test]
    fn no_specification_panics(
        lines in proptest::collection::vec(
            "(network|kubernetes|control_plane|pools|access|aws|dns|tags|hosts|protected|extends)?: ?(\\{|\\[|)?(- )?(vpc|pods|public_subnet|private_subnets|count|name|addresses|subnets|type|version|ssh_from|labels|taints|servers)?: ?(10\\.0\\.[0-3]\\.[0-9]{1,2}/(0|8|16|24|30|32)|[0-9]{1,10}|-1|~|x|\\[10.0.0.0/31\\])?(\\}|\\]|)?",
            0..6,
        ),
        provider in "lab|aws|static|x",
    ) {
        let text = format!("cluster: c\nprovider: {provider}\n{}\n", lines.join("\n"));
        if let Err(problems) = load_str("cluster.yaml", &text, Path::new("nowhere")) {
            proptest::prop_assert!(problems.has_errors() && problems.0.iter().all(|p| p.span.is_some()));
        }
    }

    /// The same for every range and count that the network can be asked for.
    #[test]
    fn no_network_panics(prefixes in proptest::collection::vec(0_u8..=32, 5), octets in proptest::collection::vec(0_u8.., 4), count in 0_u32..6000) {
        let cidr = |i: usize| {
            let net = ipnet::Ipv4Net::new(Ipv4Addr::new(octets[i % 4], octets[(i + 1) % 4], 0, 0), prefixes[i]).unwrap();
            net.trunc().to_string()
        };
        let text = format!(
            "cluster: c\nprovider: lab\nnetwork: {{vpc: {}, public_subnet: {}, private_subnets: [{}], pods: {}, services: {}}}\npools: [{{name: a, count: {count}}}]\n",
            cidr(0), cidr(1), cidr(2), cidr(3), cidr(4)
        );
        let _ = load_str("cluster.yaml", &text, Path::new(""));
    }
}

#[test]
fn backups_keep_the_promise_that_they_make() {
    const KEY: &str = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";
    let with = |rest: &str| format!("cluster: b\nprovider: lab\nbackup: {{recipient: {KEY}{rest}}}\n");
    let backup = spec(&with("")).backup.unwrap();
    let minutes = |d: std::time::Duration| d.as_secs() / 60;
    assert_eq!((minutes(backup.every), minutes(backup.rpo), backup.keep, backup.to), (15, 30, 96, None));
    let hourly = problems(&with(", every: 1h")).join("\n");
    assert!(hourly.contains("a snapshot every 1h that may take 5m loses up to 1h5m of writes, and rpo promises 30m"), "{hourly}");
    let to = spec(&with(", to: 's3://backups/prod/', copy_to: 's3://far', copy_region: eu-west-1")).backup.unwrap();
    let (first, copy) = (to.to.unwrap(), to.copy_to.unwrap());
    assert_eq!((first.bucket.as_str(), first.prefix.as_str(), first.region.as_str()), ("backups", "prod", "eu-central-1"));
    assert_eq!((copy.bucket.as_str(), copy.region.as_str()), ("far", "eu-west-1"));
    assert!(problems(&with(", to: /var/backups")).join("").contains("no place in S3"));
    assert!(problems("cluster: b\nprovider: lab\nbackup: {every: 5m}\n").join("").contains("no `recipient` is named"));
    let secret = problems("cluster: b\nprovider: lab\nbackup: {recipient: AGE-SECRET-KEY-1XYZ}\n").join("");
    assert!(secret.contains("a secret key is no recipient") && !secret.contains("1XYZ"), "{secret}");
}
