//! Taking away what has been kept long enough: audit entries, and softly deleted users and groups. Every replica may do it at the same time, and
//! again.

use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};
use uuid::Uuid;

use crate::{
    domain::{Error, Timestamp},
    store::{
        Outcome, Store,
        entity::{audit_entry, group, membership, tenant_position, user},
        unavailable,
    },
};

/// How many entries one transaction takes away: it holds up the tenant's writes meanwhile.
const PURGE_BATCH: u64 = 1000;
/// How many one run takes away.
pub(crate) const PURGE_MAX: u64 = 10_000;
/// How many tenants one run looks at.
const PURGE_TENANTS_MAX: u64 = 1000;
/// How many users or groups one run takes away of a kind.
const PURGE_RESOURCES_MAX: u64 = 10_000;
/// How many memberships one transaction takes away with their user or group.
const PURGE_MEMBERSHIPS: u64 = 1000;

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

    /// Takes away users and groups that were softly deleted before a time, no more than [`PURGE_RESOURCES_MAX`] of each, and answers how many.
    pub(crate) async fn purge_deleted(&self, before: Timestamp) -> Result<u64, Error> {
        let mut purged = 0;
        for kind in [Kind::User, Kind::Group] {
            let found = kind.deleted_before(self.database.read(), before).await.map_err(|error| unavailable(&error))?;
            for (tenant, id) in found {
                // A few transactions where there are many memberships; the last one takes the row.
                loop {
                    let written = self.database.write(move |db| Box::pin(purge_one(db, kind, (tenant, id), before)));
                    let purge = written.await.map_err(|error| match error {
                        database::Error::Refused(error) => error,
                        database::Error::Database(error) => unavailable(&error),
                    })?;
                    match purge {
                        Purge::Unfinished => {}
                        Purge::Gone => {
                            purged += 1;
                            break;
                        }
                        Purge::Kept => break,
                    }
                }
            }
        }
        Ok(purged)
    }
}

/// What is deleted softly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    User,
    Group,
}

/// What became of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purge {
    Gone,
    /// Memberships are left.
    Unfinished,
    /// It was restored meanwhile, or another replica was faster.
    Kept,
}

impl Kind {
    async fn deleted_before(
        self,
        db: &sea_orm::DatabaseConnection,
        before: Timestamp,
    ) -> Result<Vec<(Uuid, Uuid)>, DbErr> {
        match self {
            Self::User => {
                user::Entity::find()
                    .filter(user::Column::DeletedAtUs.lt(before.0))
                    .select_only()
                    .columns([user::Column::TenantId, user::Column::Id])
                    .limit(PURGE_RESOURCES_MAX)
                    .into_tuple()
                    .all(db)
                    .await
            }
            Self::Group => {
                group::Entity::find()
                    .filter(group::Column::DeletedAtUs.lt(before.0))
                    .select_only()
                    .columns([group::Column::TenantId, group::Column::Id])
                    .limit(PURGE_RESOURCES_MAX)
                    .into_tuple()
                    .all(db)
                    .await
            }
        }
    }
}

/// Takes away one user or group that was softly deleted before a time, with its memberships first.
async fn purge_one(
    db: &DatabaseTransaction,
    kind: Kind,
    (tenant, id): (Uuid, Uuid),
    before: Timestamp,
) -> Outcome<Purge> {
    // Locked, so that nobody restores it meanwhile.
    let is_due = match kind {
        Kind::User => {
            let row = user::Entity::find_by_id((tenant, id)).select_only().column(user::Column::DeletedAtUs);
            row.lock_exclusive().into_tuple::<Option<i64>>().one(db).await?
        }
        Kind::Group => {
            let row = group::Entity::find_by_id((tenant, id)).select_only().column(group::Column::DeletedAtUs);
            row.lock_exclusive().into_tuple::<Option<i64>>().one(db).await?
        }
    };
    if is_due.flatten().is_none_or(|deleted_at| deleted_at >= before.0) {
        return Ok(Purge::Kept);
    }
    let (end, other) = match kind {
        Kind::User => (membership::Column::UserId, membership::Column::GroupId),
        Kind::Group => (membership::Column::GroupId, membership::Column::UserId),
    };
    let of = membership::Entity::find().filter(membership::Column::TenantId.eq(tenant)).filter(end.eq(id));
    let others: Vec<Uuid> =
        of.select_only().column(other).order_by_asc(other).limit(PURGE_MEMBERSHIPS).into_tuple().all(db).await?;
    if !others.is_empty() {
        membership::Entity::delete_many()
            .filter(membership::Column::TenantId.eq(tenant))
            .filter(end.eq(id))
            .filter(other.is_in(others.iter().copied()))
            .exec(db)
            .await?;
        if others.len() as u64 == PURGE_MEMBERSHIPS {
            return Ok(Purge::Unfinished);
        }
    }
    match kind {
        Kind::User => user::Entity::delete_by_id((tenant, id)).exec(db).await?,
        Kind::Group => group::Entity::delete_by_id((tenant, id)).exec(db).await?,
    };
    Ok(Purge::Gone)
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
