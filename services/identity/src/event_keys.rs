//! What security event tokens are signed with (ES256): keys of identity's own, which sign nothing else (rule R11), sealed in its database, and published.

use std::sync::Arc;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::{
    domain::{Error, Timestamp},
    event_secrets::EventSecrets,
    store::{EventSigningKey, Store},
};

/// How many bytes a coordinate of a public key has.
const COORDINATE_LEN: usize = 32;

/// The keys of a database. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct EventKeys {
    store: Store,
    secrets: EventSecrets,
    signer: Arc<OnceCell<Signer>>,
}

/// What signs.
#[derive(Debug)]
pub(crate) struct Signer {
    kid: String,
    pair: EcdsaKeyPair,
}

impl Signer {
    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    /// A signature as a JWS has it (RFC 7518 section 3.4).
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(|_| Error::Internal)?;
        Ok(signature.as_ref().to_vec())
    }
}

impl EventKeys {
    pub(crate) fn new(store: Store, secrets: EventSecrets) -> Self {
        Self { store, secrets, signer: Arc::default() }
    }

    /// What signs: the newest key. Where there is none yet one is made; of replicas that do so at once each signs by its own, and all are published.
    pub(crate) async fn signer(&self) -> Result<&Signer, Error> {
        self.signer.get_or_try_init(|| self.open()).await
    }

    /// The public keys as a JWK set (RFC 7517 section 5), newest first.
    pub(crate) async fn published(&self) -> Result<Value, Error> {
        let keys = self.store.event_signing_keys().await?;
        Ok(json!({ "keys": keys.iter().filter_map(jwk).collect::<Vec<_>>() }))
    }

    async fn open(&self) -> Result<Signer, Error> {
        let newest = self.store.event_signing_keys().await?.into_iter().next();
        let key = match newest {
            Some(key) => key,
            None => self.make().await?,
        };
        let private = self.secrets.open_key(&key.kid, key.sealed_private_key)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private.expose_secret());
        Ok(Signer { kid: key.kid, pair: pair.map_err(|_| Error::Internal)? })
    }

    async fn make(&self) -> Result<EventSigningKey, Error> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| Error::Internal)?;
        let private = pair.to_pkcs8v1().map_err(|_| Error::Internal)?;
        let kid = Uuid::new_v4().to_string();
        let sealed_private_key = self.secrets.seal_key(&kid, private.as_ref())?;
        let public_key = pair.public_key().as_ref().to_vec();
        let key = EventSigningKey { kid, public_key, sealed_private_key, created_at: Timestamp::now() };
        self.store.add_event_signing_key(key.clone()).await?;
        Ok(key)
    }
}

/// A public key (RFC 7518 section 6.2) from its uncompressed point.
fn jwk(key: &EventSigningKey) -> Option<Value> {
    let point = key.public_key.strip_prefix(&[4])?;
    let (x, y) = point.split_at_checked(COORDINATE_LEN)?;
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    Some(json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": key.kid, "x": encode(x), "y": encode(y),
    }))
}
