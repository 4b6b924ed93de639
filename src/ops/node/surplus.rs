//! Machines that `cluster.yaml` no longer names: shown by every plan, and taken away only when that is asked for.

use super::{
    super::{Cluster, OpsError},
    Options,
    remove::remove,
};
use crate::{
    event::Events,
    infra::{Machine, Provision},
    spec::ClusterSpec,
};
use tokio_util::sync::CancellationToken;

/// The machines that are not wanted any more, the youngest of a pool first.
pub fn surplus<'a>(spec: &ClusterSpec, provision: &'a Provision) -> Vec<&'a Machine> {
    let nodes = spec.nodes();
    provision.machines.iter().rev().filter(|m| !nodes.iter().any(|n| n.name == m.name)).collect()
}

/// What is said of one while it is left alone.
pub fn not_wanted(name: &str) -> String {
    format!("{name} is not in cluster.yaml and is left alone: `bootstrap --prune` drains and removes it")
}

/// Drains and removes them, one after the other.
pub async fn prune(
    cluster: &Cluster,
    provision: &Provision,
    options: &Options,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<(), OpsError> {
    for machine in surplus(&cluster.spec, provision) {
        if cancel.is_cancelled() {
            break;
        }
        for note in remove(cluster, &machine.name, options, events, cancel).await?.notes {
            events.note(format!("{}: {note}", machine.name));
        }
    }
    Ok(())
}
