//! What the caller of a write should know beside its answer.

use std::sync::{Arc, Mutex, PoisonError};

use ids::UserId;

/// How many are told of one write.
const REMARKS_MAX: usize = 16;

/// One thing to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remark {
    /// A directory has written for the first time to a user whom others had made.
    Adopted,
    /// The user that was made has the external id of this one, which was deleted and can be restored.
    DeletedNamesake(UserId),
    /// This live user has the same external id.
    ExternalIdShared(UserId),
}

/// What was remarked on a caller's write. Clones are the same list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remarks(Arc<Mutex<Vec<Remark>>>);

impl Remarks {
    /// Begins anew: what an attempt remarked that was taken back did not happen.
    pub(crate) fn clear(&self) {
        self.with(Vec::clear);
    }

    pub(crate) fn add(&self, remark: Remark) {
        self.with(|remarks| {
            if remarks.len() < REMARKS_MAX {
                remarks.push(remark);
            }
        });
    }

    pub(crate) fn take(&self) -> Vec<Remark> {
        self.with(std::mem::take)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Remark>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
