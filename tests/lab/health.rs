//! The health report of a healthy cluster: no false alarm, in time, and nothing of it stays behind.

use super::{
    failed,
    faults::wait,
    support::{Lab, docker},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    process::Stdio,
    time::{Duration, Instant},
};

/// The report of a healthy cluster of 1 + 3 nodes may take this long on two cores.
const WITHIN: Duration = Duration::from_secs(15);

/// So many reports, all green, none too late.
pub fn no_false_alarm(lab: &Lab, times: usize) {
    let mut slowest = Duration::ZERO;
    for round in 1..=times {
        let begun = Instant::now();
        let report = super::report(lab, 0);
        slowest = slowest.max(begun.elapsed());
        assert_eq!(failed(&report), Vec::<String>::new(), "round {round}");
        assert_eq!(report["summary"]["unknown"], 0);
    }
    eprintln!("    {times} reports, the slowest took {:.1} s", slowest.as_secs_f64());
    assert!(slowest < WITHIN, "{slowest:?}");
}

fn kubectl(lab: &Lab, args: &[&str]) -> String {
    let container = lab.container("control-plane-1");
    let command = ["exec", &container, "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf"];
    docker(&command.iter().chain(args).copied().collect::<Vec<_>>())
}

fn namespaces(lab: &Lab) -> Vec<String> {
    let all = kubectl(lab, &["get", "namespaces", "-o", "name"]);
    all.lines().filter_map(|l| l.strip_prefix("namespace/kubewright-verify-")).map(str::to_owned).collect()
}

/// What the API server was asked to change, by resource and verb. Dry runs do not count, nor do reviews, which are not stored.
fn writes(lab: &Lab) -> BTreeMap<String, u64> {
    let text = kubectl(lab, &["get", "--raw", "/metrics"]);
    let mut out = BTreeMap::new();
    for line in text.lines().filter_map(|l| l.strip_prefix("apiserver_request_total{")) {
        let Some((labels, count)) = line.split_once("} ") else { continue };
        let label = |name: &str| labels.split(&format!("{name}=\"")).nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        let ours = ["namespaces", "pods", "services", "serviceaccounts", "roles", "rolebindings", "secrets"].contains(&label("resource"));
        let changes = ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"].contains(&label("verb"));
        if ours && changes && label("subresource").is_empty() && label("dry_run").is_empty() && label("code").starts_with('2') {
            *out.entry(format!("{} {}", label("verb"), label("resource"))).or_default() += count.trim().parse::<u64>().unwrap_or(0);
        }
    }
    out
}

/// Files of a machine that a tool of this kind could change.
fn new_files(lab: &Lab, node: &str, than: &str) -> String {
    let places = "/etc /root /home /usr /opt /tmp /run/lock /var/lib/apt /var/lib/dpkg /var/tmp /var/spool /etc/cni";
    lab.inside(node, &format!("find {places} -xdev -newer {than} ! -type d 2>/dev/null; true"))
}

/// `--read-only` changes no object and no file; what needs probes is unknown, and that is no failure.
pub fn read_only(lab: &Lab) {
    wait("earlier probes are gone", Duration::from_secs(90), || namespaces(lab).is_empty());
    for node in ["control-plane-1", "worker-1"] {
        lab.inside(node, "touch /run/kw-stamp");
    }
    let before = writes(lab);
    let run = lab.run(&["verify", "--read-only", "--format", "json"]).expect(0);
    assert_eq!(writes(lab), before, "nothing was written");
    for node in ["control-plane-1", "worker-1"] {
        assert_eq!(new_files(lab, node, "/run/kw-stamp"), "", "no file of {node} was written");
    }
    let report: Value = serde_json::from_str(&run.stdout()).expect("a report");
    let unknown = report["checks"].as_array().expect("checks").iter().filter(|c| c["status"] == "unknown");
    assert!(unknown.clone().count() > 10 && unknown.clone().all(|c| c["id"].as_str().is_some_and(|id| id.starts_with("network-"))));
    // The same look at a report with probes: they show, so the look can see.
    lab.run(&["verify", "--only", "network-pod-udp"]).expect(0);
    let after = writes(lab);
    assert!(
        after.get("APPLY namespaces").or_else(|| after.get("PATCH namespaces")) > before.get("APPLY namespaces"),
        "{before:?} {after:?}"
    );
    wait("the probes are gone", Duration::from_secs(60), || namespaces(lab).is_empty());
}

/// Kills a report (-9) while its probes run. They go by themselves: [`gone`] waits for that.
pub fn killed(lab: &Lab) -> String {
    wait("earlier probes are gone", Duration::from_secs(90), || namespaces(lab).is_empty());
    let mut child = lab.command(&["verify"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    let mut name = String::new();
    wait("the probes run", Duration::from_secs(30), || {
        name = namespaces(lab).pop().unwrap_or_default();
        !name.is_empty() && kubectl(lab, &["get", "pods", "-n", &format!("kubewright-verify-{name}"), "--no-headers"]).contains(" Running ")
    });
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    assert!(namespaces(lab).contains(&name), "it was killed before it could clean up");
    name
}

/// The probes of a report that was killed are gone after a while, without anybody's help.
pub fn gone(lab: &Lab, name: &str) {
    wait("the killed report's probes are gone", Duration::from_secs(120), || !namespaces(lab).iter().any(|n| n == name));
    let kinds = "pods,services,serviceaccounts,roles,rolebindings";
    wait("nothing of any report is left in any namespace", Duration::from_secs(60), || {
        kubectl(lab, &["get", kinds, "-A", "-l", "kubewright-verify=probe", "-o", "name"]).is_empty()
    });
}

/// `verify --fix`: a sysctl, a swap entry, a hold and a token are mended, nothing else is touched; without a yes nothing is.
pub fn fixed(lab: &Lab) {
    lab.inside("worker-1", "sysctl -w net.ipv4.ip_forward=0; apt-mark unhold kubelet");
    lab.inside("worker-2", "echo '/swapfile none swap sw 0 0' >> /etc/fstab");
    lab.inside("control-plane-1", "kubeadm token create --ttl 48h --description by-hand");
    assert_eq!(lab.run(&["verify", "--fix"]).code(), 2, "nobody is there to ask");
    assert_eq!(lab.inside("worker-1", "cat /proc/sys/net/ipv4/ip_forward").trim(), "0");
    let run = lab.run(&["verify", "--fix", "--yes", "--format", "json"]).expect(0);
    let (said, report) = (run.stderr(), serde_json::from_str::<Value>(&run.stdout()).expect("a report"));
    for words in
        ["--fix would do this:", "tasks tagged sysctl on worker-1", "tasks tagged packages on worker-1", "tasks tagged swap on worker-2"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(said.contains("FAILED → ok") && said.contains("revoke join token"), "{said}");
    assert_eq!(failed(&report), Vec::<String>::new());
    assert_eq!(lab.inside("worker-1", "cat /proc/sys/net/ipv4/ip_forward; apt-mark showhold | grep -c kubelet").trim(), "1\n1");
    assert_eq!(lab.inside("worker-2", "grep -c '^[^#].*swap' /etc/fstab || true").trim(), "0");
    assert_eq!(lab.inside("control-plane-1", "kubeadm token list | grep -c by-hand || true").trim(), "0");
}

/// A bundle has logs, objects, the report and an index, and none of the cluster's secrets.
pub fn bundle(lab: &Lab) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("bundle.tar.gz");
    // Secrets that a careless program logged.
    let token = lab.inside("control-plane-1", "kubeadm token create --ttl 5m").trim().to_owned();
    lab.inside("worker-1", &format!("logger -t kubelet -p daemon.warning 'joined with {token}'"));
    lab.run(&["support-bundle", "-o", &file.display().to_string()]).expect(0);
    let id = token.split('.').next().unwrap_or_default();
    lab.inside("control-plane-1", &format!("kubeadm token delete {id}"));
    let unpacked = std::process::Command::new("tar").arg("xzf").arg(&file).arg("-C").arg(dir.path()).status().expect("tar");
    assert!(unpacked.success());
    let read = |command: &str| {
        let done = std::process::Command::new("sh").args(["-c", command]).current_dir(dir.path()).output().expect("sh");
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let index = read("cat kubewright-*/index.md");
    for name in [
        "hosts/worker-1/logs/kubelet.log",
        "cluster/events.json",
        "report.html",
        "hosts/control-plane-1/files/etc/kubernetes/manifests/etcd.yaml",
        "inventory/cluster.yaml",
    ] {
        assert!(index.contains(name) && !read(&format!("cat kubewright-*/{name}")).is_empty(), "{name}: {index}");
    }
    assert_eq!(read(&format!("grep -rlF '{token}' kubewright-*")), "", "the token is nowhere");
    assert!(read("cat kubewright-*/hosts/worker-1/logs/warnings.log").contains("joined with [redacted]"));
    assert_eq!(read("grep -rlE 'PRIVATE KEY-----|client-key-data: *[A-Za-z0-9+/]{20}' kubewright-*"), "", "no private key");
}
