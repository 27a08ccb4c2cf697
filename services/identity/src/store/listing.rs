//! Pages over users and groups, by token or by index.
//!
//! A walk by index must not miss a live row while others are deleted (rule D12). A row that is deleted moves all later ones up by one, past a
//! client that counts. So rows deleted in the last 24 hours keep their place in the count: an index is a rank among those and the live, the
//! page holds only live rows from that rank on, and a client sees a row twice rather than never.

use std::time::Duration;

use ids::TenantId;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QueryResult, QuerySelect,
    sea_query::{Condition, Expr, IntoColumnRef, Order, Query, SelectStatement, SimpleExpr},
};
use uuid::Uuid;

use crate::{
    domain::{Listed, PageStart, Slice, Timestamp},
    store::entity::{group, user},
};

/// How long a deleted row keeps its place in the count: longer than any walk.
const RANKED_AFTER_DELETION: Duration = Duration::from_secs(24 * 60 * 60);

/// A table that can be listed, within one tenant.
pub(super) struct Table<E: EntityTrait> {
    entity: E,
    id: E::Column,
    deleted_at: E::Column,
    tenant: SimpleExpr,
}

pub(super) fn users(tenant: TenantId) -> Table<user::Entity> {
    Table {
        entity: user::Entity,
        id: user::Column::Id,
        deleted_at: user::Column::DeletedAtUs,
        tenant: user::Column::TenantId.eq(tenant.uuid()),
    }
}

pub(super) fn groups(tenant: TenantId) -> Table<group::Entity> {
    Table {
        entity: group::Entity,
        id: group::Column::Id,
        deleted_at: group::Column::DeletedAtUs,
        tenant: group::Column::TenantId.eq(tenant.uuid()),
    }
}

/// One page of `select`, which chooses the live rows of the table's tenant, under `condition`.
pub(super) async fn list<E: EntityTrait>(
    db: &DatabaseConnection,
    table: Table<E>,
    mut select: SelectStatement,
    condition: Option<Condition>,
    slice: Slice,
) -> Result<Listed<QueryResult>, DbErr> {
    if let Some(condition) = &condition {
        select.cond_where(condition.clone());
    }
    let id = (table.entity, table.id);
    match slice.start {
        PageStart::After(after) => {
            select.and_where(Expr::col(id).gt(after));
        }
        PageStart::Skip(0) => {}
        PageStart::Skip(skip) if condition.is_some() => {
            select.offset(skip);
        }
        PageStart::Skip(skip) => match id_at_rank(db, &table, skip).await? {
            Some(first) => {
                select.and_where(Expr::col(id).gte(first));
            }
            None => return counted(db, &table, None).await,
        },
    }
    if slice.size == 0 {
        return counted(db, &table, condition).await;
    }
    select.order_by(id.into_column_ref(), Order::Asc).limit(slice.size + 1);
    let mut rows = db.query_all(&select).await?;
    let more = rows.len() as u64 > slice.size;
    rows.truncate(usize::try_from(slice.size).unwrap_or(usize::MAX));
    let total = match slice.start {
        PageStart::After(_) => None,
        // The last page knows the whole, unless it lies behind the end.
        PageStart::Skip(skip) if !more && (skip == 0 || !rows.is_empty()) => Some(skip + rows.len() as u64),
        PageStart::Skip(_) if condition.is_some() => Some(count(db, &table, condition).await?),
        PageStart::Skip(_) => Some(count_ranked(db, &table).await?),
    };
    Ok(Listed { rows, more, total })
}

/// No rows, and how many live ones there are.
async fn counted<E: EntityTrait>(
    db: &DatabaseConnection,
    table: &Table<E>,
    condition: Option<Condition>,
) -> Result<Listed<QueryResult>, DbErr> {
    let total = count(db, table, condition).await?;
    Ok(Listed { rows: Vec::new(), more: false, total: Some(total) })
}

async fn count<E: EntityTrait>(
    db: &DatabaseConnection,
    table: &Table<E>,
    condition: Option<Condition>,
) -> Result<u64, DbErr> {
    let mut which = Condition::all().add(table.tenant.clone()).add(table.deleted_at.is_null());
    if let Some(condition) = condition {
        which = which.add(condition);
    }
    count_where(db, table, which).await
}

async fn count_ranked<E: EntityTrait>(db: &DatabaseConnection, table: &Table<E>) -> Result<u64, DbErr> {
    count_where(db, table, ranked(table)).await
}

async fn count_where<E: EntityTrait>(
    db: &DatabaseConnection,
    table: &Table<E>,
    which: Condition,
) -> Result<u64, DbErr> {
    let mut select = Query::select();
    select.expr(Expr::col((table.entity, table.id)).count()).from(table.entity).cond_where(which);
    let row = db.query_one(&select).await?;
    let counted: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
    Ok(u64::try_from(counted).unwrap_or(0))
}

async fn id_at_rank<E: EntityTrait>(
    db: &DatabaseConnection,
    table: &Table<E>,
    rank: u64,
) -> Result<Option<Uuid>, DbErr> {
    E::find()
        .filter(ranked(table))
        .order_by_asc(table.id)
        .select_only()
        .column(table.id)
        .offset(rank)
        .limit(1)
        .into_tuple()
        .one(db)
        .await
}

/// The rows that have a place in the count.
fn ranked<E: EntityTrait>(table: &Table<E>) -> Condition {
    let since = Timestamp::now().before(RANKED_AFTER_DELETION);
    Condition::all()
        .add(table.tenant.clone())
        .add(Condition::any().add(table.deleted_at.is_null()).add(table.deleted_at.gt(since.0)))
}
