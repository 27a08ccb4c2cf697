//! Why identity refuses. Each variant is something that a caller can act on differently.

use std::borrow::Cow;

use crate::domain::{OutOfRange, Position, StateReason};

/// A field whose value cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub(crate) struct InvalidField {
    /// The field's path.
    pub(crate) field: Cow<'static, str>,
    /// What is wrong, to follow the field's name.
    pub(crate) problem: Cow<'static, str>,
}

impl InvalidField {
    pub(crate) fn new(field: impl Into<Cow<'static, str>>, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("no such {0}")]
    NotFound(&'static str),
    #[error(transparent)]
    InvalidField(#[from] InvalidField),
    #[error("{field} cannot be filtered so: {problem}")]
    UnsupportedFilter { field: String, problem: Cow<'static, str> },
    /// No index answers the filter or the order, and looking at every resource took too long.
    #[error("no index answers this filter or order, and looking at every resource takes too long")]
    FilterTooCostly,
    /// Another live user has the name.
    #[error("the user name is taken{}", by(.holder))]
    UserNameTaken { holder: Option<String> },
    /// Another live group has the name.
    #[error("the group's display name is taken{}", by(.holder))]
    GroupNameTaken { holder: Option<String> },
    #[error("the tenant's name is taken")]
    TenantNameTaken,
    #[error("the tenant has a user attribute of this name")]
    UserAttributeTaken,
    #[error("the tenant has as many user attributes as it may")]
    TooManyUserAttributes,
    #[error("the stored version is {stored}")]
    VersionMismatch { stored: i64 },
    #[error("no user has ever had these ids: {}", .ids.join(", "))]
    UnknownMembers { ids: Vec<String> },
    #[error("these are ids of groups, and groups cannot be members: {}", .ids.join(", "))]
    NestedGroups { ids: Vec<String> },
    /// The act would leave the tenant without an admin (rule R20).
    #[error("this would take the role `admin` from the tenant's last active admin")]
    LastAdmin,
    /// The caller gives what it lacks (rule R6).
    #[error("{0} needs the scope `admin`")]
    NeedsAdmin(&'static str),
    #[error("the tenant has a role of this id")]
    RoleTaken,
    /// The role cannot go while something names it.
    #[error("the role is in use: {0}")]
    RoleInUse(String),
    #[error("the tenant has as many roles as it may")]
    TooManyRoles,
    #[error("the group is mapped to this role already")]
    RoleMappingTaken,
    #[error("the tenant has as many mappings of groups to roles as it may")]
    TooManyRoleMappings,
    #[error("provisioning is off for this tenant")]
    ProvisioningOff { reason: StateReason },
    #[error("provisioning is paused for this tenant")]
    ProvisioningPaused { reason: StateReason },
    /// What the write would have done was tried and taken back.
    #[error("provisioning is in preview for this tenant: this would {would}")]
    ProvisioningPreview { would: String, reason: StateReason },
    /// Nobody can go on after this position of the change feed (rule R25).
    #[error("the change feed cannot go on after this position: {}", why(.cause))]
    PositionOutOfRange { cause: OutOfRange, head: Position },
    #[error("the tenant watches as often as it may")]
    TooManyWatches,
    #[error("the tenant has as many consumers of changes as it may")]
    TooManyChangeConsumers,
    /// Secrets are not kept in clear text (rule R11).
    #[error("identity has no encryption key to keep secrets under: start it with --encryption-key-file")]
    EncryptionKeyMissing,
    #[error("the tenant has as many endpoints for events as it may")]
    TooManyEventEndpoints,
    /// An endpoint cannot go on where it stopped (rule R25).
    #[error("the endpoint cannot go on where it stopped: {}", missed(.cause))]
    EventsMissed { cause: OutOfRange },
    #[error("the endpoint is disabled: {stop}")]
    EventEndpointDisabled { stop: &'static str },
    /// A stream ends because this process does.
    #[error("this process is ending: go on with another")]
    Ending,
    /// The database failed. The cause is logged where it happened.
    #[error("the store does not answer")]
    StoreUnavailable,
    /// The database refused what should have been refused before: trying again cannot help. The cause is logged where it happened.
    #[error("internal error")]
    Internal,
}

const fn why(cause: &OutOfRange) -> &'static str {
    match cause {
        OutOfRange::Epoch => "it is of another epoch or tenant; read everything anew and go on after the head",
        OutOfRange::Ahead => "it is ahead of the feed; read everything anew and go on after the head",
        OutOfRange::Retention => "changes after it are kept no more; read everything anew and go on after the head",
    }
}

const fn missed(cause: &OutOfRange) -> &'static str {
    match cause {
        OutOfRange::Epoch | OutOfRange::Ahead => {
            "the database was set back since; confirm with `skip_missed` that events go on with what happens from now on"
        }
        OutOfRange::Retention => {
            "what follows is kept no more; confirm with `skip_missed` that events go on with what happens from now on"
        }
    }
}

fn by(holder: &Option<String>) -> String {
    holder.as_ref().map_or_else(String::new, |id| format!(" by {id}"))
}
