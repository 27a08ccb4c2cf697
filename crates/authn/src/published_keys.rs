//! The public keys that tokens are signed with, fetched from api-keys and remembered.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use jsonwebtoken::DecodingKey;
use proto::{
    Channel,
    api_keys::v1::{GetJwksRequest, Jwk, credential_service_client::CredentialServiceClient},
};
use tokio::{sync::Mutex, time::Instant};
use tonic::Code;

use crate::Error;

/// How long a key is believed without being fetched again. It is less than a withdrawn key's entry stays in the list of revocations: once that is
/// forgotten, nobody has the key any more.
const AGE_MAX: Duration = Duration::from_secs(240);
/// Keys are fetched no more often than this, however many tokens name one that is not known.
const FETCH_INTERVAL: Duration = Duration::from_secs(1);
/// The pause before a fetch is tried again at an api-keys that is restarting.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// Keys beyond this many are not taken.
const KEYS_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct PublishedKeys {
    client: CredentialServiceClient<Channel>,
    keys: RwLock<Known>,
    /// When the last fetch that succeeded began. The lock also makes fetches one at a time.
    fetched: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<String, DecodingKey>,
    /// When their fetch began.
    at: Option<Instant>,
}

impl PublishedKeys {
    pub(crate) fn new(client: CredentialServiceClient<Channel>) -> Self {
        Self { client, keys: RwLock::default(), fetched: Mutex::default() }
    }

    /// The key `kid`, which is fetched if it is not known yet.
    pub(crate) async fn get(&self, kid: &str) -> Result<DecodingKey, Error> {
        let arrived = Instant::now();
        if let Some(key) = self.known(kid) {
            return Ok(key);
        }
        let mut fetched = self.fetched.lock().await;
        loop {
            if let Some(key) = self.known(kid) {
                return Ok(key);
            }
            match *fetched {
                // Fetched since this token was shown, and still there is no such key.
                Some(began) if began > arrived => return Err(Error::Unauthenticated),
                // A key made a moment ago must not be refused because somebody else asked for a senseless one: wait,
                // then look again.
                Some(began) => tokio::time::sleep_until(began + FETCH_INTERVAL).await,
                None => (),
            }
            let began = Instant::now();
            self.fetch(began).await?;
            *fetched = Some(began);
        }
    }

    /// Tries as long as api-keys is not to be had; the caller's deadline ends it.
    async fn fetch(&self, began: Instant) -> Result<(), Error> {
        let mut client = self.client.clone();
        let jwks = loop {
            match client.get_jwks(GetJwksRequest {}).await {
                Ok(jwks) => break jwks,
                Err(status) if status.code() == Code::Unavailable => tokio::time::sleep(RETRY_PAUSE).await,
                Err(status) => {
                    tracing::warn!(code = ?status.code(), "the published signing keys could not be fetched");
                    return Err(Error::UNAVAILABLE);
                }
            }
        };
        let keys = jwks.into_inner().keys.into_iter().take(KEYS_MAX).filter_map(decoding_key).collect();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Known { keys, at: Some(began) };
        Ok(())
    }

    fn known(&self, kid: &str) -> Option<DecodingKey> {
        let known = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let is_young = known.at.is_some_and(|at| at.elapsed() <= AGE_MAX);
        known.keys.get(kid).filter(|_| is_young).cloned()
    }
}

fn decoding_key(jwk: Jwk) -> Option<(String, DecodingKey)> {
    let usable = jwk.kty == "OKP" && jwk.crv == "Ed25519" && jwk.alg == "EdDSA";
    let key = DecodingKey::from_ed_components(&jwk.x).ok().filter(|_| usable)?;
    Some((jwk.kid, key))
}
