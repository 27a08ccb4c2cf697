//! The end of a tenant. From the commit of its deletion on nothing of it answers, for everything reads first that the tenant is there; its rows go
//! after that, a batch at a time, so that a large tenant holds up nobody.

use std::time::Duration;

use ::audit::{Content, Values};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect,
    sea_query::{Alias, Expr, Query},
};
use uuid::Uuid;

use crate::{
    domain::{Caller, Error, Timestamp},
    store::{
        Outcome, Running, Store,
        entity::{audit_entry, departure, erasure, tenant, tenant_position},
        tx::Tx,
        unavailable,
    },
};

/// What goes with a tenant: each table, after those that refer to it, with what its key has beside the tenant.
pub(super) const GOING: &[(&str, &[&str])] = &[
    ("event_deliveries", &["endpoint_id", "position"]),
    ("event_acks", &["endpoint_id", "position"]),
    ("event_endpoints", &["id"]),
    ("role_batches", &["id"]),
    ("role_mappings", &["id"]),
    ("roles", &["id"]),
    ("memberships", &["group_id", "user_id"]),
    ("role_assignments", &["user_id", "source"]),
    ("directory_roles", &["user_id", "role_key"]),
    ("user_emails", &["user_id", "ordinal"]),
    ("users", &["id"]),
    ("groups", &["id"]),
    ("user_attributes", &["name_key"]),
    ("changes", &["position"]),
    ("change_consumers", &["name"]),
    ("provisioning_subjects", &["subject_key", "at_us", "position"]),
    ("provisioning_sightings", &["credential", "user_id"]),
    ("provisioning_cycles", &["credential"]),
    ("provisioning_entries", &["position"]),
    ("provisioning_heads", &[]),
];

/// What stays: the audit log and its chain for its time (rule R24), the ledger of the erased with it (rule R26), and what api-keys is still to be told.
#[cfg(test)]
pub(super) const STAYING: &[&str] = &["audit_entries", "tenant_positions", "erasures", "departures"];

/// How many rows one transaction takes away.
pub(super) const BATCH: u64 = 1000;
/// How many tenants one run looks at.
const TENANTS_MAX: u64 = 1000;
/// How long after its deletion something may still be written for a tenant: statements end after 10 s.
const SETTLED: Duration = Duration::from_secs(60);

impl Store {
    /// Deletes the caller's tenant. Its rows are taken away by [`Store::purge_tenants`].
    pub(crate) async fn delete_tenant(&self, caller: &Caller) -> Result<(), Error> {
        self.write(caller, (), delete).await?;
        self.deleted.notify_one();
        Ok(())
    }

    /// Waits until this process has deleted a tenant.
    pub(crate) async fn tenant_deleted(&self) {
        self.deleted.notified().await;
    }

    /// Takes away what is left of tenants that are deleted, and answers how many rows that were. Every replica may do so at once, and again.
    pub(crate) async fn purge_tenants(&self, now: Timestamp) -> Result<u64, Error> {
        let tenants: Vec<(Uuid, Option<i64>)> = tenant::Entity::find()
            .filter(tenant::Column::DeletedAtUs.is_not_null())
            .filter(tenant::Column::PurgedAtUs.is_null())
            .order_by_asc(tenant::Column::DeletedAtUs)
            .limit(TENANTS_MAX)
            .select_only()
            .columns([tenant::Column::Id, tenant::Column::DeletedAtUs])
            .into_tuple()
            .all(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        let mut purged = 0;
        for (tenant, deleted_at) in tenants {
            let mut of_tenant = 0;
            for (table, key) in GOING {
                loop {
                    let gone = self.nobodys(move |db| Box::pin(take_away(db, tenant, table, key))).await?;
                    of_tenant += gone;
                    if gone < BATCH {
                        break;
                    }
                }
            }
            purged += of_tenant;
            // What was under way when it was deleted may have left something: one run that finds nothing after that is the last.
            if of_tenant == 0 && deleted_at.is_some_and(|at| at < now.before(SETTLED).0) {
                self.nobodys(move |db| Box::pin(note_purged(db, tenant, now))).await?;
            }
        }
        Ok(purged)
    }

    /// Forgets tenants that were deleted before a time, of which nothing is left and whose audit log is over, and answers how many.
    pub(crate) async fn forget_tenants(&self, before: Timestamp) -> Result<u64, Error> {
        let tenants: Vec<Uuid> = tenant::Entity::find()
            .filter(tenant::Column::DeletedAtUs.lt(before.0))
            .filter(tenant::Column::PurgedAtUs.is_not_null())
            .limit(TENANTS_MAX)
            .select_only()
            .column(tenant::Column::Id)
            .into_tuple()
            .all(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        let mut forgotten = 0;
        for tenant in tenants {
            forgotten += self.nobodys(move |db| Box::pin(forget(db, tenant))).await?;
        }
        Ok(forgotten)
    }

    /// A write that is nobody's act, in a tenant that is no more: so this is not `Store::write`.
    async fn nobodys<W>(&self, work: W) -> Result<u64, Error>
    where
        W: for<'a> Fn(&'a DatabaseTransaction) -> Running<'a, u64> + Send + Sync + 'static,
    {
        self.database.write(work).await.map_err(|error| match error {
            database::Error::Refused(error) => error,
            database::Error::Database(error) => unavailable(&error),
        })
    }
}

fn delete<'a>(tx: &'a Tx<'a>, (): &'a ()) -> Running<'a, ()> {
    Box::pin(async move {
        // Whoever adds something that hangs on the tenant's row comes before or finds it deleted.
        let row = tx.lock_tenant().await?;
        tenant::Entity::update_many()
            .col_expr(tenant::Column::DeletedAtUs, Expr::value(tx.now.0))
            .filter(tenant::Column::Id.eq(tx.tenant()))
            .filter(tenant::Column::DeletedAtUs.is_null())
            .exec(tx.db)
            .await?;
        tx.audit(tx.caller.tenant, || Content::detail("deleted").before(Values::new().with("name", &*row.name)));
        tx.end_tenant();
        Ok(())
    })
}

async fn take_away(
    db: &DatabaseTransaction,
    tenant: Uuid,
    table: &'static str,
    key: &'static [&'static str],
) -> Outcome<u64> {
    let of_tenant = || Expr::col(Alias::new("tenant_id")).eq(tenant);
    let mut delete = Query::delete();
    delete.from_table(Alias::new(table)).and_where(of_tenant());
    if !key.is_empty() {
        let columns = || key.iter().map(|column| Alias::new(*column));
        let mut some = Query::select();
        some.columns(columns()).from(Alias::new(table)).and_where(of_tenant()).limit(BATCH);
        delete.and_where(Expr::tuple(columns().map(Expr::col)).in_subquery(some));
    }
    Ok(db.execute(&delete).await?.rows_affected())
}

async fn note_purged(db: &DatabaseTransaction, tenant: Uuid, now: Timestamp) -> Outcome<u64> {
    let noted = tenant::Entity::update_many()
        .col_expr(tenant::Column::PurgedAtUs, Expr::value(now.0))
        .filter(tenant::Column::Id.eq(tenant))
        .exec(db)
        .await?;
    Ok(noted.rows_affected)
}

async fn forget(db: &DatabaseTransaction, tenant: Uuid) -> Outcome<u64> {
    if is_needed(db, tenant).await? {
        return Ok(0);
    }
    erasure::Entity::delete_many().filter(erasure::Column::TenantId.eq(tenant)).exec(db).await?;
    tenant_position::Entity::delete_many().filter(tenant_position::Column::TenantId.eq(tenant)).exec(db).await?;
    Ok(tenant::Entity::delete_by_id(tenant).exec(db).await?.rows_affected)
}

/// Whether the audit log still has entries, or api-keys was not told of the deletion.
async fn is_needed(db: &DatabaseTransaction, tenant: Uuid) -> Result<bool, DbErr> {
    let entries =
        audit_entry::Entity::find().filter(audit_entry::Column::TenantId.eq(tenant)).limit(1).count(db).await?;
    let departures =
        departure::Entity::find().filter(departure::Column::TenantId.eq(tenant)).limit(1).count(db).await?;
    Ok(entries > 0 || departures > 0)
}
