//! Where the lab keeps what is expensive to make: `$XDG_CACHE_HOME/kubewright/lab`, by default under `~/.cache`.

use crate::infra::InfraError;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The cache's directory, made if it is missing.
pub(super) fn directory() -> Result<PathBuf, InfraError> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|h| h.join(".cache"))).ok_or_else(|| InfraError::Missing {
        what: "neither XDG_CACHE_HOME nor HOME is set, so the lab has no place for what it builds".to_owned(),
        hint: "set XDG_CACHE_HOME to a directory with 6 GB to spare".to_owned(),
    })?;
    let directory = base.join("kubewright/lab");
    make(&directory)?;
    Ok(directory)
}

/// Makes a directory with its parents.
pub(super) fn make(directory: &Path) -> Result<(), InfraError> {
    std::fs::create_dir_all(directory).map_err(|e| super::docker::failed(&format!("making directory {}", directory.display()), &e))
}

/// The first 12 hexadecimal digits of the hash of parts: names a stage by all that it is made from.
pub(super) fn key<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    use std::fmt::Write;
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(6).fold(String::new(), |mut text, byte| {
        // A String takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn keys_tell_parts_apart() {
        assert_eq!(key(["a", "b"]), key(["a", "b"]));
        assert_ne!(key(["ab", ""]), key(["a", "b"]));
        assert_eq!(key(["a"]).len(), 12);
    }
}
