//! Sends to one endpoint what waits for it.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use ids::{EventEndpointId, TenantId};
use outbound::{Post, StatusCode};
use secrecy::SecretSlice;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use uuid::Uuid;

use crate::{
    Senders,
    delivery::{Message, push, set, webhook},
    domain::{Change, DeliveryFailure, EndpointKind, Error, Receipt, Timestamp},
    store::{BATCH, LEASE, Leased, Sent, Store, Work},
};

/// How long one delivery may take: what Standard Webhooks recommends at least.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(15);
/// How many deliveries of a tenant are under way in this process, to however many endpoints.
const TENANT_DELIVERIES_MAX: usize = 8;
/// How many deliveries are.
const DELIVERIES_MAX: usize = 64;
/// How long a batch may take, with the wait for turns. What is not sent by then is sent later: the lease must not end before it is written down what was.
const BATCH_TIMEOUT: Duration = Duration::from_secs(60);
/// After how many batches an endpoint makes room for others.
const BATCHES_MAX: usize = 20;

const _: () = assert!(BATCH_TIMEOUT.as_secs() + 10 <= LEASE.as_secs());
const _: () = assert!(DELIVERY_TIMEOUT.as_secs() * (BATCH / TENANT_DELIVERIES_MAX as u64) < BATCH_TIMEOUT.as_secs());

/// Says what time it is: tests move it.
pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Sends events. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Courier {
    store: Store,
    senders: Senders,
    clock: Clock,
    /// Who it is among the processes that send.
    holder: Uuid,
    deliveries: Arc<Semaphore>,
    of_tenants: Arc<Mutex<HashMap<TenantId, Weak<Semaphore>>>>,
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier").field("holder", &self.holder).finish_non_exhaustive()
    }
}

impl Courier {
    pub(crate) fn new(store: Store, senders: Senders, clock: Clock) -> Self {
        let (holder, deliveries) = (Uuid::new_v4(), Arc::new(Semaphore::new(DELIVERIES_MAX)));
        Self { store, senders, clock, holder, deliveries, of_tenants: Arc::default() }
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Sends what waits for an endpoint, unless another process does.
    pub(crate) async fn serve(&self, tenant: TenantId, id: EventEndpointId) -> Result<(), Error> {
        let mut leased = self.store.lease_event_endpoint((tenant, id), self.holder, self.now()).await?;
        for _ in 0..BATCHES_MAX {
            let Some(endpoint) = leased else { return Ok(()) };
            let Some(mut work) = self.store.event_work(&endpoint, self.now()).await? else { return Ok(()) };
            let sent = if work.is_empty() { Vec::new() } else { self.send(&endpoint, &mut work).await? };
            // An endpoint that is down makes room for others after each try.
            work.is_part &= sent.iter().any(|sent| sent.receipt == Receipt::Taken) || sent.is_empty();
            leased = self.store.record_sent(&endpoint, (&work, sent), self.now()).await?;
        }
        if let Some(endpoint) = leased {
            self.store.release_event_endpoint(&endpoint, self.now()).await?;
        }
        Ok(())
    }

    /// What became of the events of a batch. Those that there was no time for are taken out of it.
    async fn send(&self, endpoint: &Leased, work: &mut Work) -> Result<Vec<Sent>, Error> {
        let (sent, failed) = self.send_in_time(endpoint, work).await?;
        match failed {
            None => Ok(sent),
            Some(error) if sent.is_empty() && error != Error::Ending => Err(error),
            Some(_) => {
                tracing::warn!(event_endpoint.id = %endpoint.id, "some events could not be sent in time, and are sent later");
                Ok(work.cut(sent))
            }
        }
    }

    /// What was sent within the time of a batch, and why that is not all; [`Error::Ending`] where the time was over.
    async fn send_in_time(&self, endpoint: &Leased, work: &Work) -> Result<(Vec<Sent>, Option<Error>), Error> {
        let place = (endpoint.tenant, endpoint.id);
        let sealed = [Some(&endpoint.sealed_secret), endpoint.sealed_previous_secret.as_ref()];
        let secrets: Vec<SecretSlice<u8>> = sealed
            .into_iter()
            .flatten()
            .map(|sealed| self.senders.secrets.open(place, sealed.clone()))
            .collect::<Result<_, _>>()?;
        let tenant = self.of_tenant(endpoint.tenant);
        let due = work.due.iter().map(|due| (&due.change, due.attempts));
        let events = due.chain(work.new.iter().map(|change| (change, 0)));
        let deliveries: Vec<BoxFuture<'_, _>> =
            events.map(|event| self.attempt(endpoint, event, (&secrets, &tenant)).boxed()).collect();
        let mut running = stream::iter(deliveries).buffer_unordered(TENANT_DELIVERIES_MAX);
        let (deadline, mut all, mut failed) = (Instant::now() + BATCH_TIMEOUT, Vec::new(), None);
        loop {
            match timeout_at(deadline, running.next()).await {
                Ok(Some(Ok(sent))) => all.push(sent),
                Ok(Some(Err(error))) => failed = Some(error),
                Ok(None) => return Ok((all, failed)),
                Err(_) => return Ok((all, failed.or(Some(Error::Ending)))),
            }
        }
    }

    async fn attempt(
        &self,
        endpoint: &Leased,
        (change, attempts): (&Change, i32),
        (secrets, tenant): (&[SecretSlice<u8>], &Semaphore),
    ) -> Result<Sent, Error> {
        // They are closed by nobody.
        let _turns = (tenant.acquire().await, self.deliveries.acquire().await);
        let receipt = self.deliver(endpoint, change, secrets).await?;
        let attempts = attempts.saturating_add(1);
        let next_attempt = match &receipt {
            Receipt::Taken => None,
            Receipt::Gone => Some(self.now()),
            Receipt::Failed(failure) => failure.next_attempt(attempts, rand::random(), self.now()),
        };
        Ok(Sent { position: change.position.number, attempts, receipt, next_attempt })
    }

    async fn deliver(&self, endpoint: &Leased, change: &Change, secrets: &[SecretSlice<u8>]) -> Result<Receipt, Error> {
        let (message, answer_bytes_max) = match endpoint.kind {
            EndpointKind::Webhook => (webhook::message(endpoint.tenant.uuid(), change, secrets, self.now())?, 0),
            EndpointKind::SetPush => match self.token(endpoint, change, secrets).await? {
                Some(message) => (message, push::ANSWER_BYTES_MAX),
                // By now it is nothing any more.
                None => return Ok(Receipt::Taken),
            },
            // Nobody looks for work for these.
            EndpointKind::SetPoll => return Err(Error::Internal),
        };
        let post = Post {
            url: endpoint.url.as_str(),
            headers: &message.headers,
            body: message.body.into(),
            timeout: DELIVERY_TIMEOUT,
            answer_bytes_max,
        };
        Ok(match self.senders.client.post(post).await {
            Ok(answer) if answer.status.is_success() => Receipt::Taken,
            Ok(answer) if answer.status == StatusCode::GONE => Receipt::Gone,
            Ok(answer) => {
                let what = match push::error(&answer.body).filter(|_| answer.status == StatusCode::BAD_REQUEST) {
                    Some(error) => format!("status 400 {error}"),
                    None => format!("status {}", answer.status.as_u16()),
                };
                Receipt::Failed(DeliveryFailure::new(&what, answer.retry_after))
            }
            Err(error) => Receipt::Failed(DeliveryFailure::new(&error.to_string(), None)),
        })
    }

    async fn token(
        &self,
        endpoint: &Leased,
        change: &Change,
        secrets: &[SecretSlice<u8>],
    ) -> Result<Option<Message>, Error> {
        let signer = self.senders.keys.signer().await?;
        let token = set::token(endpoint.tenant, change, (&endpoint.audience, endpoint.profile), signer)?;
        token.map(|token| push::message(token, secrets.first())).transpose()
    }

    /// The turns of a tenant, for as long as somebody has them.
    fn of_tenant(&self, tenant: TenantId) -> Arc<Semaphore> {
        let mut all = self.of_tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = all.get(&tenant).and_then(Weak::upgrade) {
            return turns;
        }
        all.retain(|_, turns| turns.strong_count() > 0);
        let turns = Arc::new(Semaphore::new(TENANT_DELIVERIES_MAX));
        all.insert(tenant, Arc::downgrade(&turns));
        turns
    }
}
