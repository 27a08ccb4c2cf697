//! The keys of issuers, fetched once for all who wait and remembered.

use std::{
    error::Error as StdError,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jsonwebtoken::{Algorithm, DecodingKey};
use moka::{future::Cache, policy::EvictionPolicy};
use tokio::sync::{OwnedMutexGuard, Semaphore};

use super::{Error, Fault, jwks::KeySet};

/// How many issuers' keys are remembered; beyond it those of the issuer that was asked for longest ago are forgotten.
const ISSUERS_MAX: u64 = 1000;
/// How many issuers are asked at once: each may be slow, and looking its name up takes a thread.
const FETCHES_MAX: usize = 16;
/// How long a set of keys is used.
pub(super) const LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// From this age on it is fetched again while it is used.
pub(super) const REFRESH_AGE: Duration = Duration::from_secs(12 * 60 * 60);
/// A set that is still used is fetched again no more often than this, be it for a key that is not in it or because the last attempt failed.
pub(super) const REFETCH_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// Where there is no set to use, a fetch that failed is tried again no more often than this.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_secs(5);

pub(super) struct Issuers {
    client: outbound::Client,
    places: Arc<Semaphore>,
    issuers: Cache<String, Arc<Issuer>>,
}

#[derive(Debug)]
struct Issuer {
    url: String,
    state: Mutex<State>,
    /// Whoever holds it fetches.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct State {
    fetched: Option<Fetched>,
    /// When the last fetch ended, if it failed.
    failed_at: Option<Instant>,
    /// When keys were last fetched for one that was not among them.
    sought_at: Option<Instant>,
}

#[derive(Debug)]
struct Fetched {
    keys: KeySet,
    at: Instant,
}

impl fmt::Debug for Issuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A cache prints what it holds.
        f.debug_struct("Issuers").finish_non_exhaustive()
    }
}

impl Issuers {
    pub(super) fn new(client: outbound::Client) -> Self {
        // The least recently used goes, and not the newcomer: one that is not kept would be fetched for each assertion.
        let issuers = Cache::builder().max_capacity(ISSUERS_MAX).eviction_policy(EvictionPolicy::lru()).build();
        Self { client, places: Arc::new(Semaphore::new(FETCHES_MAX)), issuers }
    }

    /// The key of `issuer` with an id and for an algorithm, for a caller that comes at `at`.
    pub(super) async fn key(&self, issuer: &str, wanted: (&str, Algorithm), at: Instant) -> Result<DecodingKey, Error> {
        let new = async { Arc::new(Issuer::new(issuer)) };
        let issuer = self.issuers.get_with_by_ref(issuer, new).await;
        if let Some(key) = issuer.known(wanted, at) {
            self.refresh(&issuer, at);
            return Ok(key);
        }
        let turn = Arc::clone(&issuer.turn).lock_owned().await;
        // Whoever had the turn before may have brought it.
        if let Some(key) = issuer.known(wanted, at) {
            return Ok(key);
        }
        issuer.begin(at)?;
        // A task of its own: a caller that goes away must not leave those behind it to begin anew.
        let fetched =
            tokio::spawn(fetch((self.client.clone(), Arc::clone(&self.places)), Arc::clone(&issuer), at, turn)).await;
        fetched.map_err(|_| Error::Unavailable)?;
        issuer.known(wanted, at).ok_or_else(|| issuer.lock().without_key())
    }

    /// Fetches keys that grow old, behind those that are used meanwhile.
    fn refresh(&self, issuer: &Arc<Issuer>, at: Instant) {
        if !issuer.lock().is_to_refresh(at) {
            return;
        }
        if let Ok(turn) = Arc::clone(&issuer.turn).try_lock_owned() {
            tokio::spawn(fetch((self.client.clone(), Arc::clone(&self.places)), Arc::clone(issuer), at, turn));
        }
    }
}

/// Fetches an issuer's keys for a caller that came at `at`. Keys that are there stay when it fails.
async fn fetch(
    (client, places): (outbound::Client, Arc<Semaphore>),
    issuer: Arc<Issuer>,
    at: Instant,
    turn: OwnedMutexGuard<()>,
) {
    let begun = Instant::now();
    // The semaphore is never closed.
    let _place = places.acquire_owned().await;
    let fetched = KeySet::fetch(&client, &issuer.url).await;
    let ended = at + begun.elapsed();
    {
        let mut state = issuer.lock();
        match fetched {
            Ok(keys) => {
                state.fetched = Some(Fetched { keys, at: ended });
                state.failed_at = None;
            }
            Err(error) => {
                tracing::warn!(issuer = %issuer.url, error = &error as &dyn StdError, "an issuer's keys could not be fetched");
                state.failed_at = Some(ended);
            }
        }
    }
    drop(turn);
}

impl Issuer {
    fn new(url: &str) -> Self {
        Self { url: url.to_owned(), state: Mutex::default(), turn: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, (kid, algorithm): (&str, Algorithm), at: Instant) -> Option<DecodingKey> {
        self.lock().current(at)?.keys.key(kid, algorithm)
    }

    /// Whether a caller that came at `at` and did not find its key may have the keys fetched.
    fn begin(&self, at: Instant) -> Result<(), Error> {
        let mut state = self.lock();
        match state.current(at).map(|fetched| fetched.at) {
            // Fetched since it came, and still there is no such key.
            Some(fetched_at) if fetched_at >= at => Err(Error::Refused(Fault::Key)),
            // Whoever sent a senseless key id a moment ago must not make a good one wrong: it cannot be checked now.
            Some(_) if is_within(state.sought_at, REFETCH_INTERVAL, at) => Err(Error::Unavailable),
            Some(_) => {
                state.sought_at = Some(at);
                Ok(())
            }
            None if is_within(state.failed_at, RETRY_INTERVAL, at) => Err(Error::Unavailable),
            None => Ok(()),
        }
    }
}

impl State {
    /// The keys, as long as they are used.
    fn current(&self, at: Instant) -> Option<&Fetched> {
        self.fetched.as_ref().filter(|fetched| at.saturating_duration_since(fetched.at) < LIFE)
    }

    fn is_to_refresh(&self, at: Instant) -> bool {
        let old = |fetched: &Fetched| at.saturating_duration_since(fetched.at) >= REFRESH_AGE;
        self.fetched.as_ref().is_some_and(old) && !is_within(self.failed_at, REFETCH_INTERVAL, at)
    }

    /// What to say of a key that is not there: the issuer may have it, where it was asked for it last in vain.
    const fn without_key(&self) -> Error {
        if self.failed_at.is_some() { Error::Unavailable } else { Error::Refused(Fault::Key) }
    }
}

/// Whether something happened less than `interval` before `at`, or since.
fn is_within(happened: Option<Instant>, interval: Duration, at: Instant) -> bool {
    happened.is_some_and(|happened| at.saturating_duration_since(happened) < interval)
}
