//! What a task can do: modules of the table, and what the engine itself does.

use crate::modules::ModuleDef;

/// What a task does.
#[derive(Clone, Copy)]
pub enum Action {
    /// A module.
    Module(&'static ModuleDef),
    /// The engine.
    Builtin(Builtin),
}

impl Action {
    /// Short name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Module(def) => def.names.first().copied().unwrap_or("module"),
            Self::Builtin(b) => b.name(),
        }
    }
}

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Actions that need the engine's own state, or arguments that are not templated beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// `include_tasks`.
    IncludeTasks,
    /// `import_tasks`; gone after loading.
    ImportTasks,
    /// `include_role`.
    IncludeRole,
    /// `import_role`; gone after loading.
    ImportRole,
    /// `include_vars`.
    IncludeVars,
    /// `meta`.
    Meta,
    /// `set_fact`.
    SetFact,
    /// `debug`.
    Debug,
    /// `assert`.
    Assert,
    /// `fail`.
    Fail,
    /// `add_host`.
    AddHost,
    /// `group_by`.
    GroupBy,
    /// `setup`, `gather_facts`.
    Setup,
    /// What is not supported and was allowed to be ([`LoadOptions::allow_unsupported`](super::LoadOptions)): fails where it is reached.
    Unsupported,
}

/// Which options a built-in action takes.
pub(super) enum Takes {
    /// These.
    Only(&'static [&'static str]),
    /// Any: they are variables.
    Any,
}

impl Builtin {
    /// By short name, and whether that name is an old habit.
    pub fn find(name: &str) -> Option<(Self, bool)> {
        Some(match name {
            "include_tasks" => (Self::IncludeTasks, false),
            "include" => (Self::IncludeTasks, true),
            "import_tasks" => (Self::ImportTasks, false),
            "include_role" => (Self::IncludeRole, false),
            "import_role" => (Self::ImportRole, false),
            "include_vars" => (Self::IncludeVars, false),
            "meta" => (Self::Meta, false),
            "set_fact" => (Self::SetFact, false),
            "debug" => (Self::Debug, false),
            "assert" => (Self::Assert, false),
            "fail" => (Self::Fail, false),
            "add_host" => (Self::AddHost, false),
            "group_by" => (Self::GroupBy, false),
            "setup" | "gather_facts" => (Self::Setup, false),
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::IncludeTasks => "include_tasks",
            Self::ImportTasks => "import_tasks",
            Self::IncludeRole => "include_role",
            Self::ImportRole => "import_role",
            Self::IncludeVars => "include_vars",
            Self::Meta => "meta",
            Self::SetFact => "set_fact",
            Self::Debug => "debug",
            Self::Assert => "assert",
            Self::Fail => "fail",
            Self::AddHost => "add_host",
            Self::GroupBy => "group_by",
            Self::Setup => "setup",
            Self::Unsupported => "unsupported",
        }
    }

    pub(super) fn takes(self) -> Takes {
        Takes::Only(match self {
            Self::IncludeTasks => &["file", "apply"],
            Self::ImportTasks => &["file"],
            Self::IncludeRole => &[
                "name",
                "tasks_from",
                "vars_from",
                "defaults_from",
                "handlers_from",
                "apply",
                "public",
                "allow_duplicates",
                "rolespec_validate",
            ],
            Self::ImportRole => {
                &["name", "tasks_from", "vars_from", "defaults_from", "handlers_from", "public", "allow_duplicates", "rolespec_validate"]
            }
            Self::IncludeVars => &[
                "file",
                "dir",
                "name",
                "depth",
                "files_matching",
                "ignore_files",
                "extensions",
                "ignore_unknown_extensions",
                "hash_behaviour",
            ],
            Self::Meta | Self::Unsupported => &[],
            Self::SetFact | Self::AddHost => return Takes::Any,
            Self::Debug => &["msg", "var", "verbosity"],
            Self::Assert => &["that", "msg", "fail_msg", "success_msg", "quiet"],
            Self::Fail => &["msg"],
            Self::GroupBy => &["key", "parents"],
            Self::Setup => &["filter", "gather_subset", "gather_timeout", "fact_path", "parallel"],
        })
    }

    /// Takes text without a key, and under which option it is meant (empty: as free form).
    pub(super) fn free_form(self) -> Option<&'static str> {
        match self {
            Self::IncludeTasks | Self::ImportTasks | Self::IncludeVars => Some("file"),
            Self::Meta => Some(""),
            _ => None,
        }
    }
}

/// `meta:` actions that are known.
pub(super) const META: [&str; 10] = [
    "flush_handlers",
    "noop",
    "end_play",
    "end_batch",
    "end_host",
    "end_role",
    "clear_facts",
    "clear_host_errors",
    "refresh_inventory",
    "reset_connection",
];

/// Prefixes that name the same modules.
const PREFIXES: [&str; 4] = ["ansible.builtin.", "ansible.legacy.", "ansible.posix.", "community.general."];

/// The action of a (short or fully qualified) name; `true`: an old habit.
pub(super) fn find(name: &str) -> Option<(Action, bool)> {
    let short = PREFIXES.iter().find_map(|p| name.strip_prefix(p)).unwrap_or(name);
    if let Some((builtin, old)) = Builtin::find(short) {
        return Some((Action::Builtin(builtin), old));
    }
    super::table::lookup(name).map(|def| (Action::Module(def), false))
}
