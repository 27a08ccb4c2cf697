//! Who lost access: a person, or everybody of a tenant that was deleted.

use ids::{TenantId, UserId};
use uuid::Uuid;

use crate::domain::Timestamp;

/// How many departures come at once, and are acknowledged at once.
pub(crate) const DEPARTURES_MAX: usize = 100;
/// How many subjects' access is checked at once.
pub(crate) const SUBJECTS_CHECKED_MAX: usize = 500;

/// Whose access it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Holder {
    pub(crate) tenant: TenantId,
    /// None: the tenant itself.
    pub(crate) user: Option<UserId>,
}

/// That access was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Departure {
    /// Another each time that the same holder departs.
    pub(crate) id: Uuid,
    pub(crate) holder: Holder,
    pub(crate) at: Timestamp,
}

/// What access somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Granted,
    Lost,
    /// Nothing is known of the id.
    Unknown,
}
