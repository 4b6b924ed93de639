//! Whether a node's kubelet lives, judged by the nodes' own signs of life: every kubelet renews a Lease of namespace
//! `kube-node-lease` every 10 s. They are compared with each other, not with this machine's clock, which may be wrong.

use super::{ClusterError, doing};
use ::kube::{Api, Client, api::ListParams};
use jiff::Timestamp;
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Node};
use std::{collections::BTreeMap, time::Duration};

const NAMESPACE: &str = "kube-node-lease";
/// A kubelet that is this much behind the freshest one is taken for dead: four of its renewals (kubelet's own
/// `nodeLeaseDurationSeconds`).
pub const SILENT: Duration = Duration::from_secs(40);

/// The last sign of life of every node.
#[derive(Clone, Debug, Default)]
pub struct Heartbeats(BTreeMap<String, Timestamp>);

/// Asks the API.
pub async fn heartbeats(client: &Client) -> Result<Heartbeats, ClusterError> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), NAMESPACE);
    let nodes: Api<Node> = Api::all(client.clone());
    let params = ListParams::default();
    let (leases, nodes) = tokio::join!(leases.list(&params), nodes.list(&params));
    let renewed = |l: Lease| Some((l.metadata.name?, l.spec?.renew_time?.0));
    // A node that has just joined says what it is before it has a lease.
    let said = |n: Node| {
        let ready = n.status?.conditions?.into_iter().find(|c| c.type_ == "Ready" && c.status != "Unknown")?;
        Some((n.metadata.name?, ready.last_heartbeat_time?.0))
    };
    let mut all = BTreeMap::new();
    let leases = doing("list the nodes' leases", leases)?.into_iter().filter_map(renewed);
    for (name, at) in leases.chain(doing("list nodes", nodes)?.into_iter().filter_map(said)) {
        let last: &mut Timestamp = all.entry(name).or_insert(at);
        *last = at.max(*last);
    }
    Ok(Heartbeats(all))
}

impl Heartbeats {
    /// How far a node is behind the freshest one; `None`: it never gave a sign of life.
    pub fn behind(&self, node: &str) -> Option<Duration> {
        let last = self.0.get(node)?;
        let newest = self.0.values().max()?;
        Some(Duration::try_from(newest.duration_since(*last)).unwrap_or_default())
    }

    /// Whether its kubelet lives.
    pub fn alive(&self, node: &str) -> bool {
        self.behind(node).is_some_and(|behind| behind < SILENT)
    }

    /// When it last gave a sign of life.
    pub fn last(&self, node: &str) -> Option<Timestamp> {
        self.0.get(node).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_compared_with_each_other() {
        let at = |s: i64| Timestamp::from_second(1_000_000 + s).unwrap();
        let beats = Heartbeats([("a".to_owned(), at(60)), ("b".to_owned(), at(51)), ("c".to_owned(), at(19))].into());
        assert!(beats.alive("a") && beats.alive("b"));
        assert!(!beats.alive("c") && !beats.alive("d"));
        assert_eq!((beats.behind("c"), beats.behind("d")), (Some(Duration::from_secs(41)), None));
    }
}
