//! A YAML inventory: groups with `hosts`, `children` and `vars` (ansible: plugins/inventory/yaml.py).

use super::{Inventory, Raw, hosts, vars_files};
use crate::{
    text::{Problem, Problems, nearest},
    vault::Vault,
    yaml::{Node, Yaml},
};

pub(super) fn read(root: &Node, inventory: &mut Inventory, vault: &Vault, problems: &mut Problems) {
    let mut reader = Reader { inventory, vault, problems };
    for (key, value) in root.entries().unwrap_or_default() {
        reader.group(key, value);
    }
}

struct Reader<'a> {
    inventory: &'a mut Inventory,
    vault: &'a Vault,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn group(&mut self, key: &Node, value: &Node) -> Option<String> {
        let Some(name) = key.as_str() else {
            let problem = Problem::at(&key.span, format!("the name of a group is text, this is {}", key.kind()));
            self.problems.push(problem.hint("put it in quotes"));
            return None;
        };
        self.inventory.add_group(name);
        let Some(entries) = value.entries() else {
            if !value.is_null() {
                let problem = Problem::at(&value.span, format!("group `{name}` is a mapping, this is {}", value.kind()));
                self.problems.push(problem.hint("its keys are hosts, children and vars"));
            }
            return Some(name.to_owned());
        };
        for (section, value) in entries {
            let section_name = section.as_text().unwrap_or_default();
            match section_name.as_str() {
                "vars" => self.vars(name, value),
                "children" => {
                    for (key, value) in self.members(value) {
                        if let Some(child) = self.group(&key, &value)
                            && let Err(error) = self.inventory.add_child(name, &child)
                        {
                            self.problems.push(Problem::at(&key.span, error.to_string()));
                        }
                    }
                }
                "hosts" => {
                    for (key, value) in self.members(value) {
                        self.host(name, &key, &value);
                    }
                }
                other => {
                    let problem = Problem::at(&section.span, format!("group `{name}` has no key `{other}`; it is skipped")).warning();
                    self.inventory.warnings.push(match nearest(other, ["hosts", "children", "vars"]) {
                        Some(known) => problem.hint(format!("did you mean `{known}`?")),
                        None => problem.hint("its keys are hosts, children and vars; groups below it stand under `children`"),
                    });
                }
            }
        }
        Some(name.to_owned())
    }

    /// Names with what stands under them; one name may stand as text.
    fn members(&mut self, value: &Node) -> Vec<(Node, Node)> {
        match &value.value {
            Yaml::Map(entries) => entries.clone(),
            Yaml::Null => Vec::new(),
            Yaml::String(_) => vec![(value.clone(), Node { value: Yaml::Null, ..value.clone() })],
            _ => {
                let problem = Problem::at(&value.span, format!("a mapping is wanted here, this is {}", value.kind()));
                self.problems.push(problem.hint("names are keys, not items of a list: `name:`"));
                Vec::new()
            }
        }
    }

    fn vars(&mut self, group: &str, value: &Node) {
        for (key, value) in self.members(value) {
            let raw = vars_files::raw(&value, self.vault);
            // The group was added above.
            let _ = self.inventory.set_group_var(group, &key.as_text().unwrap_or_default(), raw);
        }
    }

    fn host(&mut self, group: &str, key: &Node, value: &Node) {
        let Some(pattern) = key.as_str() else {
            let problem = Problem::at(&key.span, format!("the name of a host is text, this is {}", key.kind()));
            self.problems.push(problem.hint("put it in quotes"));
            return;
        };
        let (names, port) = match hosts::expand(pattern) {
            Ok(expanded) => expanded,
            Err(why) => {
                self.problems.push(Problem::at(&key.span, why));
                return;
            }
        };
        if value.entries().is_none() && !value.is_null() {
            self.problems.push(Problem::at(&value.span, format!("a host's variables are a mapping, this is {}", value.kind())));
            return;
        }
        for name in names {
            let host = self.inventory.add_host(&name);
            if let Some(port) = port {
                host.vars.insert("ansible_port".to_owned(), Raw { value: port.into(), span: Some(key.span.clone()) });
            }
            for (key, value) in value.entries().unwrap_or_default() {
                host.vars.insert(key.as_text().unwrap_or_default(), vars_files::raw(value, self.vault));
            }
            self.inventory.add_group(group).hosts.insert(name);
        }
    }
}
