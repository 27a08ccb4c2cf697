//! What takes away entries of the audit log and of the provisioning log that have been kept long enough.

use std::time::Duration;

use tokio::{task::JoinHandle, time};

use crate::{domain::Timestamp, store::Store};

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// The task; it ends with this.
#[derive(Debug)]
pub(crate) struct Retention(JoinHandle<()>);

impl Drop for Retention {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Retention {
    /// `log` is how long the provisioning log is kept.
    pub(crate) fn start(store: Store, log: Duration) -> Self {
        Self(tokio::spawn(purge(store, log)))
    }
}

async fn purge(store: Store, log: Duration) {
    let mut hours = time::interval(INTERVAL);
    loop {
        hours.tick().await;
        // What failed was logged by the store, and is tried again.
        if let Ok(entries @ 1..) = store.purge_audit(Timestamp::now().before(audit::RETENTION)).await {
            tracing::info!(entries, "audit entries older than 400 days were taken away");
        }
        if let Ok(rows @ 1..) = store.purge_log(Timestamp::now().before(log)).await {
            tracing::info!(
                rows,
                days = log.as_secs() / (24 * 60 * 60),
                "what is too old was taken from the provisioning log"
            );
        }
    }
}
