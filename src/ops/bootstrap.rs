//! `bootstrap`: from the specification to a verified cluster.

use super::{Cluster, OpsError, host_keys::Renewal, node, playbooks};
use crate::{
    engine::{RunOptions, RunSummary},
    event::Events,
    infra::Change,
    verify::Report,
};
use std::{sync::Arc, time::Instant};
use tokio_util::sync::CancellationToken;

/// What to do.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What was shown and agreed to: nothing else is done to the machines.
    pub planned: Option<Vec<Change>>,
    /// Machines that `cluster.yaml` no longer names are drained and removed.
    pub prune: Option<node::Options>,
    /// End with the health report.
    pub verify: bool,
    /// Options of the playbooks.
    pub run: RunOptions,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The playbooks.
    pub summary: RunSummary,
    /// The health report, if it was asked for and the playbooks went through.
    pub health: Option<Report>,
}

/// The product in one list: machines, then the shipped playbooks, then the report.
pub async fn run(cluster: &Cluster, options: &Options, events: &Events, cancel: CancellationToken) -> Result<Outcome, OpsError> {
    // What is wrong with the playbooks is said before a machine is made.
    let load = playbooks::load_options();
    let site = [playbooks::shipped_source("playbooks/site.yml")];
    playbooks::read(&site, &load)?;

    let before = cluster.provider.discover(&cluster.spec).await?.machines;
    let provision = match &options.planned {
        Some(planned) => cluster.provider.apply_planned(&cluster.spec, planned, events).await?,
        None => cluster.provider.apply(&cluster.spec, events).await?,
    };
    let renewal = Arc::new(Renewal::of_new_machines(cluster, &provision, events));
    let hosts = playbooks::new_hosts(cluster, &provision, &before, renewal.clone()).await?;
    let mut run = options.run.clone();
    let surplus: Vec<String> = node::surplus(&cluster.spec, &provision).into_iter().map(|m| m.name.clone()).collect();
    if !surplus.is_empty() {
        // What is to go is not brought up to date first.
        let without = surplus.iter().map(|name| format!(":!{name}")).collect::<String>();
        run.limit = Some(format!("{}{without}", run.limit.as_deref().unwrap_or("all")));
    }
    let begun = Instant::now();
    let summary = Box::pin(playbooks::run(&site, &load, hosts, &run, events, cancel.clone())).await?;
    if !summary.is_ok() {
        super::explain::failure(cluster, &renewal.update(&provision), &summary, begun.elapsed(), events).await;
    }
    let mut provision = provision;
    match &options.prune {
        Some(how) if summary.is_ok() && !surplus.is_empty() => {
            Box::pin(node::prune(cluster, &provision, how, events, &cancel)).await?;
            provision = cluster.discover().await?;
        }
        Some(_) => {}
        None => surplus.iter().for_each(|name| events.warn(node::not_wanted(name))),
    }

    let mut health = None;
    if options.verify && summary.is_ok() {
        let check = super::verify::Options::default();
        // Boxed: all checks side by side, and a run in check mode among them, are one large future.
        let provision = renewal.update(&provision);
        let verified = Box::pin(super::verify::run_on(cluster, &provision, &check, events));
        health = Some(events.step("verify", "health report", None, verified).await?);
    }
    Ok(Outcome { summary, health })
}
