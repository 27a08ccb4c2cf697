//! `/ServiceProviderConfig`, `/ResourceTypes` and `/Schemas` (RFC 7644 section 4).
//!
//! They obey the tenant's provisioning state: a directory that is off learns so by whatever it asks first.

use std::sync::Arc;

use axum::{extract::FromRequestParts, response::Response};
use http::{StatusCode, request::Parts};
use scim::{Error, ResourceType, Schemas, discovery};
use serde_json::Value;

use super::{
    answer,
    request::{Id, Query},
};
use crate::{Facade, base::Base, error::Refusal, identity::Directory};

/// What every endpoint here answers from: taken out of a request that may be answered at all.
#[derive(Debug)]
pub(crate) struct Discovery {
    schemas: Arc<Schemas>,
    base: Base,
}

impl FromRequestParts<Facade> for Discovery {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, facade: &Facade) -> Result<Self, Refusal> {
        let directory = Directory::from_request_parts(parts, facade).await?;
        let Ok(base) = Base::from_request_parts(parts, facade).await;
        let query = Query::from_request_parts(parts, facade).await?;
        directory.tenant().await.map_err(|status| Refusal::from_status(ResourceType::User, &status))?;
        if query.list().filter.is_some() {
            // An answer that ignored the filter would be taken for one that obeyed it.
            return Err(Error::forbidden("this endpoint cannot be filtered").into());
        }
        Ok(Self { schemas: facade.schemas().of(&directory).await?, base })
    }
}

pub(crate) async fn service_provider_config(Discovery { base, .. }: Discovery) -> Response {
    answer::json(StatusCode::OK, &discovery::service_provider_config(base.as_str()))
}

pub(crate) async fn resource_types(Discovery { schemas, base }: Discovery) -> Response {
    answer::json(StatusCode::OK, &discovery::resource_types(&schemas, base.as_str()))
}

pub(crate) async fn resource_type(Discovery { schemas, base }: Discovery, Id(name): Id) -> Result<Response, Refusal> {
    found(discovery::resource_type(&schemas, base.as_str(), &name))
}

pub(crate) async fn schemas(Discovery { schemas, base }: Discovery) -> Response {
    answer::json(StatusCode::OK, &discovery::schemas(&schemas, base.as_str()))
}

pub(crate) async fn schema(Discovery { schemas, base }: Discovery, Id(urn): Id) -> Result<Response, Refusal> {
    found(discovery::schema(&schemas, base.as_str(), &urn))
}

fn found(document: Option<Value>) -> Result<Response, Refusal> {
    let document = document.ok_or_else(|| Error::not_found("there is no such schema or resource type"))?;
    Ok(answer::json(StatusCode::OK, &document))
}
