//! What a module is.

use crate::{
    event::Diff,
    session::{Blob, Outcome},
    shell::Sh,
    text::Secret,
};
use bytes::Bytes;
use indexmap::IndexMap;
use minijinja::Value;
use std::{sync::Arc, time::Duration};

/// Arguments of one task after templating: `omit`ted ones are gone, values have native types.
#[derive(Clone, Debug, Default)]
pub struct Args {
    /// Options by the name that was written (aliases are resolved by the module's option table).
    pub named: IndexMap<String, Value>,
    /// Free-form text (`command: echo hi`, `raw: …`, `meta: flush_handlers`), if the module takes one.
    pub free_form: Option<String>,
}

/// The type of an option; conversions are Ansible's (`str → bool` accepts yes/no/on/off/1/0/…, lists accept comma strings).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionType {
    /// Text.
    Str,
    /// yes/no.
    Bool,
    /// Whole number.
    Int,
    /// Number.
    Float,
    /// List of anything; a string is split at commas.
    List,
    /// Mapping.
    Dict,
    /// `~` and `$VAR` are expanded on the host.
    Path,
    /// File mode: octal text, YAML's octal int, or symbolic.
    Mode,
    /// As it is.
    Raw,
}

/// One option of a module.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Its name.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// Its type.
    pub kind: OptionType,
    /// Must be there.
    pub required: bool,
    /// The only values allowed; empty: any.
    pub choices: &'static [&'static str],
}

/// What a module may know besides its arguments. Nothing here does remote I/O.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// `ansible_check_mode`.
    pub check_mode: bool,
    /// Diffs are wanted.
    pub diff: bool,
    /// Somebody will look at the result (`register`, `-v`): what costs the host a process of its own is returned too.
    pub full: bool,
    /// Facts of the host that are known by now; a module names those it needs in [`ModuleDef::facts`].
    pub facts: &'a dyn Fn(&str) -> Option<Value>,
    /// Reads a file of the operator's side, searched as Ansible does for `copy`/`template`/`script`
    /// (`kind` is `files`, `templates`, `vars` or `tasks`). Errors name the places that were searched.
    pub read: &'a dyn Fn(&str, &str) -> Result<LocalFile, String>,
    /// Renders a template file's text with the task's variables.
    pub render: &'a dyn Fn(&LocalFile, &Args) -> Result<String, String>,
    /// The task's `environment`, merged.
    pub environment: &'a IndexMap<String, String>,
}

impl Env<'_> {
    /// What holds while this file is put on a host: no diff shows what was encrypted.
    #[must_use]
    pub fn about(self, file: &LocalFile) -> Self {
        Self { diff: self.diff && !file.secret, ..self }
    }
}

/// A file (or directory) of the operator's side.
#[derive(Clone, Debug)]
pub struct LocalFile {
    /// Path as found.
    pub path: std::path::PathBuf,
    /// Content; empty for a directory.
    pub content: Bytes,
    /// Permission bits.
    pub mode: u32,
    /// Files below, when it is a directory: relative path and file.
    pub tree: Vec<(String, LocalFile)>,
    /// It was encrypted by ansible-vault: its content is shown nowhere.
    pub secret: bool,
}

/// A module's entry in the table.
pub struct ModuleDef {
    /// Short name first, then other names; `ansible.builtin.`, `ansible.legacy.`, `ansible.posix.` and
    /// `community.general.` prefixes are stripped before the lookup.
    pub names: &'static [&'static str],
    /// Options; any other is refused by name when the playbook is loaded.
    pub options: &'static [OptionSpec],
    /// Takes free-form text.
    pub free_form: bool,
    /// Facts it reads (`pkg_mgr`, `service_mgr`), gathered before it is compiled.
    pub facts: &'static [&'static str],
    /// Arguments → work.
    pub compile: fn(&Args, &Env<'_>) -> Result<Work, ArgError>,
}

/// Why arguments cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ArgError(pub String);

/// What is to be done.
pub enum Work {
    /// sh on the host; batchable.
    Sh(Step),
    /// Read a file, edit it here, write it back if nobody else did meanwhile.
    Edit(Edit),
    /// No host involved: the result is known.
    Here(TaskResult),
    /// The engine does it.
    Control(Control),
}

/// A piece of sh with the reading of its outcome. See [`crate::session::ProgramStep`] for how check and apply run.
pub struct Step {
    /// Reads only: exit 0 = as wanted, 10 = would change, else failed.
    pub check: Sh,
    /// Writes. Never sent in check mode.
    pub apply: Option<Sh>,
    /// By hash.
    pub blobs: Vec<Blob>,
    /// Standard input.
    pub stdin: Option<Secret<Bytes>>,
    /// Turns what came back into the registered result. The engine fills `failed`/`changed` from the verdict first.
    pub finish: Finish,
}

/// Reads an outcome: verdict, rc, stdout, stderr → result.
pub type Finish = Arc<dyn Fn(&Outcome) -> TaskResult + Send + Sync>;

/// An edit of a text file: `lineinfile`, `replace`, `blockinfile`, `ini_file`.
pub struct Edit {
    /// Path on the host.
    pub path: String,
    /// Old text (`None`: there is no such file) → new text, or why not; the message of the result comes with it.
    pub edit: EditFn,
    /// The file's attributes after the edit, and whether to keep a backup.
    pub file: FileAttributes,
    /// `validate: visudo -cf %s`.
    pub validate: Option<String>,
    /// Keep a copy.
    pub backup: bool,
    /// The file's owner, mode and size belong to the result (`ini_file`); elsewhere only the message tells of them.
    pub report: bool,
}

/// See [`Edit::edit`].
pub type EditFn = Arc<dyn Fn(Option<&str>) -> Result<Edited, String> + Send + Sync>;

/// What an edit came to.
pub struct Edited {
    /// `None`: as wanted already.
    pub text: Option<String>,
    /// `line added`, `3 replacements made`.
    pub message: String,
    /// More registered values (`found: 1`).
    pub fields: IndexMap<String, Value>,
}

/// Owner, group, mode of a file; `None`: left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileAttributes {
    /// User name or number.
    pub owner: Option<String>,
    /// Group name or number.
    pub group: Option<String>,
    /// For chmod: `0644` or symbolic.
    pub mode: Option<String>,
}

/// What only the engine can do. Closed on purpose.
pub enum Control {
    /// Reboot and wait.
    Reboot {
        /// How long to wait.
        timeout: Duration,
        /// Command that proves it is back.
        test_command: String,
        /// Message to users.
        message: String,
    },
    /// A file from the host to the operator's side.
    Fetch {
        /// There.
        src: String,
        /// Here.
        dest: String,
        /// No host/path below `dest`.
        flat: bool,
        /// A missing file is a failure.
        fail_on_missing: bool,
    },
    /// Wait until the host answers.
    WaitForConnection {
        /// How long.
        timeout: Duration,
        /// Pause before the first try.
        delay: Duration,
        /// Pause between tries.
        sleep: Duration,
    },
    /// Wait, or ask.
    Pause {
        /// How long; `None`: until a key is pressed.
        duration: Option<Duration>,
        /// What to ask.
        prompt: Option<String>,
        /// Show what is typed.
        echo: bool,
    },
    /// Gather facts (`setup`).
    Setup {
        /// Globs on fact names; empty: all.
        filter: Vec<String>,
        /// Subsets as in Ansible.
        gather_subset: Vec<String>,
    },
    /// set_fact: values for this host.
    SetFact {
        /// The values, templated.
        facts: IndexMap<String, Value>,
        /// Survives as a fact.
        cacheable: bool,
    },
    /// Evaluate conditions with the task's variables.
    Assert {
        /// Conditions.
        that: Vec<String>,
        /// Message when one is false.
        fail_msg: Option<String>,
        /// Message when all are true.
        success_msg: Option<String>,
        /// No message.
        quiet: bool,
    },
    /// debug's `var`.
    DebugVar {
        /// Expression.
        var: String,
    },
    /// New host in memory.
    AddHost {
        /// Name.
        name: String,
        /// Groups.
        groups: Vec<String>,
        /// Variables.
        vars: IndexMap<String, Value>,
    },
    /// Groups by a key.
    GroupBy {
        /// Group.
        key: String,
        /// Parents.
        parents: Vec<String>,
    },
    /// `meta:` actions.
    Meta(String),
    /// Variables from a file or directory, loaded by the engine.
    IncludeVars(IndexMap<String, Value>),
    /// State of an `async` job.
    AsyncStatus {
        /// Job id.
        jid: String,
        /// Remove it instead.
        cleanup: bool,
    },
    /// Apply manifests server-side through the cluster's API (our own module `kube_apply`).
    KubeApply {
        /// Multi-document YAML.
        manifest: String,
        /// `fieldManager`.
        field_manager: String,
    },
    /// Our own orchestration steps that need the Kubernetes API: see ops (`kube_wait`, `kube_labels`, …).
    Kube {
        /// Which.
        action: String,
        /// With what.
        args: IndexMap<String, Value>,
    },
}

/// A task's result, what `register` keeps.
#[derive(Clone, Debug, Default)]
pub struct TaskResult {
    /// Something was (or would be) changed.
    pub changed: bool,
    /// It failed.
    pub failed: bool,
    /// It was skipped.
    pub skipped: bool,
    /// For people.
    pub msg: Option<String>,
    /// Everything else, as Ansible documents it for the module: rc, stdout, stat, …
    pub fields: IndexMap<String, Value>,
    /// Before and after.
    pub diff: Vec<Diff>,
    /// Facts that it sets (`ansible_facts`), without prefix.
    pub facts: IndexMap<String, Value>,
    /// Warnings.
    pub warnings: Vec<String>,
    /// It holds what was encrypted: it is kept, and shown nowhere.
    pub secret: bool,
}

impl TaskResult {
    /// The registered value: `changed`, `failed`, `skipped` (where true), `msg`, and the fields.
    pub fn to_value(&self) -> Value {
        let mut map: IndexMap<String, Value> = self.fields.clone();
        map.insert("changed".into(), self.changed.into());
        map.insert("failed".into(), self.failed.into());
        if self.skipped {
            map.insert("skipped".into(), true.into());
        }
        if let Some(msg) = &self.msg {
            map.insert("msg".into(), msg.as_str().into());
        }
        Value::from_pairs(map)
    }

    /// A failure with a message.
    pub fn failure(msg: impl Into<String>) -> Self {
        Self { failed: true, msg: Some(msg.into()), ..Self::default() }
    }

    /// Nothing to change, with a message.
    pub fn ok(msg: impl Into<String>) -> Self {
        Self { msg: Some(msg.into()), ..Self::default() }
    }
}
