//! Looks for what must be there, and for what must not.

use std::collections::HashSet;

use super::{Calls, Record, calls::Expected, each, memberships};
use crate::{
    Changes, Directory, Error, Observer, State, Summary,
    wire::{Kind, group, user},
};

/// One thing to look for.
enum Check {
    User(usize),
    Group(usize),
    Absent(Kind, String),
}

/// Every object in the state is there once; every removed one is not, unless its name has a new holder.
pub(crate) async fn everything(
    calls: Calls<'_>,
    directory: &Directory,
    state: &State,
    observer: &mut dyn Observer,
) -> Result<Summary, Error> {
    let absent = absent(directory, state);
    let users = directory.users().filter(|index| state.users.contains_key(&directory.user_object_id(*index)));
    let groups = directory.groups().filter(|index| state.groups.contains_key(&directory.group(*index).object_id));
    let checks = users.map(Check::User).chain(groups.map(Check::Group)).chain(absent);
    let mut summary = Summary::default();
    let total = state.users.len() + state.groups.len();
    check_all(calls, directory, state, (checks, total), &mut summary, observer).await?;
    Ok(summary)
}

/// The members of every group in the state are the directory's.
pub(crate) async fn members(
    calls: Calls<'_>,
    directory: &Directory,
    state: &State,
    observer: &mut dyn Observer,
) -> Result<Summary, Error> {
    let linked = |group: usize| {
        let link = state.groups.get(&directory.group(group).object_id)?;
        Some((group, link.id.as_str()))
    };
    let mut summary = Summary::default();
    observer.phase("members verified", state.groups.len());
    let work = |(group, id)| check_members(calls, directory, state, group, id);
    each(calls, directory.groups().filter_map(linked), work, |()| {
        summary.groups_matched += 1;
        observer.step();
    })
    .await?;
    Ok(summary)
}

/// What an incremental cycle must look at when it is done.
pub(super) struct Touched {
    users: HashSet<usize>,
    groups: HashSet<usize>,
    absent: Vec<(Kind, String)>,
}

impl Touched {
    /// Before the changes are applied, for names that are given up must be gone afterwards.
    pub(super) fn by(directory: &Directory, changes: &Changes) -> Self {
        let first_new = directory.users_end();
        let users = (first_new..first_new + changes.new_users.len())
            .chain(changes.display_names.iter().map(|(index, _)| *index))
            .chain(changes.user_names.iter().map(|(index, _)| *index))
            .chain(changes.disabled.iter().copied())
            .chain(changes.enabled.iter().copied());
        let groups = (changes.group_names.iter().map(|(index, _)| *index))
            .chain(changes.members_added.iter().map(|(index, _)| *index))
            .chain(changes.members_removed.iter().map(|(index, _)| *index));
        let old_names = changes.user_names.iter().map(|(index, _)| index).chain(&changes.deleted_users);
        let old_groups = changes.group_names.iter().map(|(index, _)| index).chain(&changes.deleted_groups);
        let old_names = old_names.map(|index| (Kind::User, directory.user(*index).user_principal_name));
        let old_groups = old_groups.map(|index| (Kind::Group, directory.group(*index).display_name));
        Self { users: users.collect(), groups: groups.collect(), absent: old_names.chain(old_groups).collect() }
    }

    pub(super) async fn verify(
        self,
        calls: Calls<'_>,
        directory: &Directory,
        record: &mut Record<'_>,
    ) -> Result<(), Error> {
        let taken = taken_names(record.state);
        let provisioned = |index: &usize| record.state.users.contains_key(&directory.user_object_id(*index));
        let users = self.users.into_iter().filter(|index| directory.has_user(*index) && provisioned(index));
        let groups = self.groups.into_iter().filter(|index| directory.has_group(*index));
        let absent = self.absent.into_iter().filter(|(_, name)| !taken.contains(&name.to_lowercase()));
        let mut checks: Vec<Check> = users.map(Check::User).chain(groups.map(Check::Group)).collect();
        checks.extend(absent.map(|(kind, name)| Check::Absent(kind, name)));
        let total = checks.len();
        // What is found again here was not matched in Entra's sense, so these numbers do not enter the cycle's summary.
        check_all(calls, directory, record.state, (checks, total), &mut Summary::default(), record.observer).await
    }
}

async fn check_all(
    calls: Calls<'_>,
    directory: &Directory,
    state: &State,
    (checks, total): (impl IntoIterator<Item = Check>, usize),
    summary: &mut Summary,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    observer.phase("verified", total);
    let work = |check| async move {
        match check {
            Check::User(index) => check_user(calls, directory, state, index).await?,
            Check::Group(index) => check_group(calls, directory, state, index).await?,
            Check::Absent(kind, ref name) => calls.find_nothing(kind, name).await?,
        }
        Ok(check)
    };
    each(calls, checks, work, |check| {
        match check {
            Check::User(_) => summary.users_matched += 1,
            Check::Group(_) => summary.groups_matched += 1,
            Check::Absent(..) => {}
        }
        observer.step();
    })
    .await
}

async fn check_user(calls: Calls<'_>, directory: &Directory, state: &State, index: usize) -> Result<(), Error> {
    let user = directory.user(index);
    let link = state.users.get(&user.object_id);
    let link = link.ok_or_else(|| Error::NotProvisioned(user.user_principal_name.clone()))?;
    let mapped = user::mapped(&user, calls.mapping());
    // A manager who has left may have left the attribute too, so only one who is still there is demanded.
    let manager = user.manager.and_then(|manager| state.users.get(&directory.user_object_id(manager)));
    let manager = manager.map(|manager| manager.id.as_str()).filter(|id| link.manager.as_deref() == Some(id));
    calls.find_as(Kind::User, &user.user_principal_name, Expected { id: &link.id, mapped, manager }).await
}

async fn check_group(calls: Calls<'_>, directory: &Directory, state: &State, index: usize) -> Result<(), Error> {
    let group = directory.group(index);
    let link = state.groups.get(&group.object_id);
    let link = link.ok_or_else(|| Error::NotProvisioned(group.display_name.clone()))?;
    let mapped = group::mapped(&group, calls.mapping());
    calls.find_as(Kind::Group, &group.display_name, Expected { id: &link.id, mapped, manager: None }).await
}

async fn check_members(
    calls: Calls<'_>,
    directory: &Directory,
    state: &State,
    index: usize,
    id: &str,
) -> Result<(), Error> {
    let (answer, group) = calls.read_with_members(id).await?;
    let found = group["members"].as_array().map_or(&[][..], Vec::as_slice);
    let expected: HashSet<String> = memberships::member_ids(directory, state, index).into_iter().collect();
    let values: HashSet<&str> = found.iter().filter_map(|member| member["value"].as_str()).collect();
    if values.len() != found.len() {
        return Err(answer.difference("members with distinct values", format!("{} members", found.len())));
    }
    let missing = expected.iter().find(|id| !values.contains(id.as_str()));
    if let Some(missing) = missing {
        let found = format!("{} members without {missing}", found.len());
        return Err(answer.difference(format!("{} members", expected.len()), found));
    }
    if values.len() > expected.len() {
        return Err(answer.difference(format!("{} members", expected.len()), format!("{} members", values.len())));
    }
    Ok(())
}

fn absent(directory: &Directory, state: &State) -> Vec<Check> {
    let users = directory.removed_users().map(|index| (Kind::User, directory.user(index).user_principal_name));
    let groups = directory.removed_groups().map(|index| (Kind::Group, directory.group(index).display_name));
    let removed: Vec<(Kind, String)> = users.chain(groups).collect();
    if removed.is_empty() {
        return Vec::new();
    }
    let taken = taken_names(state);
    let absent = removed.into_iter().filter(|(_, name)| !taken.contains(&name.to_lowercase()));
    absent.map(|(kind, name)| Check::Absent(kind, name)).collect()
}

/// Every name that is held now, folded.
fn taken_names(state: &State) -> HashSet<String> {
    let users = state.users.values().map(|link| link.user_name.to_lowercase());
    users.chain(state.groups.values().map(|link| link.display_name.to_lowercase())).collect()
}
