//! `verify --fix`: what is red and safe to mend is mended by the tasks that bootstrap runs, on the machines where it is red.

use super::{
    Cluster, OpsError,
    plan::{self, HostChange},
    playbooks,
};
use crate::{
    engine::RunOptions,
    event::Events,
    playbook::PlaybookSource,
    verify::{Report, Status, find},
};
use indexmap::IndexMap;
use std::collections::BTreeSet;
use tokio_util::sync::CancellationToken;

/// Tasks that mend something, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mend {
    /// For people: `tasks tagged sysctl on worker-1`.
    pub what: String,
    /// Ids of the checks that it is for.
    pub checks: BTreeSet<String>,
    tasks: Tasks,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tasks {
    /// Those of the site playbook with this tag, on these machines; `None`: they are about the cluster, not about a machine.
    Tagged(String, Option<BTreeSet<String>>),
    /// These join tokens are revoked.
    Tokens(BTreeSet<String>),
}

/// What can be mended safely of what a report says, in the order of the report. Names in it are those of machines:
/// `machine_of` knows them by the names of nodes.
pub fn of(report: &Report, machine_of: impl Fn(&str) -> Option<String>) -> Vec<Mend> {
    let mut by_tag: IndexMap<String, (BTreeSet<String>, BTreeSet<String>)> = IndexMap::new();
    let mut tokens = BTreeSet::new();
    for result in report.checks.iter().filter(|c| matches!(c.status, Status::Failed | Status::Warning)) {
        if let Some(id) = result.subject.strip_prefix("token ").filter(|id| result.id == TOKENS && is_token_id(id)) {
            tokens.insert(id.to_owned());
        }
        // Not what the report says, which may have come from a file: what this program knows.
        let Some(tag) = find(&result.id).and_then(|check| check.tag) else { continue };
        let entry = by_tag.entry(tag.to_owned()).or_default();
        entry.0.insert(result.id.clone());
        entry.1.extend(machine_of(&result.subject));
    }
    let mut out: Vec<Mend> = by_tag.into_iter().map(|(tag, (checks, machines))| tagged(tag, checks, machines)).collect();
    if !tokens.is_empty() {
        let what = format!("revoke join token {}", tokens.iter().cloned().collect::<Vec<_>>().join(", "));
        out.push(Mend { what, checks: BTreeSet::from([TOKENS.to_owned()]), tasks: Tasks::Tokens(tokens) });
    }
    out
}

/// Six lower-case letters and digits, as Kubernetes wants them. Whatever else stands there is not put into a task.
fn is_token_id(id: &str) -> bool {
    id.len() == 6 && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

const TOKENS: &str = "kubernetes-tokens";
/// Tags of tasks that run against the cluster's API, from one machine for all.
const OF_THE_CLUSTER: &[&str] = &["network"];

fn tagged(tag: String, checks: BTreeSet<String>, machines: BTreeSet<String>) -> Mend {
    let machines = (!OF_THE_CLUSTER.contains(&tag.as_str()) && !machines.is_empty()).then_some(machines);
    let place = machines.as_ref().map_or_else(String::new, |m| format!(" on {}", m.iter().cloned().collect::<Vec<_>>().join(", ")));
    Mend { what: format!("tasks tagged {tag}{place}"), checks, tasks: Tasks::Tagged(tag, machines) }
}

impl Mend {
    fn source(&self) -> PlaybookSource {
        let Tasks::Tokens(ids) = &self.tasks else { return playbooks::shipped_source("playbooks/site.yml") };
        let task =
            |id: &String| serde_json::json!({"name": format!("Revoke join token {id}"), "kube_token": {"state": "absent", "token_id": id}});
        let tasks: Vec<_> = ids.iter().map(task).collect();
        let play = serde_json::json!([{"name": "Leftover join tokens", "hosts": "lead", "gather_facts": false, "tasks": tasks}]);
        PlaybookSource::Text { name: "<fix>".into(), text: play.to_string() }
    }

    fn options(&self) -> RunOptions {
        match &self.tasks {
            Tasks::Tokens(_) => RunOptions::default(),
            Tasks::Tagged(tag, machines) => RunOptions {
                tags: vec![tag.clone()],
                limit: machines.as_ref().map(|m| m.iter().cloned().collect::<Vec<_>>().join(",")),
                ..RunOptions::default()
            },
        }
    }
}

/// What the tasks would change: run in check mode, which sends nothing that can write.
pub async fn preview(cluster: &Cluster, mend: &Mend, events: &Events, cancel: CancellationToken) -> Result<Vec<HostChange>, OpsError> {
    let provision = cluster.discover().await?;
    let hosts = playbooks::cluster_hosts(cluster, &provision).await?;
    let options = RunOptions { check: true, diff: true, ..mend.options() };
    let seen = plan::in_check_mode(&[mend.source()], hosts, &options, events, cancel).await?;
    Ok(seen.hosts.into_iter().chain(seen.unseen).collect())
}

/// Runs the tasks. False: some failed; events say which.
pub async fn run(cluster: &Cluster, mend: &Mend, events: &Events, cancel: CancellationToken) -> Result<bool, OpsError> {
    let provision = cluster.discover().await?;
    let hosts = playbooks::cluster_hosts(cluster, &provision).await?;
    let load = playbooks::load_options();
    let summary = Box::pin(playbooks::run(&[mend.source()], &load, hosts, &mend.options(), events, cancel)).await?;
    Ok(summary.is_ok())
}

/// Names of machines by names of nodes: they differ on EC2.
pub async fn machines(cluster: &Cluster) -> Result<IndexMap<String, String>, OpsError> {
    let provision = cluster.discover().await?;
    Ok(provision.machines.iter().map(|m| (super::hosts::node_name(&cluster.spec, m), m.name.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::{CheckResult, SCHEMA, Severity, Summary};

    fn report(red: &[(&str, &str, Status)]) -> Report {
        let check = |(id, subject, status): &(&str, &str, Status)| CheckResult {
            id: (*id).into(),
            group: "machine".into(),
            title: String::new(),
            severity: Severity::Major,
            status: *status,
            subject: (*subject).into(),
            expected: String::new(),
            observed: String::new(),
            evidence: Vec::new(),
            cause: None,
            fix: None,
            duration_ms: 0,
        };
        Report {
            schema: SCHEMA,
            kubewright: String::new(),
            cluster: "lab".into(),
            version: String::new(),
            at: jiff::Timestamp::UNIX_EPOCH,
            duration_ms: 0,
            read_only: false,
            summary: Summary::default(),
            hosts: Vec::new(),
            checks: red.iter().map(check).collect(),
            not_applicable: Vec::new(),
            pairs: Vec::new(),
            certificates: Vec::new(),
        }
    }

    fn machine(node: &str) -> Option<String> {
        node.strip_prefix("node-").map(str::to_owned)
    }

    #[test]
    fn what_is_red_and_safe_is_mended_where_it_is_red_and_nothing_else() {
        let found = of(
            &report(&[
                ("machine-sysctl", "node-worker-1", Status::Failed),
                ("machine-sysctl-boot", "node-worker-2", Status::Failed),
                ("machine-sysctl", "node-worker-3", Status::Unknown),
                ("machine-holds", "node-worker-3", Status::Warning),
                ("network-vxlan-port", "node-worker-3", Status::Failed),
                ("kubernetes-tokens", "token abcdef", Status::Failed),
                ("machine-disk", "node-worker-1", Status::Failed),
                ("machine-swap", "node-worker-1", Status::Passed),
            ]),
            machine,
        );
        let said: Vec<&str> = found.iter().map(|m| m.what.as_str()).collect();
        assert_eq!(
            said,
            [
                "tasks tagged sysctl on worker-1, worker-2",
                "tasks tagged packages on worker-3",
                "tasks tagged network",
                "revoke join token abcdef"
            ]
        );
        assert_eq!(found[0].options().limit.as_deref(), Some("worker-1,worker-2"));
        assert_eq!((found[2].options().limit, found[2].options().tags), (None, vec!["network".to_owned()]));
        assert!(of(&report(&[("machine-disk", "node-worker-1", Status::Failed)]), machine).is_empty());
    }

    #[test]
    fn revoking_is_a_task_of_a_module_and_a_hostile_id_gets_into_none() {
        let found = of(&report(&[("kubernetes-tokens", "token abcdef", Status::Failed)]), machine);
        let read = playbooks::read(&[found[0].source()], &playbooks::load_options());
        assert!(read.is_ok(), "{}", read.err().map(|p| p.to_string()).unwrap_or_default());
        for id in ["{{ 7 }}", "abcde", "a\"}]\n"] {
            assert!(of(&report(&[("kubernetes-tokens", &format!("token {id}"), Status::Failed)]), machine).is_empty(), "{id}");
        }
    }
}
