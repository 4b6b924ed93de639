//! Encryption to recipients, decryption with identities: streams in, streams out, nothing on disk in clear.

use std::{
    io::{self, BufReader, Read, Write},
    path::Path,
};

/// Why something could not be encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A recipient that cannot be used.
    #[error("`{0}` is no recipient (age1… or ssh-ed25519 …)")]
    Recipient(String),
    /// Nobody could read it.
    #[error("no recipient is named")]
    NoRecipient,
    /// An identity file that cannot be used.
    #[error("{path}: {why}")]
    Identity {
        /// File.
        path: String,
        /// Why.
        why: String,
    },
    /// It cannot be opened with these identities, or it is damaged.
    #[error("cannot be decrypted: {0}")]
    Decrypt(String),
    /// Reading or writing.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Someone who can read what is sealed.
pub type Recipient = Box<dyn age::Recipient + Send + Sync>;

/// Who can read it.
pub type Identity = Box<dyn age::Identity + Send + Sync>;

/// Parses recipients; none is an error.
pub fn recipients(texts: &[String]) -> Result<Vec<Recipient>, SealError> {
    let all: Result<Vec<_>, _> = texts.iter().map(|t| crate::spec::recipient(t).ok_or_else(|| SealError::Recipient(t.clone()))).collect();
    all.and_then(|all| if all.is_empty() { Err(SealError::NoRecipient) } else { Ok(all) })
}

/// Copies `from` into `to`, encrypted.
pub fn seal(recipients: &[Recipient], from: &mut dyn Read, to: impl Write) -> Result<u64, SealError> {
    let all = recipients.iter().map(|r| r.as_ref() as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(all).map_err(|e| SealError::Decrypt(e.to_string()))?;
    let mut sealed = encryptor.wrap_output(to)?;
    let bytes = io::copy(from, &mut sealed)?;
    sealed.finish()?;
    Ok(bytes)
}

/// The identities of a file: one of `age-keygen`, or an OpenSSH private key without a passphrase.
pub fn identities(path: &Path) -> Result<Vec<Identity>, SealError> {
    let bad = |why: String| SealError::Identity { path: path.display().to_string(), why };
    let text = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
    if text.contains("PRIVATE KEY-----") {
        let identity = age::ssh::Identity::from_buffer(BufReader::new(text.as_bytes()), None).map_err(|e| bad(e.to_string()))?;
        return match identity {
            age::ssh::Identity::Unencrypted(_) => Ok(vec![Box::new(identity)]),
            age::ssh::Identity::Encrypted(_) => {
                Err(bad("it is protected by a passphrase: make a copy without one for this command (ssh-keygen -p)".to_owned()))
            }
            age::ssh::Identity::Unsupported(_) => Err(bad("age knows ssh-ed25519 and ssh-rsa keys only".to_owned())),
        };
    }
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let all: Result<Vec<_>, _> = lines.map(str::parse::<age::x25519::Identity>).collect();
    let all = all.map_err(|_| bad("it holds something that is no identity (AGE-SECRET-KEY-1…)".to_owned()))?;
    if all.is_empty() {
        return Err(bad("it holds no identity".to_owned()));
    }
    Ok(all.into_iter().map(|i| Box::new(i) as Identity).collect())
}

/// What is sealed in `from`, in clear.
pub fn open<R: Read>(identities: &[Identity], from: R) -> Result<impl Read + use<R>, SealError> {
    let explain = |e: age::DecryptError| SealError::Decrypt(e.to_string());
    let decryptor = age::Decryptor::new(from).map_err(explain)?;
    decryptor.decrypt(identities.iter().map(|i| i.as_ref() as &dyn age::Identity)).map_err(explain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use age::secrecy::ExposeSecret as _;

    #[test]
    fn what_is_sealed_opens_with_the_right_identity_only() {
        let (right, wrong) = (age::x25519::Identity::generate(), age::x25519::Identity::generate());
        let mut sealed = Vec::new();
        let to = recipients(&[right.to_public().to_string()]).unwrap();
        assert_eq!(seal(&to, &mut &b"snapshot"[..], &mut sealed).unwrap(), 8);
        assert!(!sealed.windows(8).any(|w| w == b"snapshot"));
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, identity: &age::x25519::Identity| {
            let path = dir.path().join(name);
            std::fs::write(&path, format!("# created\n{}\n", identity.to_string().expose_secret())).unwrap();
            identities(&path).unwrap()
        };
        let mut text = String::new();
        open(&file("right", &right), &sealed[..]).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "snapshot");
        assert!(matches!(open(&file("wrong", &wrong), &sealed[..]).err(), Some(SealError::Decrypt(_))));
        let end = sealed.len() - 1;
        sealed[end] ^= 1;
        assert!(open(&file("right", &right), &sealed[..]).unwrap().read_to_end(&mut Vec::new()).is_err(), "damage is noticed");
        assert!(matches!(recipients(&[]).err(), Some(SealError::NoRecipient)));
    }
}
