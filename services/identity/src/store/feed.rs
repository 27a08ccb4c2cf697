//! Following the change feed. A commit of this process is told to those who follow at once; those of other replicas are found by reading the
//! tenant's head every 200 ms, once for all who follow it in this process, and not at all where nobody does (rule D1).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use database::Database;
use ids::TenantId;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::{
    domain::{Change, Error, FeedHead, Position},
    store::{Store, changes, unavailable},
};

/// How many follow the feed of one tenant in this process.
pub(crate) const FOLLOWERS_MAX: usize = 100;
/// How many reads for followers are under way in this process: they leave connections to everybody else, however many follow.
const READS_MAX: usize = 2;
/// How many changes come at once.
const CHANGES_MAX: u64 = 200;
/// The pause between reads of a head.
const INTERVAL: Duration = Duration::from_millis(200);
/// How long commits of this process are gathered before the head is read for them.
const GATHERED: Duration = Duration::from_millis(5);
/// How long a follower hears nothing.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The feeds that are followed in this process. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Feeds(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    followed: Mutex<HashMap<TenantId, Weak<Followed>>>,
    ended: watch::Sender<bool>,
    reads: Arc<Semaphore>,
}

/// A feed that is followed: its head is read as long as this lives.
#[derive(Debug)]
struct Followed {
    heads: watch::Receiver<Heard>,
    moved: Arc<Notify>,
    places: Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What was read, and when the read began.
#[derive(Clone, Copy, Debug)]
struct Heard {
    /// None where the tenant is no more.
    head: Option<FeedHead>,
    read_at: Instant,
}

/// What a follower hears.
#[derive(Clone, Debug)]
pub(crate) struct News {
    /// What follows, in order; none where nothing has happened.
    pub(crate) changes: Vec<Change>,
    /// Where the follower stands now.
    pub(crate) position: Position,
    /// Where the feed ends.
    pub(crate) head: Position,
}

/// Somebody who follows the feed of one tenant, as fast or slowly as he asks: nothing is read ahead for him.
#[derive(Debug)]
pub(crate) struct Follower {
    store: Store,
    tenant: TenantId,
    heads: watch::Receiver<Heard>,
    ended: watch::Receiver<bool>,
    heard: Heard,
    /// What was read earlier may be older than what this began with.
    began: Instant,
    position: Position,
    /// When there was news last.
    told: Option<Instant>,
    /// As long as this is there, heads are read.
    _followed: Arc<Followed>,
    _place: OwnedSemaphorePermit,
}

impl Feeds {
    pub(super) fn new() -> Self {
        let (ended, reads) = (watch::Sender::new(false), Arc::new(Semaphore::new(READS_MAX)));
        Self(Arc::new(Inner { followed: Mutex::default(), ended, reads }))
    }

    /// Whether all that follows is to end.
    pub(super) fn ended(&self) -> watch::Receiver<bool> {
        self.0.ended.subscribe()
    }

    /// Says that this process has written in a tenant.
    pub(super) fn moved(&self, tenant: TenantId) {
        let followed = self.0.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(followed) = followed.get(&tenant).and_then(Weak::upgrade) {
            followed.moved.notify_one();
        }
    }

    fn follow(&self, database: &Database, tenant: TenantId) -> Arc<Followed> {
        let mut all = self.0.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(followed) = all.get(&tenant).and_then(Weak::upgrade) {
            return followed;
        }
        all.retain(|_, followed| followed.strong_count() > 0);
        let (sender, heads) = watch::channel(Heard { head: None, read_at: Instant::now() });
        let (moved, places) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(FOLLOWERS_MAX)));
        let reader = Reader { database: database.clone(), tenant, reads: Arc::clone(&self.0.reads) };
        let task = tokio::spawn(reader.run(sender, Arc::clone(&moved)));
        let followed = Arc::new(Followed { heads, moved, places, task });
        all.insert(tenant, Arc::downgrade(&followed));
        followed
    }
}

/// What reads the head of a feed.
struct Reader {
    database: Database,
    tenant: TenantId,
    reads: Arc<Semaphore>,
}

impl Reader {
    async fn run(self, heads: watch::Sender<Heard>, moved: Arc<Notify>) {
        loop {
            // It is closed by nobody.
            let turn = self.reads.acquire().await;
            let read_at = Instant::now();
            let head = changes::head(self.database.read(), self.tenant.uuid()).await;
            drop(turn);
            match head {
                Ok(head) => drop(heads.send_replace(Heard { head, read_at })),
                // Followers learn of it by hearing nothing.
                Err(error) => drop(unavailable(&error)),
            }
            if timeout(INTERVAL, moved.notified()).await.is_ok() {
                sleep(GATHERED).await;
            }
        }
    }
}

impl Store {
    /// Follows the feed after a position; from the oldest change that is kept where there is none.
    pub(crate) async fn follow(&self, tenant: TenantId, after: Option<Position>) -> Result<Follower, Error> {
        let followed = self.feeds.follow(&self.database, tenant);
        let place = Arc::clone(&followed.places).try_acquire_owned().map_err(|_| Error::TooManyWatches)?;
        let read_at = Instant::now();
        let head = self.feed_head(tenant).await?;
        let number = head.resume(after)?;
        let mut heads = followed.heads.clone();
        heads.mark_unchanged();
        Ok(Follower {
            store: self.clone(),
            tenant,
            heads,
            ended: self.feeds.ended(),
            heard: Heard { head: Some(head), read_at },
            began: Instant::now(),
            position: Position { epoch: head.position.epoch, number },
            told: None,
            _followed: followed,
            _place: place,
        })
    }

    /// Ends all that follows a feed, so that it goes on with another replica.
    pub(crate) fn end_followers(&self) {
        self.feeds.0.ended.send_replace(true);
    }
}

impl Follower {
    /// The next news: at once where changes wait, and else within [`HEARTBEAT`].
    pub(crate) async fn next(&mut self) -> Result<News, Error> {
        loop {
            if *self.ended.borrow() {
                return Err(Error::Ending);
            }
            // After a long pause of the follower there is a newer head than the one it knows.
            self.hear();
            let head = self.heard.head.ok_or(Error::NotFound("tenant"))?;
            let after = head.resume(Some(self.position))?;
            if after < head.position.number {
                let changes = self.read(&head, after).await?;
                self.position = changes.last().map_or(self.position, |last| last.position);
                return Ok(self.news(changes, &head));
            }
            let is_quiet = self.told.is_none_or(|told| told.elapsed() >= HEARTBEAT);
            if is_quiet && self.heard.read_at.elapsed() <= HEARTBEAT {
                return Ok(self.news(Vec::new(), &head));
            }
            tokio::select! {
                changed = self.heads.changed() => changed.map_err(|_| Error::Ending)?,
                _ = self.ended.wait_for(|ended| *ended) => return Err(Error::Ending),
            }
            self.heads.mark_changed();
        }
    }

    async fn read(&self, head: &FeedHead, after: i64) -> Result<Vec<Change>, Error> {
        let _turn = self.store.feeds.0.reads.acquire().await;
        self.store.changes(self.tenant, head, after, CHANGES_MAX).await
    }

    fn news(&mut self, changes: Vec<Change>, head: &FeedHead) -> News {
        self.told = Some(Instant::now());
        News { changes, position: self.position, head: head.position }
    }

    /// Takes the newest head that was read.
    fn hear(&mut self) {
        if self.heads.has_changed().unwrap_or_default() {
            let heard = *self.heads.borrow_and_update();
            if heard.read_at >= self.began {
                self.heard = heard;
            }
        }
    }
}
