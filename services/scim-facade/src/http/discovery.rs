//! `/ServiceProviderConfig`, `/ResourceTypes` and `/Schemas` (RFC 7644 section 4).
//!
//! They obey the tenant's provisioning state: a directory that is off learns so by whatever it asks first.

use axum::{extract::State, response::Response};
use http::StatusCode;
use scim::{Error, ResourceType, discovery};
use serde_json::Value;

use super::{
    answer,
    request::{Id, Query},
};
use crate::{Facade, base::Base, error::Refusal, identity::Directory};

pub(crate) async fn service_provider_config(
    directory: Directory,
    base: Base,
    query: Query,
) -> Result<Response, Refusal> {
    answered(&directory, &query, Some(discovery::service_provider_config(base.as_str()))).await
}

pub(crate) async fn resource_types(
    State(facade): State<Facade>,
    directory: Directory,
    base: Base,
    query: Query,
) -> Result<Response, Refusal> {
    let schemas = facade.schemas().of(&directory).await?;
    answered(&directory, &query, Some(discovery::resource_types(&schemas, base.as_str()))).await
}

pub(crate) async fn resource_type(
    State(facade): State<Facade>,
    directory: Directory,
    base: Base,
    Id(name): Id,
    query: Query,
) -> Result<Response, Refusal> {
    let schemas = facade.schemas().of(&directory).await?;
    answered(&directory, &query, discovery::resource_type(&schemas, base.as_str(), &name)).await
}

pub(crate) async fn schemas(
    State(facade): State<Facade>,
    directory: Directory,
    base: Base,
    query: Query,
) -> Result<Response, Refusal> {
    let schemas = facade.schemas().of(&directory).await?;
    answered(&directory, &query, Some(discovery::schemas(&schemas, base.as_str()))).await
}

pub(crate) async fn schema(
    State(facade): State<Facade>,
    directory: Directory,
    base: Base,
    Id(urn): Id,
    query: Query,
) -> Result<Response, Refusal> {
    let schemas = facade.schemas().of(&directory).await?;
    answered(&directory, &query, discovery::schema(&schemas, base.as_str(), &urn)).await
}

async fn answered(directory: &Directory, query: &Query, document: Option<Value>) -> Result<Response, Refusal> {
    directory.tenant().await.map_err(|status| Refusal::from_status(ResourceType::User, &status))?;
    if query.list().filter.is_some() {
        // An answer that ignored the filter would be taken for one that obeyed it.
        return Err(Error::forbidden("this endpoint cannot be filtered").into());
    }
    match document {
        Some(document) => Ok(answer::json(StatusCode::OK, &document)),
        None => Err(Error::not_found("there is no such schema or resource type").into()),
    }
}
