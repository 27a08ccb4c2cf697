//! The groups of users.

use std::collections::HashMap;

use ids::{GroupId, TenantId, UserId};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, ExprTrait, Order,
    sea_query::{Expr, Query, SelectStatement, WindowStatement},
};
use uuid::Uuid;

use crate::{
    domain::MemberOf,
    store::entity::{group, membership},
};

/// How many groups of one user are answered with it.
const GROUPS_MAX: i64 = 1000;
/// The place of a group among those of its user.
const PLACE: &str = "place";

/// The live groups of these users, in the order of their ids. One statement, however many users.
pub(super) async fn of(
    db: &DatabaseConnection,
    tenant: TenantId,
    users: &[UserId],
) -> Result<HashMap<UserId, Vec<MemberOf>>, DbErr> {
    let mut window = WindowStatement::partition_by((membership::Entity, membership::Column::UserId));
    window.order_by((membership::Entity, membership::Column::GroupId), Order::Asc);
    let mut placed = in_live_groups(tenant);
    placed
        .columns([membership::Column::UserId, membership::Column::GroupId])
        .column((group::Entity, group::Column::DisplayName))
        .expr_window_as(Expr::cust("ROW_NUMBER()"), window, PLACE)
        .and_where(membership::Column::UserId.is_in(users.iter().map(|user| user.uuid())));
    let mut select = Query::select();
    select
        .columns([membership::Column::UserId, membership::Column::GroupId])
        .column(group::Column::DisplayName)
        .from_subquery(placed, "placed")
        .and_where(Expr::col(PLACE).lte(GROUPS_MAX))
        .order_by(PLACE, Order::Asc);
    let mut groups: HashMap<UserId, Vec<MemberOf>> = HashMap::new();
    for row in db.query_all(&select).await? {
        let (user, group): (Uuid, Uuid) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let of_user = groups.entry(UserId::from(user)).or_default();
        of_user.push(MemberOf { group: GroupId::from(group), display_name: row.try_get_by_index(2)? });
    }
    Ok(groups)
}

/// Memberships in live groups. What is selected of them is the caller's.
pub(super) fn in_live_groups(tenant: TenantId) -> SelectStatement {
    let mut select = Query::select();
    select
        .from(membership::Entity)
        .inner_join(
            group::Entity,
            Expr::col((group::Entity, group::Column::TenantId))
                .equals((membership::Entity, membership::Column::TenantId))
                .and(
                    Expr::col((group::Entity, group::Column::Id))
                        .equals((membership::Entity, membership::Column::GroupId)),
                ),
        )
        .and_where(membership::Column::TenantId.eq(tenant.uuid()))
        .and_where(group::Column::DeletedAtUs.is_null());
    select
}
