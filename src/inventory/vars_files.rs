//! `group_vars` and `host_vars`: a file or a directory per name, with .yml, .yaml, .json or no ending
//! (ansible: plugins/vars/host_group_vars.py, DataLoader.find_vars_files).

use super::{Inventory, Raw, RawVars};
use crate::{
    text::{Problem, Problems, SourceFile},
    vault::{Vault, is_encrypted},
    yaml::{self, Node},
};
use minijinja::{Error, ErrorKind, Value};
use std::path::{Path, PathBuf};

const ENDINGS: &[&str] = &["yml", "yaml", "json"];

/// Whose directory it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    Inventory,
    Playbook,
}

/// Adds what stands beside an inventory or a playbook to all groups and hosts.
pub(super) fn add(inventory: &mut Inventory, directory: &Path, beside: Beside, vault: &Vault, problems: &mut Problems) {
    let mut warnings = Problems::default();
    let mut load = |kind: &str, name: &str| {
        let mut vars = RawVars::new();
        // A host may be called by a path (a chroot connection).
        if !name.starts_with('/') {
            for file in files(&directory.join(kind), name) {
                read(&file, vault, &mut vars, problems, &mut warnings);
            }
        }
        vars
    };
    if directory.join("group_vars").is_dir() {
        for group in inventory.groups.values_mut() {
            let vars = load("group_vars", &group.name);
            group.vars.extend(vars.clone());
            match beside {
                Beside::Inventory => group.inventory_vars.extend(vars),
                Beside::Playbook => group.playbook_vars.extend(vars),
            }
        }
    }
    if directory.join("host_vars").is_dir() {
        for host in inventory.hosts.values_mut() {
            host.vars.extend(load("host_vars", &host.name));
        }
    }
    inventory.warnings.extend(warnings);
}

/// The files of one name in the order in which they are merged: `name` (file or directory), else the first of its endings.
fn files(directory: &Path, name: &str) -> Vec<PathBuf> {
    let plain = directory.join(name);
    if plain.is_dir() {
        let mut found = Vec::new();
        files_below(&plain, &mut found);
        return found;
    }
    if plain.exists() {
        return vec![plain];
    }
    ENDINGS.iter().map(|e| directory.join(format!("{name}.{e}"))).find(|p| p.is_file()).into_iter().collect()
}

fn files_below(directory: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ending = path.extension().map(|e| e.to_string_lossy().into_owned());
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        if path.is_dir() {
            if ending.is_none() {
                files_below(&path, found);
            }
        } else if ending.is_none_or(|e| ENDINGS.contains(&e.as_str())) {
            found.push(path);
        }
    }
}

pub(super) fn read(path: &Path, vault: &Vault, vars: &mut RawVars, problems: &mut Problems, warnings: &mut Problems) {
    let name = path.display().to_string();
    let text = match std::fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(_)) => return problems.push(Problem::new(format!("{name} is not UTF-8 text"))),
        Err(error) => return problems.push(Problem::new(format!("cannot read {name}: {error}"))),
    };
    let encrypted = is_encrypted(text.as_bytes());
    let text = if encrypted {
        match vault.decrypt_text(&text) {
            Ok(plain) => plain.expose().clone(),
            Err(error) => return problems.push(Problem::new(format!("cannot open {name}: {error}"))),
        }
    } else {
        text
    };
    let file = SourceFile::new(name, text);
    let mut found = Problems::default();
    match yaml::read(&file) {
        Ok(parsed) => {
            warnings.extend(if encrypted { without_excerpts(parsed.warnings) } else { parsed.warnings });
            if let Some(second) = parsed.documents.get(1) {
                found.push(Problem::at(&second.span, "a second YAML document; a file of variables is one"));
            }
            if let Some(root) = parsed.documents.first() {
                entries(root, vault, encrypted, vars, &mut found);
            }
        }
        Err(errors) => found = errors,
    }
    problems.extend(if encrypted { without_excerpts(found) } else { found });
}

pub(super) fn entries(root: &Node, vault: &Vault, encrypted: bool, vars: &mut RawVars, problems: &mut Problems) {
    let Some(entries) = root.entries() else {
        if !root.is_null() {
            problems.push(Problem::at(&root.span, format!("variables are a mapping, this is {}", root.kind())));
        }
        return;
    };
    for (key, value) in entries {
        let mut raw = raw(value, vault);
        if encrypted {
            raw.span = None;
        }
        vars.insert(key.as_text().unwrap_or_default(), raw);
    }
}

/// An excerpt of an encrypted file would show what it hides.
fn without_excerpts(problems: Problems) -> Problems {
    let plain = |p: Problem| match &p.span {
        Some(span) => Problem { message: format!("{span} (encrypted): {}", p.message), span: None, label: None, ..p },
        None => p,
    };
    Problems(problems.0.into_iter().map(plain).collect())
}

/// A variable as written. What is `!vault` and cannot be opened becomes a value that fails where it is used, as Ansible's does.
pub(super) fn raw(node: &Node, vault: &Vault) -> Raw {
    let value = node.to_value_with(&|node| {
        let text = node.as_str().filter(|_| node.is_vault())?;
        Some(match vault.decrypt_text(text) {
            Ok(plain) => Value::from(plain.expose().as_str()),
            Err(error) => Value::from(Error::new(ErrorKind::InvalidOperation, format!("{}: {error}", node.span))),
        })
    });
    Raw { value, span: Some(node.span.clone()) }
}
