//! The members of groups. Adding and removing touch the rows named and no others, however large the group is.

use std::collections::BTreeSet;

use ids::{GroupId, TenantId, UserId};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, IntoColumnRef, LockType, OnConflict, Order, Query, SelectStatement},
};
use uuid::Uuid;

use crate::{
    domain::{Error, Member},
    store::{
        Outcome, Store,
        entity::{group, membership, user},
        refuse,
        tx::{ChangeKind, ROWS_PER_STATEMENT, Tx},
        unavailable,
    },
};

/// Which members to list.
#[derive(Debug)]
pub(crate) struct ListMembers {
    pub(crate) group: GroupId,
    pub(crate) after: Option<UserId>,
    pub(crate) size: u64,
}

impl Store {
    /// The live members of a live group, in the order of their ids.
    pub(crate) async fn list_members(&self, tenant: TenantId, list: &ListMembers) -> Result<Vec<Member>, Error> {
        self.group(tenant, list.group).await?;
        let mut select = of_live_users(tenant);
        select
            .columns([
                (user::Entity, user::Column::Id),
                (user::Entity, user::Column::UserName),
                (user::Entity, user::Column::DisplayName),
            ])
            .and_where(membership::Column::GroupId.eq(list.group.uuid()))
            .order_by((membership::Entity, membership::Column::UserId).into_column_ref(), Order::Asc)
            .limit(list.size);
        if let Some(after) = list.after {
            select.and_where(membership::Column::UserId.gt(after.uuid()));
        }
        let rows = self.database.read().query_all(&select).await;
        let members = rows.and_then(|rows| rows.iter().map(member).collect::<Result<_, _>>());
        members.map_err(|error| unavailable(&error))
    }
}

/// Memberships that show: those of live users. What is selected of them is the caller's.
pub(super) fn of_live_users(tenant: TenantId) -> SelectStatement {
    let mut select = Query::select();
    select
        .from(membership::Entity)
        .inner_join(
            user::Entity,
            Expr::col((user::Entity, user::Column::TenantId))
                .equals((membership::Entity, membership::Column::TenantId))
                .and(
                    Expr::col((user::Entity, user::Column::Id))
                        .equals((membership::Entity, membership::Column::UserId)),
                ),
        )
        .and_where(membership::Column::TenantId.eq(tenant.uuid()))
        .and_where(user::Column::DeletedAtUs.is_null());
    select
}

fn member(row: &sea_orm::QueryResult) -> Result<Member, DbErr> {
    let user: Uuid = row.try_get_by_index(0)?;
    let user_name: String = row.try_get_by_index(1)?;
    let display_name: Option<String> = row.try_get_by_index(2)?;
    Ok(Member { user: UserId::from(user), display_name: display_name.unwrap_or(user_name) })
}

/// Refuses ids that no user of the tenant ever had (rule R16). All of them are named at once, and another tenant's look like any other.
pub(super) async fn check_known<'i>(tx: &Tx<'_>, lists: impl IntoIterator<Item = &'i [String]>) -> Outcome<()> {
    let texts: BTreeSet<&str> = lists.into_iter().flatten().map(String::as_str).collect();
    let wanted: BTreeSet<Uuid> = texts.iter().filter_map(|text| parse(text)).collect();
    let mut missing: BTreeSet<Uuid> = wanted.clone();
    for ids in chunks(wanted.into_iter().collect()) {
        // They stay until the membership refers to them, and are locked before the tenant where roles follow (see `admins`).
        let known: Vec<Uuid> = user::Entity::find()
            .filter(user::Column::TenantId.eq(tx.tenant()))
            .filter(user::Column::Id.is_in(ids))
            .select_only()
            .column(user::Column::Id)
            .lock(LockType::KeyShare)
            .into_tuple()
            .all(tx.db)
            .await?;
        for id in known {
            missing.remove(&id);
        }
    }
    let unknown = |text: &&&str| parse(text).is_none_or(|id| missing.contains(&id));
    let unknown: Vec<String> = texts.iter().filter(unknown).map(|text| (*text).to_owned()).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let mut nested = Vec::new();
    for ids in chunks(missing.iter().copied().collect()) {
        let groups: Vec<Uuid> = group::Entity::find()
            .filter(group::Column::TenantId.eq(tx.tenant()))
            .filter(group::Column::Id.is_in(ids))
            .select_only()
            .column(group::Column::Id)
            .into_tuple()
            .all(tx.db)
            .await?;
        nested.extend(groups.into_iter().map(|id| GroupId::from(id).to_string()));
    }
    // Every id that is refused is named: where not all of them are groups', no user has any of them.
    let all_nested = nested.len() == unknown.len();
    refuse(if all_nested { Error::NestedGroups { ids: nested } } else { Error::UnknownMembers { ids: unknown } })
}

/// Makes users members; answers those that were not.
pub(super) async fn add(tx: &Tx<'_>, group: GroupId, ids: &[String]) -> Outcome<Vec<Uuid>> {
    let ids: BTreeSet<Uuid> = ids.iter().filter_map(|id| parse(id)).collect();
    insert(tx, group, ids.into_iter().collect()).await
}

/// Removes members; answers those that were.
pub(super) async fn remove(tx: &Tx<'_>, group: GroupId, ids: &[String]) -> Outcome<Vec<Uuid>> {
    let ids: BTreeSet<Uuid> = ids.iter().filter_map(|id| parse(id)).collect();
    delete(tx, group, ids.into_iter().collect()).await
}

/// Makes users the only members; answers those that joined and those that left.
pub(super) async fn replace(tx: &Tx<'_>, group: GroupId, ids: &[String]) -> Outcome<(Vec<Uuid>, Vec<Uuid>)> {
    let after: BTreeSet<Uuid> = ids.iter().filter_map(|id| parse(id)).collect();
    let before = all(tx, group).await?;
    let left = delete(tx, group, before.difference(&after).copied().collect()).await?;
    let joined = insert(tx, group, after.difference(&before).copied().collect()).await?;
    Ok((joined, left))
}

/// Removes every member; answers who they were.
pub(super) async fn clear(tx: &Tx<'_>, group: GroupId) -> Outcome<Vec<Uuid>> {
    let mut delete = Query::delete();
    delete
        .from_table(membership::Entity)
        .and_where(membership::Column::TenantId.eq(tx.tenant()))
        .and_where(membership::Column::GroupId.eq(group.uuid()))
        .returning_col(membership::Column::UserId);
    returned(tx.db.query_all(&delete).await?)
}

/// Leaves an entry in the change feed for each of these members.
pub(super) fn record(tx: &Tx<'_>, kind: ChangeKind, group: GroupId, users: &[Uuid], version: i64) {
    for user in users {
        tx.member_changed(kind, group.uuid(), *user, version);
    }
}

/// The ids of all members, those of softly deleted users too.
pub(super) async fn all(tx: &Tx<'_>, group: GroupId) -> Outcome<BTreeSet<Uuid>> {
    let ids: Vec<Uuid> = membership::Entity::find()
        .filter(membership::Column::TenantId.eq(tx.tenant()))
        .filter(membership::Column::GroupId.eq(group.uuid()))
        .select_only()
        .column(membership::Column::UserId)
        .into_tuple()
        .all(tx.db)
        .await?;
    Ok(ids.into_iter().collect())
}

async fn insert(tx: &Tx<'_>, group: GroupId, users: Vec<Uuid>) -> Outcome<Vec<Uuid>> {
    let mut joined = Vec::new();
    for users in chunks(users) {
        let mut insert = Query::insert();
        insert
            .into_table(membership::Entity)
            .columns([membership::Column::TenantId, membership::Column::GroupId, membership::Column::UserId])
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .returning_col(membership::Column::UserId);
        for user in users {
            insert
                .values([tx.tenant().into(), group.uuid().into(), user.into()])
                .map_err(|error| DbErr::Custom(error.to_string()))?;
        }
        joined.extend(returned(tx.db.query_all(&insert).await?)?);
    }
    Ok(joined)
}

async fn delete(tx: &Tx<'_>, group: GroupId, users: Vec<Uuid>) -> Outcome<Vec<Uuid>> {
    let mut left = Vec::new();
    for users in chunks(users) {
        let mut delete = Query::delete();
        delete
            .from_table(membership::Entity)
            .and_where(membership::Column::TenantId.eq(tx.tenant()))
            .and_where(membership::Column::GroupId.eq(group.uuid()))
            .and_where(membership::Column::UserId.is_in(users))
            .returning_col(membership::Column::UserId);
        left.extend(returned(tx.db.query_all(&delete).await?)?);
    }
    Ok(left)
}

fn returned(rows: Vec<sea_orm::QueryResult>) -> Outcome<Vec<Uuid>> {
    rows.iter().map(|row| row.try_get_by_index(0).map_err(database::Error::Database)).collect()
}

fn chunks(ids: Vec<Uuid>) -> Vec<Vec<Uuid>> {
    ids.chunks(ROWS_PER_STATEMENT).map(<[Uuid]>::to_vec).collect()
}

/// A user's id, where it can be one.
pub(super) fn parse(id: &str) -> Option<Uuid> {
    id.parse::<UserId>().ok().map(UserId::uuid)
}
