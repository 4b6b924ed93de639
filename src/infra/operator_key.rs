//! The operator's SSH key: read from where the specification says, made there once if it is missing.

use super::InfraError;
use crate::spec::ClusterSpec;
use russh::keys::{Algorithm, PrivateKey, PublicKey, agent::client::AgentClient, ssh_key::LineEnding};
use std::{
    io::Write,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// The operator's public keys, in OpenSSH's one-line form; `None`: `access.key` names a file that does not exist yet.
/// With a path: `PATH.pub`, else the public half of the private key (readable without its passphrase). Without one: all keys
/// of the SSH agent.
pub async fn public_keys(spec: &ClusterSpec) -> Result<Option<Vec<String>>, InfraError> {
    let Some(path) = &spec.access.key else { return from_agent().await.map(Some) };
    let path = spec.directory.join(path);
    let mut public = path.clone().into_os_string();
    public.push(".pub");
    for file in [PathBuf::from(public), path] {
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(unreadable(&file, &e)),
        };
        let key = PublicKey::from_openssh(&text).or_else(|_| PrivateKey::from_openssh(&text).map(|k| k.public_key().clone()));
        let line = key.and_then(|k| k.to_openssh()).map_err(|e| unreadable(&file, &e))?;
        return Ok(Some(vec![line]));
    }
    Ok(None)
}

/// As [`public_keys`], and makes the file if it is missing: ed25519, mode 0600, its directory 0700. An existing file is
/// never replaced, and a kill leaves a whole key or none.
pub async fn ensure(spec: &ClusterSpec) -> Result<Vec<String>, InfraError> {
    if let Some(keys) = public_keys(spec).await? {
        return Ok(keys);
    }
    let path = spec.access.key.as_ref().map(|k| spec.directory.join(k)).unwrap_or_default();
    make(&path).map(|line| vec![line]).map_err(|why| InfraError::Failed {
        what: format!("making the SSH key {}", path.display()),
        why,
        hint: Some("make it yourself: ssh-keygen -t ed25519 -f FILE".to_owned()),
    })
}

fn make(path: &Path) -> Result<String, String> {
    let (key, line) = new_key()?;
    let parent = path.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(|e| e.to_string())?;
    let mut file = tempfile::NamedTempFile::new_in(parent).map_err(|e| e.to_string())?;
    file.write_all(key.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(|e| e.to_string())?;
    file.persist_noclobber(path).map_err(|e| e.to_string())?;
    Ok(line)
}

/// A fresh ed25519 key: the private key's file and the public key's line.
pub fn new_key() -> Result<(String, String), String> {
    let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).map_err(|e| e.to_string())?;
    let file = key.to_openssh(LineEnding::LF).map_err(|e| e.to_string())?;
    let line = key.public_key().to_openssh().map_err(|e| e.to_string())?;
    Ok((file.to_string(), line))
}

async fn from_agent() -> Result<Vec<String>, InfraError> {
    let missing = |why: String| InfraError::Missing {
        what: format!("no SSH key: {why}"),
        hint: "set access.key to a file (made if it is missing), or load a key with ssh-add".to_owned(),
    };
    let silent = |e: russh::keys::Error| missing(format!("the SSH agent does not answer: {e}"));
    let mut agent = AgentClient::connect_env().await.map_err(silent)?;
    let keys = agent.request_identities().await.map_err(silent)?;
    let lines: Vec<String> = keys.iter().filter_map(|k| k.public_key().to_openssh().ok()).collect();
    if lines.is_empty() { Err(missing("the SSH agent has no key".to_owned())) } else { Ok(lines) }
}

fn unreadable(file: &Path, why: &dyn std::fmt::Display) -> InfraError {
    InfraError::Missing {
        what: format!("{}: {why}", file.display()),
        hint: "access.key must name a private key in OpenSSH's form, or a file that does not exist yet".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn a_key_is_made_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let spec = crate::spec::load_str("cluster.yaml", "cluster: t\nprovider: lab\naccess: {key: keys/id}\n", dir.path()).unwrap();
        assert_eq!(public_keys(&spec).await.unwrap(), None);
        let made = ensure(&spec).await.unwrap();
        assert_eq!(ensure(&spec).await.unwrap(), made);
        let mode = |p: &str| std::fs::metadata(dir.path().join(p)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("keys"), mode("keys/id")), (0o700, 0o600));
        assert!(make(&dir.path().join("keys/id")).is_err(), "an existing key is never replaced");
        std::fs::write(dir.path().join("keys/id"), "rubbish").unwrap();
        assert!(ensure(&spec).await.is_err());
    }
}
