//! `kill -9` at every boundary, as a chained walk: one run is killed at boundary 1, its rerun at 2, and so on; the last one
//! is left alone and must end with a healthy cluster, one and the same all the way.

use super::support::Lab;
use serde_json::Value;
use std::collections::BTreeSet;

const CLUSTER: &str = "\
cluster: killed
provider: lab
network: {vpc: 172.29.0.0/16}
pools: [{name: worker, count: 1}]
";

/// Boundaries come from the event stream: the beginning of every task of the shipped playbooks that a bootstrap reaches, and
/// of every provider's step. All of them with KUBEWRIGHT_TEST_FULL, else those after which something exists that did not before.
fn is_boundary(event: &Value) -> Option<String> {
    let text = |key: &str| event[key].as_str().unwrap_or_default();
    let full = std::env::var_os("KUBEWRIGHT_TEST_FULL").is_some();
    match text("event") {
        "step_started" if full || text("id").contains("machine") => {
            Some(format!("step {}", text("id").split('/').take(2).collect::<Vec<_>>().join("/")))
        }
        "task_started" => {
            let name = text("name");
            let chosen = [
                "containerd and runc",
                "Initialise the control plane",
                "The operator's own kubeconfig",
                "Flannel",
                "Join the cluster",
                "Revoke the join token",
                "CoreDNS stands on two nodes",
            ];
            (full || chosen.contains(&name)).then(|| format!("task {name}"))
        }
        _ => None,
    }
}

/// See the module.
pub fn chained_walk() {
    let lab = Lab::new(CLUSTER);
    let mut seen = BTreeSet::new();
    let mut identity: Option<String> = None;
    loop {
        let mut at = String::new();
        let killed = lab.kill_when(&["bootstrap", "--yes", "--no-verify"], |event| match is_boundary(event) {
            Some(boundary) if seen.insert(boundary.clone()) => {
                at = boundary;
                true
            }
            _ => false,
        });
        if !killed {
            break;
        }
        eprintln!("--- killed at {at}");
        let now = uid(&lab);
        if let (Some(before), Some(now)) = (&identity, &now) {
            assert_eq!(before, now, "still the same cluster after the kill at {at}");
        }
        identity = identity.or(now);
    }
    assert!(seen.len() >= 7, "boundaries that were met: {seen:?}");
    lab.run(&["bootstrap", "--yes", "--no-verify"]).expect(0);
    // A pod that was moved a moment ago may still be named by an endpoint.
    super::faults::wait("a green report", std::time::Duration::from_secs(60), || lab.run(&["verify"]).code() == 0);
    lab.run(&["plan"]).expect(0);
    assert_eq!(identity, uid(&lab), "one cluster all the way");
    let tokens = lab.inside("control-plane-1", "kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system get secret --field-selector type=bootstrap.kubernetes.io/token -o name");
    assert_eq!(tokens.trim(), "", "no token is left");
}

/// UID of namespace kube-system, once there is one.
fn uid(lab: &Lab) -> Option<String> {
    let filter = format!("label=kubewright.dev/cluster={}", lab.name);
    let names =
        super::docker(&["ps", "--filter", &filter, "--filter", "label=kubewright.dev/node=control-plane-1", "--format", "{{.Names}}"]);
    let name = names.lines().next()?;
    let get = [
        "exec",
        name,
        "kubectl",
        "--kubeconfig",
        "/etc/kubernetes/admin.conf",
        "get",
        "namespace",
        "kube-system",
        "-o",
        "jsonpath={.metadata.uid}",
    ];
    let output = std::process::Command::new("docker").args(get).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
