//! Roles that an administrator gives by hand: no other source touches these rows. And the word that a person who came back is the same.

use ::audit::{Content, Values};
use ids::UserId;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, sea_query::OnConflict};

use crate::{
    domain::{Caller, EffectiveRole, Error, RoleId, RoleSource, User},
    store::{
        Outcome, Running, Store,
        admins::{self, Before},
        entity::{role_assignment, user},
        refuse, role_catalogue,
        tx::{ChangeKind, Tx},
        user_rows::StoredUser,
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

    /// Lets roles have their effect that were held because the user may be another person (rule R18).
    pub(crate) async fn confirm_user_roles(&self, caller: &Caller, user: UserId) -> Result<User, Error> {
        self.write(caller, user, confirm_in).await
    }
}

fn set_in<'a>(tx: &'a Tx<'a>, set: &'a SetManualRole) -> Running<'a, User> {
    Box::pin(async move {
        let (stored, standing, before) = current(tx, set.user).await?;
        role_catalogue::check(tx, &set.role).await?;
        let (was, is) = (manual_role(before.as_deref()), manual_role(Some(set.role.as_str())));
        tx.audit(set.user, || Content::change(was.clone(), is.clone()));
        if before.as_deref() == Some(set.role.as_str()) {
            return users::written(tx, set.user).await;
        }
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
        raise(tx, &stored, &standing, Content::change(was, is)).await
    })
}

fn clear_in<'a>(tx: &'a Tx<'a>, user: &'a UserId) -> Running<'a, User> {
    Box::pin(async move {
        let (stored, standing, before) = current(tx, *user).await?;
        let was = manual_role(before.as_deref());
        tx.audit(user, || Content::change(was.clone(), manual_role(None)));
        if before.is_none() {
            return users::written(tx, *user).await;
        }
        role_assignment::Entity::delete_many()
            .filter(role_assignment::Column::TenantId.eq(tx.tenant()))
            .filter(role_assignment::Column::UserId.eq(user.uuid()))
            .filter(role_assignment::Column::Source.eq(RoleSource::MANUAL))
            .exec(tx.db)
            .await?;
        raise(tx, &stored, &standing, Content::change(was, manual_role(None))).await
    })
}

fn confirm_in<'a>(tx: &'a Tx<'a>, user: &'a UserId) -> Running<'a, User> {
    Box::pin(async move {
        let (stored, standing, _) = current(tx, *user).await?;
        let held = |held: bool| Values::new().with("roles_held", held.to_string());
        let what = Content::change(held(stored.roles_held_at_us.is_some()), held(false));
        tx.audit(user, || what.clone());
        if stored.roles_held_at_us.is_none() {
            return users::written(tx, *user).await;
        }
        let columns = user::ActiveModel { roles_held_at_us: Set(None), ..user::ActiveModel::default() };
        users::update(tx, *user, columns).await?;
        raise(tx, &stored, &standing, what).await
    })
}

fn manual_role(role: Option<&str>) -> Values {
    Values::new().with_some("manual_role", role)
}

/// A live user, whose row is locked from here on; how the user stands; and the manual role.
async fn current(tx: &Tx<'_>, user: UserId) -> Outcome<(StoredUser, Before, Option<String>)> {
    let row = users::lock(tx, user).await?;
    if row.deleted_at_us.is_some() {
        return refuse(Error::NotFound("user"));
    }
    let standing = users::lock_role(tx, user).await?;
    let key = (tx.tenant(), user.uuid(), RoleSource::MANUAL.to_owned());
    let manual = role_assignment::Entity::find_by_id(key).one(tx.db).await?.map(|row| row.role);
    Ok((row, standing, manual))
}

/// Raises the user's version, tells of the act and of the role in effect where that is another, and keeps the last admin.
async fn raise(tx: &Tx<'_>, stored: &StoredUser, standing: &Before, act: Content) -> Outcome<User> {
    let id = UserId::from(stored.id);
    users::update(tx, id, users::raised(tx, stored)).await?;
    let written = users::written(tx, id).await?;
    let (before, after) = (standing.role(stored.id), written.role.as_ref());
    let what = if let Some(moved_from) = standing.moved_from(stored.id, after) {
        Content::change(admins::described_beside(act.before, moved_from), admins::described_beside(act.after, after))
    } else {
        act
    };
    tx.changed(ChangeKind::RoleChanged, stored.id, stored.version + 1, what);
    if EffectiveRole::is_admin(before) && !EffectiveRole::is_admin(after) {
        admins::keep_one(tx).await?;
    }
    Ok(written)
}
