//! Taking away changes that have been kept long enough.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, Query, SelectStatement, SimpleExpr},
};
use uuid::Uuid;

use crate::{
    domain::{Error, Timestamp},
    store::{
        Outcome, Store,
        entity::{change, tenant_position},
        unavailable,
    },
};

/// How many changes one transaction takes away.
const PURGE_BATCH: u64 = 1000;
/// How many tenants one run looks at.
const PURGE_TENANTS_MAX: u64 = 1000;

impl Store {
    /// Takes away changes from before a time, oldest first, and answers how many. Every replica may do so at once. Who stands before what was
    /// taken away cannot go on.
    pub(crate) async fn purge_changes(&self, before: Timestamp) -> Result<u64, Error> {
        let mut purged = 0;
        for tenant in self.tenants_with_old_changes(before).await? {
            loop {
                // It is nobody's act, and a tenant that was deleted has a feed too: so this is not `Store::write`.
                let written = self.database.write(move |db| Box::pin(purge_changes(db, tenant, before)));
                let gone = written.await.map_err(|error| match error {
                    database::Error::Refused(error) => error,
                    database::Error::Database(error) => unavailable(&error),
                })?;
                purged += gone;
                if gone < PURGE_BATCH {
                    break;
                }
            }
        }
        Ok(purged)
    }

    async fn tenants_with_old_changes(&self, before: Timestamp) -> Result<Vec<Uuid>, Error> {
        let select = tenants_with_old_changes(before);
        let rows = self.database.read().query_all(&select).await;
        let tenants = rows.and_then(|rows| rows.iter().map(|row| row.try_get_by_index(0)).collect());
        tenants.map_err(|error| unavailable(&error))
    }
}

/// Tenants whose oldest change is from before a time. It is the one after the floor, and a look at its key answers: a join would let the engine begin
/// with all the changes.
pub(super) fn tenants_with_old_changes(before: Timestamp) -> SelectStatement {
    let position = |column: tenant_position::Column| (tenant_position::Entity, column);
    let mut oldest = Query::select();
    oldest
        .column((change::Entity, change::Column::AtUs))
        .from(change::Entity)
        .and_where(
            Expr::col((change::Entity, change::Column::TenantId)).equals(position(tenant_position::Column::TenantId)),
        )
        .and_where(
            Expr::col((change::Entity, change::Column::Position))
                .eq(Expr::col(position(tenant_position::Column::ChangeFloor)).add(1)),
        );
    let mut select = Query::select();
    select
        .column(position(tenant_position::Column::TenantId))
        .from(tenant_position::Entity)
        .and_where(SimpleExpr::SubQuery(None, Box::new(oldest.into())).lt(before.0))
        .limit(PURGE_TENANTS_MAX);
    select
}

/// Takes away a batch of a tenant's changes from before a time: those alone that no later change comes before, by whatever clock. The row that
/// orders commits comes last, so that nobody waits for the rest.
async fn purge_changes(db: &DatabaseTransaction, tenant: Uuid, before: Timestamp) -> Outcome<u64> {
    let oldest: Vec<(i64, i64)> = change::Entity::find()
        .filter(change::Column::TenantId.eq(tenant))
        .order_by_asc(change::Column::Position)
        .limit(PURGE_BATCH)
        .select_only()
        .columns([change::Column::Position, change::Column::AtUs])
        .into_tuple()
        .all(db)
        .await?;
    let Some((last, _)) = oldest.iter().take_while(|(_, at_us)| *at_us < before.0).last() else { return Ok(0) };
    let gone = change::Entity::delete_many()
        .filter(change::Column::TenantId.eq(tenant))
        .filter(change::Column::Position.lte(*last))
        .exec(db)
        .await?;
    tenant_position::Entity::update_many()
        .col_expr(tenant_position::Column::ChangeFloor, Expr::value(*last))
        .filter(tenant_position::Column::TenantId.eq(tenant))
        .filter(tenant_position::Column::ChangeFloor.lt(*last))
        .exec(db)
        .await?;
    Ok(gone.rows_affected)
}
