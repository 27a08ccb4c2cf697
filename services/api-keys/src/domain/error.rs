//! Why a call is refused.

use std::time::Duration;

use authn::Scope;

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("not found")]
    NotFound,
    #[error("{field}: {description}")]
    Invalid { field: &'static str, description: String },
    #[error("the scope {0} cannot be given by a caller that lacks it")]
    ScopeDenied(Scope),
    #[error("the key has ended: make a new one")]
    Ended,
    #[error("the tenant has 100 trusts: revoke one that is not needed")]
    TooManyTrusts,
    #[error("the trust is revoked: make another")]
    TrustRevoked,
    #[error("the credential is not valid")]
    Unauthenticated,
    #[error("the client lacks the scope scim")]
    NotForClients,
    #[error("the client may not be used from this address")]
    AddressRefused,
    #[error("too many wrong credentials came from this address")]
    Throttled { retry_after: Duration },
    #[error("too many keys are being checked")]
    Busy,
    #[error("this api-keys follows no identity, so that it would not learn when the owner leaves")]
    NotFollowing,
    #[error("identity does not answer whether the owner has access")]
    IdentityUnavailable,
    #[error("the issuer of the assertion does not answer")]
    IssuerUnavailable,
    #[error("the database does not answer")]
    StoreUnavailable,
    #[error("internal error")]
    Internal,
}

impl Error {
    pub(crate) fn invalid(field: &'static str, description: impl Into<String>) -> Self {
        Self::Invalid { field, description: description.into() }
    }
}
