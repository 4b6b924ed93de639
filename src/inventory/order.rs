//! Which groups a host is in, and whose variables win.

use super::{Group, Inventory, RawVars};
use std::collections::{HashMap, HashSet};

/// Names that mean this machine even where no inventory has them.
pub(super) const LOCALHOST: &[&str] = &["localhost", "127.0.0.1", "::1"];

impl Inventory {
    /// A group and all groups below it, the nearest first, each once.
    pub(super) fn descendants(&self, group: &str) -> Vec<&Group> {
        let mut found: Vec<&Group> = self.groups.get(group).into_iter().collect();
        let mut seen: HashSet<&str> = found.iter().map(|g| g.name.as_str()).collect();
        let mut next = 0;
        while let Some(group) = found.get(next) {
            next += 1;
            let children: Vec<_> = group.children.iter().filter(|c| seen.insert(c)).filter_map(|c| self.groups.get(c)).collect();
            found.extend(children);
        }
        found
    }

    /// The hosts of a group and of all below it, in the inventory's order. An unknown group has none.
    pub fn hosts_of(&self, group: &str) -> Vec<&str> {
        let mut seen = HashSet::new();
        self.descendants(group).into_iter().flat_map(|g| &g.hosts).map(String::as_str).filter(|h| seen.insert(*h)).collect()
    }

    /// The `groups` variable: every group's hosts.
    pub fn groups_dict(&self) -> indexmap::IndexMap<&str, Vec<&str>> {
        self.groups.keys().map(|name| (name.as_str(), self.hosts_of(name))).collect()
    }

    /// The groups of a host without `all`, in the order in which their variables are merged (the last wins): farther from
    /// the host first, then by `ansible_group_priority`, then by name.
    pub fn groups_of(&self, host: &str) -> Vec<&str> {
        let direct: Vec<&str> = self.groups.values().filter(|g| g.hosts.contains(host)).map(|g| g.name.as_str()).collect();
        let mut parents: HashMap<&str, Vec<&str>> = HashMap::new();
        for group in self.groups.values() {
            for child in &group.children {
                parents.entry(child).or_default().push(&group.name);
            }
        }
        let mut member: HashSet<&str> = HashSet::new();
        let mut open = direct;
        while let Some(name) = open.pop() {
            if member.insert(name) {
                open.extend(parents.get(name).into_iter().flatten());
            }
        }
        let mut depths = HashMap::new();
        let mut groups: Vec<(usize, i64, &str)> = member
            .into_iter()
            .filter(|name| *name != "all")
            .map(|name| (depth(name, &parents, &mut depths), self.groups.get(name).map_or(1, |g| g.priority), name))
            .collect();
        groups.sort_unstable();
        groups.into_iter().map(|(.., name)| name).collect()
    }

    /// The `group_names` variable: the groups of a host without `all`, by name.
    pub fn group_names(&self, host: &str) -> Vec<&str> {
        let mut names = self.groups_of(host);
        names.sort_unstable();
        names
    }

    /// A host's variables with those of its groups, as written, in Ansible's order of precedence
    /// (config/base.yml, `VARIABLE_PRECEDENCE`): the inventory's group variables, `group_vars/all` beside the inventory and
    /// the playbook, `group_vars/*` beside both, the host's own. A host that is not in the inventory has those of `all`;
    /// `localhost` is then reached by a local connection.
    pub fn host_vars(&self, host: &str) -> RawVars {
        let all = self.groups.get("all");
        let groups: Vec<&Group> = self.groups_of(host).into_iter().filter_map(|name| self.groups.get(name)).collect();
        // `vars` has `group_vars` merged in already; the layers above it put every one of those names right again.
        let mut layers: Vec<&RawVars> = Vec::new();
        layers.extend(all.map(|g| &g.vars));
        layers.extend(groups.iter().map(|g| &g.vars));
        layers.extend(all.map(|g| &g.inventory_vars));
        layers.extend(all.map(|g| &g.playbook_vars));
        layers.extend(groups.iter().map(|g| &g.inventory_vars));
        layers.extend(groups.iter().map(|g| &g.playbook_vars));
        let mut merged = RawVars::new();
        for layer in layers {
            merged.extend(layer.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        match self.hosts.get(host) {
            Some(host) => merged.extend(host.vars.iter().map(|(k, v)| (k.clone(), v.clone()))),
            None if LOCALHOST.contains(&host) => {
                merged.insert("ansible_connection".to_owned(), super::Raw { value: "local".into(), span: None });
            }
            None => {}
        }
        merged
    }
}

/// The longest way down from a group without parents.
fn depth<'a>(name: &'a str, parents: &HashMap<&'a str, Vec<&'a str>>, known: &mut HashMap<&'a str, usize>) -> usize {
    if let Some(depth) = known.get(name) {
        return *depth;
    }
    // Entered first, so that a loop in hand-made data ends.
    known.insert(name, 0);
    let above = parents.get(name).into_iter().flatten().map(|p| depth(p, parents, known) + 1).max().unwrap_or(0);
    known.insert(name, above);
    above
}
