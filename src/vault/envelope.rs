//! The text around the ciphertext: a header line, then hexadecimal lines of 80 characters that hold three hexadecimal lines.

use super::VaultError;
use std::fmt::{self, Write};

pub(super) const HEADER: &str = "$ANSIBLE_VAULT";
const LINE: usize = 80;

pub(super) struct Envelope {
    pub(super) id: Option<String>,
    pub(super) salt: Vec<u8>,
    pub(super) mac: Vec<u8>,
    pub(super) ciphertext: Vec<u8>,
}

impl Envelope {
    pub(super) fn parse(text: &str) -> Result<Self, VaultError> {
        let mut lines = text.trim_start().lines();
        let mut header = lines.next().unwrap_or_default().trim().split(';').map(str::trim);
        if header.next() != Some(HEADER) {
            return Err(VaultError::NotEncrypted);
        }
        let version = header.next().unwrap_or_default();
        let cipher = header.next().unwrap_or_default();
        if !matches!(version, "1.1" | "1.2") || cipher != "AES256" {
            return Err(VaultError::Unsupported { version: version.to_owned(), cipher: cipher.to_owned() });
        }
        let id = header.next().filter(|id| !id.is_empty()).map(str::to_owned);
        let body: String = lines.map(str::trim).collect();
        let inner = unhex(body.as_bytes())?;
        let mut parts = inner.splitn(3, |b| *b == b'\n');
        let mut part = || parts.next().ok_or(VaultError::Damaged("a part is missing")).and_then(unhex);
        Ok(Self { id, salt: part()?, mac: part()?, ciphertext: part()? })
    }
}

/// Ends with a newline.
impl fmt::Display for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => writeln!(f, "{HEADER};1.2;AES256;{id}")?,
            None => writeln!(f, "{HEADER};1.1;AES256")?,
        }
        let inner = [hex(&self.salt), hex(&self.mac), hex(&self.ciphertext)].join("\n");
        let mut rest = hex(inner.as_bytes());
        while !rest.is_empty() {
            let tail = rest.split_off(rest.len().min(LINE));
            writeln!(f, "{rest}")?;
            rest = tail;
        }
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{b:02x}");
        out
    })
}

fn unhex(text: &[u8]) -> Result<Vec<u8>, VaultError> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pair = |p: &[u8]| match p {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.chunks(2).map(pair).collect::<Option<_>>().ok_or(VaultError::Damaged("a character is not hexadecimal"))
}
