//! argon2id over keys, slow by design and therefore bounded: so many run, so many wait, the rest are told to come
//! again.

mod threads;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, Version,
    password_hash::{
        self,
        phc::{Output, ParamsString, Salt},
    },
};
use authn::{KeyText, key::Kind};
use ids::ApiKeyId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{config::HashWork, domain::Error};
use threads::{Memory, Threads};

/// OWASP's choice of lanes for argon2id.
const LANES: u32 = 1;
/// The most that run at once, however many cores there are: each holds its memory. One core is left to requests.
const RUNNING_MAX: usize = 4;
/// How many may wait for their turn. On two cores the last waits some four seconds.
const WAITING_MAX: usize = 128;
/// How many new keys may be hashed at once or wait for it, apart from all that are verified: administrators make them, and no flood of wrong
/// keys is to keep them from rotating one.
const MINTING_MAX: usize = 16;

#[derive(Debug)]
pub(crate) struct Hashing {
    work: HashWork,
    threads: Threads,
    running: Arc<Semaphore>,
    /// A place for each that runs or waits.
    line: Arc<Semaphore>,
    /// The same for new keys, of which one is hashed at a time.
    minting: Arc<Semaphore>,
    minting_line: Arc<Semaphore>,
    /// The hash of a key that nobody has: what an unknown id is compared with.
    nobodys: String,
    runs: Arc<AtomicU64>,
}

impl Hashing {
    /// Makes hashes with this much work.
    pub(crate) async fn new(work: HashWork) -> Result<Self, Error> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::bounded(work, cores.saturating_sub(1).clamp(1, RUNNING_MAX), WAITING_MAX).await
    }

    /// Runs at most `running` at once, with at most `waiting` behind them.
    pub(crate) async fn bounded(work: HashWork, running: usize, waiting: usize) -> Result<Self, Error> {
        let threads = Threads::start(running).map_err(|error| {
            tracing::error!(%error, "the threads for argon2 could not be started");
            Error::Internal
        })?;
        let mut hashing = Self {
            work,
            threads,
            running: Arc::new(Semaphore::new(running)),
            line: Arc::new(Semaphore::new(running + waiting)),
            minting: Arc::new(Semaphore::new(1)),
            minting_line: Arc::new(Semaphore::new(MINTING_MAX)),
            nobodys: String::new(),
            runs: Arc::default(),
        };
        let nobody = KeyText::mint(Kind::Tenant, ApiKeyId::generate()).map_err(|_| Error::Internal)?;
        hashing.nobodys = hashing.hash(nobody).await?;
        Ok(hashing)
    }

    /// The PHC string of `key`.
    pub(crate) async fn hash(&self, key: KeyText) -> Result<String, Error> {
        let work = self.work;
        let turn = turn(&self.minting_line, &self.minting).await?;
        self.run(turn, move |memory| {
            let params = Params::new(work.memory_kib(), work.passes(), LANES, Some(Params::DEFAULT_OUTPUT_LEN))?;
            let hash = PasswordHash {
                algorithm: Algorithm::Argon2id.ident(),
                version: Some(Version::V0x13.into()),
                params: ParamsString::try_from(&params)?,
                salt: Some(Salt::generate()),
                hash: None,
            };
            let output = output(&key, &hash, params, memory)?;
            Ok(PasswordHash { hash: Some(output), ..hash }.to_string())
        })
        .await
    }

    /// Whether `hash`, a PHC string, is of `key`. None, for a key that does not exist, takes as long to be found wrong as one that was hashed with the
    /// work of today. One that was hashed with less, before the work was raised, is found wrong sooner until it is used and hashed again: that
    /// tells of an old key that it exists, and nothing of its secret.
    pub(crate) async fn verify(&self, key: KeyText, hash: Option<String>) -> Result<bool, Error> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobodys.clone());
        let turn = turn(&self.line, &self.running).await?;
        self.run(turn, move |memory| {
            let hash = PasswordHash::new(&hash)?;
            // A hash without one is no key's, and to say so at once would tell that it is none.
            let expected = hash.hash.as_ref().ok_or(password_hash::Error::EncodingInvalid)?;
            let found = output(&key, &hash, Params::try_from(&hash)?, memory)?;
            // Outputs are compared in constant time.
            Ok(found == *expected && known)
        })
        .await
    }

    /// Whether a PHC string was made with less work than is asked for now.
    pub(crate) fn is_outdated(&self, hash: &str) -> bool {
        let params = PasswordHash::new(hash).ok().and_then(|hash| Params::try_from(&hash).ok());
        params.is_some_and(|params| params.m_cost() < self.work.memory_kib() || params.t_cost() < self.work.passes())
    }

    async fn run<T: Send + 'static>(
        &self,
        turn: Turn,
        work: impl FnOnce(&mut Memory) -> password_hash::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let outcome = self.threads.run(move |memory| {
            // The place is given back when the work is done, not when its caller goes away.
            let _turn = turn;
            work(memory)
        });
        match outcome.await {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => {
                tracing::error!(%error, "argon2 failed");
                Err(Error::Internal)
            }
            None => Err(Error::Internal),
        }
    }

    /// Takes every turn, so that all who come have to wait until the answer is dropped.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> OwnedSemaphorePermit {
        let all = u32::try_from(self.running.available_permits()).unwrap();
        Arc::clone(&self.running).try_acquire_many_owned(all).unwrap()
    }

    /// Takes every place, so that all who come are told to come again until the answer is dropped.
    #[cfg(test)]
    pub(crate) fn take_places(&self) -> OwnedSemaphorePermit {
        let all = u32::try_from(self.line.available_permits()).unwrap();
        Arc::clone(&self.line).try_acquire_many_owned(all).unwrap()
    }

    /// How many more may come.
    #[cfg(test)]
    pub(crate) fn places(&self) -> usize {
        self.line.available_permits()
    }

    /// How often argon2 ran.
    pub(crate) fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }
}

/// A place in the line and a turn of it.
type Turn = [OwnedSemaphorePermit; 2];

async fn turn(line: &Arc<Semaphore>, running: &Arc<Semaphore>) -> Result<Turn, Error> {
    let place = Arc::clone(line).try_acquire_owned().map_err(|_| Error::Busy)?;
    let running = Arc::clone(running).acquire_owned().await.map_err(|_| Error::Busy)?;
    Ok([place, running])
}

/// What argon2 makes of `key` by the algorithm, version and salt of `hash`.
fn output(key: &KeyText, hash: &PasswordHash, params: Params, memory: &mut Memory) -> password_hash::Result<Output> {
    let salt = hash.salt.as_ref().ok_or(password_hash::Error::EncodingInvalid)?;
    let algorithm = Algorithm::try_from(hash.algorithm.as_str())?;
    let version = hash.version.map(Version::try_from).transpose()?.unwrap_or_default();
    let mut output = [0; Output::MAX_LENGTH];
    let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let output = output.get_mut(..length).ok_or(password_hash::Error::OutputSize)?;
    let blocks = memory.of(&params);
    Argon2::new(algorithm, version, params).hash_password_into_with_memory(
        key.expose().as_bytes(),
        salt,
        output,
        blocks,
    )?;
    Ok(Output::new(output)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> KeyText {
        KeyText::mint(Kind::Tenant, ApiKeyId::generate()).unwrap()
    }

    #[tokio::test]
    async fn a_hash_is_of_its_key_alone_and_names_owasps_parameters() {
        let hashing = Hashing::new(HashWork::default()).await.unwrap();
        let (right, wrong) = (key(), key());
        let hash = hashing.hash(right.clone()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_eq!(hashing.verify(right.clone(), Some(hash.clone())).await, Ok(true));
        assert_eq!(hashing.verify(wrong, Some(hash.clone())).await, Ok(false));
        assert_ne!(hashing.hash(right).await.unwrap(), hash, "salted");
    }

    #[tokio::test]
    async fn r03_an_unknown_key_costs_a_run_and_is_wrong() {
        let hashing = Hashing::new(HashWork::default()).await.unwrap();
        let before = hashing.runs();
        assert_eq!(hashing.verify(key(), None).await, Ok(false));
        assert_eq!(hashing.runs(), before + 1);
    }

    #[tokio::test]
    async fn a_hash_that_cannot_be_read_is_an_error_and_not_a_wrong_key() {
        let hashing = Hashing::new(HashWork::default()).await.unwrap();
        for hash in ["", "nonsense", "$nonsense", "$argon2id$v=19$m=19456,t=2,p=1"] {
            assert_eq!(hashing.verify(key(), Some(hash.into())).await, Err(Error::Internal), "{hash}");
        }
    }

    #[tokio::test]
    async fn so_many_wait_and_the_next_is_told_to_come_again() {
        let hashing = Arc::new(Hashing::bounded(HashWork::default(), 1, 2).await.unwrap());
        let held = hashing.hold();
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let hashing = Arc::clone(&hashing);
                tokio::spawn(async move { hashing.verify(key(), None).await })
            })
            .collect();
        while hashing.places() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(hashing.verify(key(), None).await, Err(Error::Busy));
        drop(held);
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), Ok(false));
        }
        assert_eq!(hashing.verify(key(), None).await, Ok(false));
        assert_eq!(hashing.places(), 3);
    }

    #[tokio::test]
    async fn r04_new_keys_are_hashed_while_others_fill_the_line() {
        let hashing = Hashing::bounded(HashWork::default(), 1, 0).await.unwrap();
        let _held = hashing.hold();
        assert!(hashing.hash(key()).await.is_ok());
    }

    #[tokio::test]
    async fn a_hash_made_with_less_work_than_is_asked_for_is_outdated() {
        let usual = Hashing::new(HashWork::default()).await.unwrap();
        let (more_memory, more_passes) = (HashWork::new(20 * 1024, 2).unwrap(), HashWork::new(19 * 1024, 3).unwrap());
        let hash = usual.hash(key()).await.unwrap();
        assert!(!usual.is_outdated(&hash));
        for work in [more_memory, more_passes] {
            let hashing = Hashing::new(work).await.unwrap();
            assert!(hashing.is_outdated(&hash), "{work:?}");
            assert!(!usual.is_outdated(&hashing.hash(key()).await.unwrap()), "{work:?}: nothing is made weaker");
        }
        assert!(!usual.is_outdated("nonsense"));
    }
}
