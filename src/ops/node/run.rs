//! Carrying out steps: each is an event with its time, and the boundaries between them are where a run may stop.

use super::{
    super::{Cluster, OpsError, api::Access, explain, host_keys::Renewal, playbooks},
    Options, Step,
    blocked::blocked,
    leave,
    look::Target,
};
use crate::{
    cluster::{self, Cordon, Drained, Machine as Whose},
    engine::RunOptions,
    event::Events,
    infra::Provision,
    inventory::Raw,
};
use minijinja::Value;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// How long a new node may take until its network and proxy run.
const NODE_PODS: Duration = Duration::from_secs(180);

/// One operation on one node.
pub struct Operation<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// What it is called: `remove`, `replace`.
    pub verb: &'a str,
    /// The node.
    pub target: &'a Target,
    /// The machines when it began.
    pub provision: &'a Provision,
    /// The API.
    pub access: &'a Access,
    /// How.
    pub options: &'a Options,
    /// Where it says what happens.
    pub events: &'a Events,
    /// Stops it at the next boundary.
    pub cancel: &'a CancellationToken,
}

impl Operation<'_> {
    /// Does one step after the other. A failure before anything final opens the node again, if it was open.
    pub async fn carry_out(&self, steps: &[Step]) -> Result<Vec<String>, OpsError> {
        let mut before = None;
        let mut done = Vec::new();
        for (i, step) in steps.iter().enumerate() {
            let begun_final = steps.iter().take(i).any(Step::is_final);
            let failed = if self.cancel.is_cancelled() {
                Some(self.stopped(&done, step))
            } else {
                let id = format!("node/{}/{}/{}", self.verb, self.target.name, step.key());
                self.events.change(&id, &step.title(), Some(&self.target.name), self.step(step, &id, &mut before)).await.err()
            };
            let Some(error) = failed else {
                done.push(step.title());
                continue;
            };
            if !begun_final && !step.is_final() && matches!(before, Some(Cordon::Open | Cordon::Ours(_))) {
                let reopened = cluster::uncordon(&self.access.client, &self.target.node_name).await;
                match reopened {
                    Ok(_) => self.events.note(format!("{} takes pods again", self.target.name)),
                    Err(e) => self.events.warn(format!("{} stays cordoned: {e}", self.target.name)),
                }
            }
            return Err(error);
        }
        Ok(done)
    }

    fn stopped(&self, done: &[String], next: &Step) -> OpsError {
        let so_far = if done.is_empty() { "nothing was done".to_owned() } else { format!("done: {}", done.join("; ")) };
        OpsError::Unfinished {
            what: format!("node {} {} stopped as asked; {so_far}", self.verb, self.target.name),
            hint: format!("the same command goes on from there; next: {}", next.title()),
        }
    }

    async fn step(&self, step: &Step, id: &str, before: &mut Option<Cordon>) -> Result<(), OpsError> {
        let (client, node) = (&self.access.client, self.target.node_name.as_str());
        match step {
            Step::Cordon => {
                *before = Some(cluster::cordon(client, node, &format!("node {}", self.verb)).await?);
            }
            Step::Drain(_) => {
                let drained = cluster::drain(client, node, &self.options.drain, id, self.events, self.cancel).await?;
                self.drained(drained)?;
            }
            Step::Leave => leave::leave(self.cluster, self.provision, self.target).await?,
            Step::Reset => self.reset().await?,
            Step::Terminate(_) => {
                if let Some(machine) = &self.target.machine {
                    self.cluster.provider.delete_machine(&self.cluster.spec, machine, self.events).await?;
                }
            }
            Step::Forget => {
                cluster::forget_node(client, node, Whose::Gone, false).await?;
            }
            Step::Revoke => {
                cluster::revoke_described(client, &format!("kubewright join {}", self.target.name), false).await?;
                cluster::drop_requests(client, node).await?;
            }
            Step::Make => {
                let names = [self.target.name.clone()];
                self.cluster.provider.apply_machines(&self.cluster.spec, &names, self.events).await?;
            }
            Step::Join => {
                let names = std::slice::from_ref(&self.target.name);
                join(self.cluster, names, self.provision, self.access, self.events, self.cancel).await?;
            }
            Step::Check => cluster::wait_node_pods(client, node, NODE_PODS).await?,
            Step::Uncordon => {
                cluster::uncordon(client, node).await?;
            }
        }
        Ok(())
    }

    fn drained(&self, drained: Drained) -> Result<(), OpsError> {
        let name = &self.target.name;
        match drained {
            // The boundary after this step says that it was stopped.
            Drained::Empty | Drained::Cancelled => Ok(()),
            Drained::Blocked(pods) => Err(blocked(name, self.options.drain.timeout, &pods)),
            // Where the machine is deleted next, its pods are started elsewhere then.
            Drained::Died if self.verb != "drain" && self.target.machine.is_some() && self.cluster.provider.makes_machines() => {
                self.events.warn(format!(
                    "{name} gave no sign of life any more while it was drained: its pods are started elsewhere when it is gone"
                ));
                Ok(())
            }
            Drained::Died => Err(OpsError::Unfinished {
                what: format!("{name} gave no sign of life any more while it was drained: its pods cannot end there"),
                hint: format!("see what is wrong with it (kubewright ssh {name}), or replace it: kubewright node replace {name}"),
            }),
        }
    }

    async fn reset(&self) -> Result<(), OpsError> {
        let options = RunOptions { limit: Some(self.target.name.clone()), ..RunOptions::default() };
        let hosts = playbooks::leaving_hosts(self.cluster, self.provision, Vec::new()).await?;
        let source = [playbooks::shipped_source("playbooks/reset.yml")];
        let load = playbooks::load_options();
        let run = playbooks::run(&source, &load, hosts, &options, self.events, self.cancel.clone());
        finished("reset", &Box::pin(run).await?)
    }
}

/// Installs what a node needs on these machines and joins them. Nobody else is touched or waited for: what they need of the
/// cluster is given to them here.
pub async fn join(
    cluster: &Cluster,
    names: &[String],
    before: &Provision,
    access: &Access,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<(), OpsError> {
    let provision = cluster.discover().await?;
    let renewal = Arc::new(Renewal::of_new_machines(cluster, &provision, events));
    let mut hosts = playbooks::new_hosts(cluster, &provision, &before.machines, renewal.clone()).await?;
    let hash = cluster::ca_hash(&access.credentials.ca)?;
    let known = Value::from_pairs([("ca_cert_hash", Value::from(hash))]);
    // What a bootstrap reads from its leader's task.
    for plane in hosts.inventory.groups.get("lead").map(|g| g.hosts.clone()).unwrap_or_default() {
        if let Some(host) = hosts.inventory.hosts.get_mut(&plane) {
            host.vars.insert("operator_kubeconfig".to_owned(), Raw { value: known.clone(), span: None });
        }
    }
    for name in names {
        if let Some(host) = hosts.inventory.hosts.get_mut(name) {
            // What is under way with it ends with the operation, not with its playbooks.
            host.vars.insert("machine_id".to_owned(), Raw { value: Value::from(""), span: None });
        }
    }
    let options = RunOptions { limit: Some(names.join(",")), ..RunOptions::default() };
    let source = [playbooks::shipped_source("playbooks/site.yml")];
    let load = playbooks::load_options();
    let begun = Instant::now();
    let run = playbooks::run(&source, &load, hosts, &options, events, cancel.clone());
    let summary = Box::pin(run).await?;
    if !summary.is_ok() {
        explain::failure(cluster, &renewal.update(&provision), &summary, begun.elapsed(), events).await;
    }
    finished("join", &summary)
}

/// A run of playbooks as a step: it went through, or why not.
fn finished(what: &str, summary: &crate::engine::RunSummary) -> Result<(), OpsError> {
    if summary.is_ok() {
        return Ok(());
    }
    let failed = summary.failed.iter().chain(&summary.unreachable).map(|(host, why)| format!("{host}: {why}"));
    let all: Vec<String> = failed.chain(summary.errors.iter().cloned()).collect();
    let what = if all.is_empty() { format!("{what} was stopped") } else { format!("{what}: {}", all.join("; ")) };
    Err(OpsError::Unfinished { what, hint: "run the same command again: it goes on where it stopped".to_owned() })
}
