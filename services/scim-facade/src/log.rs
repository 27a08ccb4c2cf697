//! The provisioning log, as far as the façade writes it: an entry for each request, kept in memory for a moment and sent to identity in batches, off the
//! request's path (rule D16).
//!
//! What cannot be kept is counted, and the count is an entry too: a log that lacks something says so.

mod fix;
mod notes;
mod recorder;
mod target;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use ids::TenantId;
use pbjson_types::Timestamp;
use prost::Message as _;
use proto::{
    Channel,
    identity::v1::{
        AppendProvisioningEntriesRequest, ProvisioningEntry, ProvisioningOutcome,
        provisioning_log_service_client::ProvisioningLogServiceClient,
    },
};
use telemetry::metrics::{Gauge, Measurement};
use tokio::{sync::Notify, task::JoinHandle, time::Instant};
use tonic::Code;
use uuid::Uuid;

use crate::Facade;

pub(crate) use recorder::Recorder;
pub(crate) use target::Target;

/// How long an entry waits for others.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// How many entries are sent without waiting for more, and at most at once.
const BATCH_MAX: usize = 500;
/// How large what is sent at once is, in bytes: identity takes 4 MiB.
const BATCH_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How many entries wait while identity does not take them, and how many bytes of them.
const QUEUE_MAX: usize = 10_000;
const QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Of how many tenants it is counted what was lost; what others lose is told in the process's own log alone.
const LOST_TENANTS_MAX: usize = 1_000;
/// How long identity may take for a batch.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the end of the process waits for the last entries to be taken.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How many refused sign-ins of one credential are kept a minute; anybody can send wrong secrets under a key's id, which is no secret.
const REFUSED_PER_MINUTE: u32 = 30;
const MINUTE: Duration = Duration::from_secs(60);
/// Of how many credentials refused sign-ins are kept in a minute.
const REFUSED_CREDENTIALS_MAX: usize = 10_000;

/// The log of one façade. Clones are the same one; its background work ends with the last of them.
#[derive(Clone, Debug)]
pub struct ProvisioningLog(Option<Arc<Running>>);

#[derive(Debug)]
struct Running {
    log: Arc<Log>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Log {
    client: ProvisioningLogServiceClient<Channel>,
    queue: Mutex<Queue>,
    /// Told when there is a batch.
    full: Notify,
    /// Held by who sends: batches go one after another.
    sending: tokio::sync::Mutex<()>,
    /// How often credentials were refused since a time, which is less than a minute ago.
    refused: Mutex<(Instant, HashMap<String, u32>)>,
    /// Sign-ins that were refused and of which no tenant is known, since the start.
    nobodys: AtomicU64,
    /// Entries that were lost since the start.
    lost: AtomicU64,
    gauges: [Gauge; 2],
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The queue holds what persons are called.
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Queue {
    entries: VecDeque<ProvisioningEntry>,
    bytes: usize,
    lost: BTreeMap<TenantId, i64>,
}

impl Queue {
    /// Whether there is enough for a batch that waits for no more.
    fn is_batch(&self) -> bool {
        self.entries.len() >= BATCH_MAX || self.bytes >= BATCH_BYTES_MAX
    }
}

/// When sending ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// When nothing waits.
    Empty,
    /// When what waits is no full batch. On a busy façade something always waits by the time that a batch was sent, and many small ones cost more
    /// than their requests.
    NoneIsFull,
}

/// Why a batch was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NotSent {
    /// It may be taken later.
    Later,
    /// It never will be.
    Never,
}

impl ProvisioningLog {
    /// A log that `identity` keeps. To be called within a tokio runtime.
    #[must_use]
    pub fn start(identity: Channel) -> Self {
        let gauge = |name, description| Gauge::new(name, "{entry}", description);
        let log = Arc::new(Log {
            client: ProvisioningLogServiceClient::new(identity),
            queue: Mutex::default(),
            full: Notify::new(),
            sending: tokio::sync::Mutex::default(),
            refused: Mutex::new((Instant::now(), HashMap::new())),
            nobodys: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            gauges: [
                gauge(
                    "rollcall.scim.sign_ins.refused",
                    "Refused sign-ins of which no tenant is known, since the start",
                ),
                gauge("rollcall.scim.log.lost", "Entries of the provisioning log that were lost, since the start"),
            ],
        });
        let task = tokio::spawn(Arc::clone(&log).run());
        Self(Some(Arc::new(Running { log, task })))
    }

    /// No log.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// Sends what waits, for a process that is about to end.
    pub async fn flush(&self) {
        let Some(running) = &self.0 else { return };
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        while running.log.send(Until::Empty).await == Err(NotSent::Later)
            && Instant::now() + FLUSH_INTERVAL / 5 < deadline
        {
            tokio::time::sleep(FLUSH_INTERVAL / 5).await;
        }
        let left = running.log.queue().entries.len();
        if left > 0 {
            tracing::warn!(
                entries = left,
                "identity does not take the last entries of the provisioning log: they are lost"
            );
        }
    }

    /// The recorder of a request that begins.
    fn begin(&self, target: Target) -> Recorder {
        Recorder::of(self.0.as_ref().map(|running| Arc::clone(&running.log)), target)
    }
}

/// Leaves an entry of each request: around all else, so that what is refused, falls over or loses its client has one too.
pub(crate) async fn record(State(facade): State<Facade>, mut request: Request, next: Next) -> Response {
    let recorder = facade.log().begin(Target::of(request.method(), request.uri().path()));
    if !recorder.is_on() {
        return next.run(request).await;
    }
    request.extensions_mut().insert(recorder.clone());
    let abandoned = recorder.clone().abandoned_unless_answered();
    let response = next.run(request).await;
    recorder.answered(&response);
    drop(abandoned);
    response
}

impl Log {
    async fn run(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.full.notified() => {}
                () = tokio::time::sleep(FLUSH_INTERVAL) => {}
            }
            if self.send(Until::NoneIsFull).await.is_err() {
                // Whoever does not take a batch is not asked at once again, however many come.
                tokio::time::sleep(FLUSH_INTERVAL).await;
            }
            self.measure();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn measure(&self) {
        for (gauge, figure) in self.gauges.iter().zip([&self.nobodys, &self.lost]) {
            let value = u32::try_from(figure.load(Ordering::Relaxed)).unwrap_or(u32::MAX).into();
            gauge.replace(vec![Measurement { value, attributes: Vec::new() }]);
        }
    }

    /// Counts a sign-in that was refused and of which no tenant is known.
    fn note_nobodys(&self) {
        self.nobodys.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether another refused sign-in of a credential is to be kept.
    fn keeps_refused(&self, credential: &str) -> bool {
        let (since, counts) = &mut *self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if since.elapsed() >= MINUTE {
            (*since, *counts) = (Instant::now(), HashMap::new());
        }
        if counts.len() >= REFUSED_CREDENTIALS_MAX && !counts.contains_key(credential) {
            return false;
        }
        let count = counts.entry(credential.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count <= REFUSED_PER_MINUTE
    }

    /// Keeps an entry until it is sent, if there is room.
    fn keep(&self, tenant: TenantId, entry: ProvisioningEntry) {
        let bytes = entry.encoded_len();
        let mut queue = self.queue();
        if queue.entries.len() >= QUEUE_MAX || queue.bytes + bytes > QUEUE_BYTES_MAX {
            drop(queue);
            self.lose(tenant, 1);
            return;
        }
        queue.bytes += bytes;
        queue.entries.push_back(entry);
        if queue.entries.len() == BATCH_MAX {
            self.full.notify_one();
        }
    }

    /// Counts entries that are not kept.
    fn lose(&self, tenant: TenantId, count: u32) {
        self.lost.fetch_add(count.into(), Ordering::Relaxed);
        let lost = &mut self.queue().lost;
        if lost.len() < LOST_TENANTS_MAX || lost.contains_key(&tenant) {
            let of_tenant = lost.entry(tenant).or_default();
            *of_tenant = of_tenant.saturating_add(count.into());
        } else {
            tracing::warn!(tenant.id = %tenant, "an entry of the provisioning log is lost, and not counted in it");
        }
    }

    /// Sends what waits, in batches.
    async fn send(&self, until: Until) -> Result<(), NotSent> {
        let _sending = self.sending.lock().await;
        loop {
            let batch = self.next();
            if batch.is_empty() {
                return Ok(());
            }
            match self.append(batch.clone()).await {
                Ok(()) => {}
                Err(NotSent::Later) => {
                    self.put_back(batch);
                    return Err(NotSent::Later);
                }
                Err(NotSent::Never) => self.give_up(&batch),
            }
            if until == Until::NoneIsFull && !self.queue().is_batch() {
                return Ok(());
            }
        }
    }

    async fn append(&self, entries: Vec<ProvisioningEntry>) -> Result<(), NotSent> {
        let mut client = self.client.clone();
        let request = AppendProvisioningEntriesRequest { entries };
        let Ok(sent) = tokio::time::timeout(SEND_TIMEOUT, client.append_provisioning_entries(request)).await else {
            return Err(NotSent::Later);
        };
        sent.map(drop).map_err(|status| {
            let code = status.code();
            // A message of another version, or one that is too large.
            let never = matches!(code, Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented);
            if never {
                tracing::error!(rpc.code = ?code, rpc.message = status.message(), "identity refuses a batch of the provisioning log");
                return NotSent::Never;
            }
            tracing::debug!(rpc.code = ?code, "identity does not take a batch of the provisioning log now");
            NotSent::Later
        })
    }

    /// The next batch: first what says that something was lost.
    fn next(&self) -> Vec<ProvisioningEntry> {
        let mut queue = self.queue();
        let lost = std::mem::take(&mut queue.lost);
        for (tenant, count) in lost {
            let entry = lost_entry(tenant, count);
            queue.bytes += entry.encoded_len();
            queue.entries.push_front(entry);
        }
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH_MAX
            && let Some(entry) = queue.entries.pop_front()
        {
            let of_entry = entry.encoded_len();
            if bytes + of_entry > BATCH_BYTES_MAX && !batch.is_empty() {
                queue.entries.push_front(entry);
                break;
            }
            bytes += of_entry;
            batch.push(entry);
        }
        queue.bytes = queue.bytes.saturating_sub(bytes);
        batch
    }

    fn put_back(&self, batch: Vec<ProvisioningEntry>) {
        let mut queue = self.queue();
        for entry in batch.into_iter().rev() {
            queue.bytes += entry.encoded_len();
            queue.entries.push_front(entry);
        }
    }

    fn give_up(&self, batch: &[ProvisioningEntry]) {
        for entry in batch {
            // What says that something was lost is not told of by another such entry, for ever.
            match entry.tenant_id.parse() {
                Ok(tenant) if entry.outcome() != ProvisioningOutcome::Lost => self.lose(tenant, 1),
                Ok(_) | Err(_) => {}
            }
        }
    }
}

fn lost_entry(tenant: TenantId, count: i64) -> ProvisioningEntry {
    ProvisioningEntry {
        id: Uuid::now_v7().to_string(),
        tenant_id: tenant.to_string(),
        time: Some(now()),
        outcome: ProvisioningOutcome::Lost.into(),
        lost_count: count,
        cause: "there was no room for them in memory, or there were too many refused sign-ins of one credential"
            .to_owned(),
        fix: "look whether identity was down at this time, and who uses the credential".to_owned(),
        ..ProvisioningEntry::default()
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
