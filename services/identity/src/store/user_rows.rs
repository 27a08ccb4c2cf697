//! Reading users: one statement that brings a user together with what its role follows from.

use ids::{TenantId, UserId};
use sea_orm::{
    ColumnTrait, DbBackend, DbErr, FromQueryResult, QueryResult,
    sea_query::{Query, SelectStatement},
};
use uuid::Uuid;

use crate::{
    domain::{AttributeValues, DisplayName, ExternalId, Profile, RoleAccess, Timestamp, User, UserDraft, UserName},
    store::{
        effective_roles::{Lens, Roles, beside_tenant},
        entity::{tenant, user},
    },
};

/// A user's row, without the search document: that is written, and asked about, and never read.
#[derive(Clone, Debug, FromQueryResult)]
pub(super) struct StoredUser {
    pub(super) id: Uuid,
    pub(super) user_name: String,
    pub(super) external_id: Option<String>,
    pub(super) display_name: Option<String>,
    pub(super) provisioned_active: bool,
    pub(super) provisioned_active_withdrawn: bool,
    pub(super) suspended_at_us: Option<i64>,
    pub(super) access_ended_at_us: Option<i64>,
    pub(super) access_ended_external_id: Option<String>,
    pub(super) roles_held_at_us: Option<i64>,
    pub(super) profile: String,
    pub(super) user_attributes: String,
    pub(super) version: i64,
    pub(super) created_at_us: i64,
    pub(super) updated_at_us: i64,
    pub(super) deleted_at_us: Option<i64>,
    pub(super) directory_since_us: Option<i64>,
}

/// The columns of a [`StoredUser`].
pub(super) const STORED: [user::Column; 17] = [
    user::Column::Id,
    user::Column::UserName,
    user::Column::ExternalId,
    user::Column::DisplayName,
    user::Column::ProvisionedActive,
    user::Column::ProvisionedActiveWithdrawn,
    user::Column::SuspendedAtUs,
    user::Column::AccessEndedAtUs,
    user::Column::AccessEndedExternalId,
    user::Column::RolesHeldAtUs,
    user::Column::Profile,
    user::Column::UserAttributes,
    user::Column::Version,
    user::Column::CreatedAtUs,
    user::Column::UpdatedAtUs,
    user::Column::DeletedAtUs,
    user::Column::DirectorySinceUs,
];

/// Live users of a tenant, each with what its role follows from.
pub(super) fn select(engine: DbBackend, tenant: TenantId) -> SelectStatement {
    let mut select = rows(tenant);
    Lens::now(engine, tenant).add(&mut select);
    select
}

/// As [`select`], softly deleted ones too.
pub(super) fn select_any(engine: DbBackend, tenant: TenantId) -> SelectStatement {
    let mut select = any_rows(tenant);
    Lens::now(engine, tenant).add(&mut select);
    select
}

/// The rows of the live users of a tenant, beside it.
pub(super) fn rows(tenant: TenantId) -> SelectStatement {
    let mut select = any_rows(tenant);
    select.and_where(user::Column::DeletedAtUs.is_null());
    select
}

fn any_rows(tenant: TenantId) -> SelectStatement {
    let mut select = Query::select();
    select
        .columns(STORED.map(|column| (user::Entity, column)))
        .from(user::Entity)
        .inner_join(tenant::Entity, beside_tenant())
        .and_where(user::Column::TenantId.eq(tenant.uuid()));
    select
}

/// A user from a row of [`select_any`].
pub(super) fn user(row: &QueryResult) -> Result<User, DbErr> {
    let stored = StoredUser::from_query_result(row, "")?;
    let provisioned = draft(&stored)?;
    let roles = Roles::from_row(row, &provisioned.profile.roles)?;
    let suspended = stored.suspended_at_us.is_some();
    let active = stored.provisioned_active && !suspended && stored.deleted_at_us.is_none();
    Ok(User {
        id: UserId::from(stored.id),
        provisioned,
        governing_active: stored.provisioned_active,
        suspended,
        default_rank: roles.default.rank,
        role: roles.effective(RoleAccess::of(active, stored.roles_held_at_us.is_some())),
        role_assignments: roles.assignments,
        roles_held_at: stored.roles_held_at_us.map(Timestamp),
        version: stored.version,
        created_at: Timestamp(stored.created_at_us),
        updated_at: Timestamp(stored.updated_at_us),
        directory_since: stored.directory_since_us.map(Timestamp),
        deleted_at: stored.deleted_at_us.map(Timestamp),
    })
}

/// What the directory said of a user, from its row.
pub(super) fn draft(row: &StoredUser) -> Result<UserDraft, DbErr> {
    let unreadable = |error| DbErr::Type(format!("what is stored of user {} does not parse: {error}", row.id));
    let profile: Profile = serde_json::from_str(&row.profile).map_err(unreadable)?;
    let attributes: AttributeValues = serde_json::from_str(&row.user_attributes).map_err(unreadable)?;
    Ok(UserDraft {
        user_name: UserName::stored(row.user_name.clone()),
        external_id: row.external_id.clone().map(ExternalId::stored),
        display_name: row.display_name.clone().map(DisplayName::stored),
        provisioned_active: (!row.provisioned_active_withdrawn).then_some(row.provisioned_active),
        profile,
        attributes,
    })
}
