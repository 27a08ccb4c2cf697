//! Exchanging keys for tokens, once for each key however many requests wait.

use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use ids::{ApiKeyId, TenantId};
use moka::{Expiry, future::Cache};
use proto::{
    Channel,
    api_keys::v1::{
        ExchangeAccessTokenRequest, ExchangeApiKeyRequest, credential_service_client::CredentialServiceClient,
    },
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    CredentialId, Error, Grant, KeyText, Networks, Principal,
    key::Digester,
    published_keys::PublishedKeys,
    token::{self, Verified},
};

/// How many keys' tokens are remembered; beyond it those least used are exchanged again.
const TOKENS_MAX: u64 = 10_000;
/// The pause before an exchange is tried again at an api-keys that is busy or restarting.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// How many exchanges may be under way: of credentials that are not known here, of which a flood of wrong ones may send any number. Each holds
/// its request, and its memory, until it is answered (`rules.md` R4).
const EXCHANGES_MAX: usize = 512;

/// A credential that is exchanged for a token.
#[derive(Debug)]
pub(crate) enum Presented {
    Key(KeyText),
    /// A text with the header of an access token.
    AccessToken(SecretString),
}

impl Presented {
    /// What a provisioning client shows.
    pub(crate) fn by_client(bearer: &SecretString) -> Result<Self, Error> {
        let text = bearer.expose_secret();
        match text.parse() {
            Ok(key) => Ok(Self::Key(key)),
            Err(_) if token::is_access_token(text) => Ok(Self::AccessToken(bearer.clone())),
            Err(_) => Err(Error::Unauthenticated),
        }
    }

    fn expose(&self) -> &str {
        match self {
            Self::Key(key) => key.expose(),
            Self::AccessToken(token) => token.expose_secret(),
        }
    }
}

/// A token with what it says and who signed it.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) principal: Arc<Principal>,
    pub(crate) version: i64,
    pub(crate) networks: Networks,
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
        let Verified { grant, expires } = verified;
        let Grant { tenant, credential, version, scopes, networks, ends } = grant;
        let principal = Arc::new(Principal { tenant, credential, scopes, ends, token: text.clone() });
        Ok(Self { principal, version, networks, kid, expires })
    }
}

pub(crate) struct Exchange {
    client: CredentialServiceClient<Channel>,
    keys: Arc<PublishedKeys>,
    digester: Digester,
    tokens: Cache<[u8; 32], Arc<Token>>,
    /// Those that were right here before. They wait for no place, so that no flood of wrong ones keeps them from being renewed.
    right: Cache<[u8; 32], ()>,
    /// Whose the keys are that were right here before, by their ids.
    owners: Cache<ApiKeyId, TenantId>,
    places: Semaphore,
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
        let (right, owners, places) = (Cache::new(TOKENS_MAX), Cache::new(TOKENS_MAX), Semaphore::new(EXCHANGES_MAX));
        Self { client, keys, digester: Digester::new(), tokens, right, owners, places }
    }

    /// The token for what was presented by a client at `address`, remembered or exchanged now.
    pub(crate) async fn token(
        &self,
        presented: &Presented,
        address: Option<IpAddr>,
        deadline: tokio::time::Instant,
    ) -> Result<Arc<Token>, Error> {
        let digest = self.digester.digest(presented.expose());
        if let Some(token) = self.tokens.get(&digest).await {
            return Ok(token);
        }
        let exchange = Box::pin(async {
            let was_right = self.right.contains_key(&digest);
            let _place =
                if was_right { None } else { Some(self.places.try_acquire().map_err(|_| Error::UNAVAILABLE)?) };
            let exchanged = tokio::time::timeout_at(deadline, self.exchange(presented, address)).await;
            let exchanged = exchanged.unwrap_or(Err(Error::UNAVAILABLE));
            match &exchanged {
                Ok(token) => {
                    self.right.insert(digest, ()).await;
                    if let CredentialId::ApiKey(id) = token.principal.credential {
                        self.owners.insert(id, token.principal.tenant).await;
                    }
                }
                Err(Error::Unauthenticated) => self.right.invalidate(&digest).await,
                Err(_) => {}
            }
            exchanged.map(Arc::new)
        });
        self.tokens.try_get_with(digest, exchange).await.map_err(|error| *error)
    }

    /// Whose a credential is, as far as it is known here: by its token, or for a key by its id, which is not proven.
    pub(crate) async fn holder(&self, presented: &Presented) -> Option<(TenantId, CredentialId)> {
        if let Some(token) = self.tokens.get(&self.digester.digest(presented.expose())).await {
            return Some((token.principal.tenant, token.principal.credential));
        }
        match presented {
            Presented::Key(key) => Some((self.owners.get(&key.id()).await?, CredentialId::ApiKey(key.id()))),
            Presented::AccessToken(_) => None,
        }
    }

    /// Forgets the token of `principal`, unless a newer one has taken its place.
    pub(crate) async fn forget(&self, presented: &Presented, principal: &Arc<Principal>) {
        let digest = self.digester.digest(presented.expose());
        if self.tokens.get(&digest).await.is_some_and(|current| Arc::ptr_eq(&current.principal, principal)) {
            self.tokens.invalidate(&digest).await;
        }
    }

    async fn exchange(&self, presented: &Presented, address: Option<IpAddr>) -> Result<Token, Error> {
        loop {
            match self.ask(presented, address).await {
                Ok(token) => return self.exchanged(presented, token).await,
                Err(status) if status.code() == Code::Unauthenticated => return Err(Error::Unauthenticated),
                // Restarting. The caller's deadline ends this loop.
                Err(status) if status.code() == Code::Unavailable => tokio::time::sleep(RETRY_PAUSE).await,
                // Too much to check: who waits here would only be one more.
                Err(status) if status.code() == Code::ResourceExhausted => return Err(later(&status)),
                Err(status) => {
                    tracing::warn!(code = ?status.code(), "a credential could not be exchanged");
                    return Err(Error::UNAVAILABLE);
                }
            }
        }
    }

    async fn ask(&self, presented: &Presented, address: Option<IpAddr>) -> Result<SecretString, Status> {
        let mut client = self.client.clone();
        let token = match presented {
            Presented::Key(key) => {
                let client_address = address.map(|address| address.to_string()).unwrap_or_default();
                let request = ExchangeApiKeyRequest { key: key.expose().to_owned(), client_address };
                client.exchange_api_key(request).await?.into_inner().token
            }
            Presented::AccessToken(token) => {
                let request = ExchangeAccessTokenRequest { access_token: token.expose_secret().to_owned() };
                client.exchange_access_token(request).await?.into_inner().token
            }
        };
        Ok(SecretString::from(token))
    }

    async fn exchanged(&self, presented: &Presented, token: SecretString) -> Result<Token, Error> {
        match Token::verify(&token, &self.keys).await {
            Ok(token) if presented.may_be_of(token.principal.credential) => Ok(token),
            // The credential is good, so this is no reason to refuse it: clocks that differ, or api-keys and its published
            // keys that do.
            Ok(_) | Err(Error::Unauthenticated) => {
                tracing::error!("api-keys answered a token that does not verify; do the clocks agree?");
                Err(Error::UNAVAILABLE)
            }
            Err(error) => Err(error),
        }
    }
}

impl Presented {
    fn may_be_of(&self, credential: CredentialId) -> bool {
        match self {
            Self::Key(key) => credential == CredentialId::ApiKey(key.id()),
            Self::AccessToken(_) => true,
        }
    }
}

fn later(status: &Status) -> Error {
    match status.get_details_retry_info().and_then(|info| info.retry_delay) {
        Some(retry_after) => Error::Unavailable { retry_after },
        None => Error::UNAVAILABLE,
    }
}

/// Tokens are forgotten when they end.
struct UntilExpiry;

impl Expiry<[u8; 32], Arc<Token>> for UntilExpiry {
    fn expire_after_create(&self, _: &[u8; 32], token: &Arc<Token>, _: Instant) -> Option<Duration> {
        Some(token.expires.duration_since(SystemTime::now()).unwrap_or_default())
    }
}
