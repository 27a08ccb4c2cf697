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
            Error::TrustRevoked => (Code::FailedPrecondition, "TRUST_REVOKED"),
            Error::Unauthenticated => (Code::Unauthenticated, "UNAUTHENTICATED"),
            Error::Busy => (Code::Unavailable, "BUSY"),
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
        if code == Code::Unavailable {
            details.set_retry_info(Some(RETRY_DELAY));
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
            Error::TrustRevoked,
            Error::Unauthenticated,
            Error::Busy,
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
                "FailedPrecondition TRUST_REVOKED {}: the trust is revoked: make another",
                "Unauthenticated UNAUTHENTICATED {}: the key is not valid",
                "Unavailable BUSY {}, retry: too many keys are being checked",
                "Unavailable STORE_UNAVAILABLE {}, retry: the database does not answer",
                "Internal INTERNAL {}: internal error",
            ]
        );
    }
}
