//! Exchanging keys for tokens, once for each key however many requests wait.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use moka::{Expiry, future::Cache};
use proto::{
    Channel,
    api_keys::v1::{ExchangeApiKeyRequest, credential_service_client::CredentialServiceClient},
};
use secrecy::{ExposeSecret, SecretString};
use tonic::Code;

use crate::{
    Error, KeyText, Principal,
    key::Digester,
    published_keys::PublishedKeys,
    token::{self, Verified},
};

/// How many keys' tokens are remembered; beyond it those least used are exchanged again.
const TOKENS_MAX: u64 = 10_000;
/// The pause before an exchange is tried again at an api-keys that is busy or restarting.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// A token with what it says and who signed it.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) principal: Arc<Principal>,
    pub(crate) kid: String,
    pub(crate) expires: SystemTime,
}

impl Token {
    /// Verifies `text` by the published keys.
    pub(crate) async fn verify(text: &SecretString, keys: &PublishedKeys) -> Result<Self, Error> {
        let exposed = text.expose_secret();
        let kid = token::kid(exposed).ok_or(Error::Unauthenticated)?;
        let key = keys.get(&kid).await?;
        let verified = token::verify(exposed, &key, SystemTime::now()).ok_or(Error::Unauthenticated)?;
        let Verified { tenant, key, scopes, expires } = verified;
        Ok(Self { principal: Arc::new(Principal { tenant, key, scopes, token: text.clone() }), kid, expires })
    }
}

pub(crate) struct Exchange {
    client: CredentialServiceClient<Channel>,
    keys: Arc<PublishedKeys>,
    digester: Digester,
    tokens: Cache<[u8; 32], Arc<Token>>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A cache prints what it holds.
        f.debug_struct("Exchange").finish_non_exhaustive()
    }
}

impl Exchange {
    pub(crate) fn new(client: CredentialServiceClient<Channel>, keys: Arc<PublishedKeys>) -> Self {
        let tokens = Cache::builder().max_capacity(TOKENS_MAX).expire_after(UntilExpiry).build();
        Self { client, keys, digester: Digester::new(), tokens }
    }

    /// The token for `key`, remembered or exchanged now.
    pub(crate) async fn token(&self, key: &KeyText, deadline: tokio::time::Instant) -> Result<Arc<Token>, Error> {
        let digest = self.digester.digest(key);
        let exchange = Box::pin(async {
            let exchanged = tokio::time::timeout_at(deadline, self.exchange(key)).await;
            exchanged.unwrap_or(Err(Error::UNAVAILABLE)).map(Arc::new)
        });
        self.tokens.try_get_with(digest, exchange).await.map_err(|error| *error)
    }

    /// Forgets `token`, unless a newer one has taken its place.
    pub(crate) async fn forget(&self, key: &KeyText, token: &Arc<Token>) {
        let digest = self.digester.digest(key);
        if self.tokens.get(&digest).await.is_some_and(|current| Arc::ptr_eq(&current, token)) {
            self.tokens.invalidate(&digest).await;
        }
    }

    async fn exchange(&self, key: &KeyText) -> Result<Token, Error> {
        loop {
            let mut client = self.client.clone();
            match client.exchange_api_key(ExchangeApiKeyRequest { key: key.expose().to_owned() }).await {
                Ok(answer) => return self.exchanged(key, answer.into_inner().token).await,
                Err(status) if status.code() == Code::Unauthenticated => return Err(Error::Unauthenticated),
                // Busy or restarting. The caller's deadline ends this loop.
                Err(status) if status.code() == Code::Unavailable => tokio::time::sleep(RETRY_PAUSE).await,
                Err(status) => {
                    tracing::warn!(code = ?status.code(), "a key could not be exchanged");
                    return Err(Error::UNAVAILABLE);
                }
            }
        }
    }

    async fn exchanged(&self, key: &KeyText, token: String) -> Result<Token, Error> {
        match Token::verify(&SecretString::from(token), &self.keys).await {
            Ok(token) if token.principal.key == key.id() => Ok(token),
            // The key is good, so this is no reason to refuse it: clocks that differ, or api-keys and its published
            // keys that do.
            Ok(_) | Err(Error::Unauthenticated) => {
                tracing::error!(api_key.id = %key.id(), "api-keys answered a token that does not verify; do the clocks agree?");
                Err(Error::UNAVAILABLE)
            }
            Err(error) => Err(error),
        }
    }
}

/// Tokens are forgotten when they end.
struct UntilExpiry;

impl Expiry<[u8; 32], Arc<Token>> for UntilExpiry {
    fn expire_after_create(&self, _: &[u8; 32], token: &Arc<Token>, _: Instant) -> Option<Duration> {
        Some(token.expires.duration_since(SystemTime::now()).unwrap_or_default())
    }
}
