//! Roles that an administrator gives by hand. No other source touches these rows.

use ::audit::{Content, Values};
use ids::UserId;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, sea_query::OnConflict};

use crate::{
    domain::{Caller, Error, RoleId, RoleSource, User},
    store::{
        Outcome, Running, Store,
        entity::role_assignment,
        refuse,
        tx::{ChangeKind, Tx},
        users,
    },
};

/// Whom to give which role.
#[derive(Debug)]
pub(crate) struct SetManualRole {
    pub(crate) user: UserId,
    pub(crate) role: RoleId,
}

impl Store {
    pub(crate) async fn set_manual_role(&self, caller: &Caller, set: SetManualRole) -> Result<User, Error> {
        self.write(caller, set, set_in).await
    }

    pub(crate) async fn clear_manual_role(&self, caller: &Caller, user: UserId) -> Result<User, Error> {
        self.write(caller, user, clear_in).await
    }
}

fn set_in<'a>(tx: &'a Tx<'a>, set: &'a SetManualRole) -> Running<'a, User> {
    Box::pin(async move {
        let before = current(tx, set.user).await?;
        tx.audit(set.user, || Content::change(manual_role(before.as_deref()), manual_role(Some(set.role.as_str()))));
        if before.as_deref() != Some(set.role.as_str()) {
            role_assignment::Entity::insert(role_assignment::ActiveModel {
                tenant_id: Set(tx.tenant()),
                user_id: Set(set.user.uuid()),
                source: Set(RoleSource::MANUAL.to_owned()),
                role: Set(set.role.as_str().to_owned()),
                assigned_by: Set(tx.caller.actor.clone()),
                assigned_at_us: Set(tx.now.0),
            })
            .on_conflict(
                OnConflict::columns([
                    role_assignment::Column::TenantId,
                    role_assignment::Column::UserId,
                    role_assignment::Column::Source,
                ])
                .update_columns([
                    role_assignment::Column::Role,
                    role_assignment::Column::AssignedBy,
                    role_assignment::Column::AssignedAtUs,
                ])
                .to_owned(),
            )
            .exec_without_returning(tx.db)
            .await?;
            let what = Content::change(manual_role(before.as_deref()), manual_role(Some(set.role.as_str())));
            raise(tx, set.user, what).await?;
        }
        users::written(tx, set.user).await
    })
}

fn clear_in<'a>(tx: &'a Tx<'a>, user: &'a UserId) -> Running<'a, User> {
    Box::pin(async move {
        let before = current(tx, *user).await?;
        tx.audit(user, || Content::change(manual_role(before.as_deref()), manual_role(None)));
        if before.is_some() {
            role_assignment::Entity::delete_many()
                .filter(role_assignment::Column::TenantId.eq(tx.tenant()))
                .filter(role_assignment::Column::UserId.eq(user.uuid()))
                .filter(role_assignment::Column::Source.eq(RoleSource::MANUAL))
                .exec(tx.db)
                .await?;
            raise(tx, *user, Content::change(manual_role(before.as_deref()), manual_role(None))).await?;
        }
        users::written(tx, *user).await
    })
}

fn manual_role(role: Option<&str>) -> Values {
    Values::new().with_some("manual_role", role)
}

/// The manual role of a live user, whose row is locked from here on.
async fn current(tx: &Tx<'_>, user: UserId) -> Outcome<Option<String>> {
    let row = users::lock(tx, user).await?;
    if row.deleted_at_us.is_some() {
        return refuse(Error::NotFound("user"));
    }
    let key = (tx.tenant(), user.uuid(), RoleSource::MANUAL.to_owned());
    Ok(role_assignment::Entity::find_by_id(key).one(tx.db).await?.map(|row| row.role))
}

async fn raise(tx: &Tx<'_>, user: UserId, what: Content) -> Outcome<()> {
    let stored = users::lock(tx, user).await?;
    users::update(tx, user, users::raised(tx, &stored)).await?;
    tx.changed(ChangeKind::RoleChanged, user.uuid(), stored.version + 1, what);
    Ok(())
}
