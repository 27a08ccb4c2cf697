//! On whose behalf a call runs.

use ids::TenantId;

/// On whose behalf a call runs, and as what it is recorded.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The tenant, of the caller's token or named by the operator.
    pub(crate) tenant: TenantId,
    /// `operator` or `key`, a colon and the key's id.
    pub(crate) actor: String,
    /// The RPC, as `package.Service/Method`.
    pub(crate) action: &'static str,
    /// Whether this is a directory's own traffic: it obeys the provisioning state, and stands in the provisioning log and not in the audit log.
    pub(crate) provisioning: bool,
    /// Whether even a read is recorded in the audit log (the operator's, rule R5).
    pub(crate) operator: bool,
}
