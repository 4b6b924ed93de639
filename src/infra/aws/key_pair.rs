//! The operator's key: made once at the path that the inventory names, and imported into EC2 under the cluster's name.

use super::{
    api::{Effect, gone_is_fine},
    errors::Fault,
    plan::{self, Plan},
    run::Ctx,
    tags::{Tags, at_creation},
    wanted::{OperatorKey, Wanted},
    world::World,
};
use crate::{infra::InfraError, spec::Access};
use aws_sdk_ec2::{primitives::Blob, types::ResourceType};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey, ssh_key::LineEnding};
use std::{io::Write, path::Path};

/// Key of the key pair.
pub const KEY: &str = "key-pair";

/// Calls.
#[derive(Clone, Debug)]
pub enum Work {
    /// Imports the public key.
    Import {
        /// Its name.
        name: String,
        /// One line in OpenSSH's form.
        public_key: String,
        /// Its tags.
        tags: Tags,
    },
    /// Deletes it.
    Delete {
        /// Its name, unique in a region.
        name: String,
    },
}

/// Adds what differs.
pub fn diff(wanted: &Wanted, world: &World, plan: &mut Plan) {
    if let Some(name) = world.adopted.get(KEY) {
        plan.ids.insert(KEY.to_owned(), name.clone());
        return;
    }
    let tags = wanted.tags(KEY);
    let name = wanted.key_pair_name();
    let Some(there) = world.key_pair() else {
        let (public_key, details) = match &wanted.operator_key {
            OperatorKey::Known(key) => (key.clone(), vec![format!("fingerprint: {}", fingerprint(key))]),
            OperatorKey::ToBeMade(path) => (String::new(), vec![format!("a new ed25519 key is made in {}", path.display())]),
        };
        let work = Work::Import { name, public_key, tags };
        plan.create("key pair", KEY, &[], details, plan::Work::KeyPair(work));
        return;
    };
    plan.keep("key pair", KEY, &there.own, &tags);
    match &wanted.operator_key {
        OperatorKey::Known(key) if !is_same(key, there.public_key.as_deref(), &there.fingerprint) => plan.refused.push(format!(
            "key pair {}: the account has the key {}, access.key is {}: use the key that the machines were made with",
            there.name,
            there.fingerprint,
            fingerprint(key)
        )),
        OperatorKey::ToBeMade(path) => plan.refused.push(format!(
            "key pair {}: the machines were made with the key {}, but {} does not exist: copy that key here (access.key)",
            there.name,
            there.fingerprint,
            path.display()
        )),
        OperatorKey::Known(_) => {}
    }
}

/// EC2 shows the SHA-256 of an ed25519 key with Base64 padding, and an MD5 or SHA-1 of an RSA key; those are compared by the
/// public key itself, where EC2 shows it (DescribeKeyPairs, IncludePublicKey).
fn is_same(key: &str, shown: Option<&str>, fingerprint_shown: &str) -> bool {
    let material = |k: &str| k.split_whitespace().nth(1).map(str::to_owned);
    if let Some(shown) = shown {
        return material(shown) == material(key);
    }
    let ours = fingerprint(key);
    let plain = |s: &str| s.trim_start_matches("SHA256:").trim_end_matches('=').to_owned();
    fingerprint_shown.contains(':') && !fingerprint_shown.starts_with("SHA256:") || plain(&ours) == plain(fingerprint_shown)
}

/// `SHA256:…` as `ssh-keygen -l` shows it.
pub fn fingerprint(key: &str) -> String {
    PublicKey::from_openssh(key).map_or_else(|_| "(unreadable)".to_owned(), |k| k.fingerprint(HashAlg::Sha256).to_string())
}

/// The operator's public key: `KEY.pub` beside the private key, else the public half inside it (readable without its
/// passphrase); without a path, the agent's first key.
pub async fn operator_key(access: &Access, directory: &Path) -> Result<OperatorKey, InfraError> {
    let Some(path) = &access.key else { return from_agent().await };
    let path = directory.join(path);
    let unreadable = |path: &Path, why: String| InfraError::Missing {
        what: format!("{}: {why}", path.display()),
        hint: "access.key must name a private key in OpenSSH's form, or a file that does not exist yet".to_owned(),
    };
    let mut public = path.clone().into_os_string();
    public.push(".pub");
    for (file, is_public) in [(Path::new(&public), true), (path.as_path(), false)] {
        match std::fs::read_to_string(file) {
            Ok(text) if is_public => {
                let key = PublicKey::from_openssh(&text).map_err(|e| unreadable(file, e.to_string()))?;
                return one_line(&key);
            }
            Ok(text) => {
                let key = PrivateKey::from_openssh(&text).map_err(|e| unreadable(file, e.to_string()))?;
                return one_line(key.public_key());
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(unreadable(file, e.to_string())),
        }
    }
    Ok(OperatorKey::ToBeMade(path))
}

fn one_line(key: &PublicKey) -> Result<OperatorKey, InfraError> {
    let text = key.to_openssh().map_err(|e| InfraError::Missing {
        what: format!("the operator's key cannot be written: {e}"),
        hint: "use an ed25519 key".to_owned(),
    })?;
    Ok(OperatorKey::Known(text))
}

async fn from_agent() -> Result<OperatorKey, InfraError> {
    let missing = |why: String| InfraError::Missing {
        what: format!("no SSH key: {why}"),
        hint: "set access.key to a file (made if it is missing), or load a key with ssh-add".to_owned(),
    };
    let mut agent =
        russh::keys::agent::client::AgentClient::connect_env().await.map_err(|e| missing(format!("the SSH agent does not answer: {e}")))?;
    let keys = agent.request_identities().await.map_err(|e| missing(format!("the SSH agent does not answer: {e}")))?;
    let key = keys.first().ok_or_else(|| missing("the SSH agent has no key".to_owned()))?;
    one_line(&key.public_key())
}

/// Makes the operator's key, 0600, never over an existing file.
pub fn make_operator_key(path: &Path) -> Result<String, InfraError> {
    let failed = |why: String| InfraError::Failed {
        what: format!("making the SSH key {}", path.display()),
        why,
        hint: Some("make it yourself: ssh-keygen -t ed25519 -f FILE".to_owned()),
    };
    let key = new_key().map_err(&failed)?;
    let text = key.to_openssh(LineEnding::LF).map_err(|e| failed(e.to_string()))?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|e| failed(e.to_string()))?;
    }
    // Written beside and linked into place: a kill leaves a whole key or none, and an existing one is never replaced.
    let parent = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(parent).map_err(|e| failed(e.to_string()))?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(|e| failed(e.to_string()))?;
    file.persist_noclobber(path).map_err(|e| failed(e.to_string()))?;
    key.public_key().to_openssh().map_err(|e| failed(e.to_string()))
}

/// A fresh ed25519 key.
pub fn new_key() -> Result<PrivateKey, String> {
    PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).map_err(|e| e.to_string())
}

impl Work {
    pub(super) async fn run(&self, ctx: &Ctx<'_>) -> Result<Option<String>, Fault> {
        let ec2 = &ctx.api.ec2;
        match self {
            Self::Import { name, public_key, tags } => {
                let made = ctx
                    .api
                    .call("ImportKeyPair", Effect::Once, || {
                        ec2.import_key_pair()
                            .key_name(name)
                            .public_key_material(Blob::new(public_key.as_bytes()))
                            .tag_specifications(at_creation(ResourceType::KeyPair, tags))
                            .send()
                    })
                    .await?;
                Ok(made.key_pair_id)
            }
            Self::Delete { name } => {
                gone_is_fine(ctx.api.call("DeleteKeyPair", Effect::Takes, || ec2.delete_key_pair().key_name(name).send()).await)?;
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn a_key_is_made_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let access =
            Access { user: "ubuntu".into(), key: Some("keys/id".into()), ssh_from: vec![], ssh_from_auto: false, api_from: vec![] };
        let OperatorKey::ToBeMade(path) = operator_key(&access, dir.path()).await.unwrap() else { panic!("there is no key yet") };
        let public = make_operator_key(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(operator_key(&access, dir.path()).await.unwrap(), OperatorKey::Known(public.clone()));
        assert!(make_operator_key(&path).is_err(), "an existing key is never replaced");
        assert!(is_same(&public, None, &format!("{}=", fingerprint(&public).trim_start_matches("SHA256:"))));
        assert!(is_same(&public, Some(&format!("{public} a comment")), ""));
        let other = new_key().unwrap().public_key().to_openssh().unwrap();
        assert!(!is_same(&public, Some(&other), ""));
        assert!(!is_same(&public, None, fingerprint(&other).trim_start_matches("SHA256:")));
    }
}
