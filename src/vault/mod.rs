//! Ansible's vault, its own format: `$ANSIBLE_VAULT;1.1;AES256` and `;1.2;AES256;ID`, as files and as inline `!vault` text.
//! Files that `ansible-vault` wrote open here, and the other way round.

mod cipher;
mod envelope;
mod password;

use crate::text::Secret;
use cipher::Keys;
use envelope::Envelope;

pub use password::{Source, inline};

/// Passwords by vault id, in the order in which they are tried.
#[derive(Clone, Debug, Default)]
pub struct Vault {
    passwords: Vec<(String, Secret<String>)>,
}

/// Why something could not be opened or closed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VaultError {
    /// It does not begin with the header.
    #[error("this is not vault text: it does not begin with $ANSIBLE_VAULT")]
    NotEncrypted,
    /// It does, but the rest is damaged.
    #[error("this vault text is damaged: {0}")]
    Damaged(&'static str),
    /// A format or cipher of Ansible before 2.0, or of the future.
    #[error("vault format {version} with cipher {cipher} is not supported; there are 1.1 and 1.2 with AES256")]
    Unsupported {
        /// Version in the header.
        version: String,
        /// Cipher in the header.
        cipher: String,
    },
    /// No password is known at all.
    #[error("a vault password is needed{}: give --vault-password-file or --ask-vault-pass", for_id(.id.as_deref()))]
    NoPassword {
        /// Id in the header.
        id: Option<String>,
    },
    /// A password could not be had.
    #[error("no vault password from {path}: {why}")]
    PasswordFile {
        /// The file or program.
        path: String,
        /// Why not.
        why: String,
    },
    /// None of the passwords opens it.
    #[error("none of the {tried} vault passwords opens this{}", for_id(.id.as_deref()))]
    WrongPassword {
        /// Id in the header.
        id: Option<String>,
        /// How many were tried.
        tried: usize,
    },
}

fn for_id(id: Option<&str>) -> String {
    id.map(|id| format!(" (vault id `{id}`)")).unwrap_or_default()
}

/// Whether text or a file's bytes are encrypted.
pub fn is_encrypted(data: &[u8]) -> bool {
    data.starts_with(envelope::HEADER.as_bytes())
}

/// The vault id that stands in encrypted text.
pub fn id_of(text: &str) -> Option<String> {
    Envelope::parse(text).ok()?.id
}

impl Vault {
    /// One without passwords: everything encrypted stays closed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a password under a vault id (`default` where the user named none). Earlier ones are tried first.
    pub fn add(&mut self, id: impl Into<String>, password: Secret<String>) {
        self.passwords.push((id.into(), password));
    }

    /// The ids there are passwords for, each once.
    pub fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for (id, _) in &self.passwords {
            if !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        ids
    }

    /// Whether there is a password for this id.
    pub fn has(&self, id: &str) -> bool {
        self.passwords.iter().any(|(own, _)| own == id)
    }

    /// Whether there is no password.
    pub fn is_empty(&self) -> bool {
        self.passwords.is_empty()
    }

    /// Opens vault text. A password with the text's own id is tried first, then all others, as Ansible does.
    pub fn decrypt(&self, text: &str) -> Result<Secret<Vec<u8>>, VaultError> {
        let envelope = Envelope::parse(text)?;
        let id = envelope.id.as_deref();
        if self.passwords.is_empty() {
            return Err(VaultError::NoPassword { id: envelope.id });
        }
        let (same, others): (Vec<_>, Vec<_>) = self.passwords.iter().partition(|(own, _)| Some(own.as_str()) == id.or(Some("default")));
        for (_, password) in same.into_iter().chain(others) {
            let keys = Keys::derive(password, &envelope.salt);
            if let Some(plain) = keys.open(&envelope.ciphertext, &envelope.mac)? {
                return Ok(Secret::new(plain));
            }
        }
        Err(VaultError::WrongPassword { tried: self.passwords.len(), id: envelope.id })
    }

    /// As [`Vault::decrypt`], for text.
    pub fn decrypt_text(&self, text: &str) -> Result<Secret<String>, VaultError> {
        let bytes = self.decrypt(text)?;
        match std::str::from_utf8(bytes.expose()) {
            Ok(text) => Ok(Secret::new(text.to_owned())),
            Err(_) => Err(VaultError::Damaged("what is inside is not UTF-8 text")),
        }
    }

    /// Encrypts with the password of `id`, or the first one; the result ends with a newline.
    pub fn encrypt(&self, plain: &[u8], id: Option<&str>) -> Result<String, VaultError> {
        let chosen = match id {
            Some(id) => self.passwords.iter().find(|(own, _)| own == id),
            None => self.passwords.first(),
        };
        let (own, password) = chosen.ok_or_else(|| VaultError::NoPassword { id: id.map(str::to_owned) })?;
        let salt = rand::random::<[u8; 32]>().to_vec();
        let (ciphertext, mac) = Keys::derive(password, &salt).seal(plain);
        let id = Some(own.clone()).filter(|own| own != "default");
        Ok(Envelope { id, salt, mac, ciphertext }.to_string())
    }
}

#[cfg(test)]
mod tests;
