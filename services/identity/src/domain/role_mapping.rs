//! Groups whose members have a role.

use ids::GroupId;
use uuid::Uuid;

use crate::domain::{GroupName, RoleId, Timestamp};

/// Which group is mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MappedGroup {
    /// This one, whatever it is called, for as long as it is there.
    Id(GroupId),
    /// The one that has this name, without case, now or later.
    Name(GroupName),
}

/// A group whose members have a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleMapping {
    pub(crate) id: Uuid,
    pub(crate) role: RoleId,
    pub(crate) group: MappedGroup,
    /// As a caller's actor.
    pub(crate) created_by: String,
    pub(crate) created_at: Timestamp,
    /// The group that it leads to now.
    pub(crate) leads_to: Option<(GroupId, String)>,
    /// Whether it has no effect because the group has another external id than when it was mapped (rule R21).
    pub(crate) held: bool,
}
