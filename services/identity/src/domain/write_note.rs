//! What a write did beside what it was asked for: for whoever asked, to be told of.

use std::sync::{Arc, Mutex, PoisonError};

use ids::UserId;

use crate::domain::RoleId;

/// How many a write leaves: a client could name roles for ever.
pub(crate) const WRITE_NOTES_MAX: usize = 20;

/// Something to be told of a write that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WriteNote {
    /// The tenant has no active admin left (rule R20).
    LastAdmin,
    /// A role that the directory gives is not in the catalogue: it is kept, and grants nothing (rule R22).
    UnknownRole(String),
    /// The directory gives `admin`, and no administrator lets that count (rule R21).
    DirectoryAdmin,
    /// A group that is mapped to a role has another external id: the mapping is held (rule R21).
    MappingHeld(RoleId),
    /// The person came back late, or under another external id: roles above the default are held (rule R18).
    RolesHeld,
    /// A directory has written for the first time to a user whom others had made.
    Adopted,
    /// The user that was made has the external id of this one, which was deleted and can be restored.
    DeletedNamesake(UserId),
    /// This live user has the same external id (rule R17).
    ExternalIdShared(UserId),
    /// The directory has taken access from so many within an hour, of so many who had it (rule R19).
    MassDeactivation { ended: u64, users: u64, paused: bool },
}

/// Where the notes of a write end up. Clones are the same place.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriteNotes(Arc<Mutex<Vec<WriteNote>>>);

impl WriteNotes {
    /// Puts these in the place of all others: a write may be tried again.
    pub(crate) fn set(&self, notes: Vec<WriteNote>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = notes;
    }

    /// Takes what is there.
    pub(crate) fn take(&self) -> Vec<WriteNote> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
