//! `plan`: what bootstrap would do. Sends no program that can write.

use super::{Cluster, OpsError, node, playbooks};
use crate::{
    engine::RunOptions,
    event::{Event, Events, Kind, Status},
    infra::{Action, Change, Machine, MachineState, Provision},
    playbook::PlaybookSource,
};
use tokio_util::sync::CancellationToken;

/// What would be done.
#[derive(Debug, Default)]
pub struct Plan {
    /// By the provider.
    pub infra: Vec<Change>,
    /// What a person should know beside that.
    pub about: Vec<String>,
    /// On hosts and in the cluster; not looked at while machines are missing.
    pub hosts: Vec<HostChange>,
    /// Some hosts could not be looked at.
    pub failed: bool,
    /// Where that was: the task and what it said.
    pub unseen: Vec<HostChange>,
}

/// One task that would change something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostChange {
    /// The host.
    pub host: String,
    /// The task's name.
    pub task: String,
    /// What the module says.
    pub message: Option<String>,
}

impl Plan {
    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        self.infra.is_empty() && self.hosts.is_empty()
    }
}

/// Machines that `bootstrap --prune` would drain and remove.
pub async fn removals(cluster: &Cluster) -> Result<Vec<Change>, OpsError> {
    let provision = cluster.provider.discover(&cluster.spec).await?;
    Ok(removed(cluster, &provision))
}

fn removed(cluster: &Cluster, provision: &Provision) -> Vec<Change> {
    let change = |m: &Machine| Change {
        action: Action::Delete,
        kind: "node".to_owned(),
        name: m.name.clone(),
        details: vec![format!("not in cluster.yaml: drained, then its machine is deleted ({})", m.private_address)],
    };
    node::surplus(&cluster.spec, provision).into_iter().map(change).collect()
}

/// Looks at the provider, then, where machines run, at hosts and cluster.
pub async fn run(
    cluster: &Cluster,
    limit: Option<&str>,
    prune: bool,
    events: &Events,
    cancel: CancellationToken,
) -> Result<Plan, OpsError> {
    let infra = cluster.provider.plan(&cluster.spec).await?;
    let about = cluster.provider.about(&cluster.spec).await?;
    let provision = cluster.provider.discover(&cluster.spec).await?;
    let mut plan = Plan { infra, about, ..Plan::default() };
    if prune {
        plan.infra.extend(removed(cluster, &provision));
    } else {
        plan.about.extend(node::surplus(&cluster.spec, &provision).into_iter().map(|m| format!("warning: {}", node::not_wanted(&m.name))));
    }
    let wanted = 1 + cluster.spec.pools.iter().map(|p| p.count).sum::<u32>();
    let running = provision.machines.iter().filter(|m| m.state == MachineState::Running).count();
    if provision.machines.is_empty() || running < usize::try_from(wanted).unwrap_or(usize::MAX) {
        return Ok(plan);
    }
    let seen = on_hosts(cluster, &provision, limit, events, cancel).await?;
    Ok(Plan { infra: plan.infra, about: plan.about, ..seen })
}

/// What the shipped playbooks would change on these machines and in their cluster.
pub async fn on_hosts(
    cluster: &Cluster,
    provision: &Provision,
    limit: Option<&str>,
    events: &Events,
    cancel: CancellationToken,
) -> Result<Plan, OpsError> {
    let options = RunOptions { check: true, diff: true, limit: limit.map(str::to_owned), ..RunOptions::default() };
    let hosts = playbooks::cluster_hosts(cluster, provision).await?;
    in_check_mode(&[playbooks::shipped_source("playbooks/site.yml")], hosts, &options, events, cancel).await
}

/// What playbooks would change; `options` say check mode.
pub(super) async fn in_check_mode(
    sources: &[PlaybookSource],
    hosts: playbooks::Hosts,
    options: &RunOptions,
    events: &Events,
    cancel: CancellationToken,
) -> Result<Plan, OpsError> {
    let (tap, mut seen) = Events::channel();
    let load = playbooks::load_options();
    let work = async {
        let summary = Box::pin(playbooks::run(sources, &load, hosts, options, &tap, cancel)).await;
        tap.close();
        summary
    };
    // Whoever watches sees what the plan sees.
    let copy = async {
        let (mut changes, mut unseen) = (Vec::new(), Vec::new());
        while let Some(event) = seen.recv().await {
            changes.extend(change(&event));
            unseen.extend(failure(&event));
            events.emit(event.kind);
        }
        (changes, unseen)
    };
    let (summary, (hosts, unseen)) = tokio::join!(work, copy);
    Ok(Plan { infra: Vec::new(), about: Vec::new(), hosts, failed: !summary?.is_ok(), unseen })
}

fn change(event: &Event) -> Option<HostChange> {
    match &event.kind {
        Kind::TaskFinished { host, name, status: Status::Changed, message, .. } => {
            Some(HostChange { host: host.clone(), task: name.clone(), message: message.clone() })
        }
        _ => None,
    }
}

fn failure(event: &Event) -> Option<HostChange> {
    match &event.kind {
        Kind::TaskFinished { host, name, status: Status::Failed | Status::Unreachable, message, .. } => {
            Some(HostChange { host: host.clone(), task: name.clone(), message: message.clone() })
        }
        Kind::HostLost { host, reason } => {
            Some(HostChange { host: host.clone(), task: "connecting".to_owned(), message: Some(reason.clone()) })
        }
        _ => None,
    }
}
