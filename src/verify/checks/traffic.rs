//! The data path, by real traffic between probe pods.

use super::{Ctx, Findings, all_or, millis};
use crate::verify::{
    finding::Finding,
    probe::{Answer, Probed},
    registry::{Check, Group::Network},
    types::{
        Pair,
        Severity::{Critical, Major, Minor},
    },
};
use std::collections::BTreeMap;

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
        id: "network-pod-udp",
        group: Network,
        severity: Critical,
        tag: None,
        probes: true,
        eval: |c| pairs(c, "udp"),
        title: "Pods reach pods of other nodes over UDP",
        expected: "4 small datagrams there and back, for every ordered pair of nodes",
        proves: "the overlay carries datagrams (DNS) in both directions",
        causes: "a firewall or security group without UDP 4789 between the two nodes, or bad VXLAN checksums of the network card",
        fix: "allow UDP 4789 between the two nodes; for bad checksums `ethtool -K flannel.1 tx-checksum-ip-generic off`",
    },
    Check {
        id: "network-pod-tcp",
        group: Network,
        severity: Critical,
        tag: None,
        probes: true,
        eval: |c| pairs(c, "tcp"),
        title: "Pods reach pods of other nodes over TCP",
        expected: "64 KiB there and back, for every ordered pair of nodes",
        proves: "the overlay carries streams, also of full segments",
        causes: "a firewall or security group without UDP 4789 between the two nodes, a wrong VXLAN port, or an MTU hole",
        fix: "allow UDP 4789 between the two nodes in both directions; compare network-vxlan-port and network-mtu",
    },
    Check {
        id: "network-pod-mtu",
        group: Network,
        severity: Critical,
        tag: None,
        probes: true,
        eval: |c| pairs(c, "mtu"),
        title: "The largest packet of a pod arrives on other nodes",
        expected: "3 datagrams of the pod interface's MTU, unfragmented, for every ordered pair of nodes",
        proves: "there is no MTU hole between nodes",
        causes: "a network between the nodes with a smaller MTU, or flannel.1 with a larger one than the card minus 50",
        fix: "set one MTU on all machines; allow ICMP type 3 code 4; restart the kube-flannel pods",
    },
    Check {
        id: "network-latency",
        group: Network,
        severity: Minor,
        tag: None,
        probes: true,
        eval: latency,
        title: "Nodes are near each other",
        expected: "a round trip of less than 50 ms between pods",
        proves: "etcd, DNS and Services are not slowed down by the network",
        causes: "nodes in different regions, an overloaded node, or a relay in between",
        fix: "put the nodes into one region; look at the load of the two nodes",
    },
    Check {
        id: "network-throughput",
        group: Network,
        severity: Minor,
        tag: None,
        probes: true,
        eval: throughput,
        title: "One stream between nodes has some throughput",
        expected: "more than 5 Mbit/s in a burst of at most 0.3 s",
        proves: "image pulls and volumes will not crawl",
        causes: "spent network credits of a small instance, lost packets, or checksums done in software",
        fix: "look at network-pod-udp's loss first; use a larger instance type",
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
        eval: node_port,
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
    Check {
        id: "network-api-port",
        group: Network,
        severity: Critical,
        tag: None,
        probes: true,
        eval: |c| many(c, "api:"),
        title: "Every node reaches the API server on 6443",
        expected: "a TCP connection to 6443 of every control plane",
        proves: "kubelets and pods can talk to the API",
        causes: "a security group without 6443 from the workers",
        fix: "allow TCP 6443 from the workers' to the control planes' group",
    },
    Check {
        id: "network-kubelet-port",
        group: Network,
        severity: Major,
        tag: None,
        probes: true,
        eval: kubelet_port,
        title: "Control planes reach every kubelet on 10250",
        expected: "a TCP connection to 10250 of every node",
        proves: "kubectl logs and exec, and metrics-server, work",
        causes: "a security group without 10250 from the control planes",
        fix: "allow TCP 10250 from the control planes' group",
    },
    Check {
        id: "network-etcd-closed",
        group: Network,
        severity: Critical,
        tag: None,
        probes: true,
        eval: etcd_closed,
        title: "Workers cannot reach etcd",
        expected: "no TCP connection from a worker to 2379 of a control plane",
        proves: "etcd is reachable from where the rules say, and not from elsewhere",
        causes: "a security group that opens 2379 to the workers, or etcd on a public address without a rule",
        fix: "allow TCP 2379-2380 among control planes alone",
    },
];

/// Findings from the probes; unknown where there are none.
fn probed(ctx: &Ctx<'_>, check: impl FnOnce(&Probed) -> Vec<Finding>) -> Findings {
    Some(match &ctx.probed {
        None => vec![Finding::unseen("cluster", "nothing was probed (--read-only)")],
        Some(Err(why)) => vec![Finding::unseen("cluster", why)],
        Some(Ok(probed)) => {
            let mut findings = check(probed);
            // A node that could not be asked is unknown in every check of this kind, not missing.
            findings.iter_mut().for_each(|f| f.duration_ms = millis(probed.elapsed));
            findings
        }
    })
}

fn silent(probed: &Probed) -> impl Iterator<Item = Finding> {
    probed.silent.iter().map(|(node, why)| Finding::unseen(node, why))
}

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

fn said(answer: &Answer) -> String {
    let ok = if answer.ok { "ok" } else { answer.error.as_str() };
    format!("{} {} size {}: {ok} ({:.1} ms)", answer.kind, answer.target, answer.size, answer.ms)
}

fn pairs(ctx: &Ctx<'_>, kind: &str) -> Findings {
    probed(ctx, |p| {
        let mut bad = Vec::new();
        let mut good = 0;
        for (from, answers) in &p.answers {
            for answer in answers {
                let Some(to) = answer.id.strip_prefix(kind).and_then(|rest| rest.strip_prefix(':')) else { continue };
                if answer.ok {
                    good += 1;
                    continue;
                }
                let arrived = p.request_arrived.contains(&(from.clone(), to.to_owned()));
                let mut finding = Finding::bad(format!("{from} → {to}"), format!("{} ({})", answer.error, answer.class));
                if kind == "udp" && answer.received == 0 {
                    let (a, b) = if arrived { (to, from.as_str()) } else { (from.as_str(), to) };
                    let heard = if arrived { "the request arrived and the answer did not" } else { "the request did not arrive" };
                    finding = finding.cause(format!(
                        "{heard}: UDP {} from {a} to {b} is lost (firewall, security group, or bad checksums)",
                        ctx.spec.network.vxlan_port
                    ));
                }
                bad.push(finding.evidence(format!("probe check on {from}"), said(answer)));
            }
        }
        bad.extend(silent(p));
        all_or(bad, || Finding::good("cluster", format!("{good} ordered pairs")))
    })
}

/// The heat map.
pub(in crate::verify) fn heat_map(probed: &Probed) -> Vec<Pair> {
    let mut cells: BTreeMap<(String, String), Pair> = BTreeMap::new();
    for (from, answers) in &probed.answers {
        for answer in answers {
            let Some((kind, to)) = answer.id.split_once(':') else { continue };
            if !["tcp", "udp", "mtu", "throughput"].contains(&kind) {
                continue;
            }
            let cell = cells.entry((from.clone(), to.to_owned())).or_insert_with(|| Pair {
                from: from.clone(),
                to: to.to_owned(),
                ..Pair::default()
            });
            match kind {
                "tcp" => cell.tcp = Some(answer.ok),
                "mtu" => cell.mtu = Some(answer.ok),
                "throughput" => cell.bits_per_second = answer.answers.first().and_then(|b| b.parse().ok()),
                _ => {
                    cell.udp = Some(answer.ok);
                    cell.rtt_ms = (answer.received > 0).then_some(answer.rtt_min_ms);
                    cell.loss = (answer.sent > 0).then(|| 1.0 - f64::from(answer.received) / f64::from(answer.sent));
                }
            }
        }
    }
    cells.into_values().collect()
}

fn latency(ctx: &Ctx<'_>) -> Findings {
    probed(ctx, |p| {
        let cells = heat_map(p);
        let times: Vec<f64> = cells.iter().filter_map(|c| c.rtt_ms).collect();
        if times.is_empty() && cells.len() > 1 {
            return vec![Finding::unseen("cluster", "no datagram came back")];
        }
        let far = cells.iter().filter(|c| c.rtt_ms.is_some_and(|ms| ms >= 50.0));
        let bad = far.map(|c| Finding::bad(format!("{} → {}", c.from, c.to), format!("{:.0} ms", c.rtt_ms.unwrap_or_default()))).collect();
        all_or(bad, || Finding::good("cluster", format!("at most {:.1} ms", times.iter().copied().fold(0.0, f64::max))))
    })
}

fn throughput(ctx: &Ctx<'_>) -> Findings {
    probed(ctx, |p| {
        let cells = heat_map(p);
        let measured: Vec<(String, f64)> =
            cells.iter().filter_map(|c| Some((format!("{} → {}", c.from, c.to), c.bits_per_second?))).collect();
        let least = measured.iter().map(|(_, b)| *b).fold(f64::INFINITY, f64::min);
        let slow: Vec<Finding> =
            measured.iter().filter(|(_, b)| *b < 5e6).map(|(pair, b)| Finding::bad(pair, format!("{:.1} Mbit/s", b / 1e6))).collect();
        if measured.is_empty() {
            let why = if p.pods.len() == 1 { "there is one node only" } else { "no stream could be measured" };
            return vec![if p.pods.len() == 1 { Finding::good("cluster", why) } else { Finding::unseen("cluster", why) }];
        }
        all_or(slow, || Finding::good("cluster", format!("at least {:.0} Mbit/s", least / 1e6)))
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
fn many(ctx: &Ctx<'_>, prefix: &str) -> Findings {
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

fn node_port(ctx: &Ctx<'_>) -> Findings {
    many(ctx, "nodeport:")
}

fn kubelet_port(ctx: &Ctx<'_>) -> Findings {
    probed(ctx, |p| {
        let mut bad: Vec<Finding> = silent(p).collect();
        let mut good = 0;
        let control_planes = ctx.hosts.iter().filter(|h| h.is_control_plane());
        for node in control_planes.filter_map(|h| p.answers.get_key_value(&h.name)) {
            for answer in node.1.iter().filter(|a| a.id.starts_with("kubelet:")) {
                if answer.ok {
                    good += 1;
                } else {
                    bad.push(Finding::bad(
                        format!("{} → {}", node.0, answer.id.trim_start_matches("kubelet:")),
                        format!("{} ({})", answer.error, answer.class),
                    ));
                }
            }
        }
        if good == 0 && bad.is_empty() && ctx.hosts.len() > 1 {
            return vec![Finding::unseen("cluster", "no control plane could be asked")];
        }
        all_or(bad, || Finding::good("cluster", format!("{good} kubelets")))
    })
}

fn etcd_closed(ctx: &Ctx<'_>) -> Findings {
    probed(ctx, |p| {
        let mut out: Vec<Finding> = silent(p).collect();
        let mut closed = 0;
        for (node, answers) in p.answers.iter().filter(|(n, _)| ctx.host(n).is_some_and(|h| !h.is_control_plane())) {
            for answer in answers.iter().filter(|a| a.id.starts_with("etcd:")) {
                if answer.ok {
                    out.push(
                        Finding::bad(
                            format!("{node} → {}", answer.id.trim_start_matches("etcd:")),
                            format!("{} can be reached", answer.target),
                        )
                        .evidence(format!("probe check on {node}"), said(answer)),
                    );
                } else {
                    closed += 1;
                }
            }
        }
        if closed == 0 && out.is_empty() {
            return if ctx.hosts.iter().all(super::HostView::is_control_plane) {
                vec![Finding::good("cluster", "there are no workers")]
            } else {
                vec![Finding::unseen("cluster", "no worker could be asked")]
            };
        }
        all_or(out, || Finding::good("cluster", format!("closed to {closed}")))
    })
}
