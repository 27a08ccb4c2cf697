//! The one mapping of refusals to gRPC: a code, a sentence, and a `google.rpc.ErrorInfo` whose reason a program can
//! rely on.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::domain::Error;

/// `domain` of every ErrorInfo.
const DOMAIN: &str = "api-keys.rollcall";
/// When to try again what was refused for want of room.
const RETRY_DELAY: Duration = Duration::from_secs(1);

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let (code, reason) = match &error {
            Error::NotFound => (Code::NotFound, "NOT_FOUND"),
            Error::Invalid { .. } => (Code::InvalidArgument, "INVALID_FIELD"),
            Error::ScopeDenied(_) => (Code::PermissionDenied, "SCOPE_DENIED"),
            Error::Ended => (Code::FailedPrecondition, "KEY_ENDED"),
            Error::TooManyTrusts => (Code::FailedPrecondition, "TOO_MANY_TRUSTS"),
            Error::TrustRevoked => (Code::FailedPrecondition, "TRUST_REVOKED"),
            Error::Unauthenticated => (Code::Unauthenticated, "UNAUTHENTICATED"),
            Error::NotForClients => (Code::PermissionDenied, "NOT_FOR_CLIENTS"),
            Error::AddressRefused => (Code::PermissionDenied, "ADDRESS_REFUSED"),
            // Not UNAVAILABLE, which is waited out: one more who waits would only hold more memory.
            Error::Throttled { .. } => (Code::ResourceExhausted, "THROTTLED"),
            Error::Busy => (Code::ResourceExhausted, "BUSY"),
            Error::NotFollowing => (Code::FailedPrecondition, "NOT_FOLLOWING"),
            Error::IdentityUnavailable => (Code::Unavailable, "IDENTITY_UNAVAILABLE"),
            Error::IssuerUnavailable => (Code::Unavailable, "ISSUER_UNAVAILABLE"),
            Error::StoreUnavailable => (Code::Unavailable, "STORE_UNAVAILABLE"),
            Error::Internal => (Code::Internal, "INTERNAL"),
        };
        let mut metadata = HashMap::new();
        let mut details = ErrorDetails::new();
        if let Error::Invalid { field, description } = &error {
            metadata.insert("field".to_owned(), (*field).to_owned());
            details.add_bad_request_violation(*field, description);
        }
        if let Error::ScopeDenied(scope) = &error {
            metadata.insert("scope".to_owned(), scope.to_string());
        }
        match &error {
            Error::Throttled { retry_after } => drop(details.set_retry_info(Some(*retry_after))),
            _ if matches!(code, Code::Unavailable | Code::ResourceExhausted) => {
                details.set_retry_info(Some(RETRY_DELAY));
            }
            _ => {}
        }
        details.set_error_info(reason, DOMAIN, metadata);
        Self::with_error_details(code, error.to_string(), details)
    }
}

#[cfg(test)]
mod tests {
    use authn::Scope;

    use super::*;

    #[test]
    fn the_table_of_refusals() {
        let errors = [
            Error::NotFound,
            Error::invalid("page_size", "write 1"),
            Error::ScopeDenied(Scope::Admin),
            Error::Ended,
            Error::TooManyTrusts,
            Error::TrustRevoked,
            Error::Unauthenticated,
            Error::NotForClients,
            Error::AddressRefused,
            Error::Throttled { retry_after: Duration::from_secs(7) },
            Error::Busy,
            Error::NotFollowing,
            Error::IdentityUnavailable,
            Error::IssuerUnavailable,
            Error::StoreUnavailable,
            Error::Internal,
        ];
        let table = errors.map(|error| {
            let status = Status::from(error);
            let details = status.get_error_details();
            let info = details.error_info().unwrap();
            assert_eq!(info.domain, "api-keys.rollcall");
            let retry = if details.retry_info().is_some() { ", retry" } else { "" };
            format!("{:?} {} {:?}{retry}: {}", status.code(), info.reason, info.metadata, status.message())
        });
        assert_eq!(
            table,
            [
                "NotFound NOT_FOUND {}: not found",
                "InvalidArgument INVALID_FIELD {\"field\": \"page_size\"}: page_size: write 1",
                "PermissionDenied SCOPE_DENIED {\"scope\": \"admin\"}: the scope admin cannot be given by a caller that lacks it",
                "FailedPrecondition KEY_ENDED {}: the key has ended: make a new one",
                "FailedPrecondition TOO_MANY_TRUSTS {}: the tenant has 100 trusts: revoke one that is not needed",
                "FailedPrecondition TRUST_REVOKED {}: the trust is revoked: make another",
                "Unauthenticated UNAUTHENTICATED {}: the credential is not valid",
                "PermissionDenied NOT_FOR_CLIENTS {}: the client lacks the scope scim",
                "PermissionDenied ADDRESS_REFUSED {}: the client may not be used from this address",
                "ResourceExhausted THROTTLED {}, retry: too many wrong credentials came from this address",
                "ResourceExhausted BUSY {}, retry: too many keys are being checked",
                "FailedPrecondition NOT_FOLLOWING {}: this api-keys follows no identity, so that it would not learn when the owner leaves",
                "Unavailable IDENTITY_UNAVAILABLE {}, retry: identity does not answer whether the owner has access",
                "Unavailable ISSUER_UNAVAILABLE {}, retry: the issuer of the assertion does not answer",
                "Unavailable STORE_UNAVAILABLE {}, retry: the database does not answer",
                "Internal INTERNAL {}: internal error",
            ]
        );
    }
}
