//! Files of the operator's side: the disk, and what is embedded in the binary.

use bytes::Bytes;
use include_dir::Dir;
use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

/// First component of paths that lie in the binary.
pub const EMBEDDED: &str = "<embedded>";

/// A playbook to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaybookSource {
    /// A file on disk.
    Path(PathBuf),
    /// A file in the binary, by its path there: `playbooks/site.yml`.
    Embedded(String),
    /// Text that was given, with the name to show (`kubewright run`).
    Text {
        /// Name for messages.
        name: String,
        /// YAML.
        text: String,
    },
}

/// Reads files by path; paths below [`EMBEDDED`] lie in the binary.
#[derive(Clone, Debug, Default)]
pub struct Files {
    embedded: BTreeMap<PathBuf, &'static [u8]>,
}

impl Files {
    /// The disk and these directories of the binary, each under its name.
    pub fn new(embedded: &[(&str, &'static Dir<'static>)]) -> Self {
        let mut files = Self::default();
        for (name, dir) in embedded {
            files.add(&Path::new(EMBEDDED).join(name), dir);
        }
        files
    }

    fn add(&mut self, below: &Path, dir: &'static Dir<'static>) {
        for file in dir.files() {
            self.embedded.insert(below.join(file.path()), file.contents());
        }
        for sub in dir.dirs() {
            self.add(below, sub);
        }
    }

    /// A file's bytes; an error's text says why not.
    pub fn read(&self, path: &Path) -> Result<Bytes, String> {
        if path.starts_with(EMBEDDED) {
            let found = self.embedded.get(&normal(path)).map(|b| Bytes::from_static(b));
            return found.ok_or_else(|| format!("{} is not part of this binary", path.display()));
        }
        std::fs::read(path).map(Bytes::from).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// A file's text.
    pub fn read_text(&self, path: &Path) -> Result<String, String> {
        String::from_utf8(self.read(path)?.into()).map_err(|_| format!("{} is not UTF-8 text", path.display()))
    }

    /// Whether there is such a file.
    pub fn is_file(&self, path: &Path) -> bool {
        if path.starts_with(EMBEDDED) { self.embedded.contains_key(&normal(path)) } else { path.is_file() }
    }

    /// Whether there is such a directory.
    pub fn is_dir(&self, path: &Path) -> bool {
        if path.starts_with(EMBEDDED) {
            let dir = normal(path);
            return self.embedded.keys().any(|p| p != &dir && p.starts_with(&dir));
        }
        path.is_dir()
    }

    /// Permission bits; 0644 for what is embedded.
    pub fn mode(&self, path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        if path.starts_with(EMBEDDED) {
            return 0o644;
        }
        std::fs::metadata(path).map_or(0o644, |m| m.permissions().mode() & 0o7777)
    }

    /// Files below a directory, sorted, as paths relative to it.
    pub fn tree(&self, dir: &Path) -> Vec<PathBuf> {
        if dir.starts_with(EMBEDDED) {
            let dir = normal(dir);
            return self.embedded.keys().filter_map(|p| p.strip_prefix(&dir).ok()).map(Path::to_owned).collect();
        }
        let walk = walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().filter_map(Result::ok);
        walk.filter(|e| e.path().is_file()).filter_map(|e| e.path().strip_prefix(dir).ok().map(Path::to_owned)).collect()
    }

    /// The first of `path`, `path.yml`, `path.yaml`, `path.json` that is a file.
    pub fn yaml(&self, path: &Path) -> Option<PathBuf> {
        let with = |ext: &str| PathBuf::from(format!("{}{ext}", path.display()));
        [".yml", ".yaml", "", ".json"].into_iter().map(with).find(|p| self.is_file(p))
    }
}

/// A path without `.` and `..`.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if out.parent().is_some() => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}
