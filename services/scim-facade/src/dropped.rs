//! Attributes that the dialect layer dropped: told to the log once for each tenant, attribute and day, never to the
//! client (rule R12).

use std::time::Duration;

use ids::TenantId;
use moka::{future::Cache, policy::EvictionPolicy};
use scim::ResourceType;
use scim_entra::Dropped;

use crate::identity::Directory;

/// How long an attribute is not mentioned again.
const MENTIONED_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// How many attributes are remembered as mentioned.
const REMEMBERED_MAX: u64 = 10_000;
/// How many attributes one request can bring into the log: a client could invent new names for ever.
const MENTIONED_PER_REQUEST_MAX: usize = 20;

/// What was mentioned lately.
#[derive(Clone, Debug)]
pub(crate) struct DroppedLog(Cache<(TenantId, ResourceType, String), ()>);

impl DroppedLog {
    pub(crate) fn new() -> Self {
        let mentioned = Cache::builder()
            .max_capacity(REMEMBERED_MAX)
            .time_to_live(MENTIONED_EVERY)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self(mentioned)
    }

    /// Mentions what was not mentioned today. Only names are written, never values.
    pub(crate) async fn mention(&self, directory: &Directory, resource_type: ResourceType, dropped: Vec<Dropped>) {
        let tenant = directory.principal().tenant;
        let fresh = self.fresh(tenant, resource_type, dropped).await;
        directory.recorder().dropped(&fresh);
        for Dropped { attribute, reason } in fresh {
            tracing::warn!(
                tenant.id = %tenant,
                scim.resource_type = resource_type.name(),
                scim.attribute = attribute,
                reason = reason.as_str(),
                fix = reason.remedy(),
                "an attribute that is not known was dropped"
            );
        }
    }

    async fn fresh(&self, tenant: TenantId, resource_type: ResourceType, dropped: Vec<Dropped>) -> Vec<Dropped> {
        let mut fresh = Vec::new();
        for one in dropped {
            if fresh.len() == MENTIONED_PER_REQUEST_MAX {
                break;
            }
            let key = (tenant, resource_type, one.attribute.clone());
            if self.0.entry(key).or_insert(()).await.is_fresh() {
                fresh.push(one);
            }
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use scim_entra::Reason;

    use super::*;

    fn named(names: impl IntoIterator<Item = String>) -> Vec<Dropped> {
        names.into_iter().map(|attribute| Dropped { attribute, reason: Reason::UnknownAttribute }).collect()
    }

    #[tokio::test]
    async fn r12_an_attribute_is_mentioned_once_for_each_tenant_and_type() {
        let (log, one, two) = (DroppedLog::new(), TenantId::generate(), TenantId::generate());
        let shoe = || named(["shoeSize".to_owned()]);
        assert_eq!(log.fresh(one, ResourceType::User, shoe()).await, shoe());
        assert_eq!(log.fresh(one, ResourceType::User, shoe()).await, []);
        assert_eq!(log.fresh(two, ResourceType::User, shoe()).await, shoe());
        assert_eq!(log.fresh(one, ResourceType::Group, shoe()).await, shoe());
    }

    #[tokio::test]
    async fn one_request_mentions_a_bounded_number() {
        let names = (0..=MENTIONED_PER_REQUEST_MAX).map(|number| format!("a{number}"));
        let fresh = DroppedLog::new().fresh(TenantId::generate(), ResourceType::User, named(names)).await;
        assert_eq!(fresh.len(), MENTIONED_PER_REQUEST_MAX);
    }
}
