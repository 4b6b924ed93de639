//! Operations on nodes: joined, drained, removed, replaced in whatever state they are, while somebody is served all the time.

use super::{
    faults::wait,
    support::{Lab, docker},
};
use serde_json::Value;
use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The issue's limits for two cores that nobody else uses; the tool's own summary counts.
pub const REPLACE: Duration = Duration::from_secs(180);
const JOIN: Duration = Duration::from_secs(60);

/// Three replicas, one to a node where that can be, two of them always; their addresses are used up to 5 s after they are told
/// to end, as it should be with any server behind a Service.
const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 10
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: web}}}
      containers:
      - name: web
        image: registry.k8s.io/kubewright/probe:v2
        args: [serve, --http, ":8080"]
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
        lifecycle: {preStop: {sleep: {seconds: 5}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 2, selector: {matchLabels: {app: web}}}
"#;

/// kubectl on the control plane.
pub fn kubectl(lab: &Lab, args: &str) -> String {
    lab.inside("control-plane-1", &format!("kubectl --kubeconfig /etc/kubernetes/admin.conf {args}"))
}

/// A client in the cluster that asks ten times a second.
pub struct Client {
    child: Child,
    begun: Instant,
    node: &'static str,
    what: String,
}

impl Client {
    /// Asks the Service's address from a node, through its kube-proxy and over the pod network.
    pub fn of_web(lab: &Lab, node: &'static str) -> Self {
        let address = kubectl(lab, "get service web -o jsonpath='{.spec.clusterIP}'");
        Self::start(lab, node, &format!("http://{}/", address.trim()))
    }

    /// Asks for something from a node that stays.
    pub fn start(lab: &Lab, node: &'static str, url: &str) -> Self {
        let flag = format!("/run/asking-{:x}", url.bytes().fold(7_u32, |h, b| h.wrapping_mul(31).wrapping_add(b.into())));
        // A failure is told with curl's reason (28: no answer within its second) and the time.
        let ask = format!(
            "touch {flag}; while [ -e {flag} ]; do if curl -skf -o /dev/null -m 1 '{url}'; then echo ok; else echo \"failed $? $(date +%T)\"; fi; sleep 0.1; done"
        );
        let child =
            Command::new("docker").args(["exec", &lab.container(node), "sh", "-c", &ask]).stdout(Stdio::piped()).spawn().expect("docker");
        Self { child, begun: Instant::now(), node, what: format!("{url} {flag}") }
    }

    /// Ends it, tells what it has seen, and counts.
    pub fn stop(self, lab: &Lab) -> Served {
        let (url, flag) = self.what.split_once(' ').expect("an address and a file");
        lab.inside(self.node, &format!("rm {flag}"));
        let output = self.child.wait_with_output().expect("docker ends");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let failures: Vec<&str> = said.lines().filter_map(|l| l.strip_prefix("failed ")).collect();
        let late = failures.iter().filter(|f| f.starts_with("28 ")).count();
        let served = Served { all: said.lines().count(), failed: failures.len(), late };
        let seconds = self.begun.elapsed().as_secs_f64();
        eprintln!("    {url}: {} requests in {seconds:.0} s, {} failed, {late} of them by no answer within 1 s", served.all, served.failed);
        for failure in failures.iter().take(20) {
            eprintln!("      curl {failure}");
        }
        served
    }
}

/// What a client saw.
#[derive(Debug)]
pub struct Served {
    /// Requests.
    pub all: usize,
    /// Those without an answer.
    pub failed: usize,
    /// Those of them that had waited a second.
    pub late: usize,
}

impl Served {
    /// Nobody was refused or cut off. An answer that came late, once in five hundred, is this machine's load.
    pub fn undisturbed(&self) -> bool {
        self.all > 50 && self.failed == self.late && self.late * 500 <= self.all
    }
}

/// Seconds of an operation, by the tool's own summary.
fn seconds(run: &super::support::Run, title: &str) -> Duration {
    let note = run.events().into_iter().filter(|e| e["event"] == "note").find_map(|e| {
        let text = e["message"].as_str()?.strip_prefix(title)?.strip_prefix(": ")?.strip_suffix(" s")?.to_owned();
        text.parse::<f64>().ok()
    });
    Duration::from_secs_f64(note.expect("the summary says how long it took"))
}

/// Runs an operation and holds it against its limit.
pub fn timed(lab: &Lab, args: &[&str], title: &str, limit: Duration) {
    let run = lab.run(&[args, &["--format", "json"]].concat()).expect(0);
    let took = seconds(&run, title);
    eprintln!("    {title}: {:.1} s (limit {} s on two idle cores)", took.as_secs_f64(), limit.as_secs());
    assert!(took < limit, "{title} took {took:?}");
}

fn rows(lab: &Lab) -> Vec<Value> {
    let text = lab.run(&["node", "list", "-o", "json"]).expect(0).stdout();
    serde_json::from_str(&text).expect("node list -o json is JSON")
}

/// Names with their status, as `node list` has them.
pub fn statuses(lab: &Lab) -> Vec<String> {
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    rows(lab).iter().map(|row| format!("{} {}", text(row, "name"), text(row, "status"))).collect()
}

/// All of them, and nothing that differs.
pub fn all_well(lab: &Lab) {
    let rows = rows(lab);
    let odd: Vec<&Value> = rows.iter().filter(|r| r["status"] != "Ready" || r["differs"] != Value::Array(Vec::new())).collect();
    assert!(odd.is_empty(), "{odd:#?}");
    lab.run(&["plan"]).expect(0);
}

/// What cannot be right is refused before anything is touched.
pub fn wrong_requests(lab: &Lab) {
    let before = statuses(lab);
    let cases: &[(&[&str], &str)] = &[
        (&["node", "remove", "control-plane-1"], "the last control plane"),
        (&["node", "drain", "wroker-1"], "did you mean worker-1?"),
        (&["node", "replace", "worker-9"], "did you mean worker-"),
        (&["node", "remove", "worker-9"], "has no machine worker-9"),
        (&["node", "join", "--pool", "wroker"], "did you mean worker?"),
        (&["node", "join", "worker-9"], "did you mean worker-"),
        (&["reset", "wroker-1", "--yes"], "did you mean worker-1?"),
    ];
    for (args, expected) in cases {
        let run = lab.run(args).expect(2);
        assert!(run.stderr().contains(expected), "{args:?}: {}", run.stderr());
    }
    let full = lab.run(&["node", "join", "--pool", "worker", "--count", "2"]).expect(0);
    assert!(full.stderr().contains("set its count to 5"), "how to have more: {}", full.stderr());
    assert_eq!(statuses(lab), before);
}

/// Another operator, with a state directory of its own, while one is at work.
pub fn second_operator(lab: &Lab) {
    let start = |state: &str| {
        let mut command = lab.command(&["bootstrap", "--yes", "--no-verify"]);
        command.env("XDG_STATE_HOME", lab.state().join(state)).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("it starts")
    };
    // On a busy machine one may be done before the other has begun: then once more.
    let refused = (0..5).find_map(|_| {
        let both = [start("one"), start("other")].map(|child| child.wait_with_output().expect("it ends"));
        let codes: Vec<_> = both.iter().map(|o| o.status.code()).collect();
        assert!(codes.contains(&Some(0)) && codes.iter().all(|c| matches!(c, Some(0 | 6))), "{codes:?}");
        both.into_iter().find(|o| o.status.code() == Some(6))
    });
    let said = String::from_utf8_lossy(&refused.expect("one of two was refused").stderr).replace('\n', " ");
    assert!(said.contains("is locked by ") && said.contains(", since ") && said.contains("nothing was touched"), "{said}");
    for reading in [&["plan"][..], &["node", "list"], &["list"], &["verify", "--read-only", "--only", "node-ready"]] {
        let held = lab.hold_lock();
        let run = lab.run(reading);
        drop(held);
        assert_ne!(run.code(), 6, "{reading:?} needs no lock: {}", run.stderr());
    }
}

/// The lock of a process that was killed: taken over at once where it can be seen that it is dead, else within 60 s.
pub fn dead_holder(lab: &Lab, full: bool) {
    let held = lab.hold_lock();
    drop(held);
    let begun = Instant::now();
    let run = lab.run(&["node", "uncordon", "worker-1"]).expect(0);
    assert!(run.stderr().contains("its process is dead"), "{}", run.stderr());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(lab.lock(), "", "and it was given back");

    lab.lock_of_a_stranger();
    let died = Instant::now();
    let run = lab.run(&["node", "uncordon", "worker-1"]).expect(6);
    assert!(run.stderr().contains("is locked by bob@elsewhere (kubewright destroy, pid 7, since "), "{}", run.stderr());
    if full {
        wait("the lock of the dead is free", Duration::from_mins(1), || lab.run(&["node", "uncordon", "worker-1"]).code() == 0);
        eprintln!("    free {:.0} s after its holder died", died.elapsed().as_secs_f64());
        lab.lock_of_a_stranger();
    }
    lab.run(&["node", "uncordon", "worker-1", "--break-lock"]).expect(0);
    assert_eq!(lab.lock(), "");
}

/// A drain names what is in its way, and leaves no cordon behind.
pub fn drain(lab: &Lab) {
    serve(lab, 3);
    let plan = lab.run(&["node", "drain", "worker-1", "--dry-run", "--delete-emptydir-data"]).expect(0).stdout();
    assert!(plan.contains("1. cordon") && plan.contains("default/web"), "{plan}");
    assert!(statuses(lab).contains(&"worker-1 Ready".to_owned()), "a dry run changes nothing");
    kubectl(lab, "patch pdb web --type merge -p '{\"spec\":{\"minAvailable\":3}}'");
    kubectl(lab, "wait --for=jsonpath='{.status.disruptionsAllowed}'=0 pdb/web --timeout=30s");
    let plan = lab.run(&["node", "drain", "worker-1", "--dry-run", "--delete-emptydir-data"]).expect(0).stdout();
    assert!(plan.contains("budget default/web needs 3 healthy pods and has 3"), "{plan}");
    let run = lab.run(&["node", "drain", "worker-1", "--timeout", "5s", "--delete-emptydir-data"]).expect(4);
    let said = run.stderr();
    assert!(said.contains("pod default/web-") && said.contains("disruption budget web needs 3"), "pod and budget are named: {said}");
    assert!(statuses(lab).contains(&"worker-1 Ready".to_owned()), "it takes pods again: {:?}", statuses(lab));
    kubectl(lab, "run alone --image=registry.k8s.io/pause:3.10.2 --overrides='{\"spec\":{\"nodeName\":\"worker-1\"}}'");
    let run = lab.run(&["node", "drain", "worker-1", "--delete-emptydir-data"]).expect(2);
    assert!(run.stderr().contains("default/alone") && run.stderr().contains("--force"), "{}", run.stderr());
    kubectl(lab, "patch pdb web --type merge -p '{\"spec\":{\"minAvailable\":2}}'");
    lab.run(&["node", "drain", "worker-1", "--delete-emptydir-data", "--force"]).expect(0);
    assert!(statuses(lab).contains(&"worker-1 Ready,Cordoned".to_owned()), "{:?}", statuses(lab));
    let left =
        kubectl(lab, "get pods -A --field-selector spec.nodeName=worker-1 -o jsonpath='{.items[*].metadata.ownerReferences[*].kind}'");
    assert!(left.split_whitespace().all(|kind| kind == "DaemonSet"), "{left}");
    lab.run(&["node", "uncordon", "worker-1"]).expect(0);
    all_well(lab);
}

pub fn serve(lab: &Lab, replicas: usize) {
    let file = lab.inventory().join("web.yaml");
    fs::write(&file, WEB).expect("a manifest");
    let name = lab.container("control-plane-1");
    docker(&["cp", &file.to_string_lossy(), &format!("{name}:/root/web.yaml")]);
    kubectl(lab, "apply -f /root/web.yaml");
    kubectl(lab, &format!("wait --for=jsonpath='{{.status.availableReplicas}}'={replicas} deployment/web --timeout=90s"));
}

/// Workers are replaced, whatever state they are in, and a Deployment serves all the time.
pub fn replace_while_serving(lab: &Lab, full: bool) {
    serve(lab, 3);
    let client = Client::of_web(lab, "control-plane-1");
    let machine = |node: &str| docker(&["inspect", "-f", "{{.Id}}", &lab.container(node)]);
    let before = machine("worker-2");
    timed(lab, &["node", "replace", "worker-2"], "node replace worker-2", REPLACE);
    assert_ne!(machine("worker-2"), before, "another machine");
    // Healthy nodes are drained: nobody notices.
    let served = client.stop(lab);
    assert!(served.undisturbed(), "{served:?} while a healthy worker was replaced");

    let client = Client::of_web(lab, "control-plane-1");
    docker(&["rm", "-f", "-v", &lab.container("worker-3")]);
    timed(lab, &["node", "replace", "worker-3"], "node replace worker-3", REPLACE);
    if full {
        docker(&["kill", &lab.container("worker-3")]);
        timed(lab, &["node", "replace", "worker-3"], "node replace worker-3", REPLACE);
        docker(&["pause", &lab.container("worker-3")]);
        timed(lab, &["node", "replace", "worker-3"], "node replace worker-3", REPLACE);
        other_host_key(lab, "worker-3");
        timed(lab, &["node", "replace", "worker-3"], "node replace worker-3", REPLACE);
    }
    // A node that dies takes its connections along, until its endpoint is taken out; how many that are is told above.
    client.stop(lab);
    all_well(lab);
    kubectl(lab, "delete deployment,service,pdb web --wait=false");
}

/// Its address answers with another host key than the one that is known.
pub fn other_host_key(lab: &Lab, node: &str) {
    lab.inside(
        node,
        "rm /etc/ssh/ssh_host_ed25519_key* && ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key && systemctl restart ssh",
    );
}

/// Counts of `cluster.yaml` are the truth: out by a bootstrap or `node join`, in only when that is asked for.
pub fn scale(lab: &Lab) {
    let file = lab.inventory().join("cluster.yaml");
    let three = fs::read_to_string(&file).expect("cluster.yaml");
    fs::write(&file, format!("{three}pools: [{{name: worker, count: 4}}]\n")).expect("cluster.yaml");
    assert!(statuses(lab).contains(&"worker-4 NoMachine".to_owned()));
    let run = lab.run(&["node", "join", "--pool", "worker", "--count", "1", "--dry-run"]).expect(0).stdout();
    assert!(run.contains("worker-4: make a new machine"), "{run}");
    let untouched =
        |lab: &Lab| lab.inside("worker-1", "systemctl show -p ActiveEnterTimestampMonotonic containerd kubelet; ls /home/ubuntu");
    let before = untouched(lab);
    timed(lab, &["node", "join", "--pool", "worker", "--count", "1"], "node join", JOIN);
    assert_eq!(untouched(lab), before);
    all_well(lab);
    fs::write(&file, &three).expect("cluster.yaml");
    let plan = lab.run(&["plan"]).expect(0).stdout();
    assert!(plan.contains("worker-4 is not in cluster.yaml") && plan.contains("--prune"), "{plan}");
    lab.run(&["bootstrap", "--yes", "--no-verify"]).expect(0);
    assert!(statuses(lab).contains(&"worker-4 Ready".to_owned()), "without --prune it stays");
    let plan = lab.run(&["plan", "--prune"]).expect(3).stdout();
    assert!(plan.contains("- node worker-4"), "{plan}");
    lab.run(&["bootstrap", "--yes", "--no-verify", "--prune"]).expect(0);
    assert!(!statuses(lab).iter().any(|s| s.starts_with("worker-4")), "{:?}", statuses(lab));
    all_well(lab);
}

/// What others have put there stays: a table of nft, a chain of iptables with a rule that leads to it, a CNI configuration.
const FOREIGN: &str = "nft add table inet mine; nft add chain inet mine c '{ type filter hook input priority 5; }'; nft add rule inet mine c tcp dport 9 drop; \
    iptables -N MINE; iptables -A MINE -p tcp --dport 9 -j DROP; iptables -A INPUT -j MINE; echo '{}' >/etc/cni/net.d/99-mine.conf";
const FOREIGN_GONE: &str =
    "nft delete table inet mine; iptables -D INPUT -j MINE; iptables -F MINE; iptables -X MINE; rm /etc/cni/net.d/99-mine.conf";

/// A machine that was reset has nothing of ours and all that is foreign. It joins again at once, though its old Node was Ready a
/// moment ago.
pub fn reset_and_back(lab: &Lab) {
    lab.inside("worker-1", FOREIGN);
    lab.run(&["reset", "worker-1", "--yes"]).expect(0);
    // cloud-init's unit is the machine's own: the lab's image stands in for EC2's there.
    let left = lab.inside(
        "worker-1",
        "nft list ruleset | grep -E 'KUBE|FLANNEL|flannel|kube-proxy'; ip -o link | grep -E 'flannel|cni0|veth'; apt-mark showhold; \
         systemctl list-units --plain --no-legend 'kubepods*' 'kubelet*' 'kubewright*'; ls -d /etc/kubernetes/pki /etc/kubernetes/*.conf \
         /var/lib/kubelet/* /var/lib/etcd /var/lib/cni /etc/cni/net.d/10-* /opt/cni/bin/flannel /etc/sysctl.d/99-kubernetes.conf \
         /etc/modules-load.d/kubernetes.conf /etc/default/kubelet /etc/containerd/config.toml /etc/apt/sources.list.d/kubernetes* \
         2>/dev/null; grep -rl kubewright /etc/apt/apt.conf.d /etc/systemd/system | grep -v /cloud-init.service; true",
    );
    assert_eq!(left.trim(), "", "left by reset");
    let foreign = lab.inside("worker-1", "nft list table inet mine; iptables -S; cat /etc/cni/net.d/99-mine.conf");
    assert!(
        foreign.contains("tcp dport 9 drop") && foreign.contains("-A INPUT -j MINE") && foreign.contains("-A MINE -p tcp"),
        "{foreign}"
    );
    lab.inside("worker-1", FOREIGN_GONE);
    assert!(statuses(lab).contains(&"worker-1 NotJoined".to_owned()), "{:?}", statuses(lab));
    lab.run(&["bootstrap", "--yes", "--no-verify"]).expect(0);
    // The same with everything of Kubernetes taken off behind the tool's back: only the old Node says that it is well.
    lab.inside("worker-1", "kubeadm reset -f >/dev/null 2>&1; systemctl stop kubelet");
    lab.run(&["bootstrap", "--yes", "--no-verify"]).expect(0);
    all_well(lab);
}
