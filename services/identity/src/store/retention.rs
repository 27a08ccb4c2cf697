//! Taking away audit entries that have been kept long enough.

use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use uuid::Uuid;

use crate::{
    domain::{Error, Timestamp},
    store::{
        Outcome, Store,
        entity::{audit_entry, tenant_position},
        unavailable,
    },
};

/// How many entries one transaction takes away: it holds up the tenant's writes meanwhile.
const PURGE_BATCH: u64 = 1000;
/// How many one run takes away.
pub(crate) const PURGE_MAX: u64 = 10_000;
/// How many tenants one run looks at.
const PURGE_TENANTS_MAX: u64 = 1000;

impl Store {
    /// Takes away audit entries from before a time, oldest first and no more than [`PURGE_MAX`], and answers how many. What remains verifies from
    /// the anchor, which moves on with them.
    pub(crate) async fn purge_audit(&self, before: Timestamp) -> Result<u64, Error> {
        let tenants: Vec<Uuid> = audit_entry::Entity::find()
            .filter(audit_entry::Column::AtUs.lt(before.0))
            .select_only()
            .column(audit_entry::Column::TenantId)
            .distinct()
            .limit(PURGE_TENANTS_MAX)
            .into_tuple()
            .all(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        let mut purged = 0;
        for tenant in tenants {
            loop {
                let batch = PURGE_BATCH.min(PURGE_MAX - purged);
                // It is nobody's act, and a tenant that was deleted has a log too: so this is not `Store::write`.
                let written = self.database.write(move |db| Box::pin(purge(db, tenant, before, batch)));
                let gone = written.await.map_err(|error| match error {
                    database::Error::Refused(error) => error,
                    database::Error::Database(error) => unavailable(&error),
                })?;
                purged += gone;
                if purged >= PURGE_MAX {
                    return Ok(purged);
                }
                if gone < batch {
                    break;
                }
            }
        }
        Ok(purged)
    }
}

/// Takes away a batch of a tenant's entries from before a time: those alone that no later entry comes before, by whatever clock.
async fn purge(db: &DatabaseTransaction, tenant: Uuid, before: Timestamp, batch: u64) -> Outcome<u64> {
    // Every write of the tenant waits for this row, and so does another replica's purge.
    let head = tenant_position::Entity::find_by_id(tenant).lock_exclusive().one(db).await?;
    let Some(head) = head else { return Ok(0) };
    let oldest: Vec<(i64, i64, Option<Vec<u8>>)> = audit_entry::Entity::find()
        .filter(audit_entry::Column::TenantId.eq(tenant))
        .order_by_asc(audit_entry::Column::Position)
        .limit(batch)
        .select_only()
        .columns([audit_entry::Column::Position, audit_entry::Column::AtUs, audit_entry::Column::Hash])
        .into_tuple()
        .all(db)
        .await?;
    let old = oldest.iter().take_while(|(_, at_us, _)| *at_us < before.0);
    let Some((last, _, hash)) = old.last() else { return Ok(0) };
    if *last > head.anchor_position {
        tenant_position::Entity::update_many()
            .col_expr(tenant_position::Column::AnchorPosition, Expr::value(*last))
            .col_expr(tenant_position::Column::AnchorHash, Expr::value(hash.clone()))
            .filter(tenant_position::Column::TenantId.eq(tenant))
            .exec(db)
            .await?;
    }
    let gone = audit_entry::Entity::delete_many()
        .filter(audit_entry::Column::TenantId.eq(tenant))
        .filter(audit_entry::Column::Position.lte(*last))
        .exec(db)
        .await?;
    Ok(gone.rows_affected)
}
