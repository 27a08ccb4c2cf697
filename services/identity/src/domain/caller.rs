//! On whose behalf a call runs.

use std::net::IpAddr;

use ids::TenantId;

use crate::domain::WriteNotes;

/// On whose behalf a call runs, and as what it is recorded.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The tenant, of the caller's token or named by the operator.
    pub(crate) tenant: TenantId,
    /// `operator` or `key`, a colon and the key's id.
    pub(crate) actor: String,
    /// From where, when that is known.
    pub(crate) address: Option<IpAddr>,
    /// The RPC, as `package.Service/Method`.
    pub(crate) action: &'static str,
    /// The id under which the request stands in every log; empty where it has none.
    pub(crate) request_id: String,
    /// Whether this is a directory's own traffic: it obeys the provisioning state, and stands in the provisioning log and not in the audit log.
    pub(crate) provisioning: bool,
    /// Whether the caller may do what needs `admin` (rule R6).
    pub(crate) administrator: bool,
    /// Whether even a read is recorded in the audit log (the operator's, rule R5).
    pub(crate) operator: bool,
    /// Where a write leaves word of what it did beside what it was asked for.
    pub(crate) notes: WriteNotes,
}

/// Who makes a tenant: there is none yet that a [`Caller`] could be of.
#[derive(Clone, Debug)]
pub(crate) struct Founder {
    /// As a caller's.
    pub(crate) actor: String,
    pub(crate) address: Option<IpAddr>,
    pub(crate) action: &'static str,
}
