//! The handlers: parse, act, render. One file for each resource.

pub(crate) mod answer;
pub(crate) mod bulk;
pub(crate) mod discovery;
pub(crate) mod groups;
mod list;
pub(crate) mod me;
mod members;
pub(crate) mod request;
pub(crate) mod root;
pub(crate) mod users;

use scim::{Definition, Resource, patch::Operation};
use serde_json::Value;

use crate::{Facade, error::Refusal, identity::Directory};

/// The resource of a POST or PUT, through the dialect and the engine.
async fn sent<'s>(
    facade: &Facade,
    directory: &Directory,
    definition: Definition<'s>,
    body: Value,
) -> Result<Resource<'s>, Refusal> {
    let (body, dropped) = scim_entra::resource(definition, body)?;
    facade.dropped().mention(directory, definition.resource_type(), dropped).await;
    let resource = Resource::from_json(definition, body)?;
    directory.recorder().sent(&resource);
    Ok(resource)
}

/// The operations of a PATCH, through the dialect.
async fn operations<'s>(
    facade: &Facade,
    directory: &Directory,
    definition: Definition<'s>,
    body: Value,
) -> Result<Vec<Operation<'s>>, Refusal> {
    let (operations, dropped) = scim_entra::patch(definition, body)?;
    facade.dropped().mention(directory, definition.resource_type(), dropped).await;
    Ok(operations)
}
