//! What takes away audit entries, changes, entries of the provisioning log, deleted users and deleted groups that have been kept long enough, and
//! what is left of deleted tenants.

use std::time::Duration;

use tokio::{task::JoinHandle, time};

use crate::{domain::Timestamp, store::Store};

/// How long a softly deleted user or group can be restored.
const DELETED_RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(60 * 60);
/// How long changes are kept: who follows them is never so far behind.
const CHANGES_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

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
        tokio::select! {
            _ = hours.tick() => {}
            // Nobody waits an hour for the end of what he has deleted.
            () = store.tenant_deleted() => {
                purge_tenants(&store).await;
                continue;
            }
        }
        // What failed was logged by the store, and is tried again.
        if let Ok(entries @ 1..) = store.purge_audit(Timestamp::now().before(audit::RETENTION)).await {
            tracing::info!(entries, "audit entries older than 400 days were taken away");
        }
        if let Ok(changes @ 1..) = store.purge_changes(Timestamp::now().before(CHANGES_KEPT)).await {
            tracing::info!(changes, "changes older than 30 days were taken away");
        }
        if let Ok(letters @ 1..) = store.purge_event_deliveries().await {
            tracing::info!(letters, "events that their endpoints did not take were forgotten with their changes");
        }
        if let Ok(resources @ 1..) = store.purge_deleted(Timestamp::now().before(DELETED_RETENTION)).await {
            tracing::info!(resources, "users and groups deleted more than 30 days ago were taken away");
        }
        purge_tenants(&store).await;
        if let Ok(tenants @ 1..) = store.forget_tenants(Timestamp::now().before(audit::RETENTION)).await {
            tracing::info!(tenants, "tenants deleted more than 400 days ago were forgotten");
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

/// What failed was logged by the store, and is tried again.
async fn purge_tenants(store: &Store) {
    if let Ok(rows @ 1..) = store.purge_tenants(Timestamp::now()).await {
        tracing::info!(rows, "what was left of deleted tenants was taken away");
    }
}
