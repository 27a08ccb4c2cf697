//! The one mapping from why identity refuses to a gRPC status.

use std::collections::HashMap;

use proto::identity::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::domain::{Error, InvalidField, StateReason};

/// The domain of the reasons, as `google.rpc.ErrorInfo` asks for one.
const DOMAIN: &str = "identity.rollcall";
/// How many ids a status names.
const IDS_NAMED_MAX: usize = 50;
/// The longest text of a caller's in a status: a UUID's, and more than any field's name. A caller may send anything as an id.
const NAMED_CHARACTERS_MAX: usize = 36;

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let (code, reason, metadata) = parts(&error);
        let message = match &error {
            // The ids stand in the metadata, once: a status travels in headers, which have a bound.
            Error::UnknownMembers { ids } => format!("{} of the ids named as members are no user's", ids.len()),
            Error::NestedGroups { ids } => format!("{} of the ids named as members are groups'", ids.len()),
            // The field is the caller's own text.
            Error::UnsupportedFilter { field, problem } => format!("{} cannot be filtered so: {problem}", short(field)),
            other => other.to_string(),
        };
        let metadata: HashMap<String, String> =
            metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let details = ErrorDetails::with_error_info(reason.as_str_name(), DOMAIN, metadata);
        Self::with_error_details(code, message, details)
    }
}

fn parts(error: &Error) -> (Code, ErrorReason, Vec<(&'static str, String)>) {
    match error {
        Error::NotFound(_) => (Code::NotFound, ErrorReason::NotFound, vec![]),
        Error::InvalidField(InvalidField { field, .. }) => {
            (Code::InvalidArgument, ErrorReason::InvalidField, vec![("field", field.to_string())])
        }
        Error::UnsupportedFilter { field, .. } => {
            (Code::InvalidArgument, ErrorReason::UnsupportedFilter, vec![("field", short(field))])
        }
        Error::FilterTooCostly => (Code::ResourceExhausted, ErrorReason::FilterTooCostly, vec![]),
        Error::UserNameTaken { holder } => (Code::AlreadyExists, ErrorReason::UserNameTaken, held_by(holder)),
        Error::GroupNameTaken { holder } => (Code::AlreadyExists, ErrorReason::GroupNameTaken, held_by(holder)),
        Error::TenantNameTaken => (Code::AlreadyExists, ErrorReason::TenantNameTaken, vec![]),
        Error::UserAttributeTaken => (Code::AlreadyExists, ErrorReason::UserAttributeTaken, vec![]),
        Error::TooManyUserAttributes => (Code::FailedPrecondition, ErrorReason::TooManyUserAttributes, vec![]),
        Error::VersionMismatch { stored } => {
            (Code::Aborted, ErrorReason::VersionMismatch, vec![("version", stored.to_string())])
        }
        Error::UnknownMembers { ids } => (Code::InvalidArgument, ErrorReason::UnknownMember, ids_refused(ids)),
        Error::NestedGroups { ids } => (Code::InvalidArgument, ErrorReason::NestedGroup, ids_refused(ids)),
        Error::LastAdmin => (Code::FailedPrecondition, ErrorReason::LastAdmin, vec![]),
        Error::NeedsAdmin(_) => (Code::PermissionDenied, ErrorReason::NeedsAdmin, vec![]),
        Error::RoleTaken => (Code::AlreadyExists, ErrorReason::RoleTaken, vec![]),
        Error::RoleInUse(_) => (Code::FailedPrecondition, ErrorReason::RoleInUse, vec![]),
        Error::TooManyRoles => (Code::FailedPrecondition, ErrorReason::TooManyRoles, vec![]),
        Error::RoleMappingTaken => (Code::AlreadyExists, ErrorReason::RoleMappingTaken, vec![]),
        Error::TooManyRoleMappings => (Code::FailedPrecondition, ErrorReason::TooManyRoleMappings, vec![]),
        Error::ProvisioningOff { reason } => {
            (Code::FailedPrecondition, ErrorReason::ProvisioningOff, because(reason, vec![]))
        }
        Error::ProvisioningPaused { reason } => {
            (Code::FailedPrecondition, ErrorReason::ProvisioningPaused, because(reason, vec![]))
        }
        Error::ProvisioningPreview { would, reason } => {
            let would = vec![("would", would.clone())];
            (Code::FailedPrecondition, ErrorReason::ProvisioningPreview, because(reason, would))
        }
        Error::PositionOutOfRange { cause, head } => (
            Code::OutOfRange,
            ErrorReason::PositionOutOfRange,
            vec![("cause", cause.as_str().to_owned()), ("head", head.to_string())],
        ),
        Error::TooManyWatches => (Code::ResourceExhausted, ErrorReason::TooManyWatches, vec![]),
        Error::TooManyChangeConsumers => (Code::FailedPrecondition, ErrorReason::TooManyChangeConsumers, vec![]),
        Error::EncryptionKeyMissing => (Code::FailedPrecondition, ErrorReason::EncryptionKeyMissing, vec![]),
        Error::TooManyEventEndpoints => (Code::FailedPrecondition, ErrorReason::TooManyEventEndpoints, vec![]),
        Error::EventsMissed { cause } => {
            (Code::FailedPrecondition, ErrorReason::EventsMissed, vec![("cause", cause.as_str().to_owned())])
        }
        Error::EventEndpointDisabled { .. } => (Code::FailedPrecondition, ErrorReason::EventEndpointDisabled, vec![]),
        Error::Ending => (Code::Unavailable, ErrorReason::Ending, vec![]),
        Error::StoreUnavailable => (Code::Unavailable, ErrorReason::StoreUnavailable, vec![]),
        Error::Internal => (Code::Internal, ErrorReason::Unspecified, vec![]),
    }
}

/// With the administrator's word why the state is what it is, if there is one.
fn because(reason: &StateReason, mut metadata: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    if !reason.as_str().is_empty() {
        metadata.push(("state_reason", reason.as_str().to_owned()));
    }
    metadata
}

fn held_by(holder: &Option<String>) -> Vec<(&'static str, String)> {
    holder.iter().map(|id| ("holder", id.clone())).collect()
}

fn ids_refused(ids: &[String]) -> Vec<(&'static str, String)> {
    vec![("ids", named(ids)), ("count", ids.len().to_string())]
}

fn named(ids: &[String]) -> String {
    ids.iter().take(IDS_NAMED_MAX).map(|id| short(id)).collect::<Vec<_>>().join(",")
}

fn short(text: &str) -> String {
    text.chars().take(NAMED_CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{OutOfRange, Position};

    /// One of each.
    fn refusals() -> Vec<Error> {
        vec![
            Error::NotFound("user"),
            Error::InvalidField(InvalidField::new("user_name", "must not be empty")),
            Error::UnsupportedFilter { field: "nick_name".into(), problem: "no index".into() },
            Error::FilterTooCostly,
            Error::UserNameTaken { holder: Some("u1".into()) },
            Error::GroupNameTaken { holder: None },
            Error::TenantNameTaken,
            Error::UserAttributeTaken,
            Error::TooManyUserAttributes,
            Error::VersionMismatch { stored: 7 },
            Error::UnknownMembers { ids: vec!["x".into()] },
            Error::NestedGroups { ids: vec!["g".into()] },
            Error::LastAdmin,
            Error::NeedsAdmin("giving the role `admin`"),
            Error::RoleTaken,
            Error::RoleInUse("2 groups are mapped to it".into()),
            Error::TooManyRoles,
            Error::RoleMappingTaken,
            Error::TooManyRoleMappings,
            Error::ProvisioningOff { reason: StateReason::stored(String::new()) },
            Error::ProvisioningPaused { reason: StateReason::stored("a flood".into()) },
            Error::ProvisioningPreview { would: "create a user".into(), reason: StateReason::stored(String::new()) },
            Error::PositionOutOfRange {
                cause: OutOfRange::Retention,
                head: Position { epoch: Uuid::nil(), number: 1 },
            },
            Error::TooManyWatches,
            Error::TooManyChangeConsumers,
            Error::EncryptionKeyMissing,
            Error::TooManyEventEndpoints,
            Error::EventsMissed { cause: OutOfRange::Epoch },
            Error::EventEndpointDisabled { stop: "gone" },
            Error::Ending,
            Error::StoreUnavailable,
            Error::Internal,
        ]
    }

    #[test]
    fn every_refusal_has_its_code_and_reason() {
        let table: Vec<String> = refusals()
            .into_iter()
            .map(|error| {
                let (code, reason, metadata) = parts(&error);
                format!("{code:?} {} {metadata:?} {error}", reason.as_str_name())
            })
            .collect();
        let expected = [
            r#"NotFound ERROR_REASON_NOT_FOUND [] no such user"#,
            r#"InvalidArgument ERROR_REASON_INVALID_FIELD [("field", "user_name")] user_name must not be empty"#,
            r#"InvalidArgument ERROR_REASON_UNSUPPORTED_FILTER [("field", "nick_name")] nick_name cannot be filtered so: no index"#,
            r#"ResourceExhausted ERROR_REASON_FILTER_TOO_COSTLY [] no index answers this filter or order, and looking at every resource takes too long"#,
            r#"AlreadyExists ERROR_REASON_USER_NAME_TAKEN [("holder", "u1")] the user name is taken by u1"#,
            r#"AlreadyExists ERROR_REASON_GROUP_NAME_TAKEN [] the group's display name is taken"#,
            r#"AlreadyExists ERROR_REASON_TENANT_NAME_TAKEN [] the tenant's name is taken"#,
            r#"AlreadyExists ERROR_REASON_USER_ATTRIBUTE_TAKEN [] the tenant has a user attribute of this name"#,
            r#"FailedPrecondition ERROR_REASON_TOO_MANY_USER_ATTRIBUTES [] the tenant has as many user attributes as it may"#,
            r#"Aborted ERROR_REASON_VERSION_MISMATCH [("version", "7")] the stored version is 7"#,
            r#"InvalidArgument ERROR_REASON_UNKNOWN_MEMBER [("ids", "x"), ("count", "1")] no user has ever had these ids: x"#,
            r#"InvalidArgument ERROR_REASON_NESTED_GROUP [("ids", "g"), ("count", "1")] these are ids of groups, and groups cannot be members: g"#,
            r#"FailedPrecondition ERROR_REASON_LAST_ADMIN [] this would take the role `admin` from the tenant's last active admin"#,
            r#"PermissionDenied ERROR_REASON_NEEDS_ADMIN [] giving the role `admin` needs the scope `admin`"#,
            r#"AlreadyExists ERROR_REASON_ROLE_TAKEN [] the tenant has a role of this id"#,
            r#"FailedPrecondition ERROR_REASON_ROLE_IN_USE [] the role is in use: 2 groups are mapped to it"#,
            r#"FailedPrecondition ERROR_REASON_TOO_MANY_ROLES [] the tenant has as many roles as it may"#,
            r#"AlreadyExists ERROR_REASON_ROLE_MAPPING_TAKEN [] the group is mapped to this role already"#,
            r#"FailedPrecondition ERROR_REASON_TOO_MANY_ROLE_MAPPINGS [] the tenant has as many mappings of groups to roles as it may"#,
            r#"FailedPrecondition ERROR_REASON_PROVISIONING_OFF [] provisioning is off for this tenant"#,
            r#"FailedPrecondition ERROR_REASON_PROVISIONING_PAUSED [("state_reason", "a flood")] provisioning is paused for this tenant"#,
            r#"FailedPrecondition ERROR_REASON_PROVISIONING_PREVIEW [("would", "create a user")] provisioning is in preview for this tenant: this would create a user"#,
            r#"OutOfRange ERROR_REASON_POSITION_OUT_OF_RANGE [("cause", "retention"), ("head", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB")] the change feed cannot go on after this position: changes after it are kept no more; read everything anew and go on after the head"#,
            r#"ResourceExhausted ERROR_REASON_TOO_MANY_WATCHES [] the tenant watches as often as it may"#,
            r#"FailedPrecondition ERROR_REASON_TOO_MANY_CHANGE_CONSUMERS [] the tenant has as many consumers of changes as it may"#,
            r#"FailedPrecondition ERROR_REASON_ENCRYPTION_KEY_MISSING [] identity has no encryption key to keep secrets under: start it with --encryption-key-file"#,
            r#"FailedPrecondition ERROR_REASON_TOO_MANY_EVENT_ENDPOINTS [] the tenant has as many endpoints for events as it may"#,
            r#"FailedPrecondition ERROR_REASON_EVENTS_MISSED [("cause", "epoch")] the endpoint cannot go on where it stopped: the database was set back since; confirm with `skip_missed` that events go on with what happens from now on"#,
            r#"FailedPrecondition ERROR_REASON_EVENT_ENDPOINT_DISABLED [] the endpoint is disabled: gone"#,
            r#"Unavailable ERROR_REASON_ENDING [] this process is ending: go on with another"#,
            r#"Unavailable ERROR_REASON_STORE_UNAVAILABLE [] the store does not answer"#,
            r#"Internal ERROR_REASON_UNSPECIFIED [] internal error"#,
        ];
        assert_eq!(table, expected);
    }

    #[test]
    fn a_status_stays_small_however_many_ids_are_refused() {
        let ids = vec!["é".repeat(10_000); 5_000];
        let field = "é".repeat(1_000_000);
        for error in [Error::UnknownMembers { ids }, Error::UnsupportedFilter { field, problem: "no".into() }] {
            let status = Status::from(error);
            assert!(status.details().len() + status.message().len() < 16_384);
        }
    }
}
