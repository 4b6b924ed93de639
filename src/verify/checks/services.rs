//! What pods need of Services, names and the world, by real traffic from a probe pod on each node.

use super::{
    Ctx, Findings, all_or,
    traffic::{probed, said, silent},
};
use crate::verify::{
    finding::Finding,
    registry::{Check, Group::Network},
    types::Severity::{Critical, Major},
};

pub(in crate::verify) const CHECKS: &[Check] = &[
    Check {
        id: "network-probes",
        group: Network,
        severity: Critical,
        tag: None,
        probes: true,
        eval: pods_start,
        title: "A new pod starts on every node",
        expected: "a probe pod running and answering on every node within seconds",
        proves: "kubelet, containerd, the image, the CNI and the pod network's first hop work on this node",
        causes: "the probe's image cannot be pulled, or sandboxes cannot be made",
        fix: "`kubectl describe pod` of the probe; `journalctl -u kubelet -u containerd` on that node",
    },
    Check {
        id: "network-service-vip",
        group: Network,
        severity: Critical,
        tag: None,
        probes: true,
        eval: |c| from_each(c, "vip"),
        title: "A Service's address works from every node",
        expected: "6 connections to a ClusterIP, each answered by some pod",
        proves: "kube-proxy's rules work, also to pods on other nodes",
        causes: "br_netfilter or ip_forward is off, kube-proxy does not run, or the pod network is broken",
        fix: "compare machine-sysctl, network-kube-proxy and network-pod-tcp for this node",
    },
    Check {
        id: "network-hairpin",
        group: Network,
        severity: Major,
        tag: None,
        probes: true,
        eval: |c| from_each(c, "hairpin"),
        title: "A pod reaches itself through its Service",
        expected: "an answer from the pod itself",
        proves: "hairpin mode and masquerading work",
        causes: "hairpinMode is off in the CNI configuration",
        fix: "set hairpinMode: true in Flannel's cni-conf.json and recreate the pods",
    },
    Check {
        id: "network-nodeport",
        group: Network,
        severity: Critical,
        tag: None,
        probes: true,
        eval: |c| many(c, "nodeport:"),
        title: "A NodePort answers on every node",
        expected: "an answer on each node's address, asked from every node's pods",
        proves: "load balancers and other nodes can reach Services",
        causes: "a firewall without 30000-32767 between nodes, or kube-proxy on that node",
        fix: "allow TCP 30000-32767 between the nodes; look at kube-proxy's log on the node that does not answer",
    },
    Check {
        id: "network-dns-cluster",
        group: Network,
        severity: Critical,
        tag: None,
        probes: true,
        eval: |c| from_each(c, "dns-cluster"),
        title: "Cluster names resolve on every node",
        expected: "kubernetes.default.svc.cluster.local has an address",
        proves: "pods on this node reach CoreDNS through its Service",
        causes: "CoreDNS does not run, or UDP to its Service is lost on the way",
        fix: "compare network-dns-pods, network-pod-udp and kubernetes-coredns",
    },
    Check {
        id: "network-dns-external",
        group: Network,
        severity: Major,
        tag: None,
        probes: true,
        eval: |c| from_each(c, "dns-external"),
        title: "External names resolve on every node",
        expected: "the external test name has an address",
        proves: "CoreDNS forwards to a resolver that answers",
        causes: "the nodes' resolver is a loopback address or cannot be reached from pods",
        fix: "set dns.servers in the spec; look at CoreDNS's log",
    },
    Check {
        id: "network-dns-pods",
        group: Network,
        severity: Major,
        tag: None,
        probes: true,
        eval: |c| many(c, "dns-pod:"),
        title: "Each CoreDNS pod answers to every node",
        expected: "an answer from each replica, asked by its pod address",
        proves: "no replica is dead behind the Service's load balancing (every second lookup would fail)",
        causes: "the replica's node is cut off, or the replica hangs",
        fix: "delete the CoreDNS pod that does not answer",
    },
    Check {
        id: "network-egress",
        group: Network,
        severity: Major,
        tag: None,
        probes: true,
        eval: |c| from_each(c, "egress"),
        title: "Pods reach the world outside",
        expected: "a TCP connection to the external test address",
        proves: "masquerading, routes and NAT work for pods",
        causes: "no NAT gateway or route for the subnet, --ip-masq missing, or a firewall",
        fix: "check the route table and NAT of the node's subnet, then Flannel's --ip-masq",
    },
];

fn pods_start(ctx: &Ctx<'_>) -> Findings {
    if let Some(Err(why)) = &ctx.probed {
        return Some(vec![Finding::bad("cluster", why)]);
    }
    probed(ctx, |p| {
        let one = |(node, why): (&String, &String)| Finding::bad(node, why);
        let bad: Vec<Finding> = p.silent.iter().map(one).collect();
        all_or(bad, || Finding::good("cluster", format!("{} nodes", p.answers.len())))
    })
}

/// One question that every pod was asked.
fn from_each(ctx: &Ctx<'_>, id: &str) -> Findings {
    probed(ctx, |p| {
        let mut out: Vec<Finding> = silent(p).collect();
        for (node, answers) in p.answers.iter().filter(|(node, _)| !p.silent.contains_key(*node)) {
            out.push(match answers.iter().find(|a| a.id == id) {
                None => Finding::unseen(node, "it was not asked"),
                Some(a) if a.ok => Finding::good(node, format!("{:.0} ms", a.ms)),
                Some(a) => Finding::bad(node, format!("{}: {} ({})", a.target, a.error, a.class))
                    .evidence(format!("probe check on {node}"), said(a)),
            });
        }
        out
    })
}

/// Questions of one kind to several targets: one finding for each that failed.
pub(super) fn many(ctx: &Ctx<'_>, prefix: &str) -> Findings {
    probed(ctx, |p| {
        let mut bad: Vec<Finding> = silent(p).collect();
        let mut good = 0;
        for (node, answers) in &p.answers {
            for answer in answers.iter().filter(|a| a.id.starts_with(prefix)) {
                if answer.ok {
                    good += 1;
                } else {
                    let to = answer.id.trim_start_matches(prefix);
                    bad.push(
                        Finding::bad(format!("{node} → {to}"), format!("{} ({})", answer.error, answer.class))
                            .evidence(format!("probe check on {node}"), said(answer)),
                    );
                }
            }
        }
        if good == 0 && bad.is_empty() {
            return vec![Finding::unseen("cluster", "there was nothing to ask")];
        }
        all_or(bad, || Finding::good("cluster", format!("{good} of {good}")))
    })
}
