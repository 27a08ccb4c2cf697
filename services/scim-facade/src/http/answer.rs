//! Answers. Each is SCIM JSON, whatever the client says that it accepts: Entra says nothing of use there.

use std::time::Duration;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, ETAG, LOCATION},
};
use serde_json::{Map, Value};

use crate::precondition::Version;

/// The media type of SCIM (RFC 7644 section 8.1).
pub(crate) const SCIM_JSON: HeaderValue = HeaderValue::from_static("application/scim+json");

/// A JSON document.
pub(crate) fn json(status: StatusCode, value: &Value) -> Response {
    with_body(status, Body::from(value.to_string()))
}

/// A body that is JSON.
pub(crate) fn with_body(status: StatusCode, body: Body) -> Response {
    (status, [(CONTENT_TYPE, SCIM_JSON)], body).into_response()
}

/// When to come back, in whole seconds and at least one: 0 would ask for a retry at once.
pub(crate) fn retry_after(after: Duration) -> HeaderValue {
    let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0));
    HeaderValue::from(seconds.max(1))
}

/// One resource.
pub(crate) fn resource(status: StatusCode, resource: Map<String, Value>, version: Version) -> Response {
    tagged(json(status, &Value::Object(resource)), version)
}

/// The same answer with the resource's version as its entity tag.
pub(crate) fn tagged(mut response: Response, version: Version) -> Response {
    set(response.headers_mut(), ETAG, &version.entity_tag());
    response
}

/// The same answer with the address of what was made.
pub(crate) fn located(mut response: Response, location: &str) -> Response {
    set(response.headers_mut(), LOCATION, location);
    response
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    // A body is announced even where none follows: some clients look at the type first.
    with_body(status, Body::empty())
}

fn set(headers: &mut HeaderMap, name: http::HeaderName, value: &str) {
    // Tags are digits, and addresses were checked when they were made: both can stand in a header.
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}
