//! From a bearer to a principal.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use proto::{Channel, api_keys::v1::credential_service_client::CredentialServiceClient};
use secrecy::{ExposeSecret, SecretString};
use tokio::{task::JoinHandle, time::Instant};

use crate::{
    Error, KeyText, Principal,
    exchange::{Exchange, Token},
    key::{OPERATOR_PREFIX, TENANT_PREFIX},
    published_keys::PublishedKeys,
    revocations::{Revocations, Verdict},
};

/// How long a request waits for a credential to be checked before it is told to come again.
const PATIENCE: Duration = Duration::from_secs(5);

/// Says who a bearer is. Clones are cheap and share one cache and one list of revocations; the background work ends
/// with the last of them.
#[derive(Clone, Debug)]
pub struct Authenticator(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    keys: Arc<PublishedKeys>,
    exchange: Exchange,
    revocations: Arc<Revocations>,
    follower: JoinHandle<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl Authenticator {
    /// Starts to follow the revocations of the `CredentialService` behind `credentials`. To be called within a tokio
    /// runtime.
    #[must_use]
    pub fn new(credentials: Channel) -> Self {
        let client = CredentialServiceClient::new(credentials);
        let keys = Arc::new(PublishedKeys::new(client.clone()));
        let exchange = Exchange::new(client.clone(), Arc::clone(&keys));
        let revocations = Arc::new(Revocations::new(client));
        let follower = tokio::spawn(Arc::clone(&revocations).follow());
        Self(Arc::new(Inner { keys, exchange, revocations, follower }))
    }

    /// Waits until the list of revocations was loaded once: before that, no credential is honoured.
    pub async fn ready(&self) {
        self.0.revocations.loaded().await;
    }

    /// Who `bearer` is: an API key or a token.
    ///
    /// # Errors
    /// When it is neither, or no longer, or cannot be checked within 5 s.
    pub async fn authenticate(&self, bearer: &SecretString) -> Result<Arc<Principal>, Error> {
        let text = bearer.expose_secret();
        if text.starts_with(TENANT_PREFIX) || text.starts_with(OPERATOR_PREFIX) {
            return self.authenticate_key(bearer).await;
        }
        let deadline = Instant::now() + PATIENCE;
        let verified = tokio::time::timeout_at(deadline, Token::verify(bearer, &self.0.keys)).await;
        let token = verified.map_err(|_| Error::UNAVAILABLE)??;
        match self.judge(&token, deadline).await? {
            Verdict::Honoured => Ok(token.principal),
            Verdict::Revoked => Err(Error::Unauthenticated),
        }
    }

    /// Who `bearer` is, when only API keys are taken: on the SCIM path every token is foreign (`rules.md` R9).
    ///
    /// # Errors
    /// When it is no key, or no longer, or cannot be checked within 5 s.
    pub async fn authenticate_key(&self, bearer: &SecretString) -> Result<Arc<Principal>, Error> {
        let key: KeyText = bearer.expose_secret().parse().map_err(|_| Error::Unauthenticated)?;
        let deadline = Instant::now() + PATIENCE;
        let remembered = self.0.exchange.token(&key, deadline).await?;
        if let Some(principal) = self.honoured(&remembered, deadline).await? {
            return Ok(principal);
        }
        // Its token has ended, by time, revocation or a withdrawn signing key. Whether the key has too, api-keys says,
        // at its usual price.
        self.0.exchange.forget(&key, &remembered).await;
        let renewed = self.0.exchange.token(&key, deadline).await?;
        self.honoured(&renewed, deadline).await?.ok_or(Error::Unauthenticated)
    }

    #[cfg(test)]
    pub(crate) fn follower(&self) -> tokio::task::AbortHandle {
        self.0.follower.abort_handle()
    }

    async fn honoured(&self, token: &Token, deadline: Instant) -> Result<Option<Arc<Principal>>, Error> {
        if token.expires <= SystemTime::now() {
            return Ok(None);
        }
        let verdict = self.judge(token, deadline).await?;
        Ok((verdict == Verdict::Honoured).then(|| Arc::clone(&token.principal)))
    }

    async fn judge(&self, token: &Token, deadline: Instant) -> Result<Verdict, Error> {
        self.0.revocations.judge(token.principal.key, &token.kid, deadline).await
    }
}
