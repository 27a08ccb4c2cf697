//! A directory to provision from: a sample that is computed from a seed, and the edits made to it since.
//!
//! A sample user or group is a pure function of the seed and its index, so that 100,000 of them cost no memory until one
//! is asked for. Only edits are stored. An index is never used again, also after its user or group was removed.

mod changes;
mod names;
mod sample;

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

pub use changes::Changes;

/// The seed of [`Directory::sample`].
const SEED_DEFAULT: u64 = 20_261_123;

/// A user as the directory holds it, under the directory's own names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The object id.
    pub object_id: Uuid,
    /// The sign-in name; becomes userName.
    pub user_principal_name: String,
    /// Becomes displayName.
    pub display_name: String,
    /// Becomes name.givenName.
    pub given_name: String,
    /// Becomes name.familyName.
    pub surname: String,
    /// Becomes externalId.
    pub mail_nickname: String,
    /// Becomes the work e-mail; not everybody has one.
    pub mail: Option<String>,
    /// Becomes the mobile phone number.
    pub mobile: Option<String>,
    /// Becomes the enterprise attribute department.
    pub department: String,
    /// Becomes title.
    pub job_title: Option<String>,
    /// Becomes the enterprise attribute employeeNumber.
    pub employee_id: String,
    /// Becomes preferredLanguage.
    pub preferred_language: String,
    /// Becomes the work address's streetAddress.
    pub street_address: String,
    /// Becomes the work address's locality.
    pub city: String,
    /// Becomes the work address's postalCode.
    pub postal_code: String,
    /// Becomes the work address's country.
    pub country: String,
    /// Whether the account may sign in; becomes active.
    pub account_enabled: bool,
    /// The manager's index in the directory.
    pub manager: Option<usize>,
}

/// A group as the directory holds it; [`Directory::members`] tells its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The object id; becomes externalId.
    pub object_id: Uuid,
    /// Becomes displayName.
    pub display_name: String,
}

/// A directory of users and groups, each with a stable index.
#[derive(Clone, Debug)]
pub struct Directory {
    seed: u64,
    sample_users: usize,
    sample_groups: usize,
    edited_users: BTreeMap<usize, User>,
    removed_users: BTreeSet<usize>,
    edited_groups: BTreeMap<usize, GroupEdit>,
    removed_groups: BTreeSet<usize>,
}

#[derive(Clone, Debug, Default)]
struct GroupEdit {
    display_name: Option<String>,
    added: BTreeSet<usize>,
    removed: BTreeSet<usize>,
}

impl Directory {
    /// A sample directory of these sizes, the same one each time. Everybody in it is enabled.
    #[must_use]
    pub fn sample(users: usize, groups: usize) -> Self {
        Self::seeded(SEED_DEFAULT, users, groups)
    }

    /// A sample directory with a seed of the caller's: other seeds give other people with other object ids.
    #[must_use]
    pub fn seeded(seed: u64, users: usize, groups: usize) -> Self {
        Self {
            seed,
            sample_users: users,
            sample_groups: groups,
            edited_users: BTreeMap::new(),
            removed_users: BTreeSet::new(),
            edited_groups: BTreeMap::new(),
            removed_groups: BTreeSet::new(),
        }
    }

    /// The first index that was never a user's.
    #[must_use]
    pub fn users_end(&self) -> usize {
        let edited = self.edited_users.last_key_value().map_or(0, |(index, _)| index + 1);
        self.sample_users.max(edited)
    }

    /// The indexes of the users that are there, in order.
    pub fn users(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        (0..self.users_end()).filter(|index| self.has_user(*index))
    }

    /// The indexes of the users that were removed, in order.
    pub fn removed_users(&self) -> impl Iterator<Item = usize> + '_ {
        self.removed_users.iter().copied()
    }

    /// The indexes of the groups that are there, in order.
    pub fn groups(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        (0..self.sample_groups).filter(|index| self.has_group(*index))
    }

    /// The indexes of the groups that were removed, in order.
    pub fn removed_groups(&self) -> impl Iterator<Item = usize> + '_ {
        self.removed_groups.iter().copied()
    }

    /// Whether a user is there.
    #[must_use]
    pub fn has_user(&self, index: usize) -> bool {
        let known = index < self.sample_users || self.edited_users.contains_key(&index);
        known && !self.removed_users.contains(&index)
    }

    /// Whether a group is there.
    #[must_use]
    pub fn has_group(&self, index: usize) -> bool {
        index < self.sample_groups && !self.removed_groups.contains(&index)
    }

    /// A user as it is, or as it last was.
    #[must_use]
    pub fn user(&self, index: usize) -> User {
        self.edited_users.get(&index).cloned().unwrap_or_else(|| sample::user(self.seed, index))
    }

    /// A user's object id.
    #[must_use]
    pub fn user_object_id(&self, index: usize) -> Uuid {
        self.edited_users.get(&index).map_or_else(|| sample::user_object_id(self.seed, index), |user| user.object_id)
    }

    /// A group as it is, or as it last was.
    #[must_use]
    pub fn group(&self, index: usize) -> Group {
        let mut group = sample::group(self.seed, index);
        if let Some(name) = self.edited_groups.get(&index).and_then(|edit| edit.display_name.clone()) {
            group.display_name = name;
        }
        group
    }

    /// The indexes of a group's members, in order, without those who were removed from the directory.
    #[must_use]
    pub fn members(&self, group: usize) -> Vec<usize> {
        let mut members = sample::members(self.seed, group, self.sample_users);
        if let Some(edit) = self.edited_groups.get(&group) {
            members.retain(|member| !edit.removed.contains(member));
            members.extend(&edit.added);
        }
        members.retain(|member| self.has_user(*member));
        members.sort_unstable();
        members.dedup();
        members
    }

    /// Puts a user at an index, over the one that stands there.
    pub fn put_user(&mut self, index: usize, user: User) {
        self.removed_users.remove(&index);
        self.edited_users.insert(index, user);
    }

    /// Removes a user, and so its memberships.
    pub fn remove_user(&mut self, index: usize) {
        self.removed_users.insert(index);
    }

    /// Gives a group another name.
    pub fn rename_group(&mut self, index: usize, display_name: String) {
        self.edited_groups.entry(index).or_default().display_name = Some(display_name);
    }

    /// Makes users members of a group.
    pub fn add_members(&mut self, group: usize, members: &[usize]) {
        let edit = self.edited_groups.entry(group).or_default();
        for member in members {
            edit.removed.remove(member);
            edit.added.insert(*member);
        }
    }

    /// Ends users' memberships of a group.
    pub fn remove_members(&mut self, group: usize, members: &[usize]) {
        let edit = self.edited_groups.entry(group).or_default();
        for member in members {
            edit.added.remove(member);
            edit.removed.insert(*member);
        }
    }

    /// Removes a group.
    pub fn remove_group(&mut self, index: usize) {
        self.removed_groups.insert(index);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn same_seed_gives_the_same_directory() {
        let (one, two) = (Directory::sample(50, 10), Directory::sample(50, 10));
        assert!(one.users().all(|index| one.user(index) == two.user(index)));
        assert!(
            one.groups().all(|index| one.group(index) == two.group(index) && one.members(index) == two.members(index))
        );
        assert_ne!(Directory::seeded(1, 1, 0).user(0).object_id, Directory::seeded(2, 1, 0).user(0).object_id);
    }

    #[test]
    fn names_and_object_ids_are_unique_in_a_large_directory() {
        let directory = Directory::sample(100_000, 3_000);
        let mut names = HashSet::new();
        let mut ids = HashSet::new();
        for index in directory.users() {
            let user = directory.user(index);
            assert!(user.user_principal_name.ends_with("@example.com"));
            assert!(names.insert(user.user_principal_name.to_lowercase()), "{}", user.user_principal_name);
            assert!(ids.insert(user.object_id));
            assert_eq!(user.object_id, directory.user_object_id(index));
            assert!(user.manager.is_none_or(|manager| manager < index));
        }
        let mut names = HashSet::new();
        for index in directory.groups() {
            let group = directory.group(index);
            assert!(names.insert(group.display_name.to_lowercase()), "{}", group.display_name);
            assert!(ids.insert(group.object_id));
        }
    }

    #[test]
    fn sample_holds_the_characters_that_break_servers() {
        let directory = Directory::sample(500, 200);
        let users: Vec<User> = directory.users().map(|index| directory.user(index)).collect();
        let groups: Vec<Group> = directory.groups().map(|index| directory.group(index)).collect();
        assert!(users.iter().any(|user| user.display_name.contains('"')));
        assert!(users.iter().any(|user| !user.display_name.is_ascii()));
        assert!(users.iter().any(|user| user.user_principal_name.contains('\'')));
        assert!(users.iter().any(|user| user.user_principal_name.contains('+')));
        assert!(users.iter().any(|user| user.user_principal_name.contains(|c: char| c.is_ascii_uppercase())));
        assert!(users.iter().any(|user| user.mail.is_none()) && users.iter().any(|user| user.mobile.is_none()));
        assert!(groups.iter().any(|group| group.display_name.contains('+')));
        assert!(groups.iter().any(|group| group.display_name.contains('&')));
        assert!(groups.iter().any(|group| group.display_name.contains('\'')));
        assert!(groups.iter().any(|group| !group.display_name.is_ascii()));
    }

    #[test]
    fn first_group_holds_everybody_and_others_hold_distinct_users() {
        let directory = Directory::sample(200, 20);
        assert_eq!(directory.members(0).len(), 200);
        for group in directory.groups().skip(1) {
            let members = directory.members(group);
            assert!((3..=40).contains(&members.len()), "{}", members.len());
            assert!(members.iter().all(|member| *member < 200));
        }
        assert!(Directory::sample(0, 3).members(1).is_empty());
        assert_eq!(Directory::sample(1, 3).members(1), [0]);
    }

    #[test]
    fn edits_are_seen_and_removed_users_leave_their_groups() {
        let mut directory = Directory::sample(5, 2);
        let newcomer = User { display_name: "New".into(), ..sample::user(9, 77) };
        directory.put_user(5, newcomer);
        directory.add_members(1, &[5]);
        directory.remove_user(0);
        directory.rename_group(1, "Renamed".into());
        directory.remove_group(0);
        assert_eq!(directory.users().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert_eq!(directory.groups().collect::<Vec<_>>(), [1]);
        assert_eq!(directory.user(5).display_name, "New");
        assert_eq!(directory.group(1).display_name, "Renamed");
        assert!(directory.members(1).contains(&5) && !directory.members(1).contains(&0));
        directory.remove_members(1, &[5]);
        assert!(!directory.members(1).contains(&5));
    }
}
