//! Work that takes the processor for a while, apart from the threads that serve requests, and no more of it at once than there are processors.

use std::thread;

use tokio::sync::Semaphore;

use crate::error::Refusal;

/// The places for such work.
#[derive(Debug)]
pub(crate) struct Apart(Semaphore);

impl Apart {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(thread::available_parallelism().map_or(1, usize::from)))
    }

    /// Runs the work when there is a place for it.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        // The semaphore is never closed.
        let _place = self.0.acquire().await.ok();
        tokio::task::spawn_blocking(work).await.map_err(|_| {
            tracing::error!("work apart from the request ended in a panic");
            Refusal::internal()
        })
    }
}
