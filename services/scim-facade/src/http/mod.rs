//! The handlers: parse, act, render. One file for each resource.

pub(crate) mod answer;
pub(crate) mod discovery;
pub(crate) mod groups;
mod list;
mod members;
pub(crate) mod request;
pub(crate) mod users;

use scim::{Resource, ResourceType, patch::Operation};
use serde_json::Value;

use crate::{Facade, error::Refusal, identity::Directory};

/// The resource of a POST or PUT, through the dialect and the engine.
async fn sent(
    facade: &Facade,
    directory: &Directory,
    resource_type: ResourceType,
    body: Value,
) -> Result<Resource, Refusal> {
    let (body, dropped) = scim_entra::resource(resource_type, body)?;
    facade.dropped().mention(directory.principal().tenant, resource_type, dropped).await;
    Ok(Resource::from_json(resource_type, body)?)
}

/// The operations of a PATCH, through the dialect.
async fn operations(
    facade: &Facade,
    directory: &Directory,
    resource_type: ResourceType,
    body: Value,
) -> Result<Vec<Operation>, Refusal> {
    let (operations, dropped) = scim_entra::patch(resource_type, body)?;
    facade.dropped().mention(directory.principal().tenant, resource_type, dropped).await;
    Ok(operations)
}
