//! From a bearer to a principal.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use proto::{Channel, api_keys::v1::credential_service_client::CredentialServiceClient};
use secrecy::{ExposeSecret, SecretString};
use tokio::{task::JoinHandle, time::Instant};

use crate::{
    Budget, Error, KeyText, Principal, Proof,
    client::{self, AccessToken, ClientError},
    exchange::{Exchange, Presented, Token},
    key::{OPERATOR_PREFIX, TENANT_PREFIX},
    published_keys::PublishedKeys,
    revocations::{Revocations, Verdict},
    token,
    uses::{self, Uses},
};

/// How long a request waits for a credential to be checked before it is told to come again.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pause before an exchange is tried again that was answered with a token of a withdrawn signing key.
const WITHDRAWN_PAUSE: Duration = Duration::from_millis(100);

/// How long a request is kept that is told to come later. Whoever sends as fast as he is answered sends no more than one in this time on each of
/// his connections, and leaves the processor to others; whoever heeds the answer comes later in any case (`rules.md` R4, R14).
pub(crate) const LATER_PAUSE: Duration = Duration::from_secs(1);

/// Where a credential came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From a client, at this address where it is known: its credential must be good there.
    Client(Option<IpAddr>),
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
        Self(Arc::new(Inner { client, keys, exchange, revocations, uses, budget, tasks: [follower, teller] }))
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
            Verdict::Revoked | Verdict::Withdrawn => Err(Error::Unauthenticated),
        }
    }

    /// Who `bearer` is, when only what provisioning clients have is taken: API keys and access tokens. Every other token is foreign on the SCIM
    /// path, those of services too (`rules.md` R9).
    ///
    /// # Errors
    /// As [`Authenticator::authenticate`].
    pub async fn authenticate_client(&self, bearer: &SecretString, source: Source) -> Result<Arc<Principal>, Error> {
        let text = bearer.expose_secret();
        let presented = match text.parse() {
            Ok(key) => Presented::Key(key),
            Err(_) if token::is_access_token(text) => Presented::AccessToken(bearer.clone()),
            Err(_) => return Err(Error::Unauthenticated),
        };
        self.exchanged(&presented, source, Instant::now() + PATIENCE).await
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
        let request = client::Request { client_id, proof, address };
        request.send(&self.0.client, Instant::now() + PATIENCE).await
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
            Source::Client(address) => address,
            Source::Service => None,
        };
        let mut exchanged = 0;
        loop {
            let token = self.0.exchange.token(presented, address, deadline).await?;
            let refused = match self.verdict(&token, deadline).await? {
                Some(Verdict::Honoured) => return self.admitted(&token, source),
                refused => refused,
            };
            // The token has ended, by time, revocation or a withdrawn signing key. Whether the credential has too, api-keys says, at its
            // usual price.
            self.0.exchange.forget(presented, &token).await;
            exchanged += 1;
            match refused {
                _ if exchanged == 1 => {}
                // A replica of api-keys has not heard of it yet. That is nothing that the caller could mend.
                Some(Verdict::Withdrawn) => {
                    let next = Instant::now() + WITHDRAWN_PAUSE;
                    if next >= deadline {
                        return Err(Error::UNAVAILABLE);
                    }
                    tokio::time::sleep_until(next).await;
                }
                _ => return Err(Error::Unauthenticated),
            }
        }
    }

    /// The principal of a token that is honoured, if it may come from there.
    fn admitted(&self, token: &Token, source: Source) -> Result<Arc<Principal>, Error> {
        if let Source::Client(address) = source {
            if !token.networks.allow(address) {
                return Err(Error::AddressRefused);
            }
            self.0.uses.record(token.principal.credential, address);
            if !token.principal.is_operator() {
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
