//! What became of one operation, and how it is answered.

use axum::response::Response;
use http::{
    StatusCode,
    header::{ETAG, LOCATION},
};
use scim::bulk::Operation;
use serde_json::{Map, Value};

use crate::error::Refusal;

/// See the module.
#[derive(Default)]
pub(super) struct Outcome {
    status: StatusCode,
    location: Option<String>,
    version: Option<String>,
    /// The body of a refusal.
    error: Option<Value>,
}

impl Outcome {
    /// The operation succeeded, upon what stands at this address unless the answer names another.
    pub(super) fn done(response: &Response, address: Option<String>) -> Self {
        let header = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let location = header(LOCATION).or(address);
        Self { status: response.status(), location, version: header(ETAG), error: None }
    }

    /// The operation was refused.
    pub(super) fn refused(refusal: &Refusal, location: Option<String>) -> Self {
        let error = refusal.error();
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, location, version: None, error: Some(error.to_json()) }
    }

    /// What was made, after the write that completed it.
    pub(super) fn completed(self, response: &Response) -> Self {
        Self { version: Self::done(response, None).version, ..self }
    }

    /// What was made and could neither be completed nor be taken back: it is there, and lacks what the refusal tells.
    pub(super) fn in_part(self, refusal: &Refusal) -> Self {
        Self { error: Some(refusal.error().to_json()), ..self }
    }

    pub(super) const fn is_error(&self) -> bool {
        self.error.is_some()
    }

    /// The version that the operation left.
    pub(super) fn version(&self) -> Option<String> {
        self.version.clone()
    }

    /// The id of what was made, which ends its address.
    pub(super) fn id(&self) -> Option<String> {
        self.location.as_deref()?.rsplit('/').next().map(str::to_owned)
    }

    pub(super) fn to_json(&self, operation: &Operation) -> Value {
        let mut result = Map::new();
        let method = operation.method.as_ref().map_or_else(String::clone, |method| method.as_str().to_owned());
        result.insert("method".to_owned(), Value::from(method));
        let optional = [("bulkId", &operation.bulk_id), ("version", &self.version), ("location", &self.location)];
        for (name, value) in optional {
            if let Some(value) = value {
                result.insert(name.to_owned(), Value::from(value.as_str()));
            }
        }
        result.insert("status".to_owned(), Value::from(self.status.as_str()));
        if let Some(error) = &self.error {
            result.insert("response".to_owned(), error.clone());
        }
        Value::Object(result)
    }
}
