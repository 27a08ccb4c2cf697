//! What is done now and then: signing keys are rotated, and keys that end soon are warned of.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::MissedTickBehavior};

use crate::{
    domain::{ApiKey, Error, Timestamp},
    signing::SigningKeys,
    store::Store,
};

/// How often it is done, from the start on.
const INTERVAL: Duration = Duration::from_secs(3600);
/// How often the same key is warned of in the log.
const WARNING_INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// How many keys are looked at; those that end first come first.
const KEYS_MAX: u64 = 1000;

/// The task, which ends with this.
#[derive(Debug)]
pub(crate) struct Maintenance(JoinHandle<()>);

impl Drop for Maintenance {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Maintenance {
    pub(crate) fn start(store: Store, signing_keys: Arc<SigningKeys>) -> Self {
        Self(tokio::spawn(run(store, signing_keys)))
    }
}

async fn run(store: Store, signing_keys: Arc<SigningKeys>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut warned_at = None;
    loop {
        ticks.tick().await;
        let now = Timestamp::now();
        // What failed was logged where it did; it is done again the next time.
        let _ = signing_keys.maintain(now).await;
        if warned_at.is_none_or(|at| now.since(at) >= WARNING_INTERVAL) && warn(&store, now).await.is_ok() {
            warned_at = Some(now);
        }
    }
}

/// Warns of each key that ends within 30 days: when a directory's key ends, Entra quarantines its job.
async fn warn(store: &Store, now: Timestamp) -> Result<(), Error> {
    for key in store.expiring(now, KEYS_MAX).await? {
        let (days, ApiKey { id, tenant, .. }) = (days_left(&key, now), key);
        tracing::warn!(
            tenant.id = %tenant,
            api_key.id = %id,
            api_key.days_left = days,
            "an API key ends soon: `rollcall api-key rotate` makes its successor while it still works"
        );
    }
    Ok(())
}

fn days_left(key: &ApiKey, now: Timestamp) -> u64 {
    key.about.expires_at.map_or(0, |end| end.since(now).as_secs() / (24 * 3600))
}
