//! Why a run ended before its end.

use std::fmt;

/// Why a run ended before its end. No variant ever holds the key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tenant URL cannot be used.
    #[error("the tenant URL cannot be used: {0}")]
    Address(&'static str),
    /// The key would leave this machine without TLS.
    #[error("the key would travel to {host} in clear text: use https")]
    ClearText {
        /// The host it would travel to.
        host: String,
    },
    /// The key is empty or holds characters that a header cannot carry.
    #[error("the key is empty or holds characters that an HTTP header cannot carry")]
    Key,
    /// The HTTP client could not be set up, for example because no root certificates were found.
    #[error("the HTTP client could not be set up")]
    Setup(#[source] reqwest::Error),
    /// No whole answer came: no connection, a broken one, or none in time.
    #[error("{method} {path}: the endpoint could not be reached")]
    Unreachable {
        /// The request's method.
        method: String,
        /// The request's path and query.
        path: String,
        /// What failed.
        #[source]
        source: reqwest::Error,
    },
    /// The endpoint asked to wait more often, or for longer, than the client is willing to.
    #[error(
        "{method} {path}: still answered {status} with Retry-After after {attempts} attempts (now {retry_after_s} s)"
    )]
    Throttled {
        /// The request's method.
        method: String,
        /// The request's path and query.
        path: String,
        /// The status of the last answer: 429 or 503.
        status: u16,
        /// How often the request was sent.
        attempts: u32,
        /// The last wait asked for, in seconds.
        retry_after_s: u64,
    },
    /// An answer that Entra would not accept, or that disagrees with what was sent.
    #[error("{0}")]
    Difference(Box<Difference>),
    /// A change concerns an object that the state has no id for: the cycles before it did not provision it.
    #[error("the state holds no id for {0}")]
    NotProvisioned(String),
}

/// One answer that differs from what Entra demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The request's method.
    pub method: String,
    /// The request's path and query, encoded as they were sent.
    pub path: String,
    /// What the answer should have been.
    pub expected: String,
    /// What it was instead.
    pub found: String,
    /// The answer's status.
    pub status: u16,
    /// The beginning of the answer's body, with the key blotted out should the endpoint have echoed it, and blanks for
    /// control characters.
    pub excerpt: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, expected, found, status, excerpt } = self;
        write!(f, "{method} {path}: expected {expected}, found {found} (status {status}, body: {excerpt})")
    }
}
