//! A plan of what happens in a directory between two cycles.

use super::{
    Directory, User,
    sample::{self, Random, Stream},
};

/// One change of each kind for this many users or groups, and at least one.
const OBJECTS_PER_CHANGE: usize = 40;
/// The seed bits that tell newcomers from the people of the sample itself.
const NEWCOMERS: u64 = 0x4E45_5700_0000_0000;

/// What happens in a directory between two cycles, in the order in which it is provisioned. Users and groups are named by
/// their index. A plan may be made by hand: no object may stand twice in one list, and none after its removal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Users who join; they take the indexes from [`Directory::users_end`] on, in this order.
    pub new_users: Vec<User>,
    /// Users whose display name changes, with the new one.
    pub display_names: Vec<(usize, String)>,
    /// Users whose sign-in name changes, with the new one.
    pub user_names: Vec<(usize, String)>,
    /// Users who are disabled.
    pub disabled: Vec<usize>,
    /// Users who are enabled again.
    pub enabled: Vec<usize>,
    /// Users who are deleted for good.
    pub deleted_users: Vec<usize>,
    /// Groups whose name changes, with the new one.
    pub group_names: Vec<(usize, String)>,
    /// Users who become members of a group.
    pub members_added: Vec<(usize, Vec<usize>)>,
    /// Users who cease to be members of a group.
    pub members_removed: Vec<(usize, Vec<usize>)>,
    /// Groups that are deleted.
    pub deleted_groups: Vec<usize>,
}

impl Changes {
    /// A plan with something of each kind, as far as the directory is large enough; the same for the same seed. The names that it gives
    /// bear the seed, so that a plan with another seed can be played where an earlier one was broken off.
    #[must_use]
    pub fn sample(directory: &Directory, seed: u64) -> Self {
        let mut random = Random::new(seed, Stream::Changes, 0);
        let mut enabled: Vec<usize> =
            directory.users().filter(|index| directory.user(*index).account_enabled).collect();
        let users_each = (enabled.len() / OBJECTS_PER_CHANGE).max(1);
        // The last are deleted, not any: who looks after a run for somebody that was given a role by hand finds the first.
        let deleted_users = enabled.split_off(enabled.len().saturating_sub(users_each));
        let mut people = Shuffled::of(enabled.into_iter(), &mut random);
        let mut groups = Shuffled::of(directory.groups(), &mut random);
        let groups_each = (groups.0.len() / OBJECTS_PER_CHANGE).max(1);

        let display_names = people.take(users_each).into_iter().map(|index| married(directory, index)).collect();
        let user_names = people.take(users_each).into_iter().map(|index| renamed(directory, seed, index)).collect();
        let disabled = people.take(2 * users_each);
        let enabled = disabled.iter().copied().take(disabled.len() / 2).collect();
        let deleted_groups = groups.take(groups_each);
        let group_names = groups.take(groups_each).into_iter();
        let first_new = directory.users_end();
        let leader = directory.users().find(|index| !deleted_users.contains(index));
        let mut changes = Self {
            new_users: (0..users_each).map(|step| newcomer(seed, first_new + step, leader)).collect(),
            group_names: group_names
                .map(|group| (group, format!("{} (new {seed:x})", directory.group(group).display_name)))
                .collect(),
            display_names,
            user_names,
            disabled,
            enabled,
            deleted_users,
            deleted_groups,
            ..Self::default()
        };
        changes.plan_memberships(directory, groups_each);
        changes
    }

    /// The plan that takes this one back, once it was played upon `before`: names as they were, the disabled enabled, the newcomers gone, the
    /// deleted created anew, and members back in the groups that are left. A deleted group comes back with the next full cycle.
    #[must_use]
    pub fn undone(&self, before: &Directory) -> Self {
        let first_new = before.users_end();
        let newcomers: Vec<usize> = (first_new..first_new + self.new_users.len()).collect();
        let disabled = self.disabled.iter().filter(|index| !self.enabled.contains(index));
        Self {
            new_users: self.deleted_users.iter().map(|index| before.user(*index)).collect(),
            display_names: self
                .display_names
                .iter()
                .map(|(index, _)| (*index, before.user(*index).display_name))
                .collect(),
            user_names: self
                .user_names
                .iter()
                .map(|(index, _)| (*index, before.user(*index).user_principal_name))
                .collect(),
            enabled: disabled.copied().collect(),
            deleted_users: newcomers,
            group_names: self
                .group_names
                .iter()
                .map(|(group, _)| (*group, before.group(*group).display_name))
                .collect(),
            members_added: self.members_removed.clone(),
            ..Self::default()
        }
    }

    /// Newcomers join groups and others leave them: in the groups that stay.
    fn plan_memberships(&mut self, directory: &Directory, groups_each: usize) {
        let staying: Vec<usize> = directory.groups().filter(|group| !self.deleted_groups.contains(group)).collect();
        let first_new = directory.users_end();
        let newcomers: Vec<usize> = (first_new..first_new + self.new_users.len()).collect();
        for group in staying.iter().take(groups_each).filter(|_| !newcomers.is_empty()) {
            self.members_added.push((*group, newcomers.clone()));
        }
        for group in staying.iter().rev().take(groups_each) {
            let members = directory.members(*group);
            let leaving = members.iter().copied().filter(|member| !self.deleted_users.contains(member));
            let leaving: Vec<usize> = leaving.take(members.len().div_ceil(3)).collect();
            if !leaving.is_empty() {
                self.members_removed.push((*group, leaving));
            }
        }
    }
}

/// Indexes in a random order, handed out once each.
struct Shuffled(Vec<usize>);

impl Shuffled {
    fn of(indexes: impl Iterator<Item = usize>, random: &mut Random) -> Self {
        let mut indexes: Vec<usize> = indexes.collect();
        for last in (1..indexes.len()).rev() {
            indexes.swap(last, random.below(last + 1));
        }
        Self(indexes)
    }

    fn take(&mut self, count: usize) -> Vec<usize> {
        self.0.split_off(self.0.len().saturating_sub(count))
    }
}

fn married(directory: &Directory, index: usize) -> (usize, String) {
    (index, format!("{}-Ångström", directory.user(index).display_name))
}

/// The number is the index, so that no two renamed users can meet.
fn renamed(directory: &Directory, seed: u64, index: usize) -> (usize, String) {
    let before = directory.user(index).user_principal_name;
    let (local, domain) = before.split_once('@').unwrap_or((&before, "example.com"));
    (index, format!("{local}.renamed{index}-{seed:x}@{domain}"))
}

/// A newcomer takes a name of the sample with the own index behind it: no one else's sign-in name can be the same.
fn newcomer(seed: u64, index: usize, manager: Option<usize>) -> User {
    let user = sample::user(seed ^ NEWCOMERS, index);
    let mail_nickname = format!("{}.joined{index}-{seed:x}", user.mail_nickname);
    User {
        user_principal_name: format!("{mail_nickname}@example.com"),
        mail: Some(format!("{mail_nickname}@example.com")),
        manager,
        mail_nickname,
        ..user
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn plan_has_something_of_each_kind_and_is_the_same_for_a_seed() {
        let directory = Directory::sample(100, 10);
        let changes = Changes::sample(&directory, 7);
        assert_eq!(changes, Changes::sample(&directory, 7));
        assert_ne!(changes, Changes::sample(&directory, 8));
        assert_eq!(changes.new_users.len(), 2);
        assert_eq!(changes.display_names.len(), 2);
        assert_eq!(changes.user_names.len(), 2);
        assert_eq!((changes.disabled.len(), changes.enabled.len()), (4, 2));
        assert_eq!(changes.deleted_users.len(), 2);
        assert_eq!((changes.group_names.len(), changes.deleted_groups.len()), (1, 1));
        assert_eq!((changes.members_added.len(), changes.members_removed.len()), (1, 1));
    }

    #[test]
    fn no_object_changes_after_its_removal() {
        for (users, groups) in [(0, 0), (1, 0), (1, 1), (3, 2), (7, 3), (300, 50)] {
            let directory = Directory::sample(users, groups);
            let changes = Changes::sample(&directory, 3);
            let deleted: HashSet<usize> = changes.deleted_users.iter().copied().collect();
            let members = changes.members_added.iter().chain(&changes.members_removed);
            assert!(members.clone().flat_map(|(_, members)| members).all(|member| !deleted.contains(member)));
            assert!(members.clone().all(|(group, _)| !changes.deleted_groups.contains(group)));
            assert!(changes.enabled.iter().all(|index| changes.disabled.contains(index)));
            assert!(changes.display_names.iter().all(|(index, _)| !deleted.contains(index)));
        }
    }

    #[test]
    fn what_is_undone_is_as_before() {
        let before = Directory::sample(80, 8);
        let changes = Changes::sample(&before, 5);
        let undone = changes.undone(&before);
        assert_eq!(undone.new_users.len(), changes.deleted_users.len());
        assert!(undone.user_names.iter().all(|(index, name)| before.user(*index).user_principal_name == *name));
        assert!(undone.display_names.iter().all(|(index, name)| before.user(*index).display_name == *name));
        let still_disabled: HashSet<usize> =
            changes.disabled.iter().copied().filter(|index| !changes.enabled.contains(index)).collect();
        assert_eq!(undone.enabled.iter().copied().collect::<HashSet<_>>(), still_disabled);
        assert_eq!(undone.members_added, changes.members_removed);
        assert!(undone.deleted_users.iter().all(|index| *index >= before.users_end()));
    }

    #[test]
    fn new_names_are_nobody_elses() {
        let directory = Directory::sample(3_000, 0);
        let changes = Changes::sample(&directory, 3);
        let mut names: HashSet<String> = HashSet::new();
        for index in directory.users() {
            names.insert(directory.user(index).user_principal_name.to_lowercase());
        }
        let new = changes.new_users.iter().map(|user| user.user_principal_name.to_lowercase());
        let new = new.chain(changes.user_names.iter().map(|(_, name)| name.to_lowercase()));
        assert!(new.into_iter().all(|name| names.insert(name)));
    }
}
