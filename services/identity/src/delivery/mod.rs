//! Sends events to endpoints. Every process looks for endpoints that something waits for, and sends to those that no other process sends to.
//!
//! Nothing of this is on the way of a write: what is to be sent is found in the change feed after its commit.

mod courier;
mod push;
pub(crate) mod set;
#[cfg(test)]
mod tests;
mod webhook;

use std::time::Duration;

use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

#[cfg(test)]
use courier::Clock;
pub(crate) use courier::Courier;

/// How often it looks, where this process has written nothing: others may have, or something is to be tried again.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long commits of this process are gathered before it looks.
const GATHERED: Duration = Duration::from_millis(50);
/// How many endpoints are served at a time.
const ENDPOINTS_MAX: usize = 128;
/// How long is waited for what is under way when the process ends.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// A message to be posted.
#[derive(Clone, PartialEq, Eq)]
struct Message {
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

/// The task; it ends with this.
#[derive(Debug)]
pub(crate) struct Deliveries {
    ended: watch::Sender<bool>,
    finished: watch::Receiver<()>,
    task: JoinHandle<()>,
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Deliveries {
    pub(crate) fn start(courier: Courier) -> Self {
        let (ended, ending) = watch::channel(false);
        let (finishing, finished) = watch::channel(());
        let task = tokio::spawn(async move {
            run(courier, ending).await;
            drop(finishing);
        });
        Self { ended, finished, task }
    }

    /// Takes up nothing any more, and waits a while for what is under way, so that another process need not send it again.
    pub(crate) async fn end(&self) {
        self.ended.send_replace(true);
        let mut finished = self.finished.clone();
        // It changes by being dropped alone.
        let _ = timeout(END_TIMEOUT, finished.changed()).await;
    }
}

async fn run(courier: Courier, mut ending: watch::Receiver<bool>) {
    let mut served = JoinSet::new();
    while !*ending.borrow() {
        while served.try_join_next().is_some() {}
        let room = ENDPOINTS_MAX.saturating_sub(served.len()) as u64;
        // What failed was logged by the store, and is looked for again.
        let found = courier.store().endpoints_with_work(courier.now(), room).await.unwrap_or_default();
        for (tenant, id) in found {
            let courier = courier.clone();
            served.spawn(async move {
                // Likewise; the endpoint is found again when its lease ends.
                let _ = courier.serve(tenant, id).await;
            });
        }
        tokio::select! {
            () = next(&courier, &mut served) => {}
            _ = ending.wait_for(|ended| *ended) => {}
        }
    }
    while served.join_next().await.is_some() {}
}

/// Waits until there may be something to do.
async fn next(courier: &Courier, served: &mut JoinSet<()>) {
    tokio::select! {
        () = sleep(INTERVAL) => {}
        () = courier.store().written() => sleep(GATHERED).await,
        // One that made room for others may have more to be sent.
        Some(_) = served.join_next() => sleep(GATHERED).await,
    }
}
