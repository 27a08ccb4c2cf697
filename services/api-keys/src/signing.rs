//! The keys that tokens are signed with: kept in the database, encrypted, shared by all replicas, and rotated while they are in use.
//!
//! A replica signs with the newest key that it has read within [`AGE_MAX`]. A key that another has taken the place of is published until
//! everything that it may have signed has ended.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V2Der},
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey};
use sealing::EncryptionKey;
use secrecy::ExposeSecret;
use tokio::{sync::Mutex, time::Instant};
use uuid::Uuid;

use crate::{
    OpenError,
    access_token::LIFE_MAX as ACCESS_LIFE_MAX,
    domain::{Caller, Error, Timestamp},
    store::{SigningKey, Store},
};

/// How long a replica signs by what it has read.
const AGE_MAX: Duration = Duration::from_secs(1);
/// How long keys sign before others take their place by themselves.
const SIGNING_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// For clocks of replicas that differ.
const MARGIN: Duration = Duration::from_secs(60);

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// What services show each other.
    Token,
    /// What OAuth clients are given.
    AccessToken,
}

impl Purpose {
    pub(crate) const ALL: [Self; 2] = [Self::Token, Self::AccessToken];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::AccessToken => "access_token",
        }
    }

    /// How long something that was signed is good.
    const fn life(self) -> Duration {
        match self {
            Self::Token => authn::token::LIFE_MAX,
            Self::AccessToken => ACCESS_LIFE_MAX,
        }
    }
}

/// What signs.
pub(crate) struct Signer {
    pub(crate) kid: String,
    pub(crate) key: EncodingKey,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// The signing keys of a database, as this replica knows them.
#[derive(Debug)]
pub(crate) struct SigningKeys {
    store: Store,
    encryption_key: EncryptionKey,
    known: RwLock<Arc<Known>>,
    /// Held while they are read.
    reading: Mutex<()>,
}

/// What was read at one time.
#[derive(Debug)]
pub(crate) struct Known {
    read_at: Instant,
    signers: HashMap<Purpose, Signer>,
    /// By their kid, the keys of access tokens.
    access: HashMap<String, DecodingKey>,
}

impl Known {
    /// What signs for a purpose.
    pub(crate) fn signer(&self, purpose: Purpose) -> Result<&Signer, Error> {
        self.signers.get(&purpose).ok_or_else(|| {
            tracing::error!(purpose = purpose.as_str(), "there is no key to sign with");
            Error::Internal
        })
    }

    /// What verifies access tokens of `kid`, if such may still be alive.
    pub(crate) fn access_key(&self, kid: &str) -> Option<&DecodingKey> {
        self.access.get(kid)
    }
}

impl SigningKeys {
    /// The keys of this database; those of an empty one are made. Replicas that start at once end up with the same.
    pub(crate) async fn open(store: Store, encryption_key: EncryptionKey) -> Result<Self, OpenError> {
        let keys = loop {
            let keys = store.signing_keys().await.map_err(|error| unusable(&error))?;
            let is_missing = |purpose: &Purpose| !keys.iter().any(|key| key.purpose == purpose.as_str());
            let Some(missing) = Purpose::ALL.into_iter().find(is_missing) else { break keys };
            // Another replica may be faster: then its key is the one that is found the next time.
            let first = generate(&encryption_key, missing, next_generation(&keys), Timestamp::now())?;
            store.insert_signing_key(first).await.map_err(|error| unusable(&error))?;
        };
        let known = known(&encryption_key, keys, Instant::now())?;
        Ok(Self { store, encryption_key, known: RwLock::new(Arc::new(known)), reading: Mutex::default() })
    }

    /// The keys, as they were read at most [`AGE_MAX`] ago.
    pub(crate) async fn current(&self) -> Result<Arc<Known>, Error> {
        let known = self.known();
        if known.read_at.elapsed() <= AGE_MAX { Ok(known) } else { self.read(Some(known.read_at)).await }
    }

    /// The keys, as they are from now on.
    pub(crate) async fn read_now(&self) -> Result<Arc<Known>, Error> {
        self.read(Some(Instant::now())).await
    }

    /// The keys, with what verifies access tokens of `kid` if there is such a one: another replica may have made it a moment ago.
    pub(crate) async fn with_access_key(&self, kid: &str) -> Result<Arc<Known>, Error> {
        let known = self.current().await?;
        if known.access_key(kid).is_some() { Ok(known) } else { self.read(Some(known.read_at)).await }
    }

    /// Signs with new keys from now on. With `withdraw` the old ones are dead, else they are published as long as needed.
    pub(crate) async fn rotate(&self, caller: &Caller, withdraw: bool) -> Result<(), Error> {
        // Their generations are given to them in the transaction.
        let keys = Purpose::ALL.map(|purpose| {
            generate(&self.encryption_key, purpose, 0, Timestamp::now()).map_err(|error| failed(&error))
        });
        let keys = keys.into_iter().collect::<Result<_, _>>()?;
        self.store.rotate_signing_keys(caller, keys, withdraw).await?;
        self.read(None).await.map(drop)
    }

    /// Rotates what has signed for long enough, and withdraws what nothing living was signed with. Every replica may do it at any time.
    pub(crate) async fn maintain(&self, now: Timestamp) -> Result<(), Error> {
        let stored = self.store.signing_keys().await?;
        for purpose in Purpose::ALL {
            let mut newer: Option<Timestamp> = None;
            for key in stored.iter().filter(|key| key.purpose == purpose.as_str()) {
                match newer {
                    None if key.created_at.after(SIGNING_LIFE) <= now => {
                        let generation = next_generation(&stored) + i64::from(purpose == Purpose::AccessToken);
                        let next =
                            generate(&self.encryption_key, purpose, generation, now).map_err(|error| failed(&error))?;
                        self.store.rotate_by_age(&Caller::itself("rotate_signing_keys"), next).await?;
                    }
                    Some(replaced_at) if replaced_at.after(purpose.life() + AGE_MAX + MARGIN) <= now => {
                        self.store.retire_signing_key(&key.kid, now).await?;
                    }
                    None | Some(_) => {}
                }
                newer = Some(key.created_at);
            }
        }
        Ok(())
    }

    /// Reads the keys, unless somebody did since `before`.
    async fn read(&self, before: Option<Instant>) -> Result<Arc<Known>, Error> {
        let _turn = self.reading.lock().await;
        let newer = self.known();
        if before.is_some_and(|before| newer.read_at > before) {
            return Ok(newer);
        }
        let began = Instant::now();
        let keys = self.store.signing_keys().await?;
        let read = Arc::new(known(&self.encryption_key, keys, began).map_err(|error| failed(&error))?);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&read);
        Ok(read)
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The generation after those of `keys`, which are newest first.
fn next_generation(keys: &[SigningKey]) -> i64 {
    keys.first().map_or(1, |key| key.generation + 1)
}

/// What keys that were read from `read_at` on are good for.
fn known(encryption_key: &EncryptionKey, keys: Vec<SigningKey>, read_at: Instant) -> Result<Known, OpenError> {
    let (mut signers, mut access) = (HashMap::new(), HashMap::new());
    // Newest first.
    for key in keys {
        let Some(purpose) = Purpose::ALL.into_iter().find(|purpose| purpose.as_str() == key.purpose) else { continue };
        if purpose == Purpose::AccessToken {
            let x = URL_SAFE_NO_PAD.encode(&key.public_key);
            let public = DecodingKey::from_ed_components(&x).map_err(|_| OpenError::Cryptography)?;
            access.insert(key.kid.clone(), public);
        }
        if let std::collections::hash_map::Entry::Vacant(signer) = signers.entry(purpose) {
            let private_key = encryption_key.open(&key.kid, key.sealed_private_key)?;
            let private_key = EncodingKey::from_ed_der(private_key.expose_secret());
            signer.insert(Signer { kid: key.kid, key: private_key });
        }
    }
    Ok(Known { read_at, signers, access })
}

fn generate(
    encryption_key: &EncryptionKey,
    purpose: Purpose,
    generation: i64,
    now: Timestamp,
) -> Result<SigningKey, OpenError> {
    let pair = Ed25519KeyPair::generate().map_err(|_| OpenError::Cryptography)?;
    let private_key = AsDer::<Pkcs8V2Der<'_>>::as_der(&pair).map_err(|_| OpenError::Cryptography)?;
    let kid = Uuid::now_v7().to_string();
    let sealed_private_key = encryption_key.seal(&kid, private_key.as_ref())?;
    Ok(SigningKey {
        kid,
        generation,
        purpose: purpose.as_str().to_owned(),
        public_key: pair.public_key().as_ref().to_vec(),
        sealed_private_key,
        created_at: now,
    })
}

fn unusable(error: &Error) -> OpenError {
    OpenError::Database(Box::new(error.clone()))
}

fn failed(error: &OpenError) -> Error {
    tracing::error!(error = error as &dyn std::error::Error, "the signing keys cannot be used");
    Error::Internal
}
