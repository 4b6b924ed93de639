//! The checks: pure functions from what was observed to findings, each with its entry of the registry.

pub(super) mod certificates;
pub(super) mod cloud;
pub(super) mod etcd;
pub(super) mod kernel;
pub(super) mod kubernetes;
pub(super) mod machine;
pub(super) mod names;
pub(super) mod network;
pub(super) mod packages;
pub(super) mod ports;
pub(super) mod runtime;
pub(super) mod services;
pub(super) mod traffic;
pub(super) mod workload;

use super::{
    cluster::{Asked, Cluster},
    finding::Finding,
    host::Seen,
    outside::Dialled,
    probe::Probed,
    run::{Drift, Served},
};
use crate::{
    infra::{Change, MachineHealth},
    spec::ClusterSpec,
};
use jiff::Timestamp;

/// One host with what was seen there.
#[derive(Clone, Debug)]
pub(super) struct HostView {
    pub(super) name: String,
    pub(super) pool: String,
    pub(super) address: String,
    pub(super) seen: Asked<Seen>,
    /// Certificates that its ports show, kubelet's health, etcd's metrics: what came over streams.
    pub(super) served: Served,
}

impl HostView {
    pub(super) fn is_control_plane(&self) -> bool {
        self.pool == "control-plane"
    }
}

/// Everything that was observed.
pub(super) struct Ctx<'a> {
    pub(super) spec: &'a ClusterSpec,
    pub(super) now: Timestamp,
    pub(super) hosts: Vec<HostView>,
    pub(super) cluster: Cluster,
    /// `None`: not probed, because nothing may be written or nobody asked.
    pub(super) probed: Option<Asked<Probed>>,
    pub(super) drift: Option<Asked<Vec<Drift>>>,
    pub(super) cloud: Option<Asked<Vec<Change>>>,
    /// What the provider says of the machines.
    pub(super) health: Option<Asked<Vec<MachineHealth>>>,
    /// What answers to the operator's own machine; `None`: nobody looked.
    pub(super) outside: Option<Vec<(String, Dialled)>>,
}

type Findings = Option<Vec<Finding>>;

impl Ctx<'_> {
    /// One finding per host, unknown where the host was not seen.
    fn each_host(&self, check: impl Fn(&HostView, &Seen) -> Finding) -> Findings {
        self.some_hosts(|_| true, check)
    }

    fn some_hosts(&self, which: impl Fn(&HostView) -> bool, check: impl Fn(&HostView, &Seen) -> Finding) -> Findings {
        let look = |host: &HostView| match &host.seen {
            Ok(seen) => Finding { duration_ms: millis(seen.elapsed), ..check(host, seen) },
            Err(why) => Finding::unseen(&host.name, why),
        };
        Some(self.hosts.iter().filter(|h| which(h)).map(look).collect())
    }

    /// Findings from one answer of the API, unknown where there is none.
    fn asked<T>(&self, answer: &Asked<T>, check: impl FnOnce(&T) -> Vec<Finding>) -> Findings {
        let mut findings = match answer {
            Ok(value) => check(value),
            Err(why) => vec![Finding::unseen("cluster", why)],
        };
        for finding in &mut findings {
            finding.duration_ms = millis(self.cluster.elapsed);
        }
        Some(findings)
    }

    fn host(&self, name: &str) -> Option<&HostView> {
        self.hosts.iter().find(|h| h.name == name)
    }
}

fn millis(d: std::time::Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// The finding of a host whose section is missing: the program did not get that far.
fn unread(host: &HostView, section: &str) -> Finding {
    Finding::unseen(&host.name, format!("the observation program said nothing about {section}"))
}

/// One green finding for all, or the red ones.
fn all_or(bad: Vec<Finding>, good: impl FnOnce() -> Finding) -> Vec<Finding> {
    if bad.is_empty() { vec![good()] } else { bad }
}
