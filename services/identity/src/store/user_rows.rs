//! Reading users: one statement that brings a user together with what its role follows from.

use ids::{TenantId, UserId};
use sea_orm::{
    ColumnTrait, DbErr, ExprTrait, FromQueryResult, QueryResult,
    sea_query::{Asterisk, Expr, Query, SelectStatement},
};

use crate::{
    domain::{
        DisplayName, EffectiveRole, ExternalId, Profile, RoleId, RoleSource, Timestamp, User, UserDraft, UserName,
    },
    store::entity::{role_assignment, tenant, user},
};

/// Live users of a tenant, each with its manual role and the tenant's default one.
pub(super) fn select(tenant: TenantId) -> SelectStatement {
    let mut select = Query::select();
    select
        .column((user::Entity, Asterisk))
        .column((role_assignment::Entity, role_assignment::Column::Role))
        .column((tenant::Entity, tenant::Column::DefaultRole))
        .from(user::Entity)
        .inner_join(
            tenant::Entity,
            Expr::col((tenant::Entity, tenant::Column::Id)).equals((user::Entity, user::Column::TenantId)),
        )
        .left_join(
            role_assignment::Entity,
            Expr::col((role_assignment::Entity, role_assignment::Column::TenantId))
                .equals((user::Entity, user::Column::TenantId))
                .and(
                    Expr::col((role_assignment::Entity, role_assignment::Column::UserId))
                        .equals((user::Entity, user::Column::Id)),
                )
                .and(role_assignment::Column::Source.eq(RoleSource::MANUAL)),
        )
        .and_where(user::Column::TenantId.eq(tenant.uuid()))
        .and_where(user::Column::DeletedAtUs.is_null());
    select
}

/// A user from a row of [`select`].
pub(super) fn user(row: &QueryResult) -> Result<User, DbErr> {
    let stored = user::Model::from_query_result(row, "")?;
    let manual: Option<String> = row.try_get("", "role")?;
    let default: String = row.try_get("", "default_role")?;
    let provisioned = draft(&stored)?;
    let suspended = stored.suspended_at_us.is_some();
    let active = provisioned.provisioned_active && !suspended;
    Ok(User {
        id: UserId::from(stored.id),
        provisioned,
        suspended,
        role: EffectiveRole::of(active, manual.map(RoleId::stored), RoleId::stored(default)),
        version: stored.version,
        created_at: Timestamp(stored.created_at_us),
        updated_at: Timestamp(stored.updated_at_us),
    })
}

/// What the directory said of a user, from its row.
pub(super) fn draft(row: &user::Model) -> Result<UserDraft, DbErr> {
    let profile: Profile = serde_json::from_str(&row.profile)
        .map_err(|error| DbErr::Type(format!("the profile of user {} does not parse: {error}", row.id)))?;
    Ok(UserDraft {
        user_name: UserName::stored(row.user_name.clone()),
        external_id: row.external_id.clone().map(ExternalId::stored),
        display_name: row.display_name.clone().map(DisplayName::stored),
        provisioned_active: row.provisioned_active,
        profile,
    })
}
