//! What the service needs to start.

use std::{fmt, str::FromStr, time::Duration};

use authn::key::NoRandomness;
use base64::{Engine, engine::general_purpose::STANDARD};
use database::Location;
use secrecy::{ExposeSecret, SecretBox, SecretString};

use crate::access_token;

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
    /// How much work a key's hash is. Keys that were hashed with less are hashed again when they are used.
    pub hash_work: HashWork,
    /// How long access tokens live.
    pub access_token_life: AccessTokenLife,
}

/// How much work argon2id is: at least OWASP's first choice, 19 MiB of memory and 2 passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashWork {
    memory_kib: u32,
    passes: u32,
}

/// Too little work, or more than a server can do for each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("argon2id takes 19456 to 1048576 KiB of memory and 2 to 64 passes here")]
pub struct InvalidHashWork;

impl HashWork {
    const MEMORY_KIB_MIN: u32 = 19 * 1024;
    const MEMORY_KIB_MAX: u32 = 1024 * 1024;
    const PASSES_MIN: u32 = 2;
    const PASSES_MAX: u32 = 64;

    /// So much memory, in KiB, and so many passes over it.
    ///
    /// # Errors
    /// When it is too little or too much.
    pub fn new(memory_kib: u32, passes: u32) -> Result<Self, InvalidHashWork> {
        let allowed = (Self::MEMORY_KIB_MIN..=Self::MEMORY_KIB_MAX).contains(&memory_kib)
            && (Self::PASSES_MIN..=Self::PASSES_MAX).contains(&passes);
        allowed.then_some(Self { memory_kib, passes }).ok_or(InvalidHashWork)
    }

    pub(crate) const fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    pub(crate) const fn passes(self) -> u32 {
        self.passes
    }
}

impl Default for HashWork {
    fn default() -> Self {
        Self { memory_kib: Self::MEMORY_KIB_MIN, passes: Self::PASSES_MIN }
    }
}

/// How long access tokens live: 1 to 6 hours, as Entra asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessTokenLife(Duration);

/// A life that is too short or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("access tokens live for 1 to 6 hours")]
pub struct InvalidAccessTokenLife;

impl AccessTokenLife {
    pub(crate) const fn duration(self) -> Duration {
        self.0
    }
}

impl Default for AccessTokenLife {
    fn default() -> Self {
        Self(access_token::LIFE_MIN)
    }
}

impl TryFrom<Duration> for AccessTokenLife {
    type Error = InvalidAccessTokenLife;

    fn try_from(life: Duration) -> Result<Self, InvalidAccessTokenLife> {
        let allowed = (access_token::LIFE_MIN..=access_token::LIFE_MAX).contains(&life);
        allowed.then_some(Self(life)).ok_or(InvalidAccessTokenLife)
    }
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
    fn a_configuration_prints_no_secret() {
        let encryption_key = EncryptionKey::generate().unwrap();
        let secrets = [encryption_key.to_text().expose_secret().to_owned(), format!("{:?}", encryption_key.bytes())];
        let config = Config {
            location: "postgres://rollcall:s3cret@127.0.0.1/rollcall".parse().unwrap(),
            encryption_key,
            migrate: Migrate::Check,
            outbound: outbound::Settings::default(),
            hash_work: HashWork::default(),
            access_token_life: AccessTokenLife::default(),
        };
        let printed = format!("{config:?}");
        for secret in [&secrets[..], &["s3cret".to_owned()]].concat() {
            assert!(!printed.contains(&secret), "{printed}");
        }
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

    #[test]
    fn access_tokens_live_1_to_6_hours() {
        let life = |minutes: u64| AccessTokenLife::try_from(Duration::from_secs(60 * minutes));
        assert!(life(60).is_ok() && life(360).is_ok());
        assert_eq!([life(59), life(361)], [Err(InvalidAccessTokenLife); 2]);
    }

    #[test]
    fn hashing_is_never_less_work_than_owasp_asks_for() {
        assert_eq!(HashWork::new(19_456, 2), Ok(HashWork::default()));
        assert!(HashWork::new(1_048_576, 64).is_ok());
        for (memory_kib, passes) in [(19_455, 2), (19_456, 1), (1_048_577, 2), (19_456, 65)] {
            assert_eq!(HashWork::new(memory_kib, passes), Err(InvalidHashWork));
        }
    }
}
