//! User data: the one-time host key, so that the first connection already knows its host.

use super::errors::Fault;
use crate::{infra::operator_key::new_key, text::Secret};
use base64::{Engine, prelude::BASE64_STANDARD};

/// What an instance is launched with.
pub struct UserData {
    /// Base64, as RunInstances takes it. It holds a private key.
    pub encoded: Secret<String>,
    /// The public half, for the tag.
    pub host_key: String,
}

/// Makes a host key and the `#cloud-config` that installs exactly that one (cloud-init, module ssh: with `ssh_keys` no others
/// are generated, and `ssh_deletekeys` removes the image's). It is replaced on first contact, because user data can be read by anybody on the machine.
pub fn user_data(hostname: &str) -> Result<UserData, Fault> {
    let failed = |e: String| Fault::found("RunInstances", format!("the host key cannot be made: {e}"));
    let (private, public) = new_key().map_err(failed)?;
    let indented = private.lines().map(|l| format!("    {l}")).collect::<Vec<_>>().join("\n");
    let text = format!(
        "#cloud-config\nhostname: {hostname}\npreserve_hostname: false\nssh_deletekeys: true\n\
         ssh_keys:\n  ed25519_private: |\n{indented}\n  ed25519_public: {public} {hostname}\n"
    );
    Ok(UserData { encoded: Secret::new(BASE64_STANDARD.encode(text)), host_key: public })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_key_is_the_one_that_is_installed() {
        let data = user_data("worker-1").unwrap();
        let text = String::from_utf8(BASE64_STANDARD.decode(data.encoded.expose()).unwrap()).unwrap();
        assert!(text.starts_with("#cloud-config\n"), "{text}");
        let pem: String = text
            .lines()
            .skip_while(|l| !l.contains("BEGIN"))
            .take_while(|l| !l.contains("ed25519_public"))
            .map(|l| format!("{}\n", l.trim()))
            .collect();
        let key = russh::keys::PrivateKey::from_openssh(&pem).unwrap();
        assert_eq!(key.public_key().to_openssh().unwrap(), data.host_key);
        assert!(text.len() < 16 * 1024, "EC2 takes 16 KB");
    }
}
