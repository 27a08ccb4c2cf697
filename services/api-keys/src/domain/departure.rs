//! Who has left: a person, or a whole tenant.

use ids::{TenantId, UserId};

use super::Timestamp;

/// That somebody has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Departure {
    pub(crate) tenant: TenantId,
    pub(crate) who: Who,
    pub(crate) at: Timestamp,
}

/// Who has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// A person, and which of the person's keys end.
    Person(UserId, Ending),
    /// Everybody: the tenant was deleted.
    Tenant,
}

/// Which keys end with a person's departure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    All,
    /// Those made up to this time. Who has come back since may have made others.
    MadeUntil(Timestamp),
}

/// What ended with a departure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Keys and trusts that were revoked.
    pub(crate) revoked: u64,
    /// Keys that are to be rotated, for the person who made them has left.
    pub(crate) to_rotate: u64,
}
