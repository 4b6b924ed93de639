//! Files on this machine, put in place in one step: whoever reads one meanwhile, or after a kill, sees the old content or the new.

use std::{
    fs::Permissions,
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

/// Who may read the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Its owner.
    Owner,
    /// Everybody.
    All,
    /// Those who could before, with the same owner; a new file: its owner.
    AsBefore,
}

/// Puts `content` in the place of `path`. A link stays one.
///
/// # Errors
/// The file system's.
pub fn replace(path: &Path, content: &[u8], readers: Readers) -> io::Result<()> {
    // A pipe, a terminal: nothing stands there that could be replaced.
    if std::fs::metadata(path).is_ok_and(|m| !m.is_file()) {
        return std::fs::OpenOptions::new().write(true).open(path)?.write_all(content);
    }
    let path = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path))?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    // tempfile makes its files 0600.
    let mut file = tempfile::Builder::new().prefix(".kubewright-").tempfile_in(directory)?;
    file.write_all(content)?;
    match readers {
        Readers::Owner => {}
        Readers::All => file.as_file().set_permissions(Permissions::from_mode(0o644))?,
        Readers::AsBefore => {
            if let Ok(before) = std::fs::metadata(&path) {
                file.as_file().set_permissions(Permissions::from_mode(before.mode() & 0o7777))?;
                // Only root may give files away; a file of somebody else stays readable to who replaced it.
                let _ = std::os::unix::fs::fchown(file.as_file(), Some(before.uid()), Some(before.gid()));
            }
        }
    }
    file.as_file().sync_all()?;
    file.persist(&path).map(drop).map_err(|e| e.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_are_as_asked_and_a_link_stays_one() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        replace(&file, b"new", Readers::AsBefore).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let mode = || std::fs::metadata(&file).unwrap().mode() & 0o777;
        for (readers, wanted) in [(Readers::AsBefore, 0o600), (Readers::All, 0o644), (Readers::AsBefore, 0o644), (Readers::Owner, 0o600)] {
            replace(&link, format!("{readers:?}").as_bytes(), readers).unwrap();
            assert_eq!((mode(), std::fs::read_to_string(&file).unwrap()), (wanted, format!("{readers:?}")));
            assert!(link.is_symlink());
        }
    }
}
