//! One cause comes first: what only follows from something else that is red says so, and stands behind it.

use super::types::{CheckResult, Status};

/// Checks that need the overlay between nodes.
const OVERLAY: [&str; 10] = [
    "network-pod-tcp",
    "network-pod-mtu",
    "network-service-vip",
    "network-nodeport",
    "network-dns-cluster",
    "network-dns-external",
    "network-dns-pods",
    "network-egress",
    "network-throughput",
    "network-latency",
];

/// A rule: where `cause` is red, these follow from it.
struct Rule {
    cause: &'static str,
    effects: &'static [&'static str],
    /// Only on the same machine, or on a pair that has a machine in common.
    near: bool,
}

const RULES: &[Rule] = &[
    Rule {
        cause: "runtime-containerd",
        effects: &[
            "runtime-socket",
            "runtime-kubelet",
            "runtime-kubelet-health",
            "runtime-cgroup-driver",
            "runtime-sandbox-image",
            "kubernetes-node-ready",
            "network-probes",
            "kubernetes-leases",
        ],
        near: true,
    },
    Rule {
        cause: "runtime-kubelet",
        effects: &[
            "runtime-kubelet-health",
            "kubernetes-node-ready",
            "kubernetes-leases",
            "network-probes",
            "network-kubelet-port",
            "kubernetes-node-taints",
            "kubernetes-served-certificates",
        ],
        near: true,
    },
    Rule { cause: "machine-swap", effects: &["runtime-kubelet", "runtime-kubelet-health", "kubernetes-node-ready"], near: true },
    Rule { cause: "machine-modules", effects: &["machine-sysctl", "network-service-vip"], near: true },
    Rule {
        cause: "machine-sysctl",
        effects: &[
            "network-pod-udp",
            "network-pod-tcp",
            "network-pod-mtu",
            "network-service-vip",
            "network-nodeport",
            "network-dns-cluster",
            "network-dns-external",
            "network-dns-pods",
            "network-egress",
        ],
        near: true,
    },
    Rule { cause: "network-vxlan-port", effects: &["network-pod-udp", "network-pod-tcp", "network-pod-mtu"], near: true },
    Rule { cause: "network-checksum", effects: &["network-pod-udp"], near: true },
    Rule { cause: "network-checksum", effects: &OVERLAY, near: true },
    Rule { cause: "network-pod-udp", effects: &OVERLAY, near: true },
    Rule { cause: "network-pod-mtu", effects: &["network-pod-tcp", "network-throughput"], near: true },
    Rule {
        cause: "network-kube-proxy",
        effects: &["network-service-vip", "network-nodeport", "network-hairpin", "network-dns-cluster"],
        near: true,
    },
    Rule { cause: "network-dns-cluster", effects: &["network-dns-external", "network-egress"], near: true },
    Rule {
        cause: "kubernetes-coredns",
        effects: &["network-dns-cluster", "network-dns-external", "network-dns-pods", "network-egress"],
        near: false,
    },
    Rule {
        cause: "machine-disk",
        effects: &["runtime-image-disk", "kubernetes-node-conditions", "kubernetes-node-taints", "kubernetes-evicted"],
        near: true,
    },
    Rule { cause: "kubernetes-node-conditions", effects: &["kubernetes-node-taints", "kubernetes-evicted"], near: true },
    Rule { cause: "kubernetes-api", effects: &["kubernetes-node-ready", "kubernetes-leases", "kubernetes-system-pods"], near: false },
    Rule { cause: "kubernetes-certificates", effects: &["kubernetes-served-certificates", "kubernetes-api"], near: true },
];

/// Says of results that follow from another what they follow from, and puts them behind it.
pub(super) fn explain(checks: &mut [CheckResult]) {
    let red: Vec<(String, String)> =
        checks.iter().filter(|c| c.status == Status::Failed).map(|c| (c.id.clone(), c.subject.clone())).collect();
    for check in checks.iter_mut().filter(|c| matches!(c.status, Status::Failed | Status::Warning)) {
        let from = RULES
            .iter()
            .filter(|r| r.effects.contains(&check.id.as_str()))
            .find_map(|rule| red.iter().find(|(id, subject)| id == rule.cause && (!rule.near || near(subject, &check.subject))));
        if let Some((id, subject)) = from {
            check.cause = Some(format!("follows from {id} ({subject})"));
        }
    }
    checks.sort_by_key(|c| (std::cmp::Reverse(c.status), follows(c), std::cmp::Reverse(c.severity)));
}

fn follows(check: &CheckResult) -> bool {
    check.cause.as_deref().is_some_and(|c| c.starts_with("follows from "))
}

/// Whether two subjects have a machine in common. A subject of the whole cluster is near everything.
fn near(a: &str, b: &str) -> bool {
    let names = |s: &str| s.split(" → ").map(|p| p.split(' ').next().unwrap_or("").to_owned()).collect::<Vec<_>>();
    a == "cluster" || b == "cluster" || names(a).iter().any(|n| names(b).contains(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_share_machines() {
        assert!(near("worker-1 → worker-2", "worker-2"));
        assert!(near("worker-1", "worker-1 served on 10.0.1.10:10250"));
        assert!(!near("worker-1 → worker-2", "worker-3"));
    }

    #[test]
    fn every_rule_names_checks_that_exist() {
        for rule in RULES {
            for id in rule.effects.iter().chain([&rule.cause]) {
                assert!(crate::verify::find(id).is_some(), "{id}");
            }
        }
    }
}
