//! Files and texts of ansible-vault: encrypted, opened, given another password, each replaced in one step.

use super::{
    OpsError,
    replace::{Readers, replace},
};
use crate::{
    text::{Problem, Secret},
    vault::{Vault, VaultError, id_of, is_encrypted},
};
use std::{io::Write as _, path::Path, process::Command};

fn invalid(path: &Path, why: impl std::fmt::Display) -> OpsError {
    OpsError::Invalid(Problem::new(format!("{}: {why}", path.display())).into())
}

fn read(path: &Path) -> Result<Vec<u8>, OpsError> {
    std::fs::read(path).map_err(|e| invalid(path, e))
}

fn sealed(path: &Path) -> Result<String, OpsError> {
    String::from_utf8(read(path)?).map_err(|_| invalid(path, VaultError::NotEncrypted))
}

/// Puts `content` in the place of a file, for those who could read it before.
///
/// # Errors
/// The file system's.
pub fn put(path: &Path, content: &[u8]) -> Result<(), OpsError> {
    replace(path, content, Readers::AsBefore).map_err(|e| invalid(path, e))
}

/// The encrypted text of a file that is in the open.
///
/// # Errors
/// When it is encrypted already, or there is no password.
pub fn encrypt(vault: &Vault, path: &Path, id: Option<&str>) -> Result<String, OpsError> {
    let plain = read(path)?;
    if is_encrypted(&plain) {
        return Err(invalid(path, "it is encrypted already"));
    }
    vault.encrypt(&plain, id).map_err(|e| invalid(path, e))
}

/// What an encrypted file holds.
///
/// # Errors
/// When it is not encrypted, damaged, or no password opens it.
pub fn decrypt(vault: &Vault, path: &Path) -> Result<Secret<Vec<u8>>, OpsError> {
    vault.decrypt(&sealed(path)?).map_err(|e| invalid(path, e))
}

/// The text of an encrypted file under the password of `new`.
///
/// # Errors
/// As [`decrypt`] and [`encrypt`].
pub fn rekey(old: &Vault, new: &Vault, path: &Path, id: Option<&str>) -> Result<String, OpsError> {
    let plain = decrypt(old, path)?;
    new.encrypt(plain.expose(), id).map_err(|e| invalid(path, e))
}

/// Opens a file in an editor and encrypts it again under its own id. `false`: nothing was changed.
///
/// # Errors
/// As [`decrypt`]; an editor that fails, after which the file is as it was.
pub fn edit(vault: &Vault, path: &Path, editor: &str) -> Result<bool, OpsError> {
    let text = sealed(path)?;
    let id = id_of(&text);
    let plain = vault.decrypt(&text).map_err(|e| invalid(path, e))?;
    // 0600, in a directory of its own that goes away with what the editor leaves there.
    let directory = tempfile::Builder::new().prefix("kubewright-vault-").tempdir().map_err(|e| invalid(path, e))?;
    let copy = directory.path().join(path.file_name().unwrap_or_default());
    let options = || {
        use std::os::unix::fs::OpenOptionsExt as _;
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&copy)
    };
    options().and_then(|mut f| f.write_all(plain.expose())).map_err(|e| invalid(&copy, e))?;
    let words =
        shlex::split(editor).filter(|w| !w.is_empty()).ok_or_else(|| invalid(path, format!("EDITOR is not a command: {editor}")))?;
    let status = Command::new(&words[0]).args(&words[1..]).arg(&copy).status().map_err(|e| invalid(path, format!("{editor}: {e}")))?;
    if !status.success() {
        return Err(invalid(path, format!("{editor} ended with {status}; the file is as it was")));
    }
    let after = read(&copy)?;
    if &after == plain.expose() {
        return Ok(false);
    }
    let id = id.as_deref().filter(|id| vault.has(id));
    put(path, vault.encrypt(&after, id).map_err(|e| invalid(path, e))?.as_bytes())?;
    Ok(true)
}
