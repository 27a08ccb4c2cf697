//! The one client for calls to hosts that others name: an issuer's keys, and whatever else an administrator may write an address for.
//!
//! Such a call must not become a way into the network that this process stands in. Only https is spoken, redirects are not followed, and no
//! proxy, cookie or kept connection is used. The host's name is resolved for each connection and only addresses that were checked are
//! connected to, so that a name which changes its address between the check and the connection gains nothing. Each call is bounded in time
//! and in size.

mod address;
mod client;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;

pub use client::Client;
pub use ipnet::IpNet;
pub use reqwest::StatusCode;

/// What the operator lets calls do beyond the public network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Networks that are called although they are not public.
    pub allowed: Vec<IpNet>,
    /// Certificates (PEM) of authorities that are trusted beside the system's.
    pub root_certificates_pem: Option<Vec<u8>>,
}

/// Something to be posted.
#[derive(Clone, Debug)]
pub struct Post<'p> {
    /// Where to.
    pub url: &'p str,
    /// What the head says, each name once.
    pub headers: &'p [(&'static str, String)],
    /// The body.
    pub body: Bytes,
    /// How long it may take, from the look-up of the name to the last byte that is read.
    pub timeout: Duration,
    /// How much of the answer's body is read; where that is nothing, it is not waited for.
    pub answer_bytes_max: usize,
}

/// What came back of it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Success or not. A redirect is none.
    pub status: StatusCode,
    /// For how long the host wants to hear nothing (`Retry-After` in seconds), if it says so.
    pub retry_after: Option<Duration>,
    /// The beginning of the body.
    pub body: Bytes,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The authorities' certificates cannot be read.
    #[error("the extra root certificates cannot be used")]
    RootCertificates(#[source] Option<reqwest::Error>),
    /// TLS cannot be set up.
    #[error("the client for outbound calls cannot be made")]
    Tls(#[source] reqwest::Error),
}

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none that is called.
    #[error("not an https address without credentials in it")]
    Url,
    /// A field of the head cannot be sent.
    #[error("a field of the request's head holds what cannot be sent")]
    Header,
    /// The host is, or its name leads to, an address that is not public and that the operator does not allow.
    #[error("the host has no address that may be called")]
    Forbidden,
    /// The host answered, but not with success. A redirect is none.
    #[error("the host answered with status {0}")]
    Status(StatusCode),
    /// The answer is longer than the caller takes.
    #[error("the answer is too long")]
    TooLarge,
    /// No whole answer came in time.
    #[error("no whole answer came in time")]
    TimedOut,
    /// The host cannot be reached, or the connection broke.
    #[error("the host cannot be reached")]
    Unreachable(#[source] reqwest::Error),
}
