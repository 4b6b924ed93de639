//! To whom snapshots are encrypted: public keys in age's own form or OpenSSH's.

/// A recipient that `age` (age-encryption.org) can encrypt to; `None`: this is no public key that it knows.
pub fn recipient(text: &str) -> Option<Box<dyn age::Recipient + Send + Sync>> {
    let text = text.trim();
    if let Ok(key) = text.parse::<age::x25519::Recipient>() {
        return Some(Box::new(key));
    }
    text.parse::<age::ssh::Recipient>().ok().map(|key| Box::new(key) as Box<dyn age::Recipient + Send + Sync>)
}

#[cfg(test)]
mod tests {
    use super::recipient;

    #[test]
    fn public_keys_are_recipients_and_private_ones_are_not() {
        let own = age::x25519::Identity::generate();
        assert!(recipient(&own.to_public().to_string()).is_some());
        assert!(recipient("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN alice@rust").is_some());
        use age::secrecy::ExposeSecret as _;
        assert!(recipient(own.to_string().expose_secret()).is_none());
        assert!(recipient("age1nonsense").is_none() && recipient("").is_none());
    }
}
