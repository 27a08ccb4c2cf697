//! The word that the process is to end, heard by everything that serves.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The status of a process that did not wait for what was under way.
const SIGNALLED: i32 = 130;

/// Asks everything that holds a clone to finish what it has begun and to begin nothing more.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// Ends on SIGTERM and SIGINT. A second one ends the process at once, with the status 130, whatever is still under way.
    ///
    /// # Errors
    /// When the system does not let signals be caught.
    pub fn on_signal() -> io::Result<Self> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let shutdown = Self::default();
        let asked = shutdown.clone();
        tokio::spawn(async move {
            let mut signal = async || {
                tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                }
            };
            let name = signal().await;
            tracing::info!(
                signal = name,
                "ending: requests that have begun are answered; a second signal ends at once"
            );
            asked.request();
            signal().await;
            std::process::exit(SIGNALLED);
        });
        Ok(shutdown)
    }

    /// Asks for the end. Asking again changes nothing.
    pub fn request(&self) {
        self.0.cancel();
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until the end is asked for.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }

    /// Runs `work` unless the end is asked for before it is done; none then. For a start, which may wait for others for long.
    pub fn unless_requested<T>(&self, work: impl Future<Output = T>) -> impl Future<Output = Option<T>> {
        // On the heap: what opens a database is large.
        self.0.run_until_cancelled(Box::pin(work))
    }
}
