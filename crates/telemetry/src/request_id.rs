//! The id under which one request stands in every log, trace and service that it passes.

use std::{fmt, str::FromStr, sync::Arc};

use http::HeaderValue;
use uuid::Uuid;

/// The longest id that is kept from a caller.
pub const REQUEST_ID_LEN_MAX: usize = 64;

/// The id of a request: the caller's own `x-request-id` if it is short and plain, else a new UUID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

/// A text that cannot be an id: empty, too long, or with a character that could break a log line or a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a request id: write 1 to 64 characters of A-Z, a-z, 0-9, `.`, `_` and `-`")]
pub struct UnusableRequestId;

impl RequestId {
    /// A new id.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7().to_string().into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the request that the current task serves, if it serves one.
    #[must_use]
    pub fn current() -> Option<Self> {
        crate::propagation::current_request_id()
    }
}

impl FromStr for RequestId {
    type Err = UnusableRequestId;

    fn from_str(text: &str) -> Result<Self, UnusableRequestId> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if plain && (1..=REQUEST_ID_LEN_MAX).contains(&text.len()) {
            Ok(Self(text.into()))
        } else {
            Err(UnusableRequestId)
        }
    }
}

impl TryFrom<&HeaderValue> for RequestId {
    type Error = UnusableRequestId;

    fn try_from(value: &HeaderValue) -> Result<Self, UnusableRequestId> {
        value.to_str().map_err(|_| UnusableRequestId)?.parse()
    }
}

impl TryFrom<&RequestId> for HeaderValue {
    type Error = http::header::InvalidHeaderValue;

    fn try_from(id: &RequestId) -> Result<Self, Self::Error> {
        Self::from_str(id.as_str())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_plain_text_is_an_id() {
        let longest = "a".repeat(REQUEST_ID_LEN_MAX);
        for text in ["a", "0198f3c2-0000-7000-8000-000000000000", "trace.1_B", &longest] {
            assert_eq!(text.parse::<RequestId>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn anything_else_is_not() {
        let too_long = "a".repeat(REQUEST_ID_LEN_MAX + 1);
        for text in ["", "a b", "a\nb", "ünder", "{}", "a/b", &too_long] {
            assert_eq!(text.parse::<RequestId>(), Err(UnusableRequestId), "{text:?}");
        }
        assert_eq!(RequestId::try_from(&HeaderValue::from_bytes(b"\xff").unwrap()), Err(UnusableRequestId));
    }

    #[test]
    fn a_new_id_is_usable() {
        let id = RequestId::generate();
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
    }
}
