//! The roles of a tenant: the built-in ones and its own.

use std::collections::BTreeSet;

use ::audit::{Content, Values};
use ids::TenantId;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect, sea_query::OnConflict,
};

use crate::{
    domain::{Caller, Error, InvalidField, ROLES_MAX, Role, RoleDraft, RoleId},
    store::{
        Outcome, Running, Store, admins,
        entity::{role, role_assignment, role_mapping},
        refuse,
        role_batches::{self, Cause},
        tx::{ChangeKind, Tx},
        unavailable,
    },
};

impl Store {
    /// The catalogue, highest rank first. There are so few that they are one page.
    pub(crate) async fn roles(&self, tenant: TenantId) -> Result<Vec<Role>, Error> {
        let rows = role::Entity::find()
            .filter(role::Column::TenantId.eq(tenant.uuid()))
            .filter(role::Column::DeletedAtUs.is_null())
            .all(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        let mut roles: Vec<Role> = Role::built_in().chain(rows.into_iter().map(Role::from)).collect();
        roles.sort_by(|one, other| other.rank.cmp(&one.rank).then_with(|| one.id.cmp(&other.id)));
        Ok(roles)
    }

    /// Adds a role.
    pub(crate) async fn create_role(&self, caller: &Caller, draft: RoleDraft) -> Result<Role, Error> {
        let created = self.write(caller, draft, create).await;
        self.role_batches.begin();
        created
    }

    /// Takes a role away that nothing names. A directory's value of this name becomes one that grants nothing.
    pub(crate) async fn delete_role(&self, caller: &Caller, role: RoleId) -> Result<(), Error> {
        let deleted = self.write(caller, role, delete).await;
        self.role_batches.begin();
        deleted
    }
}

fn create<'a>(tx: &'a Tx<'a>, draft: &'a RoleDraft) -> Running<'a, Role> {
    Box::pin(async move {
        // A directory's value that counts from now on may stand before a group that gives admin.
        tx.lock_tenant().await?;
        if known(tx, &draft.id).await? {
            return refuse(Error::RoleTaken);
        }
        let live = role::Entity::find()
            .filter(role::Column::TenantId.eq(tx.tenant()))
            .filter(role::Column::DeletedAtUs.is_null())
            .count(tx.db)
            .await?;
        if live >= ROLES_MAX {
            return refuse(Error::TooManyRoles);
        }
        let had_admin = admins::any(tx).await?;
        let row = role::Model {
            tenant_id: tx.tenant(),
            id: draft.id.as_str().to_owned(),
            rank: draft.rank,
            description: draft.description.clone(),
            created_by: tx.caller.actor.clone(),
            created_at_us: tx.now.0,
            deleted_at_us: None,
        };
        // The row of one that was deleted lately may still be there.
        role::Entity::insert(role::ActiveModel::from(row.clone()))
            .on_conflict(
                OnConflict::columns([role::Column::TenantId, role::Column::Id])
                    .update_columns([
                        role::Column::Rank,
                        role::Column::Description,
                        role::Column::CreatedBy,
                        role::Column::CreatedAtUs,
                        role::Column::DeletedAtUs,
                    ])
                    .to_owned(),
            )
            .exec_without_returning(tx.db)
            .await?;
        if had_admin {
            admins::keep_one(tx).await?;
        }
        tx.audit(&row.id, || Content::detail("created").after(described(&row)));
        tx.changed(ChangeKind::TenantChanged, tx.tenant(), 0, Content::default().after(named(&row)));
        role_batches::add(tx, Cause::RoleCreated { role: row.id.clone() }).await?;
        Ok(Role::from(row))
    })
}

fn delete<'a>(tx: &'a Tx<'a>, id: &'a RoleId) -> Running<'a, ()> {
    Box::pin(async move {
        // Whoever gives a role, by hand, by a mapping or as the default, looks for it under a lock that excludes this one.
        let tenant = tx.lock_tenant().await?;
        if id.built_in_rank().is_some() {
            return refuse(InvalidField::new("role_id", "names a built-in role, which every tenant has").into());
        }
        let row = role::Entity::find_by_id((tx.tenant(), id.as_str().to_owned()))
            .filter(role::Column::DeletedAtUs.is_null())
            .one(tx.db)
            .await?;
        let Some(row) = row else { return refuse(Error::NotFound("role")) };
        if tenant.default_role == row.id {
            return refuse(Error::RoleInUse("it is the tenant's default role".to_owned()));
        }
        let by_hand = role_assignment::Entity::find()
            .filter(role_assignment::Column::TenantId.eq(tx.tenant()))
            .filter(role_assignment::Column::Role.eq(&*row.id))
            .count(tx.db)
            .await?;
        if by_hand > 0 {
            return refuse(Error::RoleInUse(format!("{by_hand} users have it by hand")));
        }
        let mapped = role_mapping::Entity::find()
            .filter(role_mapping::Column::TenantId.eq(tx.tenant()))
            .filter(role_mapping::Column::Role.eq(&*row.id))
            .filter(role_mapping::Column::DeletedAtUs.is_null())
            .count(tx.db)
            .await?;
        if mapped > 0 {
            return refuse(Error::RoleInUse(format!("{mapped} groups are mapped to it")));
        }
        role::Entity::update_many()
            .set(role::ActiveModel { deleted_at_us: Set(Some(tx.now.0)), ..role::ActiveModel::default() })
            .filter(role::Column::TenantId.eq(tx.tenant()))
            .filter(role::Column::Id.eq(&*row.id))
            .exec(tx.db)
            .await?;
        tx.audit(&row.id, || Content::detail("deleted").before(described(&row)));
        tx.changed(ChangeKind::TenantChanged, tx.tenant(), 0, Content::default().before(named(&row)));
        role_batches::add(tx, Cause::RoleDeleted { role: row.id.clone() }).await
    })
}

/// Refuses a role that is not in the catalogue. The tenant's row is locked by the caller, so that the role is not deleted meanwhile.
pub(super) async fn check(tx: &Tx<'_>, role: &RoleId) -> Outcome<()> {
    if known(tx, role).await? {
        return Ok(());
    }
    let mut known: Vec<&str> = crate::domain::BUILT_IN.iter().map(|(id, _)| *id).collect();
    let custom = custom_ids(tx).await?;
    known.extend(custom.iter().map(String::as_str));
    refuse(InvalidField::new("role", format!("must be one of {}", known.join(", "))).into())
}

async fn known(tx: &Tx<'_>, role: &RoleId) -> Outcome<bool> {
    if role.built_in_rank().is_some() {
        return Ok(true);
    }
    let row = role::Entity::find_by_id((tx.tenant(), role.as_str().to_owned()))
        .filter(role::Column::DeletedAtUs.is_null())
        .one(tx.db)
        .await?;
    Ok(row.is_some())
}

/// The ids of all roles.
pub(super) async fn ids(tx: &Tx<'_>) -> Outcome<BTreeSet<String>> {
    let built_in = Role::built_in().map(|role| role.id.as_str().to_owned());
    Ok(built_in.chain(custom_ids(tx).await?).collect())
}

async fn custom_ids(tx: &Tx<'_>) -> Outcome<Vec<String>> {
    let ids = role::Entity::find()
        .filter(role::Column::TenantId.eq(tx.tenant()))
        .filter(role::Column::DeletedAtUs.is_null())
        .select_only()
        .column(role::Column::Id)
        .into_tuple()
        .all(tx.db)
        .await?;
    Ok(ids)
}

/// What the change feed says of a role of the tenant.
fn named(row: &role::Model) -> Values {
    described(row).with("role_id", &*row.id)
}

/// What the audit log says of a role of the tenant.
fn described(row: &role::Model) -> Values {
    Values::new().with("rank", row.rank.to_string()).with("description", &*row.description)
}

impl From<role::Model> for Role {
    fn from(row: role::Model) -> Self {
        Self { id: RoleId::stored(row.id), rank: row.rank, description: row.description, built_in: false }
    }
}
