//! Which keys a host may show: pinned ones, or known_hosts read as OpenSSH does (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).

use super::HostKeys;
use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;
use russh::keys::{
    Algorithm, Certificate, HashAlg, PublicKey, PublicKeyOrCertificate,
    ssh_key::{certificate::CertType, public::KeyData},
};
use std::path::{Path, PathBuf};

/// The keys known for one host.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownKeys {
    keys: Vec<PublicKey>,
    authorities: Vec<PublicKey>,
    revoked: Vec<PublicKey>,
    /// Where they were looked for, for messages.
    places: String,
}

impl KnownKeys {
    /// Reads what is known about `address:port`. A missing known_hosts file knows nothing; an unreadable one is an error.
    pub(super) fn load(from: &HostKeys, address: &str, port: u16) -> Result<Self, String> {
        match from {
            HostKeys::Pinned(lines) => {
                let mut known = Self { places: "the pinned keys".to_owned(), ..Self::default() };
                for line in lines.get() {
                    let key =
                        PublicKey::from_openssh(line.trim()).map_err(|e| format!("pinned host key {line:?} is no public key: {e}"))?;
                    known.keys.push(key);
                }
                Ok(known)
            }
            HostKeys::KnownHosts(paths) => {
                let mut texts = Vec::new();
                for path in paths {
                    match std::fs::read(path) {
                        Ok(bytes) => texts.push(String::from_utf8_lossy(&bytes).into_owned()),
                        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                        Err(e) => return Err(format!("cannot read {}: {e}", path.display())),
                    }
                }
                let mut known = Self::from_known_hosts(&texts, address, port);
                known.places = paths.iter().map(PathBuf::as_path).map(Path::to_string_lossy).collect::<Vec<_>>().join(", ");
                Ok(known)
            }
        }
    }

    /// OpenSSH looks for `[host]:port` when the port is not 22, and then for the bare name.
    fn from_known_hosts(texts: &[String], address: &str, port: u16) -> Self {
        let bare = address.to_ascii_lowercase();
        if port == 22 {
            return Self::matching(texts, &bare);
        }
        let known = Self::matching(texts, &format!("[{bare}]:{port}"));
        if known.keys.is_empty() && known.authorities.is_empty() {
            let mut fallback = Self::matching(texts, &bare);
            fallback.revoked.extend(known.revoked);
            return fallback;
        }
        known
    }

    fn matching(texts: &[String], host: &str) -> Self {
        let mut known = Self::default();
        for entry in texts.iter().flat_map(|t| t.lines()).filter_map(Entry::parse) {
            if entry.matches(host) {
                match entry.marker {
                    None => known.keys.push(entry.key),
                    Some("@cert-authority") => known.authorities.push(entry.key),
                    // Any other marker but @revoked was refused by the parser.
                    Some(_) => known.revoked.push(entry.key),
                }
            }
        }
        known
    }

    /// The algorithms to offer: first those of which a key is known, so that a host with several keys shows one that
    /// can be compared (k0sctl#813). SHA-1 signatures of RSA keys are never offered.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let all: Vec<Algorithm> =
            russh::Preferred::DEFAULT.key.iter().filter(|a| !matches!(a, Algorithm::Rsa { hash: None })).cloned().collect();
        let known = |a: &Algorithm| self.keys.iter().any(|k| same_kind(&k.algorithm(), a));
        let (mut first, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(known);
        first.extend(rest);
        first
    }

    /// The algorithms for which a certificate is welcome: any, once an authority is known.
    pub(super) fn certificate_algorithms(&self) -> Vec<Algorithm> {
        if self.authorities.is_empty() { Vec::new() } else { self.algorithms() }
    }

    /// Whether `shown` proves that the host is `address`; otherwise what was shown, for the message.
    pub(super) fn check(&self, shown: &PublicKeyOrCertificate, address: &str) -> Result<(), String> {
        match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.check_key(key.key_data()),
            PublicKeyOrCertificate::Certificate(cert) => self.check_certificate(cert, address),
        }
    }

    fn check_key(&self, key: &KeyData) -> Result<(), String> {
        if self.is_revoked(key) {
            Err(format!("{} which is marked @revoked", describe(key)))
        } else if self.keys.iter().any(|k| k.key_data() == key) {
            Ok(())
        } else {
            Err(describe(key))
        }
    }

    fn check_certificate(&self, cert: &Certificate, address: &str) -> Result<(), String> {
        let authority = cert.signature_key();
        if !self.authorities.iter().any(|a| a.key_data() == authority) {
            // Signed by someone unknown: it counts as the bare key inside (OpenSSH does the same).
            return self.check_key(cert.public_key());
        }
        let shown = format!("a certificate ({}) signed by {}", cert.key_id(), describe(authority));
        if self.is_revoked(authority) || self.is_revoked(cert.public_key()) {
            return Err(format!("{shown}, which is revoked"));
        }
        if cert.cert_type() != CertType::Host {
            return Err(format!("{shown}, which is not a host certificate"));
        }
        if let Some((option, _)) = cert.critical_options().iter().next() {
            return Err(format!("{shown}, with the critical option {option}"));
        }
        cert.validate([&authority.fingerprint(HashAlg::Sha256)]).map_err(|e| format!("{shown}, not valid now: {e}"))?;
        let name = address.to_ascii_lowercase();
        let principals = cert.valid_principals();
        if principals.is_empty() || principals.iter().any(|p| glob(&p.to_ascii_lowercase(), &name)) {
            Ok(())
        } else {
            Err(format!("{shown}, which is for {}", principals.join(", ")))
        }
    }

    fn is_revoked(&self, key: &KeyData) -> bool {
        self.revoked.iter().any(|k| k.key_data() == key)
    }

    /// What would have been accepted, for the message.
    pub(super) fn expected(&self) -> String {
        let all: Vec<String> = self
            .keys
            .iter()
            .map(|k| describe(k.key_data()))
            .chain(self.authorities.iter().map(|k| format!("a certificate signed by {}", describe(k.key_data()))))
            .collect();
        if all.is_empty() { format!("no known key (looked in {})", self.places) } else { all.join(" or ") }
    }
}

fn describe(key: &KeyData) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

fn same_kind(a: &Algorithm, b: &Algorithm) -> bool {
    match (a, b) {
        (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
        _ => a == b,
    }
}

/// One line of a known_hosts file.
struct Entry<'a> {
    marker: Option<&'a str>,
    hosts: &'a str,
    key: PublicKey,
}

impl<'a> Entry<'a> {
    /// `None` for comments, and for lines that OpenSSH skips too because it cannot read them.
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let first = fields.next().filter(|f| !f.starts_with('#'))?;
        let (marker, hosts) = if first.starts_with('@') { (Some(first), fields.next()?) } else { (None, first) };
        if marker.is_some_and(|m| m != "@cert-authority" && m != "@revoked") {
            return None;
        }
        let (kind, base64) = (fields.next()?, fields.next()?);
        let key = PublicKey::from_openssh(&format!("{kind} {base64}")).ok()?;
        Some(Self { marker, hosts, key })
    }

    fn matches(&self, host: &str) -> bool {
        if let Some(hashed) = self.hosts.strip_prefix("|1|") {
            return matches_hash(hashed, host).unwrap_or(false);
        }
        let mut found = false;
        for pattern in self.hosts.split(',') {
            match pattern.strip_prefix('!') {
                // One negated match rules the line out, wherever it stands.
                Some(negated) if glob(&negated.to_ascii_lowercase(), host) => return false,
                Some(_) => {}
                None => found |= glob(&pattern.to_ascii_lowercase(), host),
            }
        }
        found
    }
}

/// `salt|hash`: HMAC-SHA1 of the name, keyed by the salt.
fn matches_hash(hashed: &str, host: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &STANDARD.decode(salt).ok()?);
    Some(hmac::verify(&key, host.as_bytes(), &STANDARD.decode(hash).ok()?).is_ok())
}

/// OpenSSH's `match_pattern`: `*` is any text, `?` one character; there are no character classes.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((after_star, from)) => {
                    retry = Some((after_star, from + 1));
                    p = after_star;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests;
