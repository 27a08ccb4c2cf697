//! What each tenant's users have: the schemas of the RFC and the attributes that the tenant defined by itself.
//!
//! They are asked for at most twice a second for each tenant (rule D11), however many requests need them.

use std::{sync::Arc, time::Duration};

use ids::TenantId;
use moka::future::Cache;
use proto::identity::v1::{UserAttribute as Wire, UserAttributeType};
use scim::{
    ResourceType, Schemas,
    schema::{UserAttribute, UserAttributeKind},
};

use tonic::{Code, Status};

use crate::{error::Refusal, identity::Directory};

/// How long what was read is good.
const GOOD_FOR: Duration = Duration::from_millis(500);
/// Of how many tenants the schemas are kept.
const TENANTS_MAX: u64 = 10_000;

/// The schemas of the tenants that were here lately.
#[derive(Clone, Debug)]
pub(crate) struct SchemaCache(Cache<TenantId, Arc<Schemas>>);

impl SchemaCache {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(TENANTS_MAX).time_to_live(GOOD_FOR).build())
    }

    /// The schemas of the caller's tenant.
    pub(crate) async fn of(&self, directory: &Directory) -> Result<Arc<Schemas>, Refusal> {
        let status = match self.0.try_get_with(directory.principal().tenant, read(directory)).await {
            Ok(schemas) => return Ok(schemas),
            Err(status) => status,
        };
        // Whoever asked first was refused. That says nothing about another key of the tenant, which must not be answered 401 for it.
        let status = match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => match read(directory).await {
                Ok(schemas) => return Ok(schemas),
                Err(status) => status,
            },
            _ => Status::clone(&status),
        };
        Err(Refusal::from_status(ResourceType::User, &status))
    }
}

async fn read(directory: &Directory) -> Result<Arc<Schemas>, Status> {
    let defined = directory.user_attributes().await?;
    Ok(Arc::new(Schemas::new(defined.into_iter().filter_map(attribute))))
}

/// A type that this release does not know is one that it can neither check nor answer.
fn attribute(wire: Wire) -> Option<UserAttribute> {
    let kind = match wire.r#type() {
        UserAttributeType::Unspecified => return None,
        UserAttributeType::String => UserAttributeKind::String,
        UserAttributeType::Number => UserAttributeKind::Number,
        UserAttributeType::Boolean => UserAttributeKind::Boolean,
        UserAttributeType::StringList => UserAttributeKind::StringList,
        UserAttributeType::NumberList => UserAttributeKind::NumberList,
    };
    Some(UserAttribute { name: wire.name, kind, description: wire.description })
}
