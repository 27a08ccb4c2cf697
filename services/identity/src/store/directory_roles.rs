//! What directories say of people's roles, as rows that the role in effect and the last admin are found by. They follow the profile.

use std::collections::BTreeSet;

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use crate::{
    domain::{ADMIN, CaseKey, ContactPoint, Error, WriteNote, role_keys},
    store::{
        Outcome,
        entity::{directory_role, tenant},
        refuse, role_catalogue,
        tx::Tx,
    },
};

/// Makes the rows of a user follow what is sent. A role that stays keeps who sent it, and when.
pub(super) async fn set(tx: &Tx<'_>, user: Uuid, roles: &[ContactPoint]) -> Outcome<()> {
    let after = role_keys(roles);
    let before: Vec<String> = directory_role::Entity::find()
        .filter(directory_role::Column::TenantId.eq(tx.tenant()))
        .filter(directory_role::Column::UserId.eq(user))
        .select_only()
        .column(directory_role::Column::RoleKey)
        .into_tuple()
        .all(tx.db)
        .await?;
    let before: BTreeSet<String> = before.into_iter().collect();
    let gone: Vec<&String> = before.difference(&after).collect();
    if !gone.is_empty() {
        directory_role::Entity::delete_many()
            .filter(directory_role::Column::TenantId.eq(tx.tenant()))
            .filter(directory_role::Column::UserId.eq(user))
            .filter(directory_role::Column::RoleKey.is_in(gone))
            .exec(tx.db)
            .await?;
    }
    add(tx, user, after.difference(&before).cloned().collect()).await?;
    tell(tx, roles).await
}

/// Writes the rows of a user who is new.
pub(super) async fn insert(tx: &Tx<'_>, user: Uuid, roles: &[ContactPoint]) -> Outcome<()> {
    if roles.is_empty() {
        return Ok(());
    }
    add(tx, user, role_keys(roles)).await?;
    tell(tx, roles).await
}

async fn add(tx: &Tx<'_>, user: Uuid, keys: BTreeSet<String>) -> Outcome<()> {
    if keys.is_empty() {
        return Ok(());
    }
    // Nobody gives what they lack (rule R6), and not for later either: an administrator who lets the directory's `admin` count means the directory's word.
    if keys.contains(ADMIN) && !tx.caller.provisioning && !tx.caller.administrator {
        return refuse(Error::NeedsAdmin("giving the role `admin`"));
    }
    let rows = keys.into_iter().map(|key| directory_role::ActiveModel {
        tenant_id: Set(tx.tenant()),
        user_id: Set(user),
        role_key: Set(key),
        assigned_by: Set(tx.caller.actor.clone()),
        assigned_at_us: Set(tx.now.0),
    });
    directory_role::Entity::insert_many(rows).exec_without_returning(tx.db).await?;
    Ok(())
}

/// Says which of them grant nothing, to a directory alone: its administrator reads that in the provisioning log.
async fn tell(tx: &Tx<'_>, roles: &[ContactPoint]) -> Outcome<()> {
    if !tx.caller.provisioning || roles.is_empty() {
        return Ok(());
    }
    let known: BTreeSet<String> = role_catalogue::ids(tx).await?;
    for value in roles.iter().filter_map(|role| role.value.as_deref()) {
        let key = CaseKey::of(value);
        if !known.contains(key.as_str()) {
            tx.note(WriteNote::UnknownRole(value.to_owned()));
        } else if key.as_str() == ADMIN {
            let counts: Option<bool> = tenant::Entity::find_by_id(tx.tenant())
                .select_only()
                .column(tenant::Column::DirectoryAdmin)
                .into_tuple()
                .one(tx.db)
                .await?;
            if counts == Some(false) {
                tx.note(WriteNote::DirectoryAdmin);
            }
        }
    }
    Ok(())
}
