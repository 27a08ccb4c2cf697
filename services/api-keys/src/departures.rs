//! Following who leaves: identity tells, and what such a person owned ends here (`rules.md` R8, D9).
//!
//! Neither service waits for the other to be ready. While identity does not answer, keys of people who have left live on; it keeps what it has to
//! tell until that is acknowledged.

use std::{sync::Arc, time::Duration};

use ids::{TenantId, UserId};
use proto::{
    Channel,
    identity::v1::{
        Access, AcknowledgeDeparturesRequest, CheckAccessRequest, Departure as ProtoDeparture, Subject,
        WatchDeparturesRequest, departure_service_client::DepartureServiceClient,
    },
};
use telemetry::metrics::{Gauge, Measurement};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tonic::Status;

use crate::{
    domain::{Departure, Ending, Error, Timestamp, Who},
    store::Store,
};

/// A stream that is silent for this long is given up: a message comes every second or so.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// The pauses between attempts to open the stream.
const RECONNECT_PAUSE_MIN: Duration = Duration::from_millis(100);
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long identity may take to say who has access.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);
/// What failed and is still to be done is told again within this: identity repeats after 5 seconds what is not acknowledged.
const REPEAT_MAX: Duration = Duration::from_secs(10);
/// The pause before everything is compared again, where some of it failed.
const COMPARE_PAUSE: Duration = Duration::from_secs(60);
/// How many subjects are asked about at once.
const SUBJECTS_MAX: u64 = 500;
/// How far the clocks of two services may be apart. Who has come back within it makes keys that end with the departure before.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(60);

/// The way to identity, and what follows it; that ends with this.
#[derive(Debug)]
pub(crate) struct Departures {
    client: DepartureServiceClient<Channel>,
    task: JoinHandle<()>,
}

impl Drop for Departures {
    fn drop(&mut self) {
        self.end();
    }
}

impl Departures {
    /// Follows from now on. What is revoked is said to `revoked`.
    pub(crate) fn start(store: Store, identity: Channel, revoked: Arc<Notify>) -> Self {
        let client = DepartureServiceClient::new(identity);
        let follower = Follower {
            store,
            client: client.clone(),
            revoked,
            compare_at: Some(Instant::now()),
            failed_at: None,
            is_cut: false,
            caught_up_at: Instant::now(),
            lag: Gauge::new(
                "rollcall.departures.lag",
                "s",
                "How long ago everything was dealt with that identity tells of who left",
            ),
        };
        Self { client, task: tokio::spawn(follower.run()) }
    }

    /// Follows no more.
    pub(crate) fn end(&self) {
        self.task.abort();
    }

    /// Refuses an owner who has no access now. A key is stored before this is asked once more: so of a departure and a key that are made at once,
    /// the departure finds the key or this finds the departure.
    pub(crate) async fn check_owner(&self, tenant: TenantId, owner: UserId) -> Result<(), Error> {
        let access = check(&self.client, &[(tenant, Some(owner))]).await.map_err(|status| {
            tracing::warn!(code = ?status.code(), "identity does not say whether the owner of a new key has access");
            Error::IdentityUnavailable
        })?;
        match access.as_slice() {
            [Access::Granted] => Ok(()),
            _ => Err(Error::invalid("api_key.owner_user_id", "no user of the tenant who has access has this id")),
        }
    }
}

/// Why following was interrupted.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error("identity does not answer")]
    Identity(#[from] Box<Status>),
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<Status> for Interrupted {
    fn from(status: Status) -> Self {
        Self::Identity(Box::new(status))
    }
}

#[derive(Debug)]
struct Follower {
    store: Store,
    client: DepartureServiceClient<Channel>,
    revoked: Arc<Notify>,
    /// When everything that is here is to be compared with identity; none when that was done.
    compare_at: Option<Instant>,
    /// When a departure that was told could not be dealt with last.
    failed_at: Option<Instant>,
    /// Whether the log was told that nobody is followed.
    is_cut: bool,
    /// When everything that was told was dealt with last; the start, before that.
    caught_up_at: Instant,
    lag: Gauge,
}

impl Follower {
    async fn run(mut self) {
        let mut pause = RECONNECT_PAUSE_MIN;
        loop {
            let mut heard = false;
            let interrupted = self.follow(&mut heard).await;
            if heard {
                pause = RECONNECT_PAUSE_MIN;
            }
            match interrupted {
                // Identity ends, and another of it goes on.
                Ok(()) => {}
                Err(error) if !self.is_cut => {
                    self.is_cut = true;
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "who leaves is not followed: the keys of people who lose access, and of deleted tenants, live on until identity answers"
                    );
                }
                Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "who leaves is not followed"),
            }
            self.measure();
            sleep(pause).await;
            pause = (pause * 2).min(RECONNECT_PAUSE_MAX);
        }
    }

    /// Follows until something fails; `heard` says whether identity answered.
    async fn follow(&mut self, heard: &mut bool) -> Result<(), Interrupted> {
        let mut stream = self.client.watch_departures(WatchDeparturesRequest {}).await?.into_inner();
        loop {
            let message = timeout(SILENCE_MAX, stream.message()).await;
            let Some(message) = message.map_err(|_| Status::deadline_exceeded("silence"))?? else { return Ok(()) };
            *heard = true;
            if !message.departures.is_empty() {
                self.deal_with(message.departures).await?;
            }
            if self.compare_at.is_some_and(|at| at <= Instant::now()) {
                let is_whole = self.compare().await?;
                self.compare_at = (!is_whole).then(|| Instant::now() + COMPARE_PAUSE);
            }
            if self.compare_at.is_none() && self.failed_at.is_none_or(|at| at.elapsed() > REPEAT_MAX) {
                self.caught_up_at = Instant::now();
            }
            self.measure();
            if std::mem::take(&mut self.is_cut) {
                tracing::info!("who leaves is followed again");
            }
        }
    }

    fn measure(&self) {
        let value = self.caught_up_at.elapsed().as_secs_f64();
        self.lag.replace(vec![Measurement { value, attributes: Vec::new() }]);
    }

    /// Ends what ends with these departures, and then acknowledges them. One that fails holds up no other: it is not acknowledged, and identity tells
    /// it again.
    async fn deal_with(&mut self, departures: Vec<ProtoDeparture>) -> Result<(), Interrupted> {
        let (mut told, mut dealt_with) = (Vec::new(), Vec::new());
        for departure in departures {
            let time = departure.time.as_ref().map_or_else(Timestamp::now, timestamp);
            match subject(&departure) {
                Some((tenant, user)) => told.push((departure, (tenant, user), time)),
                None => {
                    // Of a later release: it would come again for ever.
                    tracing::error!(departure.id, "a departure cannot be read and is passed over");
                    dealt_with.push(departure);
                }
            }
        }
        let subjects: Vec<_> = told.iter().map(|(_, subject, _)| *subject).collect();
        let access = check(&self.client, &subjects).await?;
        for ((departure, (tenant, user), at), access) in told.into_iter().zip(access) {
            let who = match (user, access) {
                (None, _) => Who::Tenant,
                // The person has come back.
                (Some(user), Access::Granted) => Who::Person(user, Ending::MadeUntil(at.after(CLOCKS_APART_MAX))),
                (Some(user), Access::Lost | Access::Unknown | Access::Unspecified) => Who::Person(user, Ending::All),
            };
            if self.departs(Departure { tenant, who, at }).await? {
                dealt_with.push(departure);
            } else {
                self.failed_at = Some(Instant::now());
            }
        }
        if !dealt_with.is_empty() {
            let request = AcknowledgeDeparturesRequest { departures: dealt_with };
            self.client.acknowledge_departures(request).await?;
        }
        Ok(())
    }

    /// Whether what ends with a departure has ended. It fails where the database answers nothing at all.
    async fn departs(&self, departure: Departure) -> Result<bool, Error> {
        let Err(error) = self.depart(departure).await else { return Ok(true) };
        self.store.owners(None, 1).await?;
        tracing::warn!(
            tenant.id = %departure.tenant,
            error = &error as &dyn std::error::Error,
            "what ends with somebody who left, or with a deleted tenant, lives on until it can be ended: it is tried again"
        );
        Ok(false)
    }

    async fn depart(&self, departure: Departure) -> Result<(), Error> {
        let ended = self.store.depart(departure).await?;
        if ended.revoked > 0 {
            self.revoked.notify_one();
            tracing::info!(
                tenant.id = %departure.tenant,
                revoked = ended.revoked,
                "credentials were revoked, for their owner has left or their tenant was deleted"
            );
        }
        if ended.to_rotate > 0 {
            tracing::warn!(
                tenant.id = %departure.tenant,
                keys = ended.to_rotate,
                "the person who made these keys has left and may know them: `rollcall api-key list` shows them, `rollcall api-key rotate` makes \
                 their successors"
            );
        }
        Ok(())
    }

    /// Compares all owners and tenants here with identity: a database that was restored from a backup knows nothing of what was dealt with since. What
    /// identity does not know stays as it is, for that may be the other one's backup. It answers whether all of them could be ended.
    async fn compare(&self) -> Result<bool, Interrupted> {
        let (mut after, mut is_whole) = (None, true);
        loop {
            let owners = self.store.owners(after, SUBJECTS_MAX).await?;
            let subjects: Vec<_> = owners.iter().map(|(tenant, owner)| (*tenant, Some(*owner))).collect();
            is_whole &= self.end_those_without_access(&subjects).await?;
            match owners.last() {
                Some(last) => after = Some(*last),
                None => break,
            }
        }
        let mut after = None;
        loop {
            let tenants = self.store.tenants_with_credentials(after, SUBJECTS_MAX).await?;
            let subjects: Vec<_> = tenants.iter().map(|tenant| (*tenant, None)).collect();
            is_whole &= self.end_those_without_access(&subjects).await?;
            match tenants.last() {
                Some(last) => after = Some(*last),
                None => return Ok(is_whole),
            }
        }
    }

    async fn end_those_without_access(&self, subjects: &[(TenantId, Option<UserId>)]) -> Result<bool, Interrupted> {
        let access = check(&self.client, subjects).await?;
        let mut is_whole = true;
        for ((tenant, user), access) in subjects.iter().zip(access) {
            if access == Access::Lost {
                let who = user.map_or(Who::Tenant, |user| Who::Person(user, Ending::All));
                is_whole &= self.departs(Departure { tenant: *tenant, who, at: Timestamp::now() }).await?;
            }
        }
        Ok(is_whole)
    }
}

/// What access each of these has.
async fn check(
    client: &DepartureServiceClient<Channel>,
    subjects: &[(TenantId, Option<UserId>)],
) -> Result<Vec<Access>, Status> {
    if subjects.is_empty() {
        return Ok(Vec::new());
    }
    let wire = |(tenant, user): &(TenantId, Option<UserId>)| Subject {
        tenant_id: tenant.to_string(),
        user_id: user.map(|user| user.to_string()).unwrap_or_default(),
    };
    let request = CheckAccessRequest { subjects: subjects.iter().map(wire).collect() };
    let mut client = client.clone();
    let answer = timeout(CHECK_TIMEOUT, client.check_access(request)).await;
    let answer = answer.map_err(|_| Status::deadline_exceeded("no answer"))??.into_inner();
    if answer.access.len() != subjects.len() {
        return Err(Status::internal("as many answers as subjects are due"));
    }
    Ok(answer.access().collect())
}

fn timestamp(time: &pbjson_types::Timestamp) -> Timestamp {
    let since_epoch = Duration::new(
        u64::try_from(time.seconds).unwrap_or_default(),
        u32::try_from(time.nanos).unwrap_or_default().min(999_999_999),
    );
    Timestamp::EPOCH.after(since_epoch)
}

fn subject(departure: &ProtoDeparture) -> Option<(TenantId, Option<UserId>)> {
    let tenant = departure.tenant_id.parse().ok()?;
    let user = match departure.user_id.as_str() {
        "" => None,
        user => Some(user.parse().ok()?),
    };
    Some((tenant, user))
}
