//! Secrets at rest: AES-256-GCM under the installation's encryption key, which is kept apart from the databases.
//!
//! What is sealed is bound to its place, so that one row's secret cannot be put into another. Who seals of several kinds derives a key for each
//! ([`EncryptionKey::derive`]): what is sealed under one opens under no other.

use std::{fmt, str::FromStr};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretBox, SecretSlice, SecretString};

/// How many bytes a key has.
const KEY_LEN: usize = 32;

/// Why something is not sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It was sealed under another key or for another place, or was changed since.
    #[error("sealed under another encryption key, or for another place")]
    NotSealed,
    /// The system's cryptography failed.
    #[error("the system's cryptography failed")]
    Cryptography,
}

/// A text that is no encryption key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an encryption key is 32 random bytes in base64: make one with `openssl rand -base64 32`")]
pub struct InvalidEncryptionKey;

/// 32 random bytes. They do not print.
pub struct EncryptionKey(SecretBox<[u8; KEY_LEN]>);

impl EncryptionKey {
    /// A new random key.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn generate() -> Result<Self, Error> {
        let mut key = Box::new([0; KEY_LEN]);
        aws_lc_rs::rand::fill(key.as_mut_slice()).map_err(|_| Error::Cryptography)?;
        Ok(Self(SecretBox::new(key)))
    }

    /// The key for one purpose (HKDF-SHA256, RFC 5869): the same for the same purpose, and none tells of another.
    ///
    /// # Errors
    /// When the system's cryptography fails.
    pub fn derive(&self, purpose: &str) -> Result<Self, Error> {
        let mut key = Box::new([0; KEY_LEN]);
        let secret = Salt::new(HKDF_SHA256, &[]).extract(self.0.expose_secret());
        let purpose = [purpose.as_bytes()];
        let expanded = secret.expand(&purpose, Length).map_err(|_| Error::Cryptography)?;
        expanded.fill(key.as_mut_slice()).map_err(|_| Error::Cryptography)?;
        Ok(Self(SecretBox::new(key)))
    }

    /// The key as [`EncryptionKey::from_str`] reads it, to be written where only the services read it.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        SecretString::from(STANDARD.encode(self.0.expose_secret()))
    }

    /// The nonce, the encrypted secret and its tag, for `place` alone.
    ///
    /// # Errors
    /// When the system's cryptography fails.
    pub fn seal(&self, place: &str, secret: &[u8]) -> Result<Vec<u8>, Error> {
        let mut sealed = secret.to_vec();
        let nonce = self
            .aes()?
            .seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut sealed)
            .map_err(|_| Error::Cryptography)?;
        sealed.splice(0..0, nonce.as_ref().iter().copied());
        Ok(sealed)
    }

    /// What was sealed for `place` under this key.
    ///
    /// # Errors
    /// When it was not.
    pub fn open(&self, place: &str, mut sealed: Vec<u8>) -> Result<SecretSlice<u8>, Error> {
        let (nonce, text) = sealed.split_at_mut_checked(NONCE_LEN).ok_or(Error::NotSealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::NotSealed)?;
        let opened =
            self.aes()?.open_in_place(nonce, Aad::from(place.as_bytes()), text).map_err(|_| Error::NotSealed)?;
        Ok(SecretSlice::from(opened.to_vec()))
    }

    fn aes(&self) -> Result<RandomizedNonceKey, Error> {
        RandomizedNonceKey::new(&AES_256_GCM, self.0.expose_secret()).map_err(|_| Error::Cryptography)
    }
}

impl FromStr for EncryptionKey {
    type Err = InvalidEncryptionKey;

    /// Reads 32 bytes in standard base64. White space around it, such as a file's last line feed, is ignored.
    fn from_str(text: &str) -> Result<Self, InvalidEncryptionKey> {
        let mut key = Box::new([0; KEY_LEN]);
        let length = STANDARD.decode_slice(text.trim_ascii(), key.as_mut_slice()).map_err(|_| InvalidEncryptionKey)?;
        if length == key.len() { Ok(Self(SecretBox::new(key))) } else { Err(InvalidEncryptionKey) }
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey")
    }
}

/// How much a derivation gives.
struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        KEY_LEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_under_the_same_key_and_for_the_same_place_alone() {
        let (key, other) = (EncryptionKey::generate().unwrap(), EncryptionKey::generate().unwrap());
        let sealed = key.seal("place", b"secret").unwrap();
        assert_eq!(key.open("place", sealed.clone()).unwrap().expose_secret(), b"secret");
        assert!(!sealed.windows(6).any(|bytes| bytes == b"secret"));
        let mut changed = sealed.clone();
        changed[NONCE_LEN] ^= 1;
        for refused in [
            other.open("place", sealed.clone()),
            key.open("ecalp", sealed.clone()),
            key.open("place", changed),
            key.open("place", sealed[..NONCE_LEN].to_vec()),
            key.open("place", Vec::new()),
        ] {
            assert!(matches!(refused, Err(Error::NotSealed)));
        }
        assert_ne!(key.seal("place", b"secret").unwrap(), sealed, "nonces differ");
    }

    #[test]
    fn a_purpose_has_its_own_key_and_always_the_same() {
        let key = EncryptionKey::generate().unwrap();
        let sealed = key.derive("a").unwrap().seal("place", b"secret").unwrap();
        assert!(key.derive("a").unwrap().open("place", sealed.clone()).is_ok());
        for other in [key.derive("b").unwrap(), key] {
            assert!(matches!(other.open("place", sealed.clone()), Err(Error::NotSealed)));
        }
    }

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let key = EncryptionKey::generate().unwrap();
        let text = format!("{}\n", key.to_text().expose_secret());
        assert_eq!(text.parse::<EncryptionKey>().unwrap().to_text().expose_secret(), key.to_text().expose_secret());
        assert_ne!(EncryptionKey::generate().unwrap().to_text().expose_secret(), key.to_text().expose_secret());
        assert_eq!(format!("{key:?}"), "EncryptionKey");
    }

    #[test]
    fn only_32_bytes_are_a_key() {
        for length in [0, 16, 31, 33, 64] {
            let text = STANDARD.encode(vec![7; length]);
            assert_eq!(text.parse::<EncryptionKey>().err(), Some(InvalidEncryptionKey), "{length}");
        }
        assert_eq!("not base64!".parse::<EncryptionKey>().err(), Some(InvalidEncryptionKey));
    }
}
