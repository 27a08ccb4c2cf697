//! What is done now and then: signing keys are rotated, revocations that match nothing any more are taken away, and keys and trusts that end
//! soon are warned of.

use std::{sync::Arc, time::Duration};

use authn::CredentialId;
use ids::TenantId;
use telemetry::metrics::{Gauge, Measurement};
use tokio::{task::JoinHandle, time::MissedTickBehavior};

use crate::{
    domain::{Error, Timestamp},
    signing::SigningKeys,
    store::Store,
};

/// How often it is done, from the start on.
const INTERVAL: Duration = Duration::from_secs(3600);
/// How often the same credential is warned of in the log.
const WARNING_INTERVAL: Duration = Duration::from_secs(DAY);
/// Seconds.
const DAY: u64 = 24 * 3600;
/// How many keys, and how many trusts, are looked at; those that end first come first.
const CREDENTIALS_MAX: u64 = 1000;

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
        "rollcall.credential.time_to_expiry",
        "s",
        "How long an API key or a trust that ends within 30 days can still be used",
    );
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut warned_at = None;
    loop {
        ticks.tick().await;
        let now = Timestamp::now();
        // What failed was logged where it did; it is done again the next time.
        let _ = signing_keys.maintain(now).await;
        let _ = store.purge_revocations(now).await;
        let Ok(ending) = ending(&store, now).await else { continue };
        gauge.replace(ending.iter().map(Ending::measured).collect());
        if warned_at.is_none_or(|at| now.since(at) >= WARNING_INTERVAL) {
            ending.iter().for_each(Ending::warn);
            warned_at = Some(now);
        }
    }
}

/// A credential that ends soon: when a directory's ends, Entra quarantines its job.
#[derive(Debug)]
struct Ending {
    tenant: TenantId,
    credential: CredentialId,
    left: Duration,
}

async fn ending(store: &Store, now: Timestamp) -> Result<Vec<Ending>, Error> {
    let of = |tenant, credential, end: Option<Timestamp>| {
        let left = end.map_or(Duration::ZERO, |end| end.since(now));
        Ending { tenant, credential, left }
    };
    let keys = store.expiring(now, CREDENTIALS_MAX).await?;
    let keys = keys.iter().map(|key| of(key.tenant, CredentialId::ApiKey(key.id), key.about.expires_at));
    let trusts = store.expiring_trusts(now, CREDENTIALS_MAX).await?;
    let trusts = trusts.iter().map(|trust| of(trust.tenant, CredentialId::Trust(trust.id), trust.terms.expires_at));
    Ok(keys.chain(trusts).collect())
}

impl Ending {
    fn measured(&self) -> Measurement {
        let attributes = vec![("tenant.id", self.tenant.to_string()), ("credential.id", self.credential.to_string())];
        Measurement { value: self.left.as_secs_f64(), attributes }
    }

    fn warn(&self) {
        let advice = match self.credential {
            CredentialId::ApiKey(_) => "`rollcall api-key rotate` makes its successor while it still works",
            CredentialId::Trust(_) => "`rollcall trust update` puts its end off",
        };
        tracing::warn!(
            tenant.id = %self.tenant,
            credential.id = %self.credential,
            credential.days_left = self.left.as_secs() / DAY,
            "a credential ends soon: {advice}"
        );
    }
}

#[cfg(test)]
mod tests {
    use authn::Networks;
    use database::testing::Engine;
    use ids::ApiKeyId;

    use super::*;
    use crate::{
        domain::{About, ApiKey, Caller},
        store::tests::prepared,
    };

    #[tokio::test]
    async fn what_ends_soon_is_measured_by_the_time_that_it_has_left() {
        let database = prepared(Engine::Sqlite).await.unwrap();
        let store = Store::open(database.location()).await.unwrap();
        let (now, tenant) = (Timestamp::now(), TenantId::generate());
        for days in [3, 31] {
            let about = About {
                name: "Entra".into(),
                description: String::new(),
                scopes: "scim".parse().unwrap(),
                networks: Networks::default(),
                expires_at: Some(now.after(Duration::from_secs(days * DAY))),
                owner: None,
            };
            let key = ApiKey::new(ApiKeyId::generate(), tenant, about, "operator:x".into(), now);
            let caller = Caller { tenant, ..Caller::itself("test") };
            store.create(&caller, key, "$argon2id$".into()).await.unwrap();
        }
        let ending = ending(&store, now).await.unwrap();
        assert_eq!(ending.len(), 1);
        let Measurement { value, attributes } = ending[0].measured();
        assert!((value - 259_200.0).abs() < 1.0, "{value}");
        let credential = ending[0].credential.to_string();
        assert_eq!(attributes, [("tenant.id", tenant.to_string()), ("credential.id", credential)]);
    }
}
