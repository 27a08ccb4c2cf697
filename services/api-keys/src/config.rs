//! What the service needs to start.

use std::{fmt, str::FromStr};

use authn::key::NoRandomness;
use base64::{Engine, engine::general_purpose::STANDARD};
use database::Location;
use secrecy::{ExposeSecret, SecretBox, SecretString};

/// What the service needs to start.
#[derive(Debug)]
pub struct Config {
    /// Where the database is.
    pub location: Location,
    /// The key that signing keys are encrypted under. Every replica has the same.
    pub encryption_key: EncryptionKey,
    /// What to do about the schema.
    pub migrate: Migrate,
    /// Whom this service may call beyond the public network, for the keys of trusted issuers.
    pub outbound: outbound::Settings,
}

/// What to do about the schema at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrate {
    /// Bring it up to date.
    Run,
    /// Refuse to start on an old one.
    Check,
}

/// 32 random bytes. They do not print.
pub struct EncryptionKey(SecretBox<[u8; 32]>);

/// A text that is no encryption key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an encryption key is 32 random bytes in base64: make one with `openssl rand -base64 32`")]
pub struct InvalidEncryptionKey;

impl EncryptionKey {
    /// A new random key.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(NoRandomness::from)?;
        Ok(Self(SecretBox::new(Box::new(key))))
    }

    /// The key as [`EncryptionKey::from_str`] reads it, to be written where only the service reads it.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        SecretString::from(STANDARD.encode(self.bytes()))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }
}

impl FromStr for EncryptionKey {
    type Err = InvalidEncryptionKey;

    /// Reads 32 bytes in standard base64. White space around it, such as a file's last line feed, is ignored.
    fn from_str(text: &str) -> Result<Self, InvalidEncryptionKey> {
        let mut key = Box::new([0; 32]);
        let length = STANDARD.decode_slice(text.trim_ascii(), key.as_mut_slice()).map_err(|_| InvalidEncryptionKey)?;
        if length == key.len() { Ok(Self(SecretBox::new(key))) } else { Err(InvalidEncryptionKey) }
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let key = EncryptionKey::generate().unwrap();
        let text = format!("{}\n", key.to_text().expose_secret());
        assert_eq!(text.parse::<EncryptionKey>().unwrap().bytes(), key.bytes());
        assert_ne!(EncryptionKey::generate().unwrap().bytes(), key.bytes());
        assert_eq!(format!("{key:?}"), "EncryptionKey");
    }

    #[test]
    fn only_32_bytes_are_a_key() {
        for length in [0, 16, 31, 33, 64] {
            assert_eq!(
                STANDARD.encode(vec![7; length]).parse::<EncryptionKey>().err(),
                Some(InvalidEncryptionKey),
                "{length}"
            );
        }
        assert_eq!("not base64!".parse::<EncryptionKey>().err(), Some(InvalidEncryptionKey));
    }
}
