//! Why a call is refused.

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
    #[error("the trust is revoked: make another")]
    TrustRevoked,
    #[error("the key is not valid")]
    Unauthenticated,
    #[error("too many keys are being checked")]
    Busy,
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
