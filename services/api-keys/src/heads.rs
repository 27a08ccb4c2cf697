//! The head of the revocation list, read for all streams of this process by one task.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::store::Store;

/// The pause between reads. With the read itself it stays below the 250 ms that verifiers are promised.
const INTERVAL: Duration = Duration::from_millis(200);

/// The head, and when the read began that found it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) position: i64,
    read_at: Instant,
}

impl Head {
    /// Whether it is worth passing on: what is old is not sent as news.
    pub(crate) fn is_news(self) -> bool {
        self.read_at.elapsed() <= INTERVAL
    }
}

#[derive(Debug)]
pub(crate) struct Heads {
    heads: watch::Receiver<Head>,
    moved: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Heads {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Heads {
    pub(crate) fn start(store: Store) -> Self {
        let (sender, heads) = watch::channel(Head { position: 0, read_at: Instant::now() });
        let moved = Arc::new(Notify::new());
        let task = tokio::spawn(read(store, sender, Arc::clone(&moved)));
        Self { heads, moved, task }
    }

    /// The heads from now on: each read that succeeds makes one, whether it has moved or not.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Head> {
        let mut heads = self.heads.clone();
        heads.mark_unchanged();
        heads
    }

    /// Reads no more: every stream that waits for a head ends.
    pub(crate) fn end(&self) {
        self.task.abort();
    }

    /// By which others say what [`Heads::moved`] says.
    pub(crate) fn mover(&self) -> Arc<Notify> {
        Arc::clone(&self.moved)
    }

    /// Reads again at once, for this process has just moved the head.
    pub(crate) fn moved(&self) {
        self.moved.notify_one();
    }
}

async fn read(store: Store, sender: watch::Sender<Head>, moved: Arc<Notify>) {
    loop {
        let read_at = Instant::now();
        // What failed was logged by the store; verifiers learn of it by hearing nothing.
        if let Ok(position) = store.head().await {
            sender.send_replace(Head { position, read_at });
        }
        let _ = timeout(INTERVAL, moved.notified()).await;
    }
}
