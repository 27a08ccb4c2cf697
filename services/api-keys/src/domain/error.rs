//! Why a call is refused.

use authn::Scope;

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("not found")]
    NotFound,
    #[error("{field}: {description}")]
    Invalid { field: &'static str, description: String },
    #[error("a key cannot be given the scope {0}, which its issuer lacks")]
    ScopeDenied(Scope),
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
