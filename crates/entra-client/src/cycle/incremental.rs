//! What has changed since the cycle before: by cached ids, each kind of change in a phase of its own, so that no two changes
//! of one object are under way at once.

use super::{Calls, Record, each, groups, memberships, users, verify};
use crate::{Acknowledged, Changes, Directory, Error, Mapping, User, wire::Kind};

/// Provisions the changes and applies each to the directory.
pub(crate) async fn run(
    calls: Calls<'_>,
    directory: &mut Directory,
    changes: &Changes,
    record: &mut Record<'_>,
) -> Result<(), Error> {
    let touched = verify::Touched::by(directory, changes);
    let first_new = directory.users_end();
    create(calls, directory, changes, record).await?;
    change_users(calls, directory, changes, record).await?;
    delete_users(calls, directory, &changes.deleted_users, record).await?;
    if calls.mapping() == Mapping::Default {
        let newcomers = (first_new..directory.users_end()).collect();
        users::set_managers(calls, directory, newcomers, record).await?;
    }
    rename_groups(calls, directory, &changes.group_names, record).await?;
    memberships::add(calls, directory, changes.members_added.iter().cloned(), record).await?;
    for (group, members) in &changes.members_added {
        directory.add_members(*group, members);
    }
    memberships::remove(calls, directory, changes.members_removed.iter().cloned(), record).await?;
    for (group, members) in &changes.members_removed {
        directory.remove_members(*group, members);
    }
    delete_groups(calls, directory, &changes.deleted_groups, record).await?;
    touched.verify(calls, directory, record).await
}

async fn create(
    calls: Calls<'_>,
    directory: &mut Directory,
    changes: &Changes,
    record: &mut Record<'_>,
) -> Result<(), Error> {
    let newcomers = (directory.users_end()..).zip(changes.new_users.iter().cloned());
    record.observer.phase("new users", changes.new_users.len());
    let work = |(index, user)| users::provision(calls, index, user);
    each(calls, newcomers, work, |outcome| {
        record.provisioned(&outcome);
        directory.put_user(outcome.index, outcome.user);
    })
    .await
}

async fn change_users(
    calls: Calls<'_>,
    directory: &mut Directory,
    changes: &Changes,
    record: &mut Record<'_>,
) -> Result<(), Error> {
    let display_names = changes.display_names.iter().map(|(index, name)| {
        let display_name = name.clone();
        (*index, User { display_name, ..directory.user(*index) })
    });
    update(calls, directory, "display names", display_names.collect(), record).await?;
    let user_names = changes.user_names.iter().map(|(index, name)| {
        let user_principal_name = name.clone();
        (*index, User { user_principal_name, ..directory.user(*index) })
    });
    update(calls, directory, "user names", user_names.collect(), record).await?;
    for (phase, indexes, account_enabled) in
        [("users disabled", &changes.disabled, false), ("users enabled", &changes.enabled, true)]
    {
        let users = indexes.iter().map(|index| (*index, User { account_enabled, ..directory.user(*index) }));
        update(calls, directory, phase, users.collect(), record).await?;
    }
    Ok(())
}

async fn update(
    calls: Calls<'_>,
    directory: &mut Directory,
    phase: &'static str,
    users: Vec<(usize, User)>,
    record: &mut Record<'_>,
) -> Result<(), Error> {
    let mut pending = Vec::with_capacity(users.len());
    for (index, after) in users {
        let link = record.state.users.get(&after.object_id);
        let link = link.ok_or_else(|| Error::NotProvisioned(after.user_principal_name.clone()))?;
        pending.push((index, link.clone(), directory.user(index), after));
    }
    record.observer.phase(phase, pending.len());
    let work = |(index, link, before, after)| users::update(calls, index, link, before, after);
    each(calls, pending, work, |outcome| {
        record.provisioned(&outcome);
        directory.put_user(outcome.index, outcome.user);
    })
    .await
}

async fn delete_users(
    calls: Calls<'_>,
    directory: &mut Directory,
    indexes: &[usize],
    record: &mut Record<'_>,
) -> Result<(), Error> {
    let mut pending = Vec::with_capacity(indexes.len());
    for index in indexes {
        let user = directory.user(*index);
        let link = record.state.users.get(&user.object_id);
        let link = link.ok_or(Error::NotProvisioned(user.user_principal_name))?;
        pending.push((*index, user.object_id, link.id.clone()));
    }
    record.observer.phase("users deleted", pending.len());
    let work = |(index, object_id, id): (_, _, String)| async move {
        calls.delete(Kind::User, &id).await?;
        Ok((index, object_id, id))
    };
    each(calls, pending, work, |(index, object_id, id)| {
        record.summary.users_deleted += 1;
        record.observer.acknowledged(Acknowledged::UserDeleted { id: &id });
        record.observer.step();
        record.state.users.remove(&object_id);
        directory.remove_user(index);
    })
    .await
}

async fn rename_groups(
    calls: Calls<'_>,
    directory: &mut Directory,
    names: &[(usize, String)],
    record: &mut Record<'_>,
) -> Result<(), Error> {
    let mut pending = Vec::with_capacity(names.len());
    for (index, name) in names {
        let before = directory.group(*index);
        let link = record.state.groups.get(&before.object_id);
        let link = link.ok_or_else(|| Error::NotProvisioned(before.display_name.clone()))?;
        let after = crate::Group { display_name: name.clone(), ..before.clone() };
        pending.push((*index, link.id.clone(), before, after));
    }
    record.observer.phase("group names", pending.len());
    let work = |(index, id, before, after)| groups::update(calls, index, id, before, after);
    each(calls, pending, work, |outcome| {
        record.group_provisioned(&outcome);
        directory.rename_group(outcome.index, outcome.group.display_name);
    })
    .await
}

async fn delete_groups(
    calls: Calls<'_>,
    directory: &mut Directory,
    indexes: &[usize],
    record: &mut Record<'_>,
) -> Result<(), Error> {
    let mut pending = Vec::with_capacity(indexes.len());
    for index in indexes {
        let group = directory.group(*index);
        let link = record.state.groups.get(&group.object_id);
        let link = link.ok_or(Error::NotProvisioned(group.display_name))?;
        pending.push((*index, group.object_id, link.id.clone()));
    }
    record.observer.phase("groups deleted", pending.len());
    let work = |(index, object_id, id): (_, _, String)| async move {
        calls.delete(Kind::Group, &id).await?;
        Ok((index, object_id, id))
    };
    each(calls, pending, work, |(index, object_id, id)| {
        record.summary.groups_deleted += 1;
        record.observer.acknowledged(Acknowledged::GroupDeleted { id: &id });
        record.observer.step();
        record.state.groups.remove(&object_id);
        directory.remove_group(index);
    })
    .await
}
