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
    /// A plan with something of each kind, as far as the directory is large enough; the same for the same seed.
    #[must_use]
    pub fn sample(directory: &Directory, seed: u64) -> Self {
        let mut random = Random::new(seed, Stream::Changes, 0);
        let mut people =
            Shuffled::of(directory.users().filter(|index| directory.user(*index).account_enabled), &mut random);
        let mut groups = Shuffled::of(directory.groups(), &mut random);
        let users_each = (people.0.len() / OBJECTS_PER_CHANGE).max(1);
        let groups_each = (groups.0.len() / OBJECTS_PER_CHANGE).max(1);

        let display_names = people.take(users_each).into_iter().map(|index| married(directory, index)).collect();
        let user_names = people.take(users_each).into_iter().map(|index| renamed(directory, index)).collect();
        let disabled = people.take(2 * users_each);
        let enabled = disabled.iter().copied().take(disabled.len() / 2).collect();
        let deleted_users = people.take(users_each);
        let deleted_groups = groups.take(groups_each);
        let group_names = groups.take(groups_each).into_iter();
        let first_new = directory.users_end();
        let leader = directory.users().find(|index| !deleted_users.contains(index));
        let mut changes = Self {
            new_users: (0..users_each).map(|step| newcomer(seed, first_new + step, leader)).collect(),
            group_names: group_names
                .map(|group| (group, format!("{} (new)", directory.group(group).display_name)))
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
fn renamed(directory: &Directory, index: usize) -> (usize, String) {
    let before = directory.user(index).user_principal_name;
    let (local, domain) = before.split_once('@').unwrap_or((&before, "example.com"));
    (index, format!("{local}.renamed{index}@{domain}"))
}

/// A newcomer takes a name of the sample with the own index behind it: no one else's sign-in name can be the same.
fn newcomer(seed: u64, index: usize, manager: Option<usize>) -> User {
    let user = sample::user(seed ^ NEWCOMERS, index);
    let mail_nickname = format!("{}.joined{index}", user.mail_nickname);
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
