//! One read-and-replace of a user at a time in this process.
//!
//! A PATCH of a user is computed here and written only if the user is still the one that was read (rule D3). Were
//! several to race, each would have to try again until it wins; in turns, none has to, and only other replicas are
//! left to race with (rule R17).

use std::hash::{DefaultHasher, Hash, Hasher};

use ids::TenantId;
use tokio::sync::{Mutex, MutexGuard};

use crate::identity::HOLD;

/// How many users can be changed at once. Two that share a place wait for each other, which is merely slower.
const PLACES: usize = 1024;

/// The places in which turns are taken.
#[derive(Debug)]
pub(crate) struct Turns(Vec<Mutex<()>>);

impl Turns {
    pub(crate) fn new() -> Self {
        Self((0..PLACES).map(|_| Mutex::new(())).collect())
    }

    /// Waits for the user's turn, which lasts until the guard is dropped. Who waits too long goes ahead without one:
    /// a turn spares retries, and correctness never depends on it.
    pub(crate) async fn take(&self, tenant: TenantId, user_id: &str) -> Option<MutexGuard<'_, ()>> {
        let mut hasher = DefaultHasher::new();
        (tenant, user_id).hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % PLACES as u64).unwrap_or(0);
        tokio::time::timeout(HOLD, self.0.get(at)?.lock()).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_user_has_one_turn_at_a_time_and_nobody_waits_for_ever() {
        let (turns, tenant) = (Turns::new(), TenantId::generate());
        let held = turns.take(tenant, "u1").await;
        assert!(held.is_some() && turns.take(tenant, "u1").await.is_none());
        drop(held);
        assert!(turns.take(tenant, "u1").await.is_some());
    }
}
