//! From a bearer to a principal.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use ids::TenantId;
use proto::{Channel, api_keys::v1::credential_service_client::CredentialServiceClient};
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::Semaphore, task::JoinHandle, time::Instant};

use crate::{
    Budget, CredentialId, Error, KeyText, Principal, Proof,
    client::{self, AccessToken, ClientError},
    exchange::{Exchange, Presented, Token},
    key::{OPERATOR_PREFIX, TENANT_PREFIX},
    published_keys::PublishedKeys,
    revocations::{Revocations, Verdict},
    uses::{self, Uses},
};

/// How long a request waits for a credential to be checked before it is told to come again.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pause before an exchange is tried again that was answered with a token which is refused.
const RENEWAL_PAUSE: Duration = Duration::from_millis(100);

/// How many OAuth clients may be asking for a token.
const CLIENTS_MAX: usize = 128;

/// How long a request is kept that is told to come later. Whoever sends as fast as he is answered sends no more than one in this time on each of
/// his connections, and leaves the processor to others; whoever heeds the answer comes later in any case (`rules.md` R4, R14).
pub(crate) const LATER_PAUSE: Duration = Duration::from_secs(1);

/// Where a credential came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From a client, at this address where it is known: its credential must be good there.
    Client(Option<IpAddr>),
    /// From a client that was let in before, at this address, and is still there: as from any other, but nothing is taken from its tenant's budget.
    Standing(Option<IpAddr>),
    /// From a service that has let the client in already.
    Service,
}

/// Says who a bearer is. Clones are cheap and share one cache and one list of revocations; the background work ends
/// with the last of them.
#[derive(Clone, Debug)]
pub struct Authenticator(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: CredentialServiceClient<Channel>,
    keys: Arc<PublishedKeys>,
    exchange: Exchange,
    revocations: Arc<Revocations>,
    uses: Arc<Uses>,
    budget: Budget,
    /// Places for OAuth clients that ask for a token.
    clients: Semaphore,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Inner {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Authenticator {
    /// Starts to follow the revocations of the `CredentialService` behind `credentials`; what clients of a tenant ask is taken from `budget`.
    /// To be called within a tokio runtime.
    #[must_use]
    pub fn new(credentials: Channel, budget: Budget) -> Self {
        let client = CredentialServiceClient::new(credentials);
        let keys = Arc::new(PublishedKeys::new(client.clone()));
        let exchange = Exchange::new(client.clone(), Arc::clone(&keys));
        let revocations = Arc::new(Revocations::new(client.clone()));
        let uses = Arc::new(Uses::default());
        let follower = tokio::spawn(Arc::clone(&revocations).follow());
        let teller = tokio::spawn(tell(Arc::clone(&uses), client.clone()));
        let (clients, tasks) = (Semaphore::new(CLIENTS_MAX), [follower, teller]);
        Self(Arc::new(Inner { client, keys, exchange, revocations, uses, budget, clients, tasks }))
    }

    /// Waits until the list of revocations was loaded once: before that, no credential is honoured.
    pub async fn ready(&self) {
        self.0.revocations.loaded().await;
    }

    /// Tells api-keys which credentials were used and not told of yet: for a process that is about to end.
    pub async fn tell_uses(&self) {
        self.0.uses.tell(&mut self.0.client.clone()).await;
    }

    /// Who `bearer` is: an API key or a token of services. An OAuth client's access token opens nothing here (`rules.md` R2).
    ///
    /// # Errors
    /// When it is neither, or no longer, or not from where it comes, or cannot be checked within 5 s.
    pub async fn authenticate(&self, bearer: &SecretString, source: Source) -> Result<Arc<Principal>, Error> {
        let text = bearer.expose_secret();
        let deadline = Instant::now() + PATIENCE;
        if text.starts_with(TENANT_PREFIX) || text.starts_with(OPERATOR_PREFIX) {
            let key: KeyText = text.parse().map_err(|_| Error::Unauthenticated)?;
            return self.exchanged(&Presented::Key(key), source, deadline).await;
        }
        let verified = tokio::time::timeout_at(deadline, Token::verify(bearer, &self.0.keys)).await;
        let token = verified.map_err(|_| Error::UNAVAILABLE)??;
        match self.judge(&token, deadline).await? {
            Verdict::Honoured => self.admitted(&token, source),
            Verdict::Revoked => Err(Error::Unauthenticated),
        }
    }

    /// Who `bearer` is, when only what provisioning clients have is taken: API keys and access tokens. Every other token is foreign on the SCIM
    /// path, those of services too (`rules.md` R9).
    ///
    /// # Errors
    /// As [`Authenticator::authenticate`].
    pub async fn authenticate_client(&self, bearer: &SecretString, source: Source) -> Result<Arc<Principal>, Error> {
        let presented = Presented::by_client(bearer)?;
        self.exchanged(&presented, source, Instant::now() + PATIENCE).await
    }

    /// Who `bearer` is now, when another service has refused the token of `refused`, which [`Authenticator::authenticate_client`] answered: that
    /// service may have heard of a change that was not heard of here. Only api-keys says that the credential itself has ended.
    ///
    /// # Errors
    /// As [`Authenticator::authenticate`].
    pub async fn renew(&self, bearer: &SecretString, refused: &Arc<Principal>) -> Result<Arc<Principal>, Error> {
        let presented = Presented::by_client(bearer)?;
        self.0.exchange.forget(&presented, refused).await;
        self.exchanged(&presented, Source::Service, Instant::now() + PATIENCE).await
    }

    /// Whose `bearer` is, for a record of a client that was refused. A key's id is enough, if a key of this id was good here before: nothing is proven.
    pub async fn holder(&self, bearer: &SecretString) -> Option<(TenantId, CredentialId)> {
        self.0.exchange.holder(&Presented::by_client(bearer).ok()?).await
    }

    /// An access token for an OAuth client at `address`.
    ///
    /// # Errors
    /// When it is not what it says, or may not have one, or cannot be checked within 5 s.
    pub async fn issue_access_token(
        &self,
        client_id: &str,
        proof: &Proof,
        address: Option<IpAddr>,
    ) -> Result<AccessToken, ClientError> {
        // A flood of wrong clients holds no more than this.
        let _place = self.0.clients.try_acquire().map_err(|_| client::UNAVAILABLE)?;
        let request = client::Request { client_id, proof, address };
        let (tenant, token) = request.send(&self.0.client, Instant::now() + PATIENCE).await?;
        // Of the tenant's budget, as any other request of its clients.
        self.0.budget.take(tenant).map_err(|retry_after| ClientError::OverBudget { retry_after })?;
        Ok(token)
    }

    async fn exchanged(
        &self,
        presented: &Presented,
        source: Source,
        deadline: Instant,
    ) -> Result<Arc<Principal>, Error> {
        let outcome = self.exchanged_at_once(presented, source, deadline).await;
        if let Err(Error::OverBudget { .. } | Error::Unavailable { .. }) = outcome {
            // It holds nothing here that others wait for.
            tokio::time::sleep_until(deadline.min(Instant::now() + LATER_PAUSE)).await;
        }
        outcome
    }

    async fn exchanged_at_once(
        &self,
        presented: &Presented,
        source: Source,
        deadline: Instant,
    ) -> Result<Arc<Principal>, Error> {
        let address = match source {
            Source::Client(address) | Source::Standing(address) => address,
            Source::Service => None,
        };
        let mut is_first = true;
        loop {
            let token = self.0.exchange.token(presented, address, deadline).await?;
            if self.verdict(&token, deadline).await? == Some(Verdict::Honoured) {
                return self.admitted(&token, source);
            }
            // The token has ended, by time, revocation or a withdrawn signing key. Whether the credential has too, api-keys says, at its
            // usual price. A new token that is refused as well was signed by a replica that has not heard of it yet, or the credential
            // was changed again: nothing that the caller could mend.
            self.0.exchange.forget(presented, &token.principal).await;
            if !std::mem::take(&mut is_first) {
                let next = Instant::now() + RENEWAL_PAUSE;
                if next >= deadline {
                    return Err(Error::UNAVAILABLE);
                }
                tokio::time::sleep_until(next).await;
            }
        }
    }

    /// The principal of a token that is honoured, if it may come from there.
    fn admitted(&self, token: &Token, source: Source) -> Result<Arc<Principal>, Error> {
        if let Source::Client(address) | Source::Standing(address) = source {
            if !token.networks.allow(address) {
                return Err(Error::AddressRefused);
            }
            self.0.uses.record(token.principal.credential, address);
            if !token.principal.is_operator() && matches!(source, Source::Client(_)) {
                let over = |retry_after| Error::OverBudget { retry_after };
                self.0.budget.take(token.principal.tenant).map_err(over)?;
            }
        }
        Ok(Arc::clone(&token.principal))
    }

    #[cfg(test)]
    pub(crate) fn follower(&self) -> tokio::task::AbortHandle {
        self.0.tasks[0].abort_handle()
    }

    /// The verdict on a token; none if its time is over.
    async fn verdict(&self, token: &Token, deadline: Instant) -> Result<Option<Verdict>, Error> {
        if token.expires <= SystemTime::now() {
            return Ok(None);
        }
        self.judge(token, deadline).await.map(Some)
    }

    async fn judge(&self, token: &Token, deadline: Instant) -> Result<Verdict, Error> {
        self.0.revocations.judge((token.principal.credential, token.version), &token.kid, deadline).await
    }
}

async fn tell(uses: Arc<Uses>, mut client: CredentialServiceClient<Channel>) {
    loop {
        tokio::time::sleep(uses::INTERVAL).await;
        uses.tell(&mut client).await;
    }
}
