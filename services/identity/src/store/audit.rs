//! The audit log: reading it, and the entry that an operator's read leaves.

use ids::TenantId;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::{
    domain::{Caller, Error, Timestamp},
    store::{Running, Store, entity::audit_entry, tx::Tx, unavailable},
};

/// One entry of a tenant's audit log.
#[derive(Clone, Debug)]
pub(crate) struct AuditEntry {
    pub(crate) position: i64,
    pub(crate) at: Timestamp,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) subject: String,
    pub(crate) detail: String,
}

impl Store {
    /// Records that the caller read something (rule R5: each use of the operator credential stands in the tenant's log).
    pub(crate) async fn record_read(&self, caller: &Caller, subject: String) -> Result<(), Error> {
        self.write(caller, subject, record_read).await
    }

    /// Entries after a position, oldest first.
    pub(crate) async fn list_audit_entries(
        &self,
        tenant: TenantId,
        after: i64,
        size: u64,
    ) -> Result<Vec<AuditEntry>, Error> {
        let rows = audit_entry::Entity::find()
            .filter(audit_entry::Column::TenantId.eq(tenant.uuid()))
            .filter(audit_entry::Column::Position.gt(after))
            .order_by_asc(audit_entry::Column::Position)
            .limit(size)
            .all(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(rows.into_iter().map(AuditEntry::from).collect())
    }
}

fn record_read<'a>(tx: &'a Tx<'a>, subject: &'a String) -> Running<'a, ()> {
    Box::pin(async move {
        tx.audit(subject, "read");
        Ok(())
    })
}

impl From<audit_entry::Model> for AuditEntry {
    fn from(row: audit_entry::Model) -> Self {
        Self {
            position: row.position,
            at: Timestamp(row.at_us),
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            detail: row.detail,
        }
    }
}
