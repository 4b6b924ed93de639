//! The operator's local files: logs and caches. Nothing here is precious: delete all of it and every command still works.

use super::replace::{Readers, replace};
use std::{
    io,
    path::{Path, PathBuf},
};

/// `$XDG_STATE_HOME/kubewright/CLUSTER` (`~/.local/state/…` by default). Directories are made 0700.
#[derive(Clone, Debug)]
pub struct State {
    root: PathBuf,
}

impl State {
    /// The state of one cluster. Nothing is written yet.
    pub fn of(cluster: &str) -> Self {
        let base = std::env::var_os("XDG_STATE_HOME")
            .filter(|v| !v.is_empty())
            .map_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".local/state"), PathBuf::from);
        Self { root: base.join("kubewright").join(cluster) }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Directory for the logs of a run that begins now.
    pub fn new_log_directory(&self, command: &str) -> io::Result<PathBuf> {
        let name = format!("{}-{command}-{}", jiff::Zoned::now().strftime("%Y%m%dT%H%M%S"), std::process::id());
        let dir = self.root.join("logs").join(name);
        private_directory(&dir)?;
        Ok(dir)
    }

    /// The cached operator kubeconfig, 0600.
    pub fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }

    /// Forgets this cluster.
    pub fn remove(&self) -> io::Result<()> {
        match std::fs::remove_dir_all(&self.root) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }
}

/// Writes a file that only its owner can read: a temporary file beside it, then a rename.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    private_directory(dir)?;
    replace(path, content, Readers::Owner)
}

fn private_directory(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn secrets_are_readable_by_their_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/kubeconfig");
        super::write_private(&path, b"x").unwrap();
        super::write_private(&path, b"y").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"y");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
