//! Work that takes the processor for a while, apart from the threads that serve requests, and no more of it at once than there are processors.

use std::{sync::Arc, thread};

use tokio::sync::Semaphore;

use crate::error::Refusal;

/// The places for such work.
#[derive(Debug)]
pub(crate) struct Apart(Arc<Semaphore>);

impl Apart {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(thread::available_parallelism().map_or(1, usize::from))))
    }

    /// Runs the work when there is a place for it.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        // The semaphore is never closed.
        let place = Arc::clone(&self.0).acquire_owned().await.ok();
        // The work goes on when its request has gone, and so does its place.
        let placed = move || {
            let done = work();
            drop(place);
            done
        };
        tokio::task::spawn_blocking(placed).await.map_err(|_| {
            tracing::error!("work apart from the request ended in a panic");
            Refusal::internal()
        })
    }
}
