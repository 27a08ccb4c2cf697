//! Memberships, in requests of a bounded size. Those of one group are sent at the same time as Entra sends them, so that
//! an endpoint that reads, changes and writes back a whole group loses some and is found out.

use super::{Calls, Record, each};
use crate::{Acknowledged, Directory, Error, State};

/// Members in one request: what the strictest known endpoint accepts. Entra's own number is not published.
const MEMBERS_PER_REQUEST_MAX: usize = 100;

/// A group's SCIM id and some of its members'.
type Batch = (String, Vec<String>);

/// Adds every membership of the directory; what stands already is sent again, for Entra never reads members.
pub(crate) async fn add_all(calls: Calls<'_>, directory: &Directory, record: &mut Record<'_>) -> Result<(), Error> {
    let memberships = directory.groups().map(|group| (group, directory.members(group)));
    add(calls, directory, memberships, record).await
}

/// Adds memberships, as far as group and user are provisioned.
pub(super) async fn add(
    calls: Calls<'_>,
    directory: &Directory,
    memberships: impl Iterator<Item = (usize, Vec<usize>)> + Clone,
    record: &mut Record<'_>,
) -> Result<(), Error> {
    let state: &State = record.state;
    let batches = memberships.flat_map(|(group, members)| batches(directory, state, group, &members));
    record.observer.phase("memberships", batches.clone().count());
    let (observer, summary) = (&mut *record.observer, &mut record.summary);
    let work = |(group, members): Batch| async move {
        calls.add_members(&group, &members).await?;
        Ok((group, members))
    };
    each(calls, batches, work, |(group, members)| {
        summary.members_added += members.len();
        observer.acknowledged(Acknowledged::MembersAdded { group: &group, members: &members });
        observer.step();
    })
    .await
}

/// Removes memberships.
pub(super) async fn remove(
    calls: Calls<'_>,
    directory: &Directory,
    memberships: impl Iterator<Item = (usize, Vec<usize>)> + Clone,
    record: &mut Record<'_>,
) -> Result<(), Error> {
    let state: &State = record.state;
    let batches = memberships.flat_map(|(group, members)| batches(directory, state, group, &members));
    record.observer.phase("memberships removed", batches.clone().count());
    let (observer, summary) = (&mut *record.observer, &mut record.summary);
    let work = |(group, members): Batch| async move {
        calls.remove_members(&group, &members).await?;
        Ok((group, members))
    };
    each(calls, batches, work, |(group, members)| {
        summary.members_removed += members.len();
        observer.acknowledged(Acknowledged::MembersRemoved { group: &group, members: &members });
        observer.step();
    })
    .await
}

/// A group's members by their cached ids. Who is not provisioned is not sent.
fn batches(directory: &Directory, state: &State, group: usize, members: &[usize]) -> Vec<Batch> {
    let Some(link) = state.groups.get(&directory.group(group).object_id) else { return Vec::new() };
    let id = |member: &usize| state.users.get(&directory.user_object_id(*member)).map(|user| user.id.clone());
    let members: Vec<String> = members.iter().filter_map(id).collect();
    members.chunks(MEMBERS_PER_REQUEST_MAX).map(|chunk| (link.id.clone(), chunk.to_vec())).collect()
}

/// The ids of the members that a group must have.
pub(super) fn member_ids(directory: &Directory, state: &State, group: usize) -> Vec<String> {
    batches(directory, state, group, &directory.members(group)).into_iter().flat_map(|(_, members)| members).collect()
}
