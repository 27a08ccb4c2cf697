//! Why a request is refused: the one mapping from identity's statuses and failed sign-ins to SCIM errors (RFC 7644
//! section 3.12).
//!
//! A client sees a stable sentence that says what to change. The cause of a fault of ours goes to the log, here and
//! once.

use std::{collections::HashMap, error::Error as _, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{
    HeaderValue,
    header::{RETRY_AFTER, WWW_AUTHENTICATE},
};
use scim::{Error, ResourceType};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{http::answer, identity::ErrorReason, mapping::field};

/// When a client shall come back after a failure that is expected to pass.
const RETRY_AFTER_OUTAGE: Duration = Duration::from_secs(5);
/// When a client shall come back while an administrator has paused provisioning.
const RETRY_AFTER_PAUSE: Duration = Duration::from_secs(300);

const OFF: &str = "provisioning is off for this tenant: an administrator turns it on with `rollcall scim enable` (or \
                   Settings → Provisioning) and then presses \"Restart provisioning\" in Entra";
const PAUSED: &str = "provisioning is paused for this tenant: writes are taken again once an administrator resumes it \
                      with `rollcall scim enable`";
const PREVIEW: &str = "provisioning is in preview for this tenant, and nothing is written until an administrator ends that with \
                       `rollcall scim enable`";
const UNAVAILABLE: &str = "the service cannot answer now; try again later";
const CONTENDED: &str = "other requests keep changing the resource; try again";
const INTERNAL: &str = "the service failed; its log says why";
/// The same for every cause: what a credential lacks is told to nobody (rule R3).
const UNAUTHENTICATED: &str = "the API key is missing or not valid";

/// Who reads this has shown the whole credential.
const ADDRESS_REFUSED: &str = "the API key may not be used from this address: an administrator changes its networks with \
                               `rollcall api-key update ID --allow-network …`";
const OVER_BUDGET: &str =
    "the tenant sends more requests a second than it may; try again after the time that Retry-After names";

/// A refusal, ready to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    error: Error,
    /// Why identity refused, where it did.
    reason: Option<ErrorReason>,
    retry_after: Option<Duration>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, reason: None, retry_after: None }
    }
}

impl From<authn::Error> for Refusal {
    fn from(error: authn::Error) -> Self {
        match error {
            authn::Error::Unauthenticated => Error::unauthorized(UNAUTHENTICATED).into(),
            authn::Error::AddressRefused => Error::forbidden(ADDRESS_REFUSED).into(),
            authn::Error::OverBudget { retry_after } => {
                Self { retry_after: Some(retry_after), ..Error::with_status(429, OVER_BUDGET).into() }
            }
            authn::Error::Unavailable { retry_after } => Self::later(UNAVAILABLE, retry_after),
        }
    }
}

impl Refusal {
    /// What is answered.
    pub(crate) fn error(&self) -> &Error {
        &self.error
    }

    /// Why identity refused, where it did.
    pub(crate) const fn reason(&self) -> Option<ErrorReason> {
        self.reason
    }

    /// Whether the service could not answer, so that the same would be answered to the next request.
    pub(crate) fn is_outage(&self) -> bool {
        self.error.status == 503 && self.error.detail != CONTENDED
    }

    /// An administrator has paused provisioning, and this is a write.
    pub(crate) fn paused(state_reason: &str) -> Self {
        let later = Self::later(&because(PAUSED.to_owned(), state_reason), RETRY_AFTER_PAUSE);
        Self { reason: Some(ErrorReason::ProvisioningPaused), ..later }
    }

    /// An administrator lets writes be tried only, and this one would have changed something.
    pub(crate) fn preview(would: &str, state_reason: &str) -> Self {
        Self::later(&because(format!("{PREVIEW}: this would {would}"), state_reason), RETRY_AFTER_PAUSE)
    }

    /// A fault of ours, which was logged already.
    pub(crate) fn internal() -> Self {
        Error::internal(INTERNAL).into()
    }

    /// The resource changed again and again while the request was worked on.
    pub(crate) fn contended() -> Self {
        Self::later(CONTENDED, Duration::from_secs(1))
    }

    /// Why identity did not do what was asked of it, for a client that asked about `resource_type`.
    pub(crate) fn from_status(resource_type: ResourceType, status: &Status) -> Self {
        let info = status.get_details_error_info();
        match info.as_ref().and_then(|info| ErrorReason::from_str_name(&info.reason)) {
            Some(reason) => {
                let metadata = info.map(|info| info.metadata).unwrap_or_default();
                Self { reason: Some(reason), ..Self::from_reason(resource_type, reason, &metadata, status) }
            }
            None => Self::from_code(status),
        }
    }

    fn from_reason(
        resource_type: ResourceType,
        reason: ErrorReason,
        metadata: &HashMap<String, String>,
        status: &Status,
    ) -> Self {
        let of = |key: &str| metadata.get(key).map(String::as_str).unwrap_or_default();
        match reason {
            ErrorReason::NotFound => not_found(resource_type).into(),
            ErrorReason::InvalidField => invalid_field(resource_type, of("field"), status.message()).into(),
            ErrorReason::UnsupportedFilter => {
                let name = field::attribute_name(resource_type, of("field"));
                Error::invalid_filter(renamed(status.message(), of("field"), &name)).into()
            }
            ErrorReason::UserNameTaken => taken("userName", "user", of("holder")).into(),
            ErrorReason::GroupNameTaken => taken("displayName", "group", of("holder")).into(),
            ErrorReason::VersionMismatch => {
                Error::precondition_failed(format!("the resource has changed: its version is now {}", of("version")))
                    .into()
            }
            ErrorReason::UnknownMember => {
                Error::invalid_value(refused("no user has these ids", of("ids"), of("count"))).into()
            }
            ErrorReason::NestedGroup => {
                let sentence = "nested groups are not supported; these ids belong to groups";
                Error::invalid_value(refused(sentence, of("ids"), of("count"))).into()
            }
            ErrorReason::ProvisioningOff => Error::forbidden(because(OFF.to_owned(), of("state_reason"))).into(),
            ErrorReason::ProvisioningPaused => Self::paused(of("state_reason")),
            ErrorReason::ProvisioningPreview => Self::preview(of("would"), of("state_reason")),
            ErrorReason::StoreUnavailable => Self::outage(status),
            ErrorReason::FilterTooCostly => Error::too_many(
                "no index answers this filter and the tenant is too large to look at every resource: add a term by id, \
                 userName, externalId, displayName or emails.value",
            )
            .into(),
            // A directory is refused none of what an administrator is, and asks for none of the rest.
            ErrorReason::TenantNameTaken
            | ErrorReason::LastAdmin
            | ErrorReason::NeedsAdmin
            | ErrorReason::RoleTaken
            | ErrorReason::RoleInUse
            | ErrorReason::TooManyRoles
            | ErrorReason::RoleMappingTaken
            | ErrorReason::TooManyRoleMappings
            | ErrorReason::UserAttributeTaken
            | ErrorReason::TooManyUserAttributes
            | ErrorReason::PositionOutOfRange
            | ErrorReason::TooManyWatches
            | ErrorReason::TooManyChangeConsumers
            | ErrorReason::Ending
            | ErrorReason::EncryptionKeyMissing
            | ErrorReason::TooManyEventEndpoints
            | ErrorReason::EventsMissed
            | ErrorReason::EventEndpointDisabled
            | ErrorReason::Unspecified => Self::fault(status),
        }
    }

    fn from_code(status: &Status) -> Self {
        match status.code() {
            Code::Unauthenticated => authn::Error::Unauthenticated.into(),
            // Nothing that is answered by a server of ours lacks a reason with these; they come from the way there.
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::ResourceExhausted => {
                Self::outage(status)
            }
            // The message was larger than identity takes.
            Code::OutOfRange => {
                Error::payload_too_large("the request holds more than the service takes at once").into()
            }
            Code::Ok
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss => Self::fault(status),
        }
    }

    fn later(detail: &str, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Error::unavailable(detail).into() }
    }

    fn outage(status: &Status) -> Self {
        let (code, message, cause) = (status.code(), status.message(), status.source());
        tracing::warn!(rpc.code = ?code, rpc.message = message, cause, "identity does not answer");
        let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
        Self::later(UNAVAILABLE, asked.unwrap_or(RETRY_AFTER_OUTAGE))
    }

    fn fault(status: &Status) -> Self {
        let (code, message, cause) = (status.code(), status.message(), status.source());
        tracing::error!(rpc.code = ?code, rpc.message = message, cause, "identity failed");
        Self::internal()
    }
}

/// A sentence about a provisioning state, with the administrator's word why it is so, if there is one.
fn because(sentence: String, state_reason: &str) -> String {
    if state_reason.is_empty() { sentence } else { format!("{sentence}. The reason given: {state_reason}") }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = http::StatusCode::from_u16(self.error.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = answer::json(status, &self.error.to_json());
        if status == http::StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(after) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, answer::retry_after(after));
        }
        // For the provisioning log.
        response.extensions_mut().insert(self);
        response
    }
}

fn not_found(resource_type: ResourceType) -> Error {
    match resource_type {
        ResourceType::User => Error::not_found("there is no such user"),
        ResourceType::Group => Error::not_found("there is no such group"),
    }
}

fn taken(attribute: &str, kind: &str, holder: &str) -> Error {
    if holder.is_empty() {
        return Error::uniqueness(format!("{attribute} is taken by another {kind}"));
    }
    Error::uniqueness(format!("{attribute} is taken by the {kind} {holder}"))
}

fn invalid_field(resource_type: ResourceType, name: &str, message: &str) -> Error {
    let attribute = field::attribute_name(resource_type, name);
    let detail = renamed(message, name, &attribute);
    match name {
        "filter" => Error::invalid_filter(detail),
        "page_token" => Error::invalid_cursor("the cursor is not one that this service gave out"),
        _ => Error::invalid_value(detail),
    }
}

/// Identity's sentence, which begins with the field's name, under the name that an administrator knows.
fn renamed(message: &str, field: &str, attribute: &str) -> String {
    match message.strip_prefix(field) {
        Some(rest) if !field.is_empty() => format!("{attribute}{rest}"),
        Some(_) | None => format!("{attribute}: {message}"),
    }
}

/// Identity names the first ids and counts them all.
fn refused(sentence: &str, ids: &str, count: &str) -> String {
    let named = ids.split(',').count();
    match count.parse::<usize>() {
        Ok(count) if count > named => format!("{sentence}: {ids} and {} more", count - named),
        Ok(_) | Err(_) => format!("{sentence}: {ids}"),
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    fn status(code: Code, reason: ErrorReason, message: &str, metadata: &[(&str, &str)]) -> Status {
        let metadata: HashMap<_, _> =
            metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let details = ErrorDetails::with_error_info(reason.as_str_name(), "identity.rollcall", metadata);
        Status::with_error_details(code, message, details)
    }

    fn row(name: &str, refusal: &Refusal) -> String {
        let Refusal { error, retry_after, .. } = refusal;
        let scim_type = error.scim_type.map_or("-", |scim_type| scim_type.as_str());
        let retry = retry_after.map_or_else(String::new, |after| format!(" (retry after {} s)", after.as_secs()));
        format!("{name}: {} {scim_type} {}{retry}", error.status, error.detail)
    }

    #[test]
    fn every_reason_has_its_answer() {
        let reasons = [
            (ErrorReason::Unspecified, Code::Unknown, "?", vec![]),
            (ErrorReason::NotFound, Code::NotFound, "no such user", vec![]),
            (
                ErrorReason::InvalidField,
                Code::InvalidArgument,
                "user_name must not be empty",
                vec![("field", "user_name")],
            ),
            (
                ErrorReason::InvalidField,
                Code::InvalidArgument,
                "profile.name.given_name is longer than 4096 characters",
                vec![("field", "profile.name.given_name")],
            ),
            (
                ErrorReason::InvalidField,
                Code::InvalidArgument,
                "filter has more than 64 terms",
                vec![("field", "filter")],
            ),
            (ErrorReason::InvalidField, Code::InvalidArgument, "page_token is not one", vec![("field", "page_token")]),
            (
                ErrorReason::UnsupportedFilter,
                Code::InvalidArgument,
                "profile.emails.display cannot be filtered so: no",
                vec![("field", "profile.emails.display")],
            ),
            (ErrorReason::UserNameTaken, Code::AlreadyExists, "taken", vec![("holder", "u1")]),
            (ErrorReason::GroupNameTaken, Code::AlreadyExists, "taken", vec![]),
            (ErrorReason::TenantNameTaken, Code::AlreadyExists, "taken", vec![]),
            (ErrorReason::VersionMismatch, Code::Aborted, "other", vec![("version", "7")]),
            (ErrorReason::UnknownMember, Code::InvalidArgument, "unknown", vec![("ids", "x,y"), ("count", "2")]),
            (ErrorReason::NestedGroup, Code::InvalidArgument, "nested", vec![("ids", "g"), ("count", "51")]),
            (ErrorReason::ProvisioningOff, Code::FailedPrecondition, "off", vec![]),
            (ErrorReason::ProvisioningPaused, Code::FailedPrecondition, "paused", vec![("state_reason", "an audit")]),
            (ErrorReason::ProvisioningPreview, Code::FailedPrecondition, "preview", vec![("would", "create a user")]),
            (ErrorReason::StoreUnavailable, Code::Unavailable, "store", vec![]),
        ];
        let table: Vec<String> = reasons
            .iter()
            .map(|(reason, code, message, metadata)| {
                let status = status(*code, *reason, message, metadata);
                row(
                    reason.as_str_name().trim_start_matches("ERROR_REASON_"),
                    &Refusal::from_status(ResourceType::User, &status),
                )
            })
            .collect();
        let expected = [
            "UNSPECIFIED: 500 - the service failed; its log says why".to_owned(),
            "NOT_FOUND: 404 - there is no such user".to_owned(),
            "INVALID_FIELD: 400 invalidValue userName must not be empty".to_owned(),
            "INVALID_FIELD: 400 invalidValue name.givenName is longer than 4096 characters".to_owned(),
            "INVALID_FIELD: 400 invalidFilter filter has more than 64 terms".to_owned(),
            "INVALID_FIELD: 400 invalidCursor the cursor is not one that this service gave out".to_owned(),
            "UNSUPPORTED_FILTER: 400 invalidFilter emails.display cannot be filtered so: no".to_owned(),
            "USER_NAME_TAKEN: 409 uniqueness userName is taken by the user u1".to_owned(),
            "GROUP_NAME_TAKEN: 409 uniqueness displayName is taken by another group".to_owned(),
            "TENANT_NAME_TAKEN: 500 - the service failed; its log says why".to_owned(),
            "VERSION_MISMATCH: 412 - the resource has changed: its version is now 7".to_owned(),
            "UNKNOWN_MEMBER: 400 invalidValue no user has these ids: x,y".to_owned(),
            "NESTED_GROUP: 400 invalidValue nested groups are not supported; these ids belong to groups: g and 50 more"
                .to_owned(),
            format!("PROVISIONING_OFF: 403 - {OFF}"),
            format!("PROVISIONING_PAUSED: 503 - {PAUSED}. The reason given: an audit (retry after 300 s)"),
            format!("PROVISIONING_PREVIEW: 503 - {PREVIEW}: this would create a user (retry after 300 s)"),
            "STORE_UNAVAILABLE: 503 - the service cannot answer now; try again later (retry after 5 s)".to_owned(),
        ];
        assert_eq!(table, expected);
    }

    #[test]
    fn every_code_without_a_reason_has_its_answer() {
        let table: Vec<String> = (1..=16)
            .map(|code| {
                let code = Code::from_i32(code);
                let Refusal { error, .. } = Refusal::from_status(ResourceType::User, &Status::new(code, "?"));
                format!("{code:?} {}", error.status)
            })
            .collect();
        let expected = [
            "Cancelled 503",
            "Unknown 503",
            "InvalidArgument 500",
            "DeadlineExceeded 503",
            "NotFound 500",
            "AlreadyExists 500",
            "PermissionDenied 500",
            "ResourceExhausted 503",
            "FailedPrecondition 500",
            "Aborted 500",
            "OutOfRange 413",
            "Unimplemented 500",
            "Internal 500",
            "Unavailable 503",
            "DataLoss 500",
            "Unauthenticated 401",
        ];
        assert_eq!(table, expected);
    }

    #[test]
    fn a_refusal_tells_when_to_come_back() {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(200)));
        let status = Status::with_error_details(Code::Unavailable, "credentials cannot be checked now", details);
        let response = Refusal::from_status(ResourceType::Group, &status).into_response();
        assert_eq!(response.headers()[RETRY_AFTER], "1");
    }

    #[test]
    fn a_refused_key_is_asked_for_by_its_scheme() {
        let response = Refusal::from(authn::Error::Unauthenticated).into_response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()[WWW_AUTHENTICATE]),
            (401, &HeaderValue::from_static("Bearer"))
        );
    }
}
