//! From a typed filter to a condition of SQL. Every term is an equality that an index serves, and never NULL, so that `not` means not.

use ids::TenantId;
use sea_orm::{
    ColumnTrait, ExprTrait,
    sea_query::{Condition, Expr, Query, SimpleExpr},
};
use uuid::Uuid;

use crate::{
    domain::{EmailMatch, Filter, GroupTerm, UserTerm},
    store::{
        entity::{group, membership, user, user_email},
        members,
    },
};

/// The condition of a filter over users.
pub(super) fn users(tenant: TenantId, filter: &Filter<UserTerm>) -> Condition {
    build(filter, &|term| user_term(tenant, term))
}

/// The condition of a filter over groups.
pub(super) fn groups(tenant: TenantId, filter: &Filter<GroupTerm>) -> Condition {
    build(filter, &|term| group_term(tenant, term))
}

fn build<T>(filter: &Filter<T>, term: &dyn Fn(&T) -> SimpleExpr) -> Condition {
    match filter {
        Filter::AllOf(filters) => filters.iter().fold(Condition::all(), |all, filter| all.add(build(filter, term))),
        Filter::AnyOf(filters) => filters.iter().fold(Condition::any(), |any, filter| any.add(build(filter, term))),
        Filter::Not(filter) => build(filter, term).not(),
        Filter::Term(one) => Condition::all().add(term(one)),
    }
}

fn user_term(tenant: TenantId, term: &UserTerm) -> SimpleExpr {
    match term {
        UserTerm::Id(None) => nothing(),
        UserTerm::Id(Some(id)) => user::Column::Id.eq(id.uuid()),
        UserTerm::UserName(key) => user::Column::UserNameKey.eq(key.as_str()),
        UserTerm::ExternalId(id) => known_and(user::Column::ExternalId, id),
        UserTerm::DisplayName(key) => known_and(user::Column::DisplayNameKey, key.as_str()),
        UserTerm::ProvisionedActive(active) => user::Column::ProvisionedActive.eq(*active),
        UserTerm::Email(email) => email_term(tenant, email),
    }
}

/// The addresses' own index finds the users, so this is an IN over its answer and not an EXISTS for each user.
fn email_term(tenant: TenantId, email: &EmailMatch) -> SimpleExpr {
    let mut users = Query::select();
    users
        .column(user_email::Column::UserId)
        .from(user_email::Entity)
        .and_where(user_email::Column::TenantId.eq(tenant.uuid()));
    if let Some(value) = &email.value {
        users.and_where(user_email::Column::ValueKey.eq(value.as_str()));
    }
    if let Some(kind) = &email.kind {
        users.and_where(user_email::Column::KindKey.eq(kind.as_str()));
    }
    Expr::col((user::Entity, user::Column::Id)).in_subquery(users)
}

fn group_term(tenant: TenantId, term: &GroupTerm) -> SimpleExpr {
    match term {
        GroupTerm::Id(None) | GroupTerm::Member(None) => nothing(),
        GroupTerm::Id(Some(id)) => group::Column::Id.eq(id.uuid()),
        GroupTerm::DisplayName(key) => group::Column::DisplayNameKey.eq(key.as_str()),
        GroupTerm::ExternalId(id) => known_and(group::Column::ExternalId, id),
        GroupTerm::Member(Some(user)) => has_member(tenant, user.uuid()),
    }
}

/// Live members alone: what the list of members does not show, a filter does not find.
fn has_member(tenant: TenantId, member: Uuid) -> SimpleExpr {
    let mut groups = members::of_live_users(tenant);
    groups.column((membership::Entity, membership::Column::GroupId)).and_where(membership::Column::UserId.eq(member));
    Expr::col((group::Entity, group::Column::Id)).in_subquery(groups)
}

fn known_and<C: ColumnTrait>(column: C, value: &str) -> SimpleExpr {
    column.is_not_null().and(column.eq(value))
}

fn nothing() -> SimpleExpr {
    Expr::val(1).eq(0)
}
