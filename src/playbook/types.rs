//! What a playbook is once it is read.

use super::Action;
use crate::{
    inventory::{Raw, RawVars},
    text::{Problem, Span},
};
use minijinja::Value;
use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

/// All plays of one run, in order.
#[derive(Clone, Debug, Default)]
pub struct Playbook {
    /// The plays.
    pub plays: Vec<Arc<Play>>,
    /// Old habits and oddities that do not stop the run.
    pub warnings: Vec<Problem>,
}

/// How hosts go through the plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Ansible's: what can be observed is in step.
    #[default]
    Linear,
    /// Hosts do not wait for each other, `run_once` included.
    Free,
    /// Hosts do not wait for each other over consecutive plays of this strategy either; reading another host's
    /// variable that is not set yet waits for it.
    Independent,
}

/// One play.
#[derive(Clone, Debug)]
pub struct Play {
    /// `name`, a template.
    pub name: Option<String>,
    /// Where it stands.
    pub span: Span,
    /// Directory of the playbook file.
    pub directory: PathBuf,
    /// Host pattern: text or a list, perhaps a template.
    pub hosts: Raw,
    /// `strategy`.
    pub strategy: Strategy,
    /// `serial`: numbers or percentages.
    pub serial: Vec<Value>,
    /// `order`: `inventory`, `sorted`, `reverse_sorted`, `reverse_inventory`, `shuffle`.
    pub order: Option<String>,
    /// `gather_facts`; `None`: as configured (yes).
    pub gather_facts: Option<Raw>,
    /// `any_errors_fatal`.
    pub any_errors_fatal: Option<Raw>,
    /// `max_fail_percentage`.
    pub max_fail_percentage: Option<Raw>,
    /// `force_handlers`.
    pub force_handlers: Option<Raw>,
    /// `throttle` and everything that tasks inherit.
    pub keywords: Arc<Keywords>,
    /// `vars` of the play.
    pub vars: RawVars,
    /// `vars_files`: text or a list of candidates, templates.
    pub vars_files: Vec<Raw>,
    /// `vars_prompt`.
    pub vars_prompt: Vec<Prompt>,
    /// Roles of the play with their dependencies, in the order they run.
    pub roles: Vec<Arc<Role>>,
    /// `pre_tasks`.
    pub pre_tasks: Entries,
    /// Roles' tasks, then `tasks`.
    pub tasks: Entries,
    /// `post_tasks`.
    pub post_tasks: Entries,
    /// Handlers of roles, then of the play.
    pub handlers: Vec<Arc<Task>>,
}

/// One question of `vars_prompt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Variable.
    pub name: String,
    /// What to ask.
    pub prompt: String,
    /// Answer to an empty line.
    pub default: Option<Value>,
    /// Do not show what is typed.
    pub private: bool,
    /// Ask twice.
    pub confirm: bool,
}

/// Tasks and blocks in order.
pub type Entries = Arc<[Entry]>;

/// A task, or a block that does more than pass keywords on.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A task.
    Task(Arc<Task>),
    /// A block with `rescue` or `always`.
    Block(Arc<Block>),
    /// Handlers that were notified run here.
    Flush,
    /// A role begins (`true`) or ends: for `meta: end_role` and for "once per play".
    Role(Arc<Role>, bool),
}

/// A block with `rescue` or `always`. Its keywords are in its tasks already.
#[derive(Debug)]
pub struct Block {
    /// `name`.
    pub name: Option<String>,
    /// Where it stands.
    pub span: Span,
    /// `block`.
    pub body: Entries,
    /// `rescue`.
    pub rescue: Entries,
    /// `always`.
    pub always: Entries,
}

/// A condition as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// An expression, or (an old habit) a template.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// What plays, roles, blocks and imports pass on to their tasks; in a task, what holds for it.
#[derive(Clone, Debug, Default)]
pub struct Keywords {
    /// Conditions, outermost first.
    pub when: Vec<Condition>,
    /// Tags.
    pub tags: Vec<String>,
    /// Variables of blocks and the task, the inner ones winning.
    pub vars: RawVars,
    /// Parameters of roles and includes, which win over facts that were set.
    pub params: RawVars,
    /// `environment` of play, blocks and task, outermost first.
    pub environment: Vec<Raw>,
    /// `module_defaults`, outermost first.
    pub module_defaults: Vec<Raw>,
    /// Handlers that blocks notify.
    pub notify: Vec<Raw>,
    /// `become`.
    pub become_: Option<Raw>,
    /// `become_user`.
    pub become_user: Option<Raw>,
    /// `become_method`.
    pub become_method: Option<Raw>,
    /// `become_flags`.
    pub become_flags: Option<Raw>,
    /// `remote_user`.
    pub remote_user: Option<Raw>,
    /// `connection`.
    pub connection: Option<Raw>,
    /// `port`.
    pub port: Option<Raw>,
    /// `ignore_errors`.
    pub ignore_errors: Option<Raw>,
    /// `ignore_unreachable`.
    pub ignore_unreachable: Option<Raw>,
    /// `no_log`.
    pub no_log: Option<Raw>,
    /// `check_mode`.
    pub check_mode: Option<Raw>,
    /// `diff`.
    pub diff: Option<Raw>,
    /// `any_errors_fatal`.
    pub any_errors_fatal: Option<Raw>,
    /// `delegate_to`.
    pub delegate_to: Option<Raw>,
    /// `delegate_facts`.
    pub delegate_facts: Option<Raw>,
    /// `run_once`.
    pub run_once: Option<Raw>,
    /// `throttle`.
    pub throttle: Option<Raw>,
    /// `timeout` in seconds.
    pub timeout: Option<Raw>,
}

/// `loop` or `with_…`.
#[derive(Clone, Debug)]
pub struct Loop {
    /// The lookup of a `with_…`; `None` is `loop`.
    pub lookup: Option<String>,
    /// What to go over.
    pub over: Raw,
    /// `loop_control.loop_var`, `item` by default.
    pub var: String,
    /// `index_var`.
    pub index_var: Option<String>,
    /// `label`, a template.
    pub label: Option<Raw>,
    /// `pause` in seconds.
    pub pause: Option<Raw>,
    /// `extended`.
    pub extended: bool,
    /// `break_when`.
    pub break_when: Vec<Condition>,
}

/// Arguments as written.
#[derive(Clone, Debug, Default)]
pub struct RawArgs {
    /// By name.
    pub named: RawVars,
    /// Free-form text.
    pub free_form: Option<Raw>,
    /// `args: "{{ mapping }}"`, merged below the named ones.
    pub dynamic: Option<Raw>,
}

/// One task or handler.
#[derive(Debug)]
pub struct Task {
    /// Number, the same for all hosts.
    pub number: u32,
    /// `name`, a template.
    pub name: Option<String>,
    /// Where it stands.
    pub span: Span,
    /// What it does.
    pub action: Action,
    /// Arguments.
    pub args: RawArgs,
    /// All that holds for it.
    pub keywords: Arc<Keywords>,
    /// What a dynamic include passes on to what it includes: the keywords around the task.
    pub outer: Arc<Keywords>,
    /// Loop.
    pub loop_: Option<Loop>,
    /// `register`.
    pub register: Option<String>,
    /// `changed_when`.
    pub changed_when: Option<Vec<Condition>>,
    /// `failed_when`.
    pub failed_when: Option<Vec<Condition>>,
    /// `until`.
    pub until: Option<Vec<Condition>>,
    /// `retries`.
    pub retries: Option<Raw>,
    /// `delay` in seconds.
    pub delay: Option<Raw>,
    /// Handlers to notify: a name or a list, templates.
    pub notify: Vec<Raw>,
    /// Topics that a handler listens to.
    pub listen: Vec<String>,
    /// `async` in seconds.
    pub async_: Option<Raw>,
    /// `poll` in seconds.
    pub poll: Option<Raw>,
    /// The role it belongs to.
    pub role: Option<Arc<Role>>,
    /// Directory of its file: relative includes and files are looked for here too.
    pub directory: PathBuf,
    /// Directory of its play.
    pub playbook_dir: PathBuf,
    /// Room for whoever analyses it, filled once.
    pub analysis: OnceLock<Arc<dyn std::any::Any + Send + Sync>>,
}

impl Task {
    /// `file:line:column`.
    pub fn place(&self) -> String {
        self.span.to_string()
    }

    /// Name for lists and events before templating: its `name`, else the module's.
    pub fn title(&self) -> String {
        let role = || self.args.named.get("name").filter(|_| self.action.name() == "include_role").map(|r| r.value.to_string());
        let module = || role().map_or_else(|| self.action.name().to_owned(), |name| format!("{} : {name}", self.action.name()));
        let own = self.name.clone().unwrap_or_else(module);
        match &self.role {
            Some(role) => format!("{} : {own}", role.name),
            None => own,
        }
    }
}

/// A role as it is used at one place.
#[derive(Debug, Default)]
pub struct Role {
    /// Its name, as in `role : handler`.
    pub name: String,
    /// What makes another use of it the same: its directory, parameters, conditions and tags.
    pub identity: String,
    /// Its directory.
    pub directory: PathBuf,
    /// `defaults/main`.
    pub defaults: RawVars,
    /// `vars/main`.
    pub vars: RawVars,
    /// Roles it depends on: their defaults and variables lie below its own.
    pub dependencies: Vec<Arc<Role>>,
    /// The roles that depend on it or include it, innermost last: their directories are searched for files.
    pub parents: Vec<(String, PathBuf)>,
    /// It runs because another role's `meta` names it.
    pub dependency: bool,
    /// May run more than once with the same parameters.
    pub allow_duplicates: bool,
}
