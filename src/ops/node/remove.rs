//! `node remove`: drained, forgotten by the cluster, its credentials revoked, the host reset, the machine deleted.

use super::{
    super::{Cluster, OpsError},
    Done, Options, Step,
    blocked::refused,
    drain::{going, last_heard, staying},
    journal::{self, Entry},
    leave::{Way, may_leave},
    look::{Known, Target},
    run::Operation,
};
use crate::{cluster, event::Events, infra::MachineState};
use tokio_util::sync::CancellationToken;

/// What decides which steps there are. Plain data, so that the decision can be tested.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// It has a Node.
    pub(super) node: bool,
    /// Its kubelet lives.
    pub(super) alive: bool,
    /// There is a machine.
    pub(super) machine: bool,
    /// The provider deletes machines.
    pub(super) makes: bool,
    /// It can be logged in to.
    pub(super) reachable: bool,
    /// It is a control plane, with a member of etcd.
    pub(super) control_plane: bool,
    /// Pods that go.
    pub(super) pods: usize,
}

/// The way out of the cluster.
pub(super) fn way_out(facts: Facts, id: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    if facts.node && facts.alive {
        steps.extend([Step::Cordon, Step::Drain(facts.pods)]);
    }
    if facts.control_plane {
        steps.push(Step::Leave);
    }
    if facts.machine && facts.reachable {
        steps.push(Step::Reset);
    }
    if facts.machine && facts.makes {
        steps.push(Step::Terminate(id.to_owned()));
    }
    if facts.node {
        steps.push(Step::Forget);
    }
    steps.push(Step::Revoke);
    steps
}

/// Takes a node out for good.
pub async fn remove(
    cluster: &Cluster,
    name: &str,
    options: &Options,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<Done, OpsError> {
    let (known, access) = Known::look(cluster).await?.api()?;
    let open = journal::read(&access.client).await?;
    let target = match known.find(cluster, name) {
        Ok(target) => target,
        // Everything of it is gone, and the run that did it did not come to its end.
        Err(_) if open.get(name).is_some_and(|e| e.operation == "remove") => {
            journal::end(&access.client, name).await?;
            return Ok(Done { steps: Vec::new(), notes: vec![format!("{name} is removed: the run before this one had done all of it")] });
        }
        Err(error) => return Err(error),
    };
    let mut notes = Vec::new();
    if target.machine.is_none() && target.node.is_none() {
        if open.contains_key(&target.node_name) && !options.dry_run {
            journal::end(&access.client, &target.node_name).await?;
        }
        notes.push(format!("nothing is left of {}", target.name));
        notes.extend(still_wanted(cluster, &target));
        return Ok(Done { steps: Vec::new(), notes });
    }
    let (facts, more) = survey(cluster, &known, &access, &target, options, Way::ForGood).await?;
    notes.extend(more);
    let steps = way_out(facts, target.machine.as_ref().map_or("", |m| m.id.as_str()));
    notes.extend(still_wanted(cluster, &target));
    notes.extend(credentials(&target, &steps));
    if options.dry_run {
        return Ok(Done { steps: steps.iter().map(Step::title).collect(), notes });
    }
    let machine = target.machine.as_ref().map(|m| m.id.clone()).unwrap_or_default();
    let entry = Entry { operation: "remove".to_owned(), machine, since: jiff::Timestamp::now() };
    journal::begin(&access.client, &target.node_name, &entry).await?;
    let operation =
        Operation { cluster, verb: "remove", target: &target, provision: &known.provision, access: &access, options, events, cancel };
    let done = operation.carry_out(&steps).await?;
    journal::end(&access.client, &target.node_name).await?;
    Ok(Done { steps: done, notes })
}

/// Everything that can be wrong is found before anything is done.
pub(super) async fn survey(
    cluster: &Cluster,
    known: &Known,
    access: &super::super::api::Access,
    target: &Target,
    options: &Options,
    way: Way,
) -> Result<(Facts, Vec<String>), OpsError> {
    let mut notes = Vec::new();
    if target.is_control_plane() {
        last_control_plane(cluster, known, target)?;
        notes.extend(may_leave(cluster, &known.provision, target, way).await?);
    }
    let makes = cluster.provider.makes_machines();
    let mut pods = 0;
    if target.node.is_some() && target.alive {
        let plan = cluster::plan_drain(&access.client, &target.node_name, &options.drain).await?;
        refused(&target.name, &plan)?;
        pods = plan.evict.len();
        if options.dry_run {
            notes.extend(going(&plan));
            notes.extend(staying(&plan));
            notes.extend(cluster::held_by_budgets(&access.client, &plan.evict).await?);
        }
    } else if target.node.is_some() {
        notes.push(format!(
            "{} gives no sign of life{}: its pods do not end there, they are started elsewhere once it is gone",
            target.name,
            last_heard(known, target)
        ));
    }
    let reachable = match &target.machine {
        None => false,
        // The disk goes with the machine: nothing on it needs to be reset first.
        Some(_) if makes && way == Way::InPlace => false,
        Some(machine) if machine.state != MachineState::Running => false,
        Some(machine) => match known.connector.connect(&machine.name).await {
            Ok(_) => true,
            Err(error) => {
                notes.push(format!("it cannot be logged in to: {error}"));
                false
            }
        },
    };
    let dead_and_out_of_reach = target.machine.is_some() && !makes && !reachable && !options.off;
    if dead_and_out_of_reach && !target.alive {
        return Err(OpsError::Refused {
            what: format!(
                "{} does not answer, and kubewright cannot switch it off: what runs on it may still write while it is started elsewhere",
                target.name
            ),
            hint: "switch it off, then say so: --off".to_owned(),
        });
    }
    let facts = Facts {
        node: target.node.is_some(),
        alive: target.alive,
        machine: target.machine.is_some(),
        makes,
        reachable,
        control_plane: target.is_control_plane(),
        pods,
    };
    Ok((facts, notes))
}

fn last_control_plane(cluster: &Cluster, known: &Known, target: &Target) -> Result<(), OpsError> {
    let others =
        known.targets(&cluster.spec).into_iter().filter(|t| t.is_control_plane() && t.node.is_some() && t.name != target.name).count();
    if others > 0 {
        return Ok(());
    }
    Err(OpsError::Refused {
        what: format!("{} is the last control plane: without it there is no cluster (1 - 1 = 0 members of etcd)", target.name),
        hint: format!(
            "to give the cluster up: kubewright destroy -i {0}; to move it: raise control_plane.count to 3 first, then bootstrap",
            cluster.spec.directory.display()
        ),
    })
}

/// `cluster.yaml` is the truth: a machine that it names comes back with the next bootstrap.
fn still_wanted(cluster: &Cluster, target: &Target) -> Option<String> {
    let spec = &cluster.spec;
    if !target.wanted {
        return None;
    }
    let pool = spec.all_pools().find(|p| p.name == target.pool)?;
    let last = spec.nodes().into_iter().rfind(|n| n.pool.name == pool.name).is_some_and(|n| n.name == target.name);
    Some(match (&spec.provider, last) {
        (crate::spec::Provider::Static(_), _) => {
            format!("cluster.yaml still has the host {0}: take it out of `hosts`, or the next bootstrap joins it again", target.name)
        }
        (_, true) => format!(
            "cluster.yaml still asks for {} machines in pool {}: set its count to {}, or the next bootstrap makes {} again",
            pool.count,
            pool.name,
            pool.count - 1,
            target.name
        ),
        (_, false) => format!(
            "cluster.yaml still asks for {0}: the next bootstrap makes it again. Pools shrink from their end: to have fewer machines, lower the count of {1} and run bootstrap --prune",
            target.name, pool.name
        ),
    })
}

/// What Kubernetes cannot take back.
fn credentials(target: &Target, steps: &[Step]) -> Option<String> {
    target.node.as_ref()?;
    let wiped = steps.iter().any(|s| matches!(s, Step::Reset | Step::Terminate(_)));
    (!wiped).then(|| {
        format!(
            "the client certificate of system:node:{} stays on its disk and cannot be revoked in Kubernetes: it is valid up to a year, and without a Node it reads no Secret; wipe the disk",
            target.node_name
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEALTHY: Facts = Facts { node: true, alive: true, machine: true, makes: true, reachable: true, control_plane: false, pods: 2 };

    fn keys(facts: Facts) -> Vec<&'static str> {
        way_out(facts, "id").iter().map(Step::key).collect()
    }

    #[test]
    fn the_way_out_depends_on_what_is_left() {
        assert_eq!(keys(HEALTHY), ["cordon", "drain", "reset", "terminate", "forget", "revoke"]);
        assert_eq!(keys(Facts { makes: false, ..HEALTHY }), ["cordon", "drain", "reset", "forget", "revoke"]);
        let dead = Facts { alive: false, reachable: false, ..HEALTHY };
        assert_eq!(keys(dead), ["terminate", "forget", "revoke"], "the machine is gone before its pods start elsewhere");
        assert_eq!(keys(Facts { machine: false, ..dead }), ["forget", "revoke"]);
        assert_eq!(keys(Facts { node: false, ..dead }), ["terminate", "revoke"]);
        let plane = Facts { control_plane: true, ..HEALTHY };
        assert_eq!(keys(plane), ["cordon", "drain", "leave", "reset", "terminate", "forget", "revoke"]);
    }

    #[test]
    fn nothing_is_final_before_the_node_is_empty() {
        let steps = way_out(HEALTHY, "id");
        assert!(steps.iter().take(2).all(|s| !s.is_final()) && steps.iter().skip(2).all(Step::is_final));
    }
}
