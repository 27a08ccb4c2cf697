//! What is done now and then: signing keys are rotated, and keys that end soon are warned of.

use std::{sync::Arc, time::Duration};

use telemetry::metrics::{Gauge, Measurement};
use tokio::{task::JoinHandle, time::MissedTickBehavior};

use crate::{
    domain::{ApiKey, Timestamp},
    signing::SigningKeys,
    store::Store,
};

/// How often it is done, from the start on.
const INTERVAL: Duration = Duration::from_secs(3600);
/// How often the same key is warned of in the log.
const WARNING_INTERVAL: Duration = Duration::from_secs(DAY);
/// Seconds.
const DAY: u64 = 24 * 3600;
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
    let gauge = Gauge::new(
        "rollcall.api_key.time_to_expiry",
        "s",
        "How long an API key that ends within 30 days can still be used",
    );
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut warned_at = None;
    loop {
        ticks.tick().await;
        let now = Timestamp::now();
        // What failed was logged where it did; it is done again the next time.
        let _ = signing_keys.maintain(now).await;
        let Ok(expiring) = store.expiring(now, KEYS_MAX).await else { continue };
        gauge.replace(expiring.iter().map(|key| measured(key, now)).collect());
        if warned_at.is_none_or(|at| now.since(at) >= WARNING_INTERVAL) {
            expiring.iter().for_each(|key| warn(key, now));
            warned_at = Some(now);
        }
    }
}

fn measured(key: &ApiKey, now: Timestamp) -> Measurement {
    let attributes = vec![("tenant.id", key.tenant.to_string()), ("api_key.id", key.id.to_string())];
    Measurement { value: left(key, now).as_secs_f64(), attributes }
}

/// Warns of a key that ends within 30 days: when a directory's key ends, Entra quarantines its job.
fn warn(key: &ApiKey, now: Timestamp) {
    tracing::warn!(
        tenant.id = %key.tenant,
        api_key.id = %key.id,
        api_key.days_left = left(key, now).as_secs() / DAY,
        "an API key ends soon: `rollcall api-key rotate` makes its successor while it still works"
    );
}

fn left(key: &ApiKey, now: Timestamp) -> Duration {
    key.about.expires_at.map_or(Duration::ZERO, |end| end.since(now))
}

#[cfg(test)]
mod tests {
    use authn::Networks;
    use ids::{ApiKeyId, TenantId};

    use super::*;
    use crate::domain::About;

    #[test]
    fn a_key_is_measured_by_the_time_that_it_has_left() {
        let (now, tenant, id) = (Timestamp(1_700_000_000_000_000), TenantId::generate(), ApiKeyId::generate());
        let about = About {
            name: "Entra".into(),
            description: String::new(),
            scopes: "scim".parse().unwrap(),
            networks: Networks::default(),
            expires_at: Some(now.after(Duration::from_secs(3 * DAY))),
        };
        let key = ApiKey::new(id, tenant, about, "operator:x".into(), now);
        let Measurement { value, attributes } = measured(&key, now.after(Duration::from_secs(DAY)));
        assert!((value - 172_800.0).abs() < 1.0, "{value}");
        assert_eq!(attributes, [("tenant.id", tenant.to_string()), ("api_key.id", id.to_string())]);
    }
}
