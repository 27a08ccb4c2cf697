//! Groups: matched, created empty, or brought up to date, never with a look at their members.

use super::{Calls, Record, differences, each};
use crate::{
    Acknowledged, Directory, Error, Group, GroupLink,
    wire::{Kind, group},
};

/// What became of one group.
pub(super) struct Outcome {
    pub(super) index: usize,
    pub(super) group: Group,
    id: String,
    happened: Happened,
}

enum Happened {
    Matched,
    MatchedAndUpdated,
    Updated,
    Created,
}

/// Provisions each group that the state does not know.
pub(crate) async fn provision_all(
    calls: Calls<'_>,
    directory: &Directory,
    record: &mut Record<'_>,
) -> Result<(), Error> {
    let known = |index: &usize| record.state.groups.contains_key(&directory.group(*index).object_id);
    let pending: Vec<usize> = directory.groups().filter(|index| !known(index)).collect();
    record.observer.phase("groups", pending.len());
    let work = |index| provision(calls, index, directory.group(index));
    each(calls, pending, work, |outcome| record.group_provisioned(&outcome)).await
}

async fn provision(calls: Calls<'_>, index: usize, group: Group) -> Result<Outcome, Error> {
    let mapped = group::mapped(&group, calls.mapping());
    let Some(found) = calls.find(Kind::Group, &group.display_name).await? else {
        let body = group::create_body(&mapped, calls.dialect());
        let id = calls.create(Kind::Group, body, &mapped).await?;
        return Ok(Outcome { index, group, id, happened: Happened::Created });
    };
    let id = found["id"].as_str().unwrap_or_default().to_owned();
    let changes = differences(&mapped, &found);
    if changes.is_empty() {
        return Ok(Outcome { index, group, id, happened: Happened::Matched });
    }
    calls.change(Kind::Group, &id, &changes).await?;
    Ok(Outcome { index, group, id, happened: Happened::MatchedAndUpdated })
}

/// Changes a group by its cached id, after reading that it is still as it was last sent.
pub(super) async fn update(
    calls: Calls<'_>,
    index: usize,
    id: String,
    before: Group,
    after: Group,
) -> Result<Outcome, Error> {
    let found = calls.read_as(Kind::Group, &id, &group::mapped(&before, calls.mapping())).await?;
    calls.change(Kind::Group, &id, &differences(&group::mapped(&after, calls.mapping()), &found)).await?;
    Ok(Outcome { index, group: after, id, happened: Happened::Updated })
}

impl Record<'_> {
    pub(super) fn group_provisioned(&mut self, outcome: &Outcome) {
        let (id, display_name) = (outcome.id.as_str(), outcome.group.display_name.as_str());
        let updated = matches!(outcome.happened, Happened::Updated | Happened::MatchedAndUpdated);
        let matched = matches!(outcome.happened, Happened::Matched | Happened::MatchedAndUpdated);
        let created = matches!(outcome.happened, Happened::Created);
        self.summary.groups_matched += usize::from(matched);
        self.summary.groups_updated += usize::from(updated);
        self.summary.groups_created += usize::from(created);
        if updated {
            self.observer.acknowledged(Acknowledged::GroupUpdated { display_name, id });
        }
        if created {
            self.observer.acknowledged(Acknowledged::GroupCreated { display_name, id });
        }
        self.observer.step();
        let link = GroupLink { id: id.to_owned(), display_name: display_name.to_owned() };
        self.state.groups.insert(outcome.group.object_id, link);
    }
}
