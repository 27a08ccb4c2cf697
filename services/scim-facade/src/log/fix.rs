//! What an administrator can do about a refusal: one sentence for each kind.

use scim::ScimType;

use crate::{error::Refusal, identity::ErrorReason};

/// See the module; empty where the refusal's own words say it all.
pub(super) fn of(refusal: &Refusal) -> &'static str {
    let error = refusal.error();
    match refusal.reason() {
        Some(reason) => of_reason(reason),
        None => match error.scim_type {
            Some(ScimType::InvalidFilter) => {
                "match on userName, externalId or an e-mail address (users), displayName or externalId (groups)"
            }
            Some(_) => "change the attribute's mapping in the provisioning configuration",
            None => of_status(error.status),
        },
    }
}

const fn of_reason(reason: ErrorReason) -> &'static str {
    match reason {
        ErrorReason::NotFound => {
            "the directory knows an id that is gone here: restore the user, or restart provisioning in Entra so that it matches anew"
        }
        ErrorReason::InvalidField => {
            "change the attribute's mapping in the provisioning configuration, or its value in the directory"
        }
        ErrorReason::UnsupportedFilter | ErrorReason::FilterTooCostly => {
            "match on userName, externalId or an e-mail address (users), displayName or externalId (groups)"
        }
        ErrorReason::UserNameTaken => {
            "match users by userName so that the directory finds the holder, or rename or delete one of the two: `rollcall user show ID`"
        }
        ErrorReason::GroupNameTaken => {
            "match groups by displayName so that the directory finds the holder, or rename one of the two: `rollcall group show ID`"
        }
        ErrorReason::VersionMismatch => "another client writes the same resource; it is to read it again",
        ErrorReason::UnknownMember => {
            "assign these users to the application too, so that they are provisioned before the group; Entra tries again by itself"
        }
        ErrorReason::NestedGroup => {
            "assign the nested group's members to the group, or the nested group to the application by itself"
        }
        ErrorReason::ProvisioningOff => {
            "turn it on with `rollcall scim enable`, then press *Restart provisioning* in Entra"
        }
        ErrorReason::ProvisioningPaused => "resume with `rollcall scim enable`; Entra tries again by itself",
        ErrorReason::ProvisioningPreview => {
            "nothing: it would have been done; end the preview with `rollcall scim enable`, and Entra tries again by itself"
        }
        ErrorReason::StoreUnavailable => "look whether identity's database answers; Entra tries again by itself",
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
        | ErrorReason::Unspecified => FAULT,
    }
}

const FAULT: &str = "look in the service's own log for the request id";

const fn of_status(status: u16) -> &'static str {
    match status {
        401 => {
            "make a key with `rollcall api-key create` and enter it in Entra as the secret token; `rollcall api-key list` shows what became of the old one"
        }
        404 | 405 => "check the tenant URL in Entra: it ends in /api/scim/v2",
        415 => "the client is to send application/scim+json",
        429 => "let the client slow down, or raise --tenant-requests-per-second",
        503 => "look whether identity and api-keys answer; Entra tries again by itself",
        500 => FAULT,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use scim::Error;

    use super::*;

    #[test]
    fn every_refusal_that_an_administrator_can_mend_says_how() {
        let refusals = [
            Refusal::from(authn::Error::Unauthenticated),
            Refusal::paused(""),
            Refusal::internal(),
            Refusal::from(Error::invalid_filter("x")),
            Refusal::from(Error::invalid_value("x")),
            Refusal::from(Error::not_found("x")),
        ];
        for refusal in &refusals {
            assert!(!of(refusal).is_empty(), "{refusal:?}");
        }
    }
}
