//! What tells people's roles that something has changed for many (rule R22).

use tokio::task::JoinHandle;

use crate::store::Store;

/// The task; it ends with this.
#[derive(Debug)]
pub(crate) struct RoleBatches(JoinHandle<()>);

impl Drop for RoleBatches {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl RoleBatches {
    pub(crate) fn start(store: Store) -> Self {
        Self(tokio::spawn(work(store)))
    }
}

async fn work(store: Store) {
    loop {
        // What failed was logged by the store, and is tried again.
        if let Ok(people @ 1..) = store.work_role_batches().await {
            tracing::info!(people, "people were told of by the change feed whose role has changed with something else");
        }
        store.wait_for_role_batches().await;
    }
}
