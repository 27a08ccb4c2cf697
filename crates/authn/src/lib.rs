//! The only reader of `Authorization`: who is calling, and whether that still holds.
//!
//! A bearer is an API key, which is exchanged at api-keys for a short-lived token, or such a token. Either way the
//! token is verified by the published signing keys and honoured only while the list of revocations is known to be
//! current (`rules.md` R1). Nothing here says why a credential was refused.

pub mod access;
mod authenticator;
mod budget;
pub mod client;
mod exchange;
pub mod grpc;
pub mod http;
pub mod key;
mod networks;
mod principal;
mod published_keys;
mod revocations;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod token;
mod uses;

use std::time::Duration;

pub use authenticator::{Authenticator, Source};
pub use budget::{Budget, InvalidBudget, REQUESTS_PER_SECOND_MIN};
pub use client::Proof;
pub use key::KeyText;
pub use networks::{InvalidNetworks, NETWORKS_MAX, Networks};
pub use principal::{CredentialId, Grant, InvalidCredentialId, Principal, Scope, Scopes, TenantError, UnknownScope};

/// Why a caller is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The credential is missing, unknown, wrong, revoked, expired or of the wrong sort: which of them is not told.
    #[error("the credential is missing or not valid")]
    Unauthenticated,
    /// The credential is good and names the addresses that it may be used from, of which this is none. Whoever reads this has shown the whole
    /// credential, so it tells nothing to others.
    #[error("the credential may not be used from this address")]
    AddressRefused,
    /// The credential is good and its tenant has used its budget up.
    #[error("the tenant sends more requests than it may")]
    OverBudget {
        /// When there is room for the next.
        retry_after: Duration,
    },
    /// The credential may be good but cannot be checked now.
    #[error("credentials cannot be checked now")]
    Unavailable {
        /// When to try again.
        retry_after: Duration,
    },
}

impl Error {
    /// Credentials cannot be checked now; try again in a second.
    pub(crate) const UNAVAILABLE: Self = Self::Unavailable { retry_after: Duration::from_secs(1) };
}
