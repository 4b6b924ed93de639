//! Sources: files, directories, lists of hosts (ansible: inventory/manager.py).

use super::{
    Inventory, hosts, ini,
    vars_files::{self, Beside},
    yaml_file,
};
use crate::{
    spec,
    text::{Problem, Problems, SourceFile},
    vault::Vault,
    yaml,
};
use std::path::{Path, PathBuf};

/// Endings that a directory's files are skipped for (config/base.yml, `INVENTORY_IGNORE_EXTS`).
const IGNORED: &[&str] = &[".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry"];

/// Whether a path is the inventory of a cluster of ours: a directory with a `cluster.yaml`, or that file.
pub fn is_cluster_dir(path: &Path) -> bool {
    let is_name = |p: &Path| p.file_name().and_then(|n| n.to_str()).is_some_and(|n| spec::FILE_NAMES.contains(&n));
    if path.is_dir() { spec::FILE_NAMES.iter().any(|n| path.join(n).is_file()) } else { is_name(path) && path.is_file() }
}

impl Inventory {
    /// Loads inventories, later ones over earlier ones, with the `group_vars` and `host_vars` beside them and beside the
    /// playbook. A source is an INI or YAML file, a directory of them, or a list of names with a comma (`a,b` or `a,`).
    pub fn load(sources: &[PathBuf], playbook_dir: Option<&Path>) -> Result<Self, Problems> {
        Self::load_with(sources, playbook_dir, &Vault::new())
    }

    /// As [`Inventory::load`], with passwords for what is encrypted.
    pub fn load_with(sources: &[PathBuf], playbook_dir: Option<&Path>, vault: &Vault) -> Result<Self, Problems> {
        let mut inventory = Self::new();
        let mut problems = Problems::default();
        let mut beside = Vec::new();
        for source in sources {
            let text = source.to_string_lossy();
            if text.contains(',') && !source.exists() {
                list(&text, &mut inventory, &mut problems);
                continue;
            }
            inventory.source(source, vault, &mut problems);
            let directory = if source.is_dir() { source.as_path() } else { source.parent().unwrap_or(Path::new("")) };
            beside.push(directory.to_owned());
        }
        inventory.reconcile();
        let first = beside.first().map(|d| if d.as_os_str().is_empty() { Path::new(".") } else { d.as_path() });
        inventory.directory = first.and_then(|d| std::path::absolute(d).ok());
        for directory in &beside {
            vars_files::add(&mut inventory, directory, Beside::Inventory, vault, &mut problems);
        }
        if let Some(directory) = playbook_dir {
            vars_files::add(&mut inventory, directory, Beside::Playbook, vault, &mut problems);
        }
        if problems.has_errors() { Err(problems) } else { Ok(inventory) }
    }

    /// Adds `group_vars` and `host_vars` to hosts that come from elsewhere (a provider): first those of `directory`, then
    /// those of the playbook. A host's variables are overridden by its `host_vars`.
    pub fn add_vars_files(&mut self, directory: &Path, playbook_dir: Option<&Path>, vault: &Vault) -> Result<(), Problems> {
        let mut problems = Problems::default();
        vars_files::add(self, directory, Beside::Inventory, vault, &mut problems);
        if let Some(directory) = playbook_dir {
            vars_files::add(self, directory, Beside::Playbook, vault, &mut problems);
        }
        problems.into_result(())
    }

    fn source(&mut self, path: &Path, vault: &Vault, problems: &mut Problems) {
        if path.is_dir() {
            let mut entries: Vec<PathBuf> = match std::fs::read_dir(path) {
                Ok(entries) => entries.flatten().map(|e| e.path()).collect(),
                Err(error) => return problems.push(Problem::new(format!("cannot read {}: {error}", path.display()))),
            };
            entries.sort();
            entries.retain(|e| !ignored(&e.file_name().unwrap_or_default().to_string_lossy()));
            for entry in entries {
                self.source(&entry, vault, problems);
            }
            return;
        }
        let name = path.display().to_string();
        let text = match std::fs::read(path).map(String::from_utf8) {
            Ok(Ok(text)) => text,
            Ok(Err(_)) => return problems.push(Problem::new(format!("inventory {name} is not UTF-8 text"))),
            Err(error) => {
                let problem = Problem::new(format!("cannot read inventory {name}: {error}"));
                return problems.push(problem.hint("a list of hosts has a comma: -i host,"));
            }
        };
        if text.starts_with("#!") {
            let problem = Problem::new(format!("inventory {name} is a program"));
            return problems.push(problem.hint("run it with --list and save its output as a YAML or INI inventory"));
        }
        self.text(path, &SourceFile::new(name, text), vault, problems);
        let source = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        for host in self.hosts.values_mut().filter(|h| h.source.is_none()) {
            host.source = Some(source.clone());
        }
    }

    fn text(&mut self, path: &Path, file: &std::sync::Arc<SourceFile>, vault: &Vault, problems: &mut Problems) {
        match path.extension().and_then(|e| e.to_str()) {
            Some("yml" | "yaml" | "json") => match yaml::read(file) {
                Ok(parsed) => {
                    self.warnings.extend(parsed.warnings);
                    match parsed.documents.first() {
                        Some(root) if root.get("plugin").is_some() => {
                            let problem = Problem::at(&root.span, "this configures an inventory plugin of Ansible's");
                            problems.push(problem.hint("save the output of `ansible-inventory --list --yaml` instead"));
                        }
                        Some(root) if root.entries().is_some() => yaml_file::read(root, self, vault, problems),
                        Some(root) => {
                            problems.push(Problem::at(&root.span, format!("an inventory is a mapping of groups, this is {}", root.kind())));
                        }
                        None => problems.push(Problem::new(format!("inventory {} is empty", file.name))),
                    }
                }
                Err(errors) => problems.extend(errors),
            },
            // Ansible tries YAML first where there is no ending; a mapping is what no INI inventory is.
            None => match yaml::read(file).ok().and_then(|p| p.documents.into_iter().next()).filter(|root| root.entries().is_some()) {
                Some(root) => yaml_file::read(&root, self, vault, problems),
                None => ini::read(file, self, problems),
            },
            Some(_) => ini::read(file, self, problems),
        }
    }
}

fn ignored(name: &str) -> bool {
    name.starts_with('.') || matches!(name, "host_vars" | "group_vars" | "vars_plugins") || IGNORED.iter().any(|e| name.ends_with(e))
}

/// `a,b,c`: hosts without a group.
fn list(text: &str, inventory: &mut Inventory, problems: &mut Problems) {
    for pattern in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        match hosts::expand(pattern) {
            Ok((names, port)) => {
                for name in names {
                    let host = inventory.add_host(&name);
                    if let Some(port) = port {
                        host.vars.insert("ansible_port".to_owned(), super::Raw { value: port.into(), span: None });
                    }
                    inventory.add_group("ungrouped").hosts.insert(name);
                }
            }
            Err(why) => problems.push(Problem::new(why)),
        }
    }
}
