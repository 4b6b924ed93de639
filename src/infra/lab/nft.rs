//! Security groups as nftables. The text is in the very form in which `nft --stateless list table` prints it (nft 1.0), so
//! that what is loaded can be compared with what is wanted line by line.

use crate::{
    infra::{
        Machine,
        rules::{Group, Protocol, Rule, Source},
    },
    spec::ClusterSpec,
};
use std::{collections::BTreeSet, fmt::Write, net::Ipv4Addr};

/// The table.
pub const TABLE: &str = "inet kubewright_sg";

/// The rules, and who is in which group: on EC2 that is a machine's own property, here rules name addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firewall {
    /// The cluster's rules.
    pub rules: Vec<Rule>,
    control_planes: BTreeSet<Ipv4Addr>,
    workers: BTreeSet<Ipv4Addr>,
    balancers: BTreeSet<Ipv4Addr>,
}

impl Firewall {
    /// The machines that are wanted, and those that exist: one that the specification no longer names belongs to its group
    /// until it is gone.
    pub fn new<'a>(spec: &ClusterSpec, rules: Vec<Rule>, existing: impl IntoIterator<Item = &'a Machine>) -> Self {
        let mut all = Self { rules, balancers: spec.balancers().into_iter().collect(), ..Self::default() };
        let wanted = spec.nodes().into_iter().filter_map(|n| Some((n.control_plane, n.address?))).collect::<Vec<_>>();
        let existing = existing.into_iter().map(|m| (m.pool == ClusterSpec::CONTROL_PLANE, m.private_address));
        for (control_plane, address) in wanted.into_iter().chain(existing) {
            if control_plane { &mut all.control_planes } else { &mut all.workers }.insert(address);
        }
        all
    }

    fn members(&self, group: Group) -> &BTreeSet<Ipv4Addr> {
        match group {
            Group::ControlPlane => &self.control_planes,
            Group::Worker => &self.workers,
            Group::Balancer => &self.balancers,
        }
    }
}

/// The table as `nft` prints it. The hook is prerouting at -150: after connection tracking (-200), before destination NAT
/// (-100), so NodePorts are still seen as such. Only what comes in by the NIC is judged: pods' traffic is inside VXLAN there.
pub fn listing(firewall: &Firewall, group: Group) -> String {
    let mut text = format!("table {TABLE} {{\n\tchain prerouting {{\n");
    text.push_str("\t\ttype filter hook prerouting priority mangle; policy accept;\n");
    text.push_str("\t\tiifname \"eth0\" jump ingress\n\t}\n\n\tchain ingress {\n\t\tct state established accept\n");
    for rule in firewall.rules.iter().filter(|r| r.group == group) {
        let Some(source) = source(firewall, rule.source) else { continue };
        // A String takes everything.
        let _ = writeln!(text, "\t\t{source}{} accept comment \"{}\"", traffic(rule), rule.name);
    }
    text.push_str("\t\tcounter drop\n\t}\n}\n");
    text
}

/// The file that `nft -f` loads: replaces the table in one transaction.
pub fn file(listing: &str) -> String {
    format!("table {TABLE}\ndelete table {TABLE}\n{listing}")
}

/// Names of the rules that differ between two listings; `(whole table)` where the frame around them differs.
pub fn drift(wanted: &str, found: &str) -> Vec<(String, Drift)> {
    let lines = |text: &str| text.lines().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()).collect::<Vec<_>>();
    let (wanted, found) = (lines(wanted), lines(found));
    if wanted == found {
        return Vec::new();
    }
    if found.is_empty() {
        return vec![("(whole table)".to_owned(), Drift::Missing)];
    }
    let mut all = Vec::new();
    for line in wanted.iter().filter(|l| !found.contains(l)) {
        let name = name(line);
        let kind = if found.iter().any(|f| self::name(f) == name) { Drift::Changed } else { Drift::Missing };
        all.push((name, kind));
    }
    for line in found.iter().filter(|l| !wanted.contains(l)) {
        let name = name(line);
        if !all.iter().any(|(n, _)| *n == name) {
            all.push((name, Drift::Foreign));
        }
    }
    if all.is_empty() {
        all.push(("(order of the rules)".to_owned(), Drift::Changed));
    }
    all
}

/// How a rule that is loaded differs from the one that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// It is not there.
    Missing,
    /// It says something else.
    Changed,
    /// It is there and not wanted.
    Foreign,
}

fn name(line: &str) -> String {
    match line.split_once("comment \"") {
        Some((_, rest)) => rest.trim_end_matches('"').to_owned(),
        None => line.to_owned(),
    }
}

/// `None`: the group has no members, so nobody may.
fn source(firewall: &Firewall, source: Source) -> Option<String> {
    match source {
        Source::Cidr(net) if net.prefix_len() == 0 => Some(String::new()),
        Source::Cidr(net) if net.prefix_len() == 32 => Some(format!("ip saddr {} ", net.addr())),
        Source::Cidr(net) => Some(format!("ip saddr {} ", net.trunc())),
        Source::Group(group) => {
            let list = firewall.members(group);
            let text = list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            match list.len() {
                0 => None,
                1 => Some(format!("ip saddr {text} ")),
                _ => Some(format!("ip saddr {{ {text} }} ")),
            }
        }
    }
}

fn traffic(rule: &Rule) -> String {
    let (first, last) = (rule.ports.start(), rule.ports.end());
    let ports = if first == last { first.to_string() } else { format!("{first}-{last}") };
    match rule.protocol {
        Protocol::Tcp => format!("tcp dport {ports}"),
        Protocol::Udp => format!("udp dport {ports}"),
        // The only code of an echo request is 0.
        Protocol::Icmp { kind: 8, .. } => "icmp type echo-request".to_owned(),
        Protocol::Icmp { kind: 3, code: 4 } => "icmp type destination-unreachable icmp code frag-needed".to_owned(),
        Protocol::Icmp { kind, code } => format!("icmp type {kind} icmp code {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::rules::rules;

    /// As printed by nft 1.0.6 in a worker that has these rules.
    const WORKER: &str = include_str!("node/worker.nft");

    fn worker() -> String {
        let spec = crate::spec::load_str("cluster.yaml", "cluster: t\nprovider: lab\n", std::path::Path::new(".")).unwrap();
        listing(&Firewall::new(&spec, rules(&spec, &["10.0.0.1/32".parse().unwrap()]), []), Group::Worker)
    }

    #[test]
    fn the_listing_is_what_nft_prints() {
        assert_eq!(worker(), WORKER);
        assert_eq!(drift(&worker(), WORKER), []);
    }

    #[test]
    fn drift_is_named_by_rule() {
        let wanted = worker();
        let without = wanted.lines().filter(|l| !l.contains("\"vxlan-worker\"")).collect::<Vec<_>>().join("\n");
        assert_eq!(drift(&wanted, &without), [("vxlan-worker".to_owned(), Drift::Missing)]);
        assert_eq!(drift(&wanted, &wanted.replace("dport 22 ", "dport 23 ")), [("ssh-control-plane".to_owned(), Drift::Changed)]);
        assert_eq!(drift(&without, &wanted), [("vxlan-worker".to_owned(), Drift::Foreign)]);
        assert_eq!(drift(&wanted, ""), [("(whole table)".to_owned(), Drift::Missing)]);
        let opened = wanted.replace("\t\tcounter drop\n", "");
        assert_eq!(drift(&wanted, &opened), [("counter drop".to_owned(), Drift::Missing)]);
    }
}
