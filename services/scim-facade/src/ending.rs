//! Credentials that end soon, told in the provisioning log once for each credential and day: with the last of them Entra's job is quarantined.

use std::time::{Duration, SystemTime};

use authn::{CredentialId, Principal};
use moka::{future::Cache, policy::EvictionPolicy};

use crate::log::Recorder;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long before its end a credential is told of.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How many credentials are remembered as told of.
const REMEMBERED_MAX: u64 = 10_000;

/// Which credentials were told of lately.
#[derive(Clone, Debug)]
pub(crate) struct EndingCredentials(Cache<CredentialId, ()>);

impl EndingCredentials {
    pub(crate) fn new() -> Self {
        let told =
            Cache::builder().max_capacity(REMEMBERED_MAX).time_to_live(DAY).eviction_policy(EvictionPolicy::lru());
        Self(told.build())
    }

    /// Notes on a request that its credential ends soon, unless that was noted today.
    pub(crate) async fn mention(&self, principal: &Principal, recorder: &Recorder) {
        let Some((text, fix)) = warning(principal, SystemTime::now()) else { return };
        if recorder.is_on() && self.0.entry(principal.credential).or_insert(()).await.is_fresh() {
            recorder.noted(&text, &fix);
        }
    }
}

/// What is to be known of a credential that ends soon, and its remedy.
fn warning(principal: &Principal, now: SystemTime) -> Option<(String, String)> {
    let left = principal.ends?.duration_since(now).unwrap_or_default();
    if left > SOON {
        return None;
    }
    let days = left.as_secs() / DAY.as_secs();
    let (what, fix) = match principal.credential {
        CredentialId::ApiKey(id) => (
            "the API key",
            format!(
                "make its successor with `rollcall api-key rotate {id}` and enter that in Entra as the secret token; both work meanwhile"
            ),
        ),
        CredentialId::Trust(id) => (
            "the trust by which the directory signs in",
            format!("put its end off with `rollcall trust update {id} --expires-in …`"),
        ),
    };
    Some((format!("{what} ends in {days} days: Entra's job is quarantined then"), fix))
}

#[cfg(test)]
mod tests {
    use authn::Scopes;
    use ids::{ApiKeyId, TenantId};
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn a_credential_is_told_of_from_30_days_before_its_end() {
        let now = SystemTime::now();
        let days = |ends: Option<Duration>| {
            let principal = Principal {
                tenant: TenantId::generate(),
                credential: CredentialId::ApiKey(ApiKeyId::generate()),
                scopes: Scopes::default(),
                ends: ends.map(|left| now + left),
                token: SecretString::from("t"),
            };
            warning(&principal, now).map(|(text, _)| text)
        };
        assert_eq!(days(None), None);
        assert_eq!(days(Some(SOON + Duration::from_secs(1))), None);
        assert!(days(Some(SOON)).unwrap().contains("ends in 30 days"));
        assert!(days(Some(DAY / 2)).unwrap().contains("ends in 0 days"));
    }
}
