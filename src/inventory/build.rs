//! Putting an inventory together, by hand or from files.

use super::{Group, Host, Inventory, Raw};
use crate::text::Problems;
use indexmap::IndexMap;

/// Why something cannot be put into an inventory.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InventoryError {
    /// A group that nobody added.
    #[error("there is no group `{0}`")]
    NoGroup(String),
    /// A host that nobody added.
    #[error("there is no host `{0}`")]
    NoHost(String),
    /// A group below itself.
    #[error("group `{child}` below `{parent}` would be a loop")]
    Loop {
        /// The upper group.
        parent: String,
        /// The lower one.
        child: String,
    },
}

/// Without hosts; with `all` and, below it, `ungrouped`.
impl Default for Inventory {
    fn default() -> Self {
        let mut inventory = Self { hosts: IndexMap::new(), groups: IndexMap::new(), directory: None, warnings: Problems::default() };
        inventory.add_group("all");
        inventory.add_group("ungrouped");
        if let Some(all) = inventory.groups.get_mut("all") {
            all.children.insert("ungrouped".to_owned());
        }
        inventory
    }
}

impl Inventory {
    /// Without hosts; with `all` and `ungrouped`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a group, or finds the one that is there.
    pub fn add_group(&mut self, name: &str) -> &mut Group {
        self.groups.entry(name.to_owned()).or_insert_with(|| Group { name: name.to_owned(), ..Group::default() })
    }

    /// Adds a host, or finds the one that is there.
    pub fn add_host(&mut self, name: &str) -> &mut Host {
        self.hosts.entry(name.to_owned()).or_insert_with(|| Host { name: name.to_owned(), ..Host::default() })
    }

    /// Puts a host into a group; both must be there.
    pub fn add_to_group(&mut self, group: &str, host: &str) -> Result<(), InventoryError> {
        if !self.hosts.contains_key(host) {
            return Err(InventoryError::NoHost(host.to_owned()));
        }
        let group = self.groups.get_mut(group).ok_or_else(|| InventoryError::NoGroup(group.to_owned()))?;
        group.hosts.insert(host.to_owned());
        Ok(())
    }

    /// Puts a group below another; both must be there.
    pub fn add_child(&mut self, parent: &str, child: &str) -> Result<(), InventoryError> {
        for name in [parent, child] {
            if !self.groups.contains_key(name) {
                return Err(InventoryError::NoGroup(name.to_owned()));
            }
        }
        if parent == child || self.descendants(child).iter().any(|g| g.name == parent) {
            return Err(InventoryError::Loop { parent: parent.to_owned(), child: child.to_owned() });
        }
        self.add_group(parent).children.insert(child.to_owned());
        Ok(())
    }

    /// Sets a variable of a host.
    pub fn set_host_var(&mut self, host: &str, name: &str, value: Raw) -> Result<(), InventoryError> {
        let host = self.hosts.get_mut(host).ok_or_else(|| InventoryError::NoHost(host.to_owned()))?;
        host.vars.insert(name.to_owned(), value);
        Ok(())
    }

    /// Sets a variable of a group; `ansible_group_priority` is its priority.
    pub fn set_group_var(&mut self, group: &str, name: &str, value: Raw) -> Result<(), InventoryError> {
        let group = self.groups.get_mut(group).ok_or_else(|| InventoryError::NoGroup(group.to_owned()))?;
        match value.value.as_i64() {
            Some(priority) if name == "ansible_group_priority" => group.priority = priority,
            _ => {
                group.vars.insert(name.to_owned(), value);
            }
        }
        Ok(())
    }

    /// Ansible's rules after every change: each group is below `all`; a host without a group is in `ungrouped`, and only then.
    pub fn reconcile(&mut self) {
        let below: Vec<String> = self.groups.values().flat_map(|g| g.children.iter().cloned()).collect();
        let top: Vec<String> = self.groups.keys().filter(|g| *g != "all" && !below.contains(g)).cloned().collect();
        self.add_group("all").children.extend(top);
        for host in self.hosts.keys().cloned().collect::<Vec<_>>() {
            let grouped = self.groups.values().any(|g| g.name != "all" && g.name != "ungrouped" && g.hosts.contains(&host));
            let ungrouped = &mut self.add_group("ungrouped").hosts;
            if grouped {
                ungrouped.shift_remove(&host);
            } else {
                ungrouped.insert(host);
            }
        }
    }
}
