//! Who may talk to whom: one list, from which EC2's security groups and the lab's nftables are made. Pure data.
//! What is not listed is closed for incoming traffic; outgoing traffic is open.

use crate::spec::ClusterSpec;
use ipnet::Ipv4Net;
use serde::Serialize;
use std::ops::RangeInclusive;

/// A group of machines with the same rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Control planes.
    ControlPlane,
    /// All worker pools.
    Worker,
    /// The load balancer before several control planes.
    Balancer,
}

/// What a rule lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// One ICMP message.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
}

/// From where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Machines of a group.
    Group(Group),
    /// Addresses.
    Cidr(Ipv4Net),
}

/// One rule for incoming traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Whose machines receive.
    pub group: Group,
    /// Its name, unique within the group and stable: a changed source is a change of this rule.
    pub name: String,
    /// Protocol.
    pub protocol: Protocol,
    /// Destination ports; `0..=0` with ICMP.
    pub ports: RangeInclusive<u16>,
    /// From where.
    pub source: Source,
    /// What for. EC2 takes only a-z, A-Z, 0-9, spaces and ._-:/()#,@[]+=&;{}!$* (`IpRange.Description`).
    pub description: String,
}

/// All rules of a cluster. `operator`: ranges found by `ssh_from: auto`.
pub fn rules(spec: &ClusterSpec, operator: &[Ipv4Net]) -> Vec<Rule> {
    let mut all = Vec::new();
    for (i, net) in spec.access.ssh_from.iter().chain(operator).enumerate() {
        all.push(tcp(Group::ControlPlane, &format!("ssh-{}", i + 1), 22..=22, Source::Cidr(*net), "SSH by operators"));
    }
    for (i, net) in spec.access.api_from.iter().enumerate() {
        all.push(tcp(Group::ControlPlane, &format!("api-{}", i + 1), 6443..=6443, Source::Cidr(*net), "Kubernetes API for operators"));
    }
    all.push(tcp(Group::ControlPlane, "etcd", 2379..=2380, Source::Group(Group::ControlPlane), "etcd clients and peers"));
    if !spec.balancers().is_empty() {
        all.push(tcp(Group::ControlPlane, "api-balancer", 6443..=6443, Source::Group(Group::Balancer), "Kubernetes API and health checks"));
        for (from, who) in [(Group::ControlPlane, "control-plane"), (Group::Worker, "worker")] {
            all.push(tcp(Group::Balancer, &format!("api-{who}"), 6443..=6443, Source::Group(from), "Kubernetes API"));
        }
    }
    for to in [Group::ControlPlane, Group::Worker] {
        all.push(tcp(to, "ssh-control-plane", 22..=22, Source::Group(Group::ControlPlane), "SSH through the control plane"));
        for (from, who) in [(Group::ControlPlane, "control-plane"), (Group::Worker, "worker")] {
            let source = Source::Group(from);
            if to == Group::ControlPlane {
                all.push(tcp(to, &format!("api-{who}"), 6443..=6443, source, "Kubernetes API"));
            }
            all.push(tcp(to, &format!("kubelet-{who}"), 10250..=10250, source, "kubelet: logs, exec, metrics"));
            all.push(tcp(to, &format!("node-ports-{who}"), 30000..=32767, source, "NodePorts"));
            let udp = Rule { protocol: Protocol::Udp, ..tcp(to, &format!("node-ports-udp-{who}"), 30000..=32767, source, "NodePorts") };
            all.push(udp);
            let port = spec.network.vxlan_port;
            let vxlan = Rule { protocol: Protocol::Udp, ..tcp(to, &format!("vxlan-{who}"), port..=port, source, "Flannel VXLAN") };
            all.push(vxlan);
            let echo = Protocol::Icmp { kind: 8, code: 0 };
            all.push(Rule { protocol: echo, ..tcp(to, &format!("ping-{who}"), 0..=0, source, "ping") });
        }
        // Path MTU discovery: 9001-byte interfaces toward 1500-byte paths (RFC 1191).
        all.push(Rule {
            protocol: Protocol::Icmp { kind: 3, code: 4 },
            ..tcp(to, "path-mtu", 0..=0, Source::Cidr(Ipv4Net::default()), "ICMP fragmentation needed")
        });
    }
    all
}

impl Group {
    /// Its name: `control-plane`, `worker`, `balancer`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Worker => "worker",
            Self::Balancer => "balancer",
        }
    }
}

impl Rule {
    /// One line for a plan: `tcp 6443 from worker`.
    pub fn summary(&self) -> String {
        let (first, last) = (self.ports.start(), self.ports.end());
        let ports = if first == last { first.to_string() } else { format!("{first}-{last}") };
        let traffic = match self.protocol {
            Protocol::Tcp => format!("tcp {ports}"),
            Protocol::Udp => format!("udp {ports}"),
            Protocol::Icmp { kind, code } => format!("icmp type {kind} code {code}"),
        };
        match self.source {
            Source::Cidr(net) => format!("{traffic} from {net}"),
            Source::Group(group) => format!("{traffic} from {}", group.name()),
        }
    }
}

fn tcp(group: Group, name: &str, ports: RangeInclusive<u16>, source: Source, description: &str) -> Rule {
    Rule { group, name: name.to_owned(), protocol: Protocol::Tcp, ports, source, description: description.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Rule> {
        let text = "cluster: t\nprovider: lab\naccess: {api_from: [198.51.100.0/24], ssh_from: [203.0.113.0/24]}\n";
        let spec = crate::spec::load_str("cluster.yaml", text, std::path::Path::new(".")).unwrap();
        rules(&spec, &["203.0.113.7/32".parse().unwrap()])
    }

    #[test]
    fn names_are_unique_and_descriptions_fit_ec2() {
        let all = all();
        let keys: std::collections::HashSet<_> = all.iter().map(|r| (r.group, &r.name)).collect();
        assert_eq!(keys.len(), all.len());
        let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
        assert!(all.iter().all(|r| r.description.len() < 256 && r.description.chars().all(allowed)));
    }

    #[test]
    fn workers_are_closed_to_operators_and_etcd_to_workers() {
        let all = all();
        let sources = |group, port: u16| -> Vec<Source> {
            let here = |r: &&Rule| r.group == group && r.protocol == Protocol::Tcp && r.ports.contains(&port);
            all.iter().filter(here).map(|r| r.source).collect()
        };
        assert_eq!(sources(Group::Worker, 22), [Source::Group(Group::ControlPlane)]);
        assert_eq!(sources(Group::ControlPlane, 2379), [Source::Group(Group::ControlPlane)]);
        assert_eq!(sources(Group::Worker, 6443), []);
        assert!(sources(Group::ControlPlane, 6443).contains(&Source::Cidr("198.51.100.0/24".parse().unwrap())));
        assert_eq!(sources(Group::ControlPlane, 22).len(), 3);
        assert_eq!(sources(Group::Worker, 10250).len(), 2);
    }
}
