//! What the engine is given and gives back.

use crate::{
    connection::Connection,
    event::Counts,
    inventory::RawVars,
    modules::{Control, TaskResult},
    session::{Become, Program, Record, SessionError},
    template::Scope,
    text::Secret,
};
use async_trait::async_trait;
use indexmap::IndexMap;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// A shell on a host that runs programs, one at a time.
#[async_trait]
pub trait Shell: Send + Sync {
    /// Runs a program; records go out as they come in. Ends when the program has ended.
    async fn run(&self, program: &Program, records: mpsc::UnboundedSender<Record>) -> Result<(), SessionError>;
}

/// Where a task runs, and as whom.
#[derive(Clone, Debug)]
pub struct Target {
    /// Name in the inventory (or not: a delegate may be any name).
    pub host: String,
    /// How to get there, from the host's variables.
    pub login: Login,
    /// As whom.
    pub become_: Become,
}

/// Connection variables of a host, already templated. What is `None` is for the connector to decide.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// `ansible_connection`: `local`, `ssh`, …
    pub connection: Option<String>,
    /// `ansible_host`.
    pub address: Option<String>,
    /// `ansible_port`.
    pub port: Option<u16>,
    /// `ansible_user`.
    pub user: Option<String>,
    /// `ansible_password`, `ansible_ssh_pass`.
    pub password: Option<Secret<String>>,
    /// `ansible_ssh_private_key_file`.
    pub key_file: Option<PathBuf>,
    /// `ansible_ssh_common_args` and `ansible_ssh_extra_args`, split into words.
    pub ssh_args: Vec<String>,
}

/// Makes shells. Cheap to ask again: connections are kept by whoever implements it.
#[async_trait]
pub trait Connector: Send + Sync {
    /// A shell of its own on the target.
    async fn session(&self, target: &Target) -> Result<Arc<dyn Shell>, SessionError>;
    /// The connection below, for uploads, tunnels and waiting.
    async fn connection(&self, target: &Target) -> Result<Arc<dyn Connection>, SessionError>;
    /// Forgets the connection to a host (`meta: reset_connection`, `reboot`).
    async fn reset(&self, host: &str);
}

/// What ops injects: work that needs a cluster's API, or a person.
#[async_trait]
pub trait Services: Send + Sync {
    /// Does a [`Control::Kube`] or [`Control::KubeApply`]. Nothing may be changed when `check`.
    async fn control(&self, host: &str, control: &Control, check: bool, scope: &dyn Scope) -> TaskResult;
    /// Asks the person; `None` where there is none.
    async fn ask(&self, prompt: &str, echo: bool) -> Option<String>;
}

/// No cluster and nobody to ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoServices;

#[async_trait]
impl Services for NoServices {
    async fn control(&self, _: &str, _: &Control, _: bool, _: &dyn Scope) -> TaskResult {
        TaskResult::failure("this module needs a cluster's API, which only kubewright's own playbooks have")
    }

    async fn ask(&self, _: &str, _: bool) -> Option<String> {
        None
    }
}

/// How to run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// `--limit`: a host pattern.
    pub limit: Option<String>,
    /// `--tags`; empty: all.
    pub tags: Vec<String>,
    /// `--skip-tags`.
    pub skip_tags: Vec<String>,
    /// `--check`.
    pub check: bool,
    /// `--diff`.
    pub diff: bool,
    /// `--extra-vars`, as written.
    pub extra_vars: RawVars,
    /// How many hosts work at the same time.
    pub forks: usize,
    /// `--start-at-task`.
    pub start_at_task: Option<String>,
    /// `--force-handlers`.
    pub force_handlers: bool,
    /// `-v`.
    pub verbosity: u8,
    /// `--become`; plays and tasks win.
    pub become_: bool,
    /// `--become-user`.
    pub become_user: Option<String>,
    /// Password for sudo.
    pub become_password: Option<Secret<String>>,
    /// Gather facts where a play does not say (`gathering = explicit` in ansible.cfg).
    pub gather_facts: bool,
    /// What holds for plays that say nothing of it (`any_errors_fatal` in ansible.cfg).
    pub any_errors_fatal: bool,
    /// Non-boolean conditions are errors.
    pub strict: bool,
    /// Limit on one task's time; `None`: none.
    pub task_timeout: Option<Duration>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            limit: None,
            tags: Vec::new(),
            skip_tags: Vec::new(),
            check: false,
            diff: false,
            extra_vars: RawVars::new(),
            forks: 50,
            start_at_task: None,
            force_handlers: false,
            verbosity: 0,
            become_: false,
            become_user: None,
            become_password: None,
            gather_facts: true,
            any_errors_fatal: false,
            strict: false,
            task_timeout: None,
        }
    }
}

/// How it ended.
#[derive(Clone, Debug, Default)]
pub struct RunSummary {
    /// Counts by host, in inventory order; hosts that no play touched are not in it.
    pub counts: IndexMap<String, Counts>,
    /// Hosts that failed, with the cause.
    pub failed: IndexMap<String, String>,
    /// Hosts that could not be reached, with the cause.
    pub unreachable: IndexMap<String, String>,
    /// It was cancelled before its end.
    pub cancelled: bool,
    /// A problem of the whole run (a pattern that cannot be templated).
    pub errors: Vec<String>,
}

impl RunSummary {
    /// Whether all hosts did all their tasks.
    pub fn is_ok(&self) -> bool {
        self.failed.is_empty() && self.unreachable.is_empty() && self.errors.is_empty() && !self.cancelled
    }

    /// Whether anything was (or would be) changed.
    pub fn changed(&self) -> bool {
        self.counts.values().any(|c| c.changed > 0)
    }
}
