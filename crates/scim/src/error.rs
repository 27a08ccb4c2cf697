//! Errors as RFC 7644 section 3.12 writes them, with the cursor errors of RFC 9865 section 2.1.

use std::fmt;

use serde_json::{Value, json};

/// The schema URN of an error body.
pub const ERROR_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// How much of a client's own text an error may repeat.
const SHOWN_MAX: usize = 100;

/// The detail keyword of a 400 or 409.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScimType {
    /// The filter is malformed, or compares what cannot be compared.
    InvalidFilter,
    /// The filter matches more than the server is willing to answer.
    TooMany,
    /// A unique value is taken.
    Uniqueness,
    /// The attribute cannot be changed.
    Mutability,
    /// The body's structure is wrong.
    InvalidSyntax,
    /// The path of a patch operation is malformed or unknown.
    InvalidPath,
    /// The path of a patch operation selects nothing.
    NoTarget,
    /// A value is missing, or of the wrong type.
    InvalidValue,
    /// The protocol version is not supported.
    InvalidVers,
    /// The request puts personal data into a URL.
    Sensitive,
    /// The cursor is not one that this server gave out.
    InvalidCursor,
    /// The cursor is too old.
    ExpiredCursor,
    /// The page size is not acceptable with this cursor.
    InvalidCount,
}

impl ScimType {
    /// The keyword on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::InvalidVers => "invalidVers",
            Self::Sensitive => "sensitive",
            Self::InvalidCursor => "invalidCursor",
            Self::ExpiredCursor => "expiredCursor",
            Self::InvalidCount => "invalidCount",
        }
    }
}

impl fmt::Display for ScimType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal: the status, the keyword, and the sentence that tells an administrator what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Error {
    /// The HTTP status.
    pub status: u16,
    /// The keyword, where the RFC has one.
    pub scim_type: Option<ScimType>,
    /// What is wrong, for a person.
    pub detail: String,
}

impl Error {
    /// A refusal with a status and no keyword.
    pub fn with_status(status: u16, detail: impl Into<String>) -> Self {
        Self { status, scim_type: None, detail: detail.into() }
    }

    fn typed(status: u16, scim_type: ScimType, detail: impl Into<String>) -> Self {
        Self { status, scim_type: Some(scim_type), detail: detail.into() }
    }

    /// 400 `invalidFilter`.
    pub fn invalid_filter(detail: impl Into<String>) -> Self {
        Self::typed(400, ScimType::InvalidFilter, detail)
    }

    /// 400 `tooMany`.
    pub fn too_many(detail: impl Into<String>) -> Self {
        Self::typed(400, ScimType::TooMany, detail)
    }

    /// 409 `uniqueness`.
    pub fn uniqueness(detail: impl Into<String>) -> Self {
        Self::typed(409, ScimType::Uniqueness, detail)
    }

    /// 400 `mutability`.
    pub fn mutability(detail: impl Into<String>) -> Self {
        Self::typed(400, ScimType::Mutability, detail)
    }

    /// 400 `invalidSyntax`.
    pub fn invalid_syntax(detail: impl Into<String>) -> Self {
        Self::typed(400, ScimType::InvalidSyntax, detail)
    }

    /// 400 `invalidPath`.
    pub fn invalid_path(detail: impl Into<String>) -> Self {
        Self::typed(400, ScimType::InvalidPath, detail)
    }

    /// 400 `noTarget`.
    pub fn no_target(detail: impl Into<String>) -> Self {
        Self::typed(400, ScimType::NoTarget, detail)
    }

    /// 400 `invalidValue`.
    pub fn invalid_value(detail: impl Into<String>) -> Self {
        Self::typed(400, ScimType::InvalidValue, detail)
    }

    /// 400 `invalidVers`.
    pub fn invalid_vers(detail: impl Into<String>) -> Self {
        Self::typed(400, ScimType::InvalidVers, detail)
    }

    /// 403 `sensitive`.
    pub fn sensitive(detail: impl Into<String>) -> Self {
        Self::typed(403, ScimType::Sensitive, detail)
    }

    /// 400 `invalidCursor`.
    pub fn invalid_cursor(detail: impl Into<String>) -> Self {
        Self::typed(400, ScimType::InvalidCursor, detail)
    }

    /// 400 `expiredCursor`.
    pub fn expired_cursor(detail: impl Into<String>) -> Self {
        Self::typed(400, ScimType::ExpiredCursor, detail)
    }

    /// 400 `invalidCount`.
    pub fn invalid_count(detail: impl Into<String>) -> Self {
        Self::typed(400, ScimType::InvalidCount, detail)
    }

    /// 401: the credential is missing or not accepted.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::with_status(401, detail)
    }

    /// 403: the credential is good and the act is not allowed.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::with_status(403, detail)
    }

    /// 404: there is no such resource or endpoint.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::with_status(404, detail)
    }

    /// 405: the endpoint does not offer this method.
    pub fn method_not_allowed(detail: impl Into<String>) -> Self {
        Self::with_status(405, detail)
    }

    /// 412: the resource changed since the version that the client named.
    pub fn precondition_failed(detail: impl Into<String>) -> Self {
        Self::with_status(412, detail)
    }

    /// 413: the body holds more than the server takes at once.
    pub fn payload_too_large(detail: impl Into<String>) -> Self {
        Self::with_status(413, detail)
    }

    /// 429: the client sends faster than it may.
    pub fn too_many_requests(detail: impl Into<String>) -> Self {
        Self::with_status(429, detail)
    }

    /// 500: the fault is the server's.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::with_status(500, detail)
    }

    /// 501: the RFC has it and this server does not.
    pub fn not_implemented(detail: impl Into<String>) -> Self {
        Self::with_status(501, detail)
    }

    /// 503: the server cannot answer now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::with_status(503, detail)
    }

    /// The body; the status is a string, as the RFC has it.
    pub fn to_json(&self) -> Value {
        let mut body = json!({
            "schemas": [ERROR_SCHEMA],
            "status": self.status.to_string(),
            "detail": self.detail,
        });
        if let (Some(scim_type), Some(object)) = (self.scim_type, body.as_object_mut()) {
            object.insert("scimType".to_owned(), Value::from(scim_type.as_str()));
        }
        body
    }
}

/// A client's own text, short enough to repeat in an error.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_MAX).filter(|c| !c.is_control()).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_carries_the_status_as_a_string() {
        let body = Error::uniqueness("userName is taken").to_json();
        let expect = json!({"schemas": [ERROR_SCHEMA], "status": "409", "scimType": "uniqueness", "detail": "userName is taken"});
        assert_eq!(body, expect);
    }

    #[test]
    fn body_without_a_keyword_has_no_scim_type() {
        assert!(Error::not_found("no such user").to_json().get("scimType").is_none());
    }

    #[test]
    fn a_long_name_is_cut_before_it_is_repeated() {
        assert_eq!(shown(&"x".repeat(500)).chars().count(), SHOWN_MAX + 1);
        assert_eq!(shown("a\nb"), "ab");
    }
}
