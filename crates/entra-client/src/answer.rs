//! An answer, and the parts of it that Entra cannot do without.

mod checks;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::{Difference, Error};

/// How much of a body an error shows.
const EXCERPT_CHARS_MAX: usize = 400;
/// How much of what was found an error shows.
const FOUND_CHARS_MAX: usize = 200;

/// An answer that was read to its end.
pub(crate) struct Answer<'a> {
    /// Only to blot it out of what an error shows.
    pub(crate) key: &'a SecretString,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Answer<'_> {
    /// The error that says how this answer differs from what was expected.
    pub(crate) fn difference(&self, expected: impl Into<String>, found: impl AsRef<str>) -> Error {
        Error::Difference(Box::new(Difference {
            method: self.method.clone(),
            path: self.path.clone(),
            expected: expected.into(),
            found: self.shown(found.as_ref(), FOUND_CHARS_MAX),
            status: self.status,
            excerpt: self.shown(&String::from_utf8_lossy(&self.body), EXCERPT_CHARS_MAX),
        }))
    }

    /// Without the key, and cut only then, so that no part of it is left at the end; without control characters, for it ends
    /// up on terminals.
    fn shown(&self, text: &str, chars_max: usize) -> String {
        let text = match self.key.expose_secret() {
            "" => text.to_owned(),
            key => text.replace(key, "[key]"),
        };
        let cut = text.chars().nth(chars_max).map(|_| '…');
        text.chars().take(chars_max).map(|c| if c.is_control() { ' ' } else { c }).chain(cut).collect()
    }

    /// The status is one of those allowed.
    fn demand_status(&self, allowed: &[u16]) -> Result<(), Error> {
        if allowed.contains(&self.status) {
            return Ok(());
        }
        let allowed: Vec<String> = allowed.iter().map(u16::to_string).collect();
        Err(self.difference(format!("status {}", allowed.join(" or ")), format!("status {}", self.status)))
    }

    /// The content type, without its parameters, is one of those allowed.
    fn demand_content_type(&self, allowed: &[&str]) -> Result<(), Error> {
        let content_type = self.content_type.as_deref().unwrap_or("none");
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if allowed.iter().any(|allowed| essence.eq_ignore_ascii_case(allowed)) {
            return Ok(());
        }
        Err(self.difference(format!("content type {}", allowed.join(" or ")), format!("content type {content_type}")))
    }

    /// The body is a JSON object.
    fn json_object(&self) -> Result<Value, Error> {
        match serde_json::from_slice::<Value>(&self.body) {
            Ok(value) if value.is_object() => Ok(value),
            Ok(_) => Err(self.difference("a JSON object", "other JSON")),
            Err(error) => Err(self.difference("a JSON object", format!("a body that is not JSON: {error}"))),
        }
    }

    /// A success in SCIM's own content type.
    fn scim_object(&self, status: u16) -> Result<Value, Error> {
        self.demand_status(&[status])?;
        self.demand_content_type(&["application/scim+json"])?;
        self.json_object()
    }

    /// `schemas` lists a URN.
    fn demand_schema(&self, value: &Value, urn: &str) -> Result<(), Error> {
        let schemas = &value["schemas"];
        if schemas.as_array().is_some_and(|schemas| schemas.iter().any(|schema| schema == urn)) {
            return Ok(());
        }
        Err(self.difference(format!("schemas to list {urn}"), schemas.to_string()))
    }
}
