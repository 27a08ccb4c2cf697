//! What a write of a group means for roles. Groups that are mapped to none, which most are, cost one look and lock nothing.

use std::collections::BTreeSet;

use ids::GroupId;
use uuid::Uuid;

use crate::{
    domain::{ADMIN, Error, GroupChange, WriteNote},
    store::{
        Outcome,
        admins::{self, Before},
        entity::group,
        members, refuse, role_mappings,
        tx::Tx,
    },
};

/// How those stand who become members of a new group, where it is mapped. To be called with the group's row written: whoever maps its name
/// meanwhile waits for that.
pub(super) async fn before_create(tx: &Tx<'_>, row: &group::Model, member_ids: &[String]) -> Outcome<Option<Before>> {
    if role_mappings::of_group(tx, row.id, std::slice::from_ref(&row.display_name_key)).await?.is_none() {
        return Ok(None);
    }
    let joining: BTreeSet<Uuid> = member_ids.iter().filter_map(|id| members::parse(id)).collect();
    noted(tx, joining).await
}

/// How those stand whom changes of a group concern, where it is or becomes mapped. To be called with the group's row locked and before anything is
/// applied.
pub(super) async fn before_change(tx: &Tx<'_>, row: &group::Model, changes: &[GroupChange]) -> Outcome<Option<Before>> {
    let mut names = vec![row.display_name_key.clone()];
    names.extend(changes.iter().filter_map(|change| match change {
        GroupChange::SetDisplayName(name) => Some(name.key().into_string()),
        _ => None,
    }));
    let is_renamed = names.iter().any(|name| *name != row.display_name_key);
    if is_renamed {
        // Nothing else keeps the new name from being mapped meanwhile.
        tx.lock_roles().await?;
    }
    let Some(roles) = role_mappings::of_group(tx, row.id, &names).await? else { return Ok(None) };
    check_may_change(tx, &roles)?;
    let mut concerned = BTreeSet::new();
    let mut all = is_renamed;
    for change in changes {
        match change {
            GroupChange::AddMembers(ids) | GroupChange::RemoveMembers(ids) => {
                concerned.extend(ids.iter().filter_map(|id| members::parse(id)));
            }
            GroupChange::ReplaceMembers(ids) => {
                concerned.extend(ids.iter().filter_map(|id| members::parse(id)));
                all = true;
            }
            GroupChange::ClearMembers | GroupChange::SetExternalId(_) => all = true,
            GroupChange::SetDisplayName(_) => {}
        }
    }
    if all {
        concerned.extend(members::all(tx, GroupId::from(row.id)).await?);
    }
    noted(tx, concerned).await
}

/// How the members of a group stand that is to be deleted, where it is mapped.
pub(super) async fn before_delete(tx: &Tx<'_>, row: &group::Model) -> Outcome<Option<Before>> {
    let roles = role_mappings::of_group(tx, row.id, std::slice::from_ref(&row.display_name_key)).await?;
    let Some(roles) = roles else { return Ok(None) };
    check_may_change(tx, &roles)?;
    noted(tx, members::all(tx, GroupId::from(row.id)).await?).await
}

/// Says that a mapping of the group is held.
pub(super) async fn tell(tx: &Tx<'_>, row: &group::Model) -> Outcome<()> {
    for role in role_mappings::held(tx, row).await? {
        tracing::warn!(
            tenant.id = %tx.caller.tenant,
            request.id = tx.caller.request_id,
            group.id = %GroupId::from(row.id),
            role = role.as_str(),
            "a group has another external id than when it was mapped to a role: the mapping has no effect until it is made anew"
        );
        tx.note(WriteNote::MappingHeld(role));
    }
    Ok(())
}

/// Nobody gives what they lack (rule R6): a group that is mapped to `admin` is an administrator's to change, or a directory's.
fn check_may_change(tx: &Tx<'_>, roles: &[String]) -> Outcome<()> {
    let is_admins = roles.iter().any(|role| role == ADMIN);
    if is_admins && !tx.caller.provisioning && !tx.caller.administrator {
        return refuse(Error::NeedsAdmin("changing a group that is mapped to the role `admin`"));
    }
    Ok(())
}

async fn noted(tx: &Tx<'_>, users: BTreeSet<Uuid>) -> Outcome<Option<Before>> {
    tx.lock_roles().await?;
    admins::before(tx, &users.into_iter().collect::<Vec<_>>()).await.map(Some)
}
