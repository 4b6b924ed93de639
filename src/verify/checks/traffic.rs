//! The data path, by real traffic between probe pods.

use super::{Ctx, Findings, all_or, millis};
use crate::verify::{
    finding::Finding,
    probe::{Answer, BadChecksums, Probed},
    registry::{Check, Group::Network},
    types::{
        Pair,
        Severity::{Critical, Minor},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

pub(in crate::verify) const CHECKS: &[Check] = &[
    Check {
        id: "network-pod-udp",
        group: Network,
        severity: Critical,
        tag: None,
        probes: true,
        eval: |c| pairs(c, &["udp"]),
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
        eval: |c| pairs(c, &["tcp"]),
        title: "Pods reach pods of other nodes over TCP",
        expected: "a handshake and 64 bytes there and back, for every ordered pair of nodes",
        proves: "the overlay carries streams in both directions",
        causes: "a firewall or security group without UDP 4789 between the two nodes, or a wrong VXLAN port",
        fix: "allow UDP 4789 between the two nodes in both directions; compare network-vxlan-port and network-mtu",
    },
    Check {
        id: "network-pod-mtu",
        group: Network,
        severity: Critical,
        tag: None,
        probes: true,
        eval: |c| pairs(c, &["mtu", "tcp-mtu"]),
        title: "The largest packets of a pod arrive on other nodes",
        expected: "3 datagrams of the pod interface's MTU, unfragmented, and 64 KiB over TCP, for every ordered pair of nodes",
        proves: "there is no MTU hole between nodes, for datagrams and for full segments",
        causes: "a network between the nodes with a smaller MTU, or flannel.1 with a larger one than the card minus 50",
        fix: "set one MTU on all machines; allow ICMP type 3 code 4; restart the kube-flannel pods",
    },
    Check {
        id: "network-checksum",
        group: Network,
        severity: Critical,
        tag: None,
        probes: true,
        eval: checksum,
        title: "Packets arrive with the checksum that they were sent with",
        expected: "no datagram and no segment for a probe pod has a wrong checksum",
        proves: "checksum offload of VXLAN and of the network cards works",
        causes: "a network card or driver that computes checksums of encapsulated packets wrongly: names do not resolve while pod addresses answer to ping",
        fix: "on the sending node `ethtool -K flannel.1 tx-checksum-ip-generic off`, and the same by a udev rule for the next boot",
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
];

/// Findings from the probes; unknown where there are none.
pub(super) fn probed(ctx: &Ctx<'_>, check: impl FnOnce(&Probed) -> Vec<Finding>) -> Findings {
    Some(match &ctx.probed {
        None => vec![Finding::unseen("cluster", "nothing was probed (--read-only)")],
        Some(Err(why)) => vec![Finding::unseen("cluster", why)],
        Some(Ok(probed)) => {
            let mut findings = check(probed);
            findings.iter_mut().for_each(|f| f.duration_ms = millis(probed.elapsed));
            findings
        }
    })
}

/// A node that could not be asked is unknown in every check of this kind, not missing.
pub(super) fn silent(probed: &Probed) -> impl Iterator<Item = Finding> {
    probed.silent.iter().map(|(node, why)| Finding::unseen(node, why))
}

/// An answer as evidence.
pub(super) fn said(answer: &Answer) -> String {
    let ok = if answer.ok { "ok" } else { answer.error.as_str() };
    format!("{} {} size {}: {ok} ({:.1} ms)", answer.kind, answer.target, answer.size, answer.ms)
}

/// Questions of these kinds from node to node: one finding for each pair that fails in any of them.
fn pairs(ctx: &Ctx<'_>, kinds: &[&str]) -> Findings {
    probed(ctx, |p| {
        let mut bad: BTreeMap<(&str, &str), Finding> = BTreeMap::new();
        let mut good = BTreeSet::new();
        for (from, answers) in &p.answers {
            for answer in answers {
                let Some((kind, to)) = answer.id.split_once(':') else { continue };
                if !kinds.contains(&kind) {
                    continue;
                }
                if answer.ok {
                    good.insert((from.as_str(), to));
                    continue;
                }
                let mut finding = bad.remove(&(from.as_str(), to)).unwrap_or_else(|| Finding::bad(format!("{from} → {to}"), ""));
                let both = if finding.observed.is_empty() { "" } else { "; " };
                let _ = write!(finding.observed, "{both}{} ({})", answer.error, answer.class);
                if let Some(cause) = lost_direction(ctx, p, from, to, answer) {
                    finding = finding.cause(cause);
                }
                bad.insert((from, to), finding.evidence(format!("probe check on {from}"), said(answer)));
            }
        }
        good.retain(|pair| !bad.contains_key(pair));
        let bad: Vec<Finding> = bad.into_values().chain(silent(p)).collect();
        if bad.is_empty() && good.is_empty() && p.pods.len() > 1 {
            return vec![Finding::unseen("cluster", "no pair of nodes was tried")];
        }
        all_or(bad, || Finding::good("cluster", format!("{} ordered pairs", good.len())))
    })
}

/// Which of the two directions swallows datagrams: the pod that was asked knows whether they arrived.
fn lost_direction(ctx: &Ctx<'_>, p: &Probed, from: &str, to: &str, answer: &Answer) -> Option<String> {
    if answer.kind != "udp" || answer.received > 0 || !answer.id.starts_with("udp:") {
        return None;
    }
    let arrived = p.request_arrived.iter().any(|(a, b)| a == from && b == to);
    let (a, b) = if arrived { (to, from) } else { (from, to) };
    let heard = if arrived { "the request arrived and the answer did not" } else { "the request did not arrive" };
    let port = ctx.spec.network.vxlan_port;
    Some(format!("{heard}: UDP {port} from {a} to {b} is lost (firewall, security group, or bad checksums)"))
}

/// A wrong checksum shows where the packet arrives; who sent it is the node that all receivers miss answers of.
fn checksum(ctx: &Ctx<'_>) -> Findings {
    probed(ctx, |p| {
        let bad: Vec<(&String, BadChecksums)> =
            p.bad_checksums.iter().map(|(node, n)| (node, *n)).filter(|(_, n)| n.datagrams + n.segments > 0).collect();
        let missing = p.pods.keys().filter(|node| !p.bad_checksums.contains_key(*node) && !p.silent.contains_key(*node));
        let mut out: Vec<Finding> = silent(p).chain(missing.map(|node| Finding::unseen(node, "its counters were not read"))).collect();
        let counts = |n: BadChecksums| format!("{} datagrams and {} segments", n.datagrams, n.segments);
        let lines: Vec<String> = bad.iter().map(|(node, n)| format!("{node}: {}", counts(*n))).collect();
        match sender(p, &bad) {
            Some(from) => {
                let offload = ctx.host(from).and_then(|h| h.seen.as_ref().ok()?.section("offload")).unwrap_or("");
                out.push(
                    Finding::bad(from, format!("what it sends arrives with a wrong checksum at {}", lines.join(", ")))
                        .evidence("/proc/net/snmp InCsumErrors of the probe pods", lines.join("\n"))
                        .evidence(format!("ethtool -k flannel.1 on {from}"), offload),
                );
            }
            None => out.extend(bad.iter().map(|(node, n)| {
                Finding::bad(*node, format!("{} arrived with a wrong checksum", counts(*n)))
                    .evidence("/proc/net/snmp InCsumErrors of the probe pods", lines.join("\n"))
            })),
        }
        all_or(out, || Finding::good("cluster", format!("none at {} nodes", p.bad_checksums.len())))
    })
}

/// The one node whose datagrams do not reach any of the receivers.
fn sender<'a>(p: &'a Probed, receivers: &[(&String, BadChecksums)]) -> Option<&'a str> {
    let lost = |from: &str, to: &str| {
        let answered = |a: &str, b: &str| p.answers.get(a)?.iter().find(|x| x.id == format!("udp:{b}")).map(|x| x.ok);
        answered(from, to) == Some(false) || answered(to, from) == Some(false)
    };
    let mut all = p.pods.keys().filter(|node| {
        let others = receivers.iter().filter(|(r, _)| r != node);
        others.clone().count() > 0 && others.clone().all(|(r, _)| lost(node, r))
    });
    // Two nodes each miss the other: that says nothing about who is at fault.
    all.next().filter(|_| all.next().is_none()).map(String::as_str)
}

/// The heat map.
pub(in crate::verify) fn heat_map(probed: &Probed) -> Vec<Pair> {
    let mut cells: BTreeMap<(String, String), Pair> = BTreeMap::new();
    for (from, answers) in &probed.answers {
        for answer in answers {
            let Some((kind, to)) = answer.id.split_once(':') else { continue };
            if !["tcp", "tcp-mtu", "udp", "mtu", "throughput"].contains(&kind) {
                continue;
            }
            let cell = cells.entry((from.clone(), to.to_owned())).or_insert_with(|| Pair {
                from: from.clone(),
                to: to.to_owned(),
                ..Pair::default()
            });
            match kind {
                "tcp" => cell.tcp = Some(answer.ok),
                "tcp-mtu" => cell.tcp_mtu = Some(answer.ok),
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
        let measured = cells.iter().filter_map(|c| Some((format!("{} → {}", c.from, c.to), c.bits_per_second?)));
        let least = measured.clone().map(|(_, b)| b).fold(f64::INFINITY, f64::min);
        let mut bad: Vec<Finding> =
            measured.filter(|(_, b)| *b < 5e6).map(|(pair, b)| Finding::bad(pair, format!("{:.1} Mbit/s", b / 1e6))).collect();
        for (from, answers) in &p.answers {
            for answer in answers.iter().filter(|a| a.kind == "throughput" && !a.ok) {
                let to = answer.id.trim_start_matches("throughput:");
                // Where a few bytes do not get through either, nothing is known of the speed.
                if cells.iter().any(|c| c.from == *from && c.to == to && c.tcp == Some(true)) {
                    let finding = Finding::bad(format!("{from} → {to}"), format!("a burst did not get through in time: {}", answer.error));
                    bad.push(finding.evidence(format!("probe check on {from}"), said(answer)));
                }
            }
        }
        if p.pods.len() == 1 {
            return vec![Finding::good("cluster", "there is one node only")];
        }
        if least.is_infinite() && bad.is_empty() {
            return vec![Finding::unseen("cluster", "no stream could be measured")];
        }
        all_or(bad, || Finding::good("cluster", format!("at least {:.0} Mbit/s", least / 1e6)))
    })
}
