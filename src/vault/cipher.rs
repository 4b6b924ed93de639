//! AES-256-CTR with HMAC-SHA256, keys by PBKDF2-HMAC-SHA256 with 10000 rounds (ansible: parsing/vault/__init__.py, VaultAES256).

use super::VaultError;
use crate::text::Secret;
use aes::Aes256;
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const ROUNDS: u32 = 10_000;
const BLOCK: usize = 16;

/// Cipher key, authentication key and initial counter of one password and salt.
pub(super) struct Keys([u8; 80]);

impl Keys {
    pub(super) fn derive(password: &Secret<String>, salt: &[u8]) -> Self {
        let mut out = [0; 80];
        pbkdf2::pbkdf2_hmac::<Sha256>(password.expose().as_bytes(), salt, ROUNDS, &mut out);
        Self(out)
    }

    fn cipher(&self) -> Option<Ctr128BE<Aes256>> {
        Ctr128BE::<Aes256>::new_from_slices(&self.0[..32], &self.0[64..]).ok()
    }

    fn mac(&self) -> Option<Hmac<Sha256>> {
        Hmac::<Sha256>::new_from_slice(&self.0[32..64]).ok()
    }

    /// The plain text; `None`: another password sealed it.
    pub(super) fn open(&self, ciphertext: &[u8], mac: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        let (Some(mut cipher), Some(mut own)) = (self.cipher(), self.mac()) else { return Ok(None) };
        own.update(ciphertext);
        // Constant time.
        if own.verify_slice(mac).is_err() {
            return Ok(None);
        }
        let mut plain = ciphertext.to_vec();
        cipher.apply_keystream(&mut plain);
        // PKCS#7, although a stream cipher needs no padding: Ansible puts it there.
        let padding = plain.last().copied().map_or(0, usize::from);
        let end = plain.len().checked_sub(padding).filter(|_| (1..=BLOCK).contains(&padding));
        let end = end.filter(|end| plain[*end..].iter().all(|b| usize::from(*b) == padding));
        plain.truncate(end.ok_or(VaultError::Damaged("its padding is wrong"))?);
        Ok(Some(plain))
    }

    /// Ciphertext and its authentication code.
    pub(super) fn seal(&self, plain: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let padding = BLOCK - plain.len() % BLOCK;
        let mut text = plain.to_vec();
        text.resize(plain.len() + padding, u8::try_from(padding).unwrap_or(0));
        if let Some(mut cipher) = self.cipher() {
            cipher.apply_keystream(&mut text);
        }
        let mac = self.mac().map(|mut mac| {
            mac.update(&text);
            mac.finalize().into_bytes().to_vec()
        });
        (text, mac.unwrap_or_default())
    }
}
