//! `node replace`: a new machine in the place of another, with the same name and address, whatever state the other is in.

use super::{
    super::{Cluster, OpsError},
    Done, Options, Step,
    journal::{self, Entry},
    leave::Way,
    look::{Known, Target},
    remove::{survey, way_out},
    run::Operation,
};
use crate::event::Events;
use tokio_util::sync::CancellationToken;

/// Replaces a node.
pub async fn replace(
    cluster: &Cluster,
    name: &str,
    options: &Options,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<Done, OpsError> {
    let (known, access) = Known::look(cluster).await?.api()?;
    let target = known.find(cluster, name)?;
    if !target.wanted {
        return Err(OpsError::Refused {
            what: format!("{} is not in cluster.yaml, so there is nothing to put in its place", target.name),
            hint: format!("remove it: kubewright node remove {}", target.name),
        });
    }
    let machine = target.machine.as_ref().map(|m| m.id.clone()).unwrap_or_default();
    let open = journal::read(&access.client).await?.remove(&target.node_name).filter(|e| e.operation == "replace");
    let goes_on = open.as_ref().is_some_and(|e| e.machine != machine);
    let mut notes = Vec::new();
    let steps = if goes_on {
        let since = open.as_ref().map(|e| e.since.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default();
        notes.push(format!("the replacement that began {since} goes on: the old machine is gone"));
        way_in(cluster, &target, false)
    } else {
        let (facts, more) = survey(cluster, &known, &access, &target, options, Way::InPlace).await?;
        notes.extend(more);
        if target.machine.is_some() && !facts.makes && !facts.reachable {
            return Err(OpsError::Refused {
                what: format!("{} was not made by kubewright and cannot be logged in to, so nothing can be put in its place", target.name),
                hint: "put a machine there (same address; its new key as host_key in cluster.yaml), then run the same command again"
                    .to_owned(),
            });
        }
        let mut steps = way_out(facts, &machine);
        steps.extend(way_in(cluster, &target, true));
        steps
    };
    if options.dry_run {
        return Ok(Done { steps: steps.iter().map(Step::title).collect(), notes });
    }
    for note in &notes {
        events.note(note.clone());
    }
    if !goes_on {
        let entry = Entry { operation: "replace".to_owned(), machine, since: jiff::Timestamp::now() };
        journal::begin(&access.client, &target.node_name, &entry).await?;
    }
    let operation =
        Operation { cluster, verb: "replace", target: &target, provision: &known.provision, access: &access, options, events, cancel };
    let done = operation.carry_out(&steps).await?;
    journal::end(&access.client, &target.node_name).await?;
    Ok(Done { steps: done, notes: Vec::new() })
}

/// From no machine, or one that a run before this one made, to a node. `old_goes`: what is there now is taken away first.
fn way_in(cluster: &Cluster, target: &Target, old_goes: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    if cluster.provider.makes_machines() && (old_goes || target.machine.is_none()) {
        steps.push(Step::Make);
    }
    steps.extend([Step::Join, Step::Check]);
    steps
}
