//! From the merged tree to types, with every default filled in.

use super::{
    Access, Addons, AwsExisting, AwsSettings, Backup, ClusterSpec, DEFAULT_VERSION, Dns, Kubernetes, LabSettings, Network,
    PackageRepository, Pool, Provider, Registry, RegistryLogin, S3Target, StaticHost, addresses,
    scalars::{Cidr, Span},
};
use crate::{
    text::{Problem, Problems, nearest},
    yaml::{Fields, FromNode, Node},
};
use ipnet::Ipv4Net;
use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

/// A specification that is typed but not yet checked.
pub(super) struct Read {
    pub(super) spec: ClusterSpec,
    /// Whether all ranges and addresses could be read: checks between them make sense.
    pub(super) network_is_sound: bool,
}

/// kubernetes.io/docs/setup/best-practices/cluster-large
const MAX_NODES: u32 = 5000;

const PROVIDERS: &[&str] = &["lab", "aws", "static"];

pub(super) fn cluster(root: &Node, directory: &Path, problems: &mut Problems) -> Option<Read> {
    let mut f = Fields::new(root, "a specification", problems);
    f.take("extends");
    let name = f.required::<String>("cluster").unwrap_or_default();
    let provider_name = provider_name(&mut f);
    let lab = lab(&mut f);
    let aws = aws(&mut f);
    let before = f.problems().0.len();
    let hosts = f.take("hosts").map(|n| each(n, f.problems(), host)).unwrap_or_default();
    let is_static = provider_name.as_deref() == Some("static");
    if !hosts.is_empty() && provider_name.is_some() && !is_static {
        let problem = Problem::at(&f.span("hosts"), "`hosts` belongs to provider `static`; this provider makes its machines itself");
        f.problems().push(problem.hint("say `provider: static`, or remove `hosts`"));
    }
    let network = network(&mut f);
    let kubernetes = kubernetes(&mut f);
    let control_plane = control_plane(&mut f, &network);
    let pools = pools(&mut f, &network, is_static, &hosts);
    let network_is_sound = f.problems().0.len() == before;
    let access = access(&mut f);
    let dns = dns(&mut f);
    let addons = addons(&mut f);
    let backup = backup(&mut f, &aws.region);
    let registries = f.take("registries").map(|n| each(n, f.problems(), registry)).unwrap_or_default();
    let tags = f.optional("tags").unwrap_or_default();
    let protected = f.or("protected", false);
    f.finish();

    let provider = match provider_name?.as_str() {
        "aws" => Provider::Aws(aws),
        "static" => Provider::Static(hosts),
        _ => Provider::Lab(lab),
    };
    let mut spec = ClusterSpec {
        name,
        provider,
        network,
        kubernetes,
        control_plane,
        pools,
        access,
        dns,
        addons,
        backup,
        registries,
        tags,
        protected,
        directory: directory.to_owned(),
    };
    count_static(&mut spec);
    Some(Read { spec, network_is_sound })
}

fn provider_name(f: &mut Fields<'_, '_>) -> Option<String> {
    let (name, span) = f.required::<(String, crate::text::Span)>("provider")?;
    if PROVIDERS.contains(&name.as_str()) {
        return Some(name);
    }
    let problem = Problem::at(&span, format!("there is no provider `{name}`"));
    f.problems().push(match nearest(&name, PROVIDERS.iter().copied()) {
        Some(known) => problem.hint(format!("did you mean `{known}`?")),
        None => problem.hint("there are lab (Docker), aws (EC2) and static (machines that exist already)"),
    });
    None
}

/// Static machines are counted, not asked for.
fn count_static(spec: &mut ClusterSpec) {
    let Provider::Static(hosts) = &spec.provider else { return };
    for pool in std::iter::once(&mut spec.control_plane).chain(&mut spec.pools) {
        let own = hosts.iter().filter(|h| h.pool == pool.name);
        pool.addresses = own.clone().filter_map(|h| h.private_address.or_else(|| h.address.parse().ok())).collect();
        pool.count = u32::try_from(own.count()).unwrap_or(u32::MAX);
    }
}

/// Reads each item of a list; what is wrong is noted and left out.
fn each<T>(node: &Node, problems: &mut Problems, read: impl Fn(&Node, &mut Problems) -> Option<T>) -> Vec<T> {
    match node.items() {
        Some(items) => items.iter().filter_map(|item| read(item, problems)).collect(),
        None if node.is_null() => Vec::new(),
        None => {
            problems.push(Problem::at(&node.span, format!("a list is wanted here, this is {}", node.kind())));
            Vec::new()
        }
    }
}

/// Reads the mapping under a key; a missing one reads as empty, so that defaults stand in one place.
fn section<T>(f: &mut Fields<'_, '_>, key: &str, read: impl FnOnce(Fields<'_, '_>) -> T) -> T {
    if let Some(node) = f.take(key).cloned() {
        read(Fields::new(&node, format!("`{key}`"), f.problems()))
    } else {
        let empty = Node { value: crate::yaml::Yaml::Null, span: f.first_line(), tag: None, style: crate::yaml::Style::Plain };
        read(Fields::new(&empty, format!("`{key}`"), f.problems()))
    }
}

fn lab(f: &mut Fields<'_, '_>) -> LabSettings {
    section(f, "lab", |mut f| {
        let lab =
            LabSettings { docker: f.optional("docker"), image: f.or("image", "debian:12".to_owned()), resolved: f.or("resolved", false) };
        f.finish();
        lab
    })
}

fn aws(f: &mut Fields<'_, '_>) -> AwsSettings {
    section(f, "aws", |mut f| {
        let aws = AwsSettings {
            region: f.or("region", "eu-central-1".to_owned()),
            profile: f.optional("profile"),
            endpoint: f.optional("endpoint"),
            zones: f.optional("zones").unwrap_or_default(),
            ami: f.optional("ami"),
            nat_per_zone: f.or("nat_per_zone", false),
            existing: section(&mut f, "existing", |mut f| {
                let existing = AwsExisting {
                    vpc: f.optional("vpc"),
                    public_subnet: f.optional("public_subnet"),
                    private_subnets: f.optional("private_subnets").unwrap_or_default(),
                    control_plane_security_group: f.optional("control_plane_security_group"),
                    worker_security_group: f.optional("worker_security_group"),
                    instance_profile: f.optional("instance_profile"),
                    control_plane_instance_profile: f.optional("control_plane_instance_profile"),
                    key_pair: f.optional("key_pair"),
                };
                f.finish();
                existing
            }),
            cloud_controller: f.or("cloud_controller", false),
        };
        f.finish();
        aws
    })
}

fn registry(node: &Node, problems: &mut Problems) -> Option<Registry> {
    let mut f = Fields::new(node, "a registry", problems);
    let host = f.required("host");
    let endpoint = f.optional("endpoint");
    let username = f.optional::<String>("username");
    let password_file = f.optional::<String>("password_file").map(PathBuf::from);
    let login = match (username, password_file) {
        (Some(username), Some(password_file)) => Some(RegistryLogin { username, password_file }),
        (None, None) => None,
        (username, _) => {
            let (there, missing) = if username.is_some() { ("username", "password_file") } else { ("password_file", "username") };
            let problem = Problem::at(&f.span(there), format!("`{there}` without `{missing}`"));
            f.problems().push(problem.hint("a login needs both; the file holds the password or token and nothing else"));
            None
        }
    };
    f.finish();
    Some(Registry { host: host?, endpoint, login })
}

fn host(node: &Node, problems: &mut Problems) -> Option<StaticHost> {
    let mut f = Fields::new(node, "a host", problems);
    let name = f.required("name");
    let address = f.required("address");
    let port = f.or("port", 22);
    let pool = f.required("pool");
    let private_address = f.optional("private_address");
    let jump = f.optional("jump");
    let host_key = f.optional("host_key");
    f.finish();
    Some(StaticHost { name: name?, address: address?, port, pool: pool?, private_address, jump, host_key })
}

fn nets(cidrs: Vec<Cidr>) -> Vec<Ipv4Net> {
    cidrs.into_iter().map(|c| c.0).collect()
}

fn network(f: &mut Fields<'_, '_>) -> Network {
    let fixed = |a, b, len| Ipv4Net::new_assert(Ipv4Addr::new(10, a, b, 0), len);
    section(f, "network", |mut f| {
        let vpc = f.optional::<Cidr>("vpc").map_or(fixed(0, 0, 16), |c| c.0);
        let public_subnet = f.optional::<Cidr>("public_subnet").map(|c| c.0);
        let private_subnets = f.optional::<Vec<Cidr>>("private_subnets").map(nets);
        let default = |index| addresses::default_subnet(vpc, index);
        if vpc.prefix_len() > 22 && (public_subnet.is_none() || private_subnets.is_none()) {
            let problem = Problem::at(&f.span("vpc"), format!("{vpc} is too small for the default subnets, four times /24"));
            f.problems().push(problem.hint("set network.public_subnet and network.private_subnets, or take a /22 or larger"));
        }
        let network = Network {
            vpc,
            public_subnet: public_subnet.or_else(|| default(0)).unwrap_or(vpc),
            private_subnets: private_subnets.unwrap_or_else(|| (1..=3).filter_map(default).collect()),
            pods: f.optional::<Cidr>("pods").map_or(fixed(244, 0, 16), |c| c.0),
            services: f.optional::<Cidr>("services").map_or(fixed(96, 0, 12), |c| c.0),
            vxlan_port: f.or("vxlan_port", 4789),
        };
        f.finish();
        network
    })
}

fn kubernetes(f: &mut Fields<'_, '_>) -> Kubernetes {
    section(f, "kubernetes", |mut f| {
        let package_repository = f.take("package_repository").filter(|n| !n.is_null()).and_then(|node| {
            let mut f = Fields::new(node, "`package_repository`", f.problems());
            let url = f.required("url");
            let key_url = f.required("key_url");
            f.finish();
            Some(PackageRepository { url: url?, key_url: key_url? })
        });
        let kubernetes = Kubernetes {
            version: f.or("version", DEFAULT_VERSION.to_owned()),
            containerd: f.or("containerd", 2),
            package_repository,
            image_registry: f.optional("image_registry"),
            api_sans: f.optional("api_sans").unwrap_or_default(),
            token_ttl: f.optional::<Span>("token_ttl").map_or(Duration::from_mins(15), |d| d.0),
        };
        f.finish();
        kubernetes
    })
}

/// What control planes and pools have in common, with their own defaults.
fn machines(f: &mut Fields<'_, '_>, name: String, count: u32, instance_type: &str, network: &Network, control_plane: bool) -> Pool {
    let mut wanted = f.or("count", count);
    if wanted > MAX_NODES {
        let problem = Problem::at(&f.span("count"), format!("{wanted} machines: Kubernetes is made for at most {MAX_NODES}"));
        f.problems().push(problem);
        wanted = count;
    }
    Pool {
        name,
        count: wanted,
        instance_type: f.or("type", instance_type.to_owned()),
        subnets: f.optional::<Vec<Cidr>>("subnets").map_or_else(|| addresses::default_subnets(network, control_plane), nets),
        addresses: f.optional("addresses").unwrap_or_default(),
        labels: f.optional("labels").unwrap_or_default(),
        taints: f.optional("taints").unwrap_or_default(),
        volume_gib: f.or("volume_gib", 30),
        spot: if control_plane { false } else { f.or("spot", false) },
    }
}

fn control_plane(f: &mut Fields<'_, '_>, network: &Network) -> Pool {
    section(f, "control_plane", |mut f| {
        let pool = machines(&mut f, ClusterSpec::CONTROL_PLANE.to_owned(), 1, "t3.medium", network, true);
        f.finish();
        pool
    })
}

fn pools(f: &mut Fields<'_, '_>, network: &Network, is_static: bool, hosts: &[StaticHost]) -> Vec<Pool> {
    let empty = Pool {
        name: "worker".to_owned(),
        count: 3,
        instance_type: "t3.small".to_owned(),
        subnets: addresses::default_subnets(network, false),
        addresses: Vec::new(),
        labels: indexmap::IndexMap::new(),
        taints: Vec::new(),
        volume_gib: 30,
        spot: false,
    };
    match f.take("pools") {
        Some(node) => each(node, f.problems(), |node, problems| {
            let mut f = Fields::new(node, "a pool", problems);
            let name: Option<String> = f.required("name");
            let pool = machines(&mut f, name.clone().unwrap_or_default(), 1, "t3.small", network, false);
            f.finish();
            name.map(|_| pool)
        }),
        None if is_static => {
            let mut pools: Vec<Pool> = Vec::new();
            for host in hosts.iter().filter(|h| h.pool != ClusterSpec::CONTROL_PLANE) {
                if pools.iter().all(|p| p.name != host.pool) {
                    pools.push(Pool { name: host.pool.clone(), ..empty.clone() });
                }
            }
            pools
        }
        None => vec![empty],
    }
}

fn access(f: &mut Fields<'_, '_>) -> Access {
    section(f, "access", |mut f| {
        let user = f.or("user", "ubuntu".to_owned());
        let key = match f.take("key") {
            // Written as nothing: the agent.
            Some(node) if node.is_null() => None,
            Some(node) => String::from_node(node, f.problems()).filter(|k| k != "agent").map(PathBuf::from),
            None => Some(PathBuf::from("keys/id_ed25519")),
        };
        let (ssh_from, ssh_from_auto) = match f.take("ssh_from") {
            None => (Vec::new(), true),
            Some(node) if node.as_str() == Some("auto") => (Vec::new(), true),
            Some(node) if node.items().is_none() => (Cidr::from_node(node, f.problems()).into_iter().map(|c| c.0).collect(), false),
            Some(node) => (nets(Vec::from_node(node, f.problems()).unwrap_or_default()), false),
        };
        let api_from = f.optional::<Vec<Cidr>>("api_from").map_or_else(Vec::new, nets);
        let api_address = f.optional("api_address");
        f.finish();
        Access { user, key, ssh_from, ssh_from_auto, api_from, api_address }
    })
}

fn dns(f: &mut Fields<'_, '_>) -> Dns {
    section(f, "dns", |mut f| {
        let dns = Dns { servers: f.optional("servers").unwrap_or_default() };
        f.finish();
        dns
    })
}

fn addons(f: &mut Fields<'_, '_>) -> Addons {
    section(f, "addons", |mut f| {
        let addons = Addons { metrics_server: f.or("metrics_server", false) };
        f.finish();
        addons
    })
}

fn backup(f: &mut Fields<'_, '_>, region: &str) -> Option<Backup> {
    let node = f.take("backup").filter(|n| !n.is_null()).cloned()?;
    let mut f = Fields::new(&node, "`backup`", f.problems());
    let recipients = match f.take("recipient").cloned() {
        Some(node) if node.items().is_some() => Vec::from_node(&node, f.problems()).unwrap_or_default(),
        Some(node) => String::from_node(&node, f.problems()).into_iter().collect(),
        None => Vec::new(),
    };
    if recipients.is_empty() {
        let problem = Problem::at(&f.span("recipient"), "snapshots are encrypted, and no `recipient` is named");
        f.problems().push(
            problem.hint("the public key of somebody who keeps the private one in a safe place: age1… of `age-keygen`, or ssh-ed25519 …"),
        );
    }
    let minutes = |f: &mut Fields<'_, '_>, key: &str, default| f.optional::<Span>(key).map_or(Duration::from_mins(default), |d| d.0);
    let every = minutes(&mut f, "every", 15);
    let timeout = minutes(&mut f, "timeout", 5);
    let rpo = minutes(&mut f, "rpo", 30);
    let keep = f.or("keep", 96);
    let region = f.or("region", region.to_owned());
    let copy_region = f.or("copy_region", region.clone());
    let endpoint: Option<String> = f.optional("endpoint");
    let mut target = |key: &str, region: &str| {
        let (text, span) = f.optional::<(String, crate::text::Span)>(key)?;
        let target = S3Target::parse(&text, region, endpoint.clone());
        if target.is_none() {
            f.problems().push(Problem::at(&span, format!("`{text}` is no place in S3")).hint("write it like s3://my-backups/prod"));
        }
        target
    };
    let to = target("to", &region);
    let copy_to = target("copy_to", &copy_region);
    let credentials = f.optional::<String>("credentials").map(PathBuf::from);
    f.finish();
    Some(Backup { recipients, every, keep, timeout, rpo, to, copy_to, credentials })
}
