//! Authentication: the identities in their order, and a message that says what was offered and why it was no use.

use super::{Identity, process::LossReason};
use russh::{
    MethodKind, MethodSet,
    client::{AuthResult, Handle, Handler, KeyboardInteractiveAuthResponse},
    keys::{
        HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey,
        agent::{AgentIdentity, client::AgentClient},
        load_openssh_certificate, load_secret_key,
        ssh_key::public::KeyData,
    },
};
use std::{path::Path, sync::Arc};

/// Why authentication failed.
pub(super) enum Refused {
    /// The server accepted none of what was offered.
    ByServer(String),
    /// There was nothing to offer: no key could be read, no agent runs.
    NothingToOffer(String),
}

/// Whether a private key file needs a passphrase.
pub fn is_locked(path: &Path) -> bool {
    matches!(load_secret_key(path, None), Err(russh::keys::Error::KeyIsEncrypted))
}

/// Offers the identities until one is accepted.
pub(super) async fn authenticate<H: Handler>(
    handle: &mut Handle<H>,
    user: &str,
    identities: &[Identity],
    agent: Option<&Path>,
    loss: &LossReason,
) -> Result<(), Refused> {
    let mut attempt =
        Attempt { handle, user, socket: agent, loss, offered: Vec::new(), unusable: Vec::new(), tried: Vec::new(), remaining: None };
    for identity in identities {
        let step = match identity {
            Identity::KeyFile { path, passphrase } => attempt.key_file(path, passphrase.as_ref().map(|p| p.expose().as_str())).await,
            Identity::Agent => attempt.agent(None).await,
            Identity::Password(password) => attempt.password(password.expose()).await,
        };
        match step {
            Step::Accepted => return Ok(()),
            Step::Next => {}
            Step::Closed => break,
        }
    }
    Err(attempt.refused())
}

enum Step {
    Accepted,
    Next,
    /// The server hung up.
    Closed,
}

struct Attempt<'a, H: Handler> {
    handle: &'a mut Handle<H>,
    user: &'a str,
    socket: Option<&'a Path>,
    loss: &'a LossReason,
    offered: Vec<String>,
    unusable: Vec<String>,
    /// Keys that were offered already: an agent that holds the key of a file is not asked for it again.
    tried: Vec<KeyData>,
    remaining: Option<MethodSet>,
}

impl<H: Handler> Attempt<'_, H> {
    async fn key_file(&mut self, path: &Path, passphrase: Option<&str>) -> Step {
        let shown = path.display();
        let key = match load_secret_key(path, passphrase) {
            Ok(key) => Arc::new(key),
            Err(error) => {
                // A public key stands for the same key in the agent, as in OpenSSH's IdentityFile; an encrypted
                // private key says which one it is without its passphrase.
                let public = match PrivateKey::read_openssh_file(path) {
                    Ok(key) if passphrase.is_none() => Some(key.public_key().clone()),
                    Ok(_) => None,
                    Err(_) => russh::keys::load_public_key(path).ok(),
                };
                if let (Some(public), Some(_)) = (public, self.socket) {
                    return self.agent(Some(&public)).await;
                }
                let hint = match (&error, passphrase) {
                    (russh::keys::Error::KeyIsEncrypted, None) => ": it needs a passphrase, or an agent that holds it",
                    (russh::keys::Error::IO(_), _) | (_, None) => "",
                    (_, Some(_)) => ": is the passphrase right?",
                };
                self.unusable.push(format!("{shown}: {error}{hint}"));
                return Step::Next;
            }
        };
        let fingerprint = key.public_key().fingerprint(HashAlg::Sha256);
        let certificate = path.with_file_name(format!("{}-cert.pub", path.file_name().unwrap_or_default().to_string_lossy()));
        if certificate.exists() {
            match load_openssh_certificate(&certificate) {
                Ok(cert) => {
                    self.offered.push(format!("certificate {} ({})", certificate.display(), cert.key_id()));
                    let result = self.handle.authenticate_openssh_cert(self.user, Arc::clone(&key), cert).await;
                    match self.judge(result) {
                        Step::Next => {}
                        step => return step,
                    }
                }
                Err(error) => self.unusable.push(format!("{}: {error}", certificate.display())),
            }
        }
        self.tried.push(key.public_key().key_data().clone());
        let hash = self.rsa_hash(key.algorithm().is_rsa()).await;
        self.offered.push(format!("{shown} ({fingerprint})"));
        let result = self.handle.authenticate_publickey(self.user, PrivateKeyWithHashAlg::new(key, hash)).await;
        self.judge(result)
    }

    async fn agent(&mut self, only: Option<&PublicKey>) -> Step {
        let Some(socket) = self.socket else {
            self.unusable.push("agent: none is running (SSH_AUTH_SOCK is not set)".to_owned());
            return Step::Next;
        };
        let mut agent = match AgentClient::connect_uds(socket).await {
            Ok(agent) => agent,
            Err(error) => {
                self.unusable.push(format!("agent at {}: {error}", socket.display()));
                return Step::Next;
            }
        };
        let keys = match agent.request_identities().await {
            Ok(keys) => keys,
            Err(error) => {
                self.unusable.push(format!("agent: {error}"));
                return Step::Next;
            }
        };
        let wanted = |k: &AgentIdentity| only.is_none_or(|o| o.key_data() == k.public_key().key_data());
        let keys: Vec<AgentIdentity> = keys.into_iter().filter(wanted).collect();
        if keys.is_empty() {
            self.unusable.push(match only {
                Some(key) => format!("agent: it does not hold {}", key.fingerprint(HashAlg::Sha256)),
                None => "agent: it holds no keys (ssh-add adds one)".to_owned(),
            });
        }
        for identity in keys {
            let public = identity.public_key().into_owned();
            let step = match &identity {
                AgentIdentity::PublicKey { comment, .. } => {
                    if self.tried.contains(public.key_data()) {
                        continue;
                    }
                    self.tried.push(public.key_data().clone());
                    self.offered.push(format!("agent key {comment} ({})", public.fingerprint(HashAlg::Sha256)));
                    let hash = self.rsa_hash(public.algorithm().is_rsa()).await;
                    self.handle.authenticate_publickey_with(self.user, public, hash, &mut agent).await
                }
                AgentIdentity::Certificate { certificate, .. } => {
                    self.offered.push(format!("agent certificate {}", certificate.key_id()));
                    let hash = self.rsa_hash(public.algorithm().is_rsa()).await;
                    self.handle.authenticate_certificate_with(self.user, certificate.clone(), hash, &mut agent).await
                }
            };
            match self.judge(step) {
                Step::Next => {}
                step => return step,
            }
        }
        Step::Next
    }

    async fn password(&mut self, password: &str) -> Step {
        self.offered.push("password".to_owned());
        let result = self.handle.authenticate_password(self.user, password).await;
        match self.judge(result) {
            Step::Next => {}
            step => return step,
        }
        if self.remaining.as_ref().is_some_and(|m| m.contains(&MethodKind::KeyboardInteractive)) {
            self.offered.push("keyboard-interactive".to_owned());
            return self.keyboard_interactive(password).await;
        }
        Step::Next
    }

    /// Answers every hidden prompt with the password; PAM asks once, and once more with nothing to ask.
    async fn keyboard_interactive(&mut self, password: &str) -> Step {
        let mut answer = self.handle.authenticate_keyboard_interactive_start(self.user, None).await;
        for _round in 0..4 {
            match answer {
                Ok(KeyboardInteractiveAuthResponse::Success) => return Step::Accepted,
                Ok(KeyboardInteractiveAuthResponse::Failure { remaining_methods, .. }) => {
                    self.remaining = Some(remaining_methods);
                    return Step::Next;
                }
                Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => {
                    let reply = prompts.iter().map(|p| if p.echo { String::new() } else { password.to_owned() }).collect();
                    answer = self.handle.authenticate_keyboard_interactive_respond(reply).await;
                }
                Err(error) => {
                    self.loss.set(error.to_string());
                    return Step::Closed;
                }
            }
        }
        Step::Next
    }

    /// SHA-2 signatures for RSA keys, the best that the server names; SHA-1 never.
    async fn rsa_hash(&self, is_rsa: bool) -> Option<HashAlg> {
        if !is_rsa {
            return None;
        }
        let best = self.handle.best_supported_rsa_hash().await;
        Some(best.ok().flatten().flatten().unwrap_or(HashAlg::Sha256))
    }

    fn judge<E: std::fmt::Display>(&mut self, result: Result<AuthResult, E>) -> Step {
        match result {
            Ok(AuthResult::Success) => Step::Accepted,
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                if partial_success && let Some(last) = self.offered.last_mut() {
                    last.push_str(", accepted, but the server wants another factor");
                }
                let closed = remaining_methods.is_empty() || self.handle.is_closed();
                self.remaining = Some(remaining_methods);
                if closed { Step::Closed } else { Step::Next }
            }
            Err(error) => {
                if self.handle.is_closed() {
                    return Step::Closed;
                }
                // The signer failed: an agent that declined, a key that was removed from it.
                self.unusable.push(error.to_string());
                Step::Next
            }
        }
    }

    fn refused(self) -> Refused {
        let unusable = if self.unusable.is_empty() { String::new() } else { format!("; not usable: {}", self.unusable.join("; ")) };
        if self.offered.is_empty() {
            return Refused::NothingToOffer(format!("no identity to offer as {}{unusable}", self.user));
        }
        let offered = self.offered.join(", ");
        let ending = match &self.remaining {
            _ if self.handle.is_closed() || self.remaining.as_ref().is_some_and(|m| m.is_empty()) => {
                let said = self.loss.get().map_or_else(String::new, |why| format!(" ({why})"));
                format!(
                    "; the server hung up after {} of them{said}: with many keys in the agent its MaxAuthTries (6 by default) is used up, \
                     so name the right key file first",
                    self.offered.len()
                )
            }
            Some(methods) => {
                let names: Vec<&str> = methods.iter().map(<&str>::from).collect();
                format!("; the server would accept: {}", names.join(", "))
            }
            None => String::new(),
        };
        Refused::ByServer(format!("offered {offered}{ending}{unusable}"))
    }
}
