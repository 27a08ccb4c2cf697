//! How a caller follows a run: a progress bar, or a test that must know what had been promised when the server died.

/// Follows a run. Every method does nothing by default; `()` is an observer that ignores everything.
pub trait Observer: Send {
    /// A phase of `total` steps begins.
    fn phase(&mut self, name: &'static str, total: usize) {
        let _ = (name, total);
    }

    /// One step of the phase is done.
    fn step(&mut self) {}

    /// The endpoint has answered a write, and the answer was as Entra demands.
    fn acknowledged(&mut self, write: Acknowledged<'_>) {
        let _ = write;
    }
}

impl Observer for () {}

/// A write that the endpoint has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged<'a> {
    /// A user was created.
    UserCreated {
        /// Its userName.
        user_name: &'a str,
        /// Its SCIM id.
        id: &'a str,
    },
    /// Attributes of a user were changed.
    UserUpdated {
        /// Its userName after the change.
        user_name: &'a str,
        /// Its SCIM id.
        id: &'a str,
    },
    /// A user was made inactive.
    UserDisabled {
        /// Its SCIM id.
        id: &'a str,
    },
    /// A user was made active again.
    UserEnabled {
        /// Its SCIM id.
        id: &'a str,
    },
    /// A user's manager was set.
    ManagerSet {
        /// The user's SCIM id.
        id: &'a str,
        /// The manager's SCIM id.
        manager: &'a str,
    },
    /// A user was deleted.
    UserDeleted {
        /// Its SCIM id.
        id: &'a str,
    },
    /// A group was created.
    GroupCreated {
        /// Its displayName.
        display_name: &'a str,
        /// Its SCIM id.
        id: &'a str,
    },
    /// Attributes of a group were changed.
    GroupUpdated {
        /// Its displayName after the change.
        display_name: &'a str,
        /// Its SCIM id.
        id: &'a str,
    },
    /// Users became members of a group.
    MembersAdded {
        /// The group's SCIM id.
        group: &'a str,
        /// The users' SCIM ids.
        members: &'a [String],
    },
    /// Users ceased to be members of a group.
    MembersRemoved {
        /// The group's SCIM id.
        group: &'a str,
        /// The users' SCIM ids.
        members: &'a [String],
    },
    /// A group was deleted.
    GroupDeleted {
        /// Its SCIM id.
        id: &'a str,
    },
}
