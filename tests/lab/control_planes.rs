//! Three control planes: made from one, each replaced by another machine, twice round, while a Deployment is asked all the time.
//! None of them is special, the first one neither.

use super::{
    faults::wait,
    nodes::{Client, REPLACE, all_well, kubectl, other_host_key, serve, statuses, timed},
    step,
    support::{Lab, docker},
};
use std::{fs, time::Duration};

const ONE: &str = "\
cluster: ha
provider: lab
network: {vpc: 172.28.0.0/16}
pools: [{name: worker, count: 2}]
control_plane: {count: 1}
";
const PLANES: [&str; 3] = ["control-plane-1", "control-plane-2", "control-plane-3"];
const API: &str = "https://kubernetes.default.svc:443/livez";

/// All of it.
pub fn walk() {
    let lab = Lab::new(ONE);
    step("one control plane becomes three", || from_one(&lab));
    step("requests that would cost the quorum are refused", || wrong_requests(&lab));
    serve(&lab, 3);
    let web = Client::of_web(&lab, "worker-1");
    let api = Client::start(&lab, "worker-1", &api_url(&lab));
    for round in 1..=2 {
        for plane in PLANES {
            step(&format!("round {round}: {plane} is replaced"), || replaced(&lab, plane));
        }
    }
    let (web, api) = (web.stop(&lab), api.stop(&lab));
    assert!(web.undisturbed(), "{web:?} while control planes were replaced");
    // The endpoint of one that goes stays in Service kubernetes until its lease has run out (15 s).
    assert!(api.all > 500 && api.failed * 10 < api.all, "the API, while one of three was replaced: {api:?}");
    step("a control plane that is dead is replaced", || {
        docker(&["kill", &lab.container("control-plane-1")]);
        replaced(&lab, "control-plane-1");
    });
    step("a worker is replaced in each state that it can be in, while somebody is served", || workers(&lab));
    step("the report is green", || wait("a green report", Duration::from_secs(120), || lab.run(&["verify"]).code() == 0));
}

/// The API as pods and kube-proxy reach it.
fn api_url(lab: &Lab) -> String {
    let address = kubectl(lab, "get service kubernetes -o jsonpath='{.spec.clusterIP}'");
    API.replace("kubernetes.default.svc", address.trim())
}

fn from_one(lab: &Lab) {
    lab.run(&["bootstrap", "--yes", "--no-verify"]).expect(0);
    let uid = || kubectl(lab, "get namespace kube-system -o jsonpath='{.metadata.uid}'");
    let one = uid();
    let file = lab.inventory().join("cluster.yaml");
    fs::write(&file, ONE.replace("count: 1", "count: 3")).expect("cluster.yaml");
    lab.run(&["bootstrap", "--yes"]).expect(0);
    assert_eq!(uid(), one, "the same cluster");
    consistent(lab);
}

/// etcd's members = control planes = Node objects = machines of the provider, and nothing is left of how they came.
fn consistent(lab: &Lab) {
    let members = lab.run(&["etcd", "members"]).expect(0).stdout();
    let mut names: Vec<&str> =
        members.lines().filter_map(|l| l.split_whitespace().next()).filter(|n| n.starts_with("control-plane-")).collect();
    names.sort_unstable();
    assert_eq!(names, PLANES, "{members}");
    assert!(members.contains("can lose 1 more"), "{members}");
    let nodes = kubectl(lab, "get nodes -l node-role.kubernetes.io/control-plane -o jsonpath='{.items[*].metadata.name}'");
    let mut nodes: Vec<&str> = nodes.split_whitespace().collect();
    nodes.sort_unstable();
    assert_eq!(nodes, PLANES);
    let mut machines = lab.machines();
    machines.sort();
    assert_eq!(machines, [&PLANES[..], &["worker-1", "worker-2"]].concat());
    let behind =
        kubectl(lab, "get endpointslice -l kubernetes.io/service-name=kubernetes -o jsonpath='{.items[*].endpoints[*].addresses[0]}'");
    assert_eq!(behind.split_whitespace().count(), 3, "API servers behind Service kubernetes: {behind}");
    let secrets = kubectl(lab, "-n kube-system get secret -o jsonpath='{range .items[*]}{.type} {.metadata.name}{\"\\n\"}{end}'");
    assert!(!secrets.contains("bootstrap.kubernetes.io/token") && !secrets.contains("kubeadm-certs"), "{secrets}");
    assert_eq!(lab.lock(), "");
    all_well(lab);
}

fn replaced(lab: &Lab, plane: &str) {
    let machine = || docker(&["inspect", "-f", "{{.Id}}", &lab.container(plane)]);
    let before = machine();
    timed(lab, &["node", "replace", plane], &format!("node replace {plane}"), REPLACE);
    assert_ne!(machine(), before, "another machine");
    consistent(lab);
}

fn wrong_requests(lab: &Lab) {
    let before = statuses(lab);
    let refused = lab.run(&["node", "remove", "control-plane-3"]).expect(2).stderr().replace("\n  │ ", " ");
    assert!(refused.contains("3 → 2 control planes: 2 members need 2 votes and stand the loss of 0"), "{refused}");

    let file = lab.inventory().join("cluster.yaml");
    let three = fs::read_to_string(&file).expect("cluster.yaml");
    fs::write(&file, three.replace("count: 3", "count: 2")).expect("cluster.yaml");
    let refused = lab.run(&["bootstrap", "--yes", "--prune"]).expect(2).stderr();
    assert!(refused.contains("cluster.yaml:") && refused.contains('2'), "{refused}");
    fs::write(&file, three).expect("cluster.yaml");
    assert_eq!(statuses(lab), before);

    // One of three does not answer: another one must stay.
    let sick = lab.container("control-plane-3");
    docker(&["pause", &sick]);
    let run = lab.run(&["node", "replace", "control-plane-2"]);
    docker(&["unpause", &sick]);
    let refused = run.expect(2).stderr().replace("\n  │ ", " ");
    assert!(refused.contains("control-plane-3 is sick"), "{refused}");
    wait("all three are well again", Duration::from_secs(60), || lab.run(&["etcd", "members"]).code() == 0);
    wait("nothing has changed", Duration::from_secs(60), || statuses(lab) == before);
}

fn workers(lab: &Lab) {
    let damages: [(&str, fn(&Lab)); 4] = [
        ("healthy", |_| ()),
        ("its container killed", |lab| drop(docker(&["kill", &lab.container("worker-2")]))),
        ("its address answers with another host key", |lab| other_host_key(lab, "worker-2")),
        ("vanished from the provider", |lab| drop(docker(&["rm", "-f", "-v", &lab.container("worker-2")]))),
    ];
    for (state, damage) in damages {
        eprintln!("    worker-2: {state}");
        let client = Client::of_web(lab, "worker-1");
        damage(lab);
        timed(lab, &["node", "replace", "worker-2"], "node replace worker-2", REPLACE);
        let served = client.stop(lab);
        // What dies takes its connections along, until its endpoint is taken out; what is drained takes none.
        assert!(state != "healthy" || served.undisturbed(), "{served:?} while a healthy worker was replaced");
        all_well(lab);
    }
}
