//! Where a task's files are looked for (ansible-core: parsing/dataloader.py `path_dwim_relative_stack`).

use super::world::World;
use crate::{modules::LocalFile, playbook::Task, vault::is_encrypted};
use std::path::{Path, PathBuf};

/// Directories of a task, the nearest first: its role, the roles above it, its file's, the playbook's.
pub(super) fn search_dirs(task: &Task) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    if let Some(role) = &task.role {
        dirs.push(role.directory.clone());
        dirs.extend(role.parents.iter().rev().map(|(_, p)| p.clone()));
    }
    dirs.push(task.directory.clone());
    dirs.push(task.playbook_dir.clone());
    let mut seen = std::collections::HashSet::new();
    dirs.retain(|d| seen.insert(d.clone()));
    dirs
}

/// All places where a file named `name` of a kind (`files`, `templates`, `vars`, `tasks`) may be.
pub(super) fn places(task: &Task, kind: &str, name: &str) -> Vec<PathBuf> {
    let name = match name.strip_prefix("~/") {
        Some(rest) => std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default().join(rest),
        None => PathBuf::from(name),
    };
    if name.is_absolute() || name.starts_with(crate::playbook::EMBEDDED) {
        return vec![name];
    }
    let mut out = Vec::new();
    for dir in search_dirs(task) {
        if !kind.is_empty() {
            out.push(dir.join(kind).join(&name));
        }
        out.push(dir.join(&name));
    }
    if task.playbook_dir.starts_with(crate::playbook::EMBEDDED) {
        out.push(Path::new(crate::playbook::EMBEDDED).join(kind).join(&name));
    }
    out
}

/// The first place that exists.
pub(super) fn find(world: &World, task: &Task, kind: &str, name: &str) -> Result<PathBuf, String> {
    let files = &world.load.files;
    let places = places(task, kind, name);
    places.iter().find(|p| files.is_file(p) || files.is_dir(p)).cloned().ok_or_else(|| {
        let tried: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
        format!("could not find or access '{name}'; searched in: {}", tried.join(", "))
    })
}

/// Reads it, a directory with all that is in it. Encrypted files are opened, unless they are to stay `sealed` (`decrypt: false`).
pub(super) fn read(world: &World, task: &Task, kind: &str, name: &str, sealed: bool) -> Result<LocalFile, String> {
    let path = PathBuf::from(super::magic::absolute(&find(world, task, kind, name)?));
    let files = &world.load.files;
    if !files.is_dir(&path) {
        return one(world, &path, sealed);
    }
    let mut tree = Vec::new();
    for relative in files.tree(&path) {
        tree.push((relative.display().to_string(), one(world, &path.join(&relative), sealed)?));
    }
    Ok(LocalFile { mode: files.mode(&path), path, content: bytes::Bytes::new(), tree, secret: false })
}

fn one(world: &World, path: &Path, sealed: bool) -> Result<LocalFile, String> {
    let mut content = world.load.files.read(path)?;
    let secret = !sealed && is_encrypted(&content);
    if secret {
        content = (world.load.vault)(&String::from_utf8_lossy(&content))?.into();
    }
    Ok(LocalFile { path: path.to_owned(), content, mode: world.load.files.mode(path), tree: Vec::new(), secret })
}
