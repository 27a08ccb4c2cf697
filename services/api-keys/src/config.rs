//! What the service needs to start.

use std::time::Duration;

use database::Location;
use sealing::EncryptionKey;

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

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_configuration_prints_no_secret() {
        let encryption_key = EncryptionKey::generate().unwrap();
        let secret = encryption_key.to_text().expose_secret().to_owned();
        let config = Config {
            location: "postgres://rollcall:s3cret@127.0.0.1/rollcall".parse().unwrap(),
            encryption_key,
            migrate: Migrate::Check,
            outbound: outbound::Settings::default(),
            hash_work: HashWork::default(),
            access_token_life: AccessTokenLife::default(),
        };
        let printed = format!("{config:?}");
        for secret in [&*secret, "s3cret"] {
            assert!(!printed.contains(secret), "{printed}");
        }
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
