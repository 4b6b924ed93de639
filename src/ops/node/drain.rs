//! `node drain` and `node uncordon`.

use super::{
    super::{Cluster, OpsError},
    Done, Options, Step,
    blocked::refused,
    journal,
    look::{Known, Target},
    run::Operation,
};
use crate::{
    cluster::{self, DrainPlan},
    event::Events,
};
use tokio_util::sync::CancellationToken;

/// Takes the pods off a node and keeps new ones away.
pub async fn drain(
    cluster: &Cluster,
    name: &str,
    options: &Options,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<Done, OpsError> {
    let (known, access) = Known::look(cluster).await?.api()?;
    let target = known.find(cluster, name)?;
    let node = joined(&target)?;
    if !target.alive {
        return Err(OpsError::Refused {
            what: format!("{} gives no sign of life{}: its pods cannot end there", target.name, last_heard(&known, &target)),
            hint: format!("replace it (kubewright node replace {0}) or remove it (kubewright node remove {0})", target.name),
        });
    }
    let plan = cluster::plan_drain(&access.client, node, &options.drain).await?;
    refused(&target.name, &plan)?;
    let steps = [Step::Cordon, Step::Drain(plan.evict.len())];
    if options.dry_run {
        let mut notes: Vec<String> = going(&plan).into_iter().collect();
        notes.extend(staying(&plan));
        notes.extend(cluster::held_by_budgets(&access.client, &plan.evict).await?);
        return Ok(Done { steps: steps.iter().map(Step::title).collect(), notes });
    }
    let operation =
        Operation { cluster, verb: "drain", target: &target, provision: &known.provision, access: &access, options, events, cancel };
    let done = operation.carry_out(&steps).await?;
    if cancel.is_cancelled() {
        cluster::uncordon(&access.client, node).await?;
        return Err(OpsError::Unfinished {
            what: format!("node drain {} stopped as asked; it takes pods again", target.name),
            hint: "the same command begins again".to_owned(),
        });
    }
    cluster::settle(&access.client, node).await?;
    Ok(Done { steps: done, notes: staying(&plan) })
}

/// Lets pods come to a node again. An operation that was interrupted before anything final is given up by it.
pub async fn uncordon(cluster: &Cluster, name: &str, dry_run: bool) -> Result<Done, OpsError> {
    let (known, access) = Known::look(cluster).await?.api()?;
    let target = known.find(cluster, name)?;
    let node = joined(&target)?;
    if dry_run {
        return Ok(Done { steps: vec![Step::Uncordon.title()], notes: Vec::new() });
    }
    let was = cluster::uncordon(&access.client, node).await?;
    journal::end(&access.client, node).await?;
    let steps = if was { vec![Step::Uncordon.title()] } else { Vec::new() };
    let notes = if was { Vec::new() } else { vec![format!("{} takes pods already", target.name)] };
    Ok(Done { steps, notes })
}

/// The Node's name of one that is in the cluster.
fn joined(target: &Target) -> Result<&str, OpsError> {
    if target.node.is_some() {
        return Ok(&target.node_name);
    }
    Err(OpsError::Refused {
        what: format!("{} is not in the cluster: there is no Node {}", target.name, target.node_name),
        hint: format!("join it: kubewright node join {}", target.name),
    })
}

/// ` since 2026-…`, where that is known.
pub(super) fn last_heard(known: &Known, target: &Target) -> String {
    known.beats.last(&target.node_name).map(|t| format!(" since {}", t.strftime("%Y-%m-%d %H:%M:%S UTC"))).unwrap_or_default()
}

/// Pods that go, in one line.
pub(super) fn going(plan: &DrainPlan) -> Option<String> {
    let names: Vec<String> = plan.evict.iter().map(ToString::to_string).collect();
    (!names.is_empty()).then(|| format!("goes: {}", names.join(", ")))
}

/// Pods that stay, by reason.
pub(super) fn staying(plan: &DrainPlan) -> Vec<String> {
    let mut reasons: Vec<&str> = plan.stay.iter().map(|(_, why)| *why).collect();
    reasons.sort_unstable();
    reasons.dedup();
    let of =
        |reason: &str| plan.stay.iter().filter(|(_, why)| *why == reason).map(|(pod, _)| pod.to_string()).collect::<Vec<_>>().join(", ");
    reasons.into_iter().map(|reason| format!("stays, {reason}: {}", of(reason))).collect()
}
