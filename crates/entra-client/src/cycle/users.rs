//! Users: matched, created or brought up to date; and their managers in a pass of its own.

use super::{Calls, Record, differences, each};
use crate::{
    Acknowledged, Directory, Error, User, UserLink,
    wire::{
        Kind,
        patch::Change,
        user::{self, ACTIVE},
    },
};

/// What became of one user.
pub(super) struct Outcome {
    pub(super) index: usize,
    pub(super) user: User,
    /// None when a disabled user was left out.
    link: Option<UserLink>,
    matched: bool,
    created: bool,
    pub(super) effect: Effect,
}

/// What a PATCH of attributes did.
#[derive(Clone, Copy, Default)]
pub(super) struct Effect {
    updated: bool,
    disabled: bool,
    enabled: bool,
}

impl Effect {
    fn of(changes: &[Change]) -> Self {
        let active = changes.iter().find(|change| change.target == ACTIVE).map(|change| change.value == true);
        Self {
            updated: changes.iter().any(|change| change.target != ACTIVE),
            disabled: active == Some(false),
            enabled: active == Some(true),
        }
    }
}

/// Provisions each user that the state does not know.
pub(crate) async fn provision_all(
    calls: Calls<'_>,
    directory: &Directory,
    record: &mut Record<'_>,
) -> Result<(), Error> {
    let known = |index: &usize| record.state.users.contains_key(&directory.user_object_id(*index));
    let pending: Vec<usize> = directory.users().filter(|index| !known(index)).collect();
    record.observer.phase("users", pending.len());
    let work = |index| provision(calls, index, directory.user(index));
    each(calls, pending, work, |outcome| record.provisioned(&outcome)).await
}

/// Matches a user; creates it when there is no match, changes what differs when there is one. A user who is disabled and
/// unknown to the endpoint is left out.
pub(super) async fn provision(calls: Calls<'_>, index: usize, user: User) -> Result<Outcome, Error> {
    let mapped = user::mapped(&user, calls.mapping());
    let mut link = UserLink {
        id: String::new(),
        user_name: user.user_principal_name.clone(),
        active: user.account_enabled,
        manager: None,
    };
    let mut outcome = Outcome { index, user, link: None, matched: false, created: false, effect: Effect::default() };
    if let Some(found) = calls.find(Kind::User, &link.user_name).await? {
        found["id"].as_str().unwrap_or_default().clone_into(&mut link.id);
        link.manager = user::manager(&found).map(str::to_owned);
        let changes = differences(&mapped, &found);
        if !changes.is_empty() {
            calls.change(Kind::User, &link.id, &changes).await?;
        }
        outcome.matched = true;
        outcome.effect = Effect::of(&changes);
        outcome.link = Some(link);
    } else if outcome.user.account_enabled {
        link.id = calls.create(Kind::User, user::create_body(&mapped, calls.mapping()), &mapped).await?;
        outcome.created = true;
        outcome.link = Some(link);
    }
    Ok(outcome)
}

/// Changes a user by its cached id, after reading that it is still as it was last sent.
pub(super) async fn update(
    calls: Calls<'_>,
    index: usize,
    link: UserLink,
    before: User,
    after: User,
) -> Result<Outcome, Error> {
    let found = calls.read_as(Kind::User, &link.id, &user::mapped(&before, calls.mapping())).await?;
    let changes = differences(&user::mapped(&after, calls.mapping()), &found);
    if !changes.is_empty() {
        calls.change(Kind::User, &link.id, &changes).await?;
    }
    let link = UserLink { user_name: after.user_principal_name.clone(), active: after.account_enabled, ..link };
    let effect = Effect::of(&changes);
    Ok(Outcome { index, user: after, link: Some(link), matched: false, created: false, effect })
}

/// Sets the managers of these users, as far as both are provisioned and the endpoint does not hold them already.
pub(crate) async fn set_managers(
    calls: Calls<'_>,
    directory: &Directory,
    users: Vec<usize>,
    record: &mut Record<'_>,
) -> Result<(), Error> {
    let mut pending = Vec::new();
    for index in users {
        let Some(manager) = directory.user(index).manager else { continue };
        let (object_id, manager) = (directory.user_object_id(index), directory.user_object_id(manager));
        let (Some(link), Some(manager)) = (record.state.users.get(&object_id), record.state.users.get(&manager)) else {
            continue;
        };
        if link.manager.as_ref() != Some(&manager.id) {
            pending.push((object_id, link.id.clone(), manager.id.clone()));
        }
    }
    record.observer.phase("managers", pending.len());
    let work = |(object_id, id, manager): (_, String, String)| async move {
        calls.set_manager(&id, &manager).await?;
        Ok((object_id, id, manager))
    };
    each(calls, pending, work, |(object_id, id, manager)| {
        record.summary.managers_set += 1;
        record.observer.acknowledged(Acknowledged::ManagerSet { id: &id, manager: &manager });
        record.observer.step();
        if let Some(link) = record.state.users.get_mut(&object_id) {
            link.manager = Some(manager);
        }
    })
    .await
}

impl Record<'_> {
    pub(super) fn provisioned(&mut self, outcome: &Outcome) {
        let Some(link) = &outcome.link else {
            self.summary.users_skipped += 1;
            self.observer.step();
            return;
        };
        let (id, user_name) = (link.id.as_str(), link.user_name.as_str());
        let happened = [
            (outcome.created, &mut self.summary.users_created, Acknowledged::UserCreated { user_name, id }),
            (outcome.effect.updated, &mut self.summary.users_updated, Acknowledged::UserUpdated { user_name, id }),
            (outcome.effect.disabled, &mut self.summary.users_disabled, Acknowledged::UserDisabled { id }),
            (outcome.effect.enabled, &mut self.summary.users_enabled, Acknowledged::UserEnabled { id }),
        ];
        for (_, count, write) in happened.into_iter().filter(|(happened, ..)| *happened) {
            *count += 1;
            self.observer.acknowledged(write);
        }
        self.summary.users_matched += usize::from(outcome.matched);
        self.observer.step();
        self.state.users.insert(outcome.user.object_id, link.clone());
    }
}
