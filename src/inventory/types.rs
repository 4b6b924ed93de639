//! Hosts and groups as data. Values are not templated here: a variable's text may hold `{{ … }}` until it is used.

use crate::text::{Problems, Span};
use indexmap::{IndexMap, IndexSet};
use minijinja::Value;

/// A variable as it was written, before templating.
#[derive(Clone, Debug)]
pub struct Raw {
    /// The value; strings may hold templates.
    pub value: Value,
    /// Where it was written, for error messages.
    pub span: Option<Span>,
}

/// Variables as written, in order.
pub type RawVars = IndexMap<String, Raw>;

/// A host: its name and what was written about it directly.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// `inventory_hostname`.
    pub name: String,
    /// Variables on the host's own line or entry, and from `host_vars`, merged in Ansible's order.
    pub vars: RawVars,
    /// The file that named it first, absolute.
    pub source: Option<std::path::PathBuf>,
}

/// A group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Hosts named in it directly.
    pub hosts: IndexSet<String>,
    /// Groups below it.
    pub children: IndexSet<String>,
    /// Variables of the inventory itself and of `group_vars`, merged. A host's are [`Inventory::host_vars`]: merging these
    /// group by group is not Ansible's order.
    pub vars: RawVars,
    /// Variables of `group_vars` beside the inventory: those of any group override the inventory's own of every group.
    pub inventory_vars: RawVars,
    /// Variables of `group_vars` beside the playbook.
    pub playbook_vars: RawVars,
    /// `ansible_group_priority`, 1 by default.
    pub priority: i64,
}

/// Empty, without a name, of priority 1.
impl Default for Group {
    fn default() -> Self {
        Self {
            name: String::new(),
            hosts: IndexSet::new(),
            children: IndexSet::new(),
            vars: RawVars::new(),
            inventory_vars: RawVars::new(),
            playbook_vars: RawVars::new(),
            priority: 1,
        }
    }
}

/// All hosts and groups. `all` and `ungrouped` always exist.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// Hosts in the order of the inventory.
    pub hosts: IndexMap<String, Host>,
    /// Groups.
    pub groups: IndexMap<String, Group>,
    /// Directory that `inventory_dir` names, absolute: the first source's.
    pub directory: Option<std::path::PathBuf>,
    /// What deserves a look: repeated keys, keys that were skipped.
    pub warnings: Problems,
}
