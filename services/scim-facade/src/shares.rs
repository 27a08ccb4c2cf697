//! How much of identity one tenant may occupy at once, so that another's request finds the way nearly free (rule R14).
//!
//! Requests of one tenant that find its share taken wait in the order in which they came. A budget of requests a second bounds how many do; it
//! does not bound how much they ask for at once, and a request behind thirty others on two processors waits for them, whosever they are.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use ids::TenantId;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// How many calls of one tenant may be under way for each core, and on the smallest machine. Four are enough for all that a tenant may send in a
/// second as long as a call takes 8 ms.
const CALLS_PER_CORE: usize = 2;
const CALLS_MIN: usize = 4;
/// How many tenants are remembered before those that ask for nothing are looked for.
const SWEEP_MIN: usize = 1024;

/// The share of each tenant.
#[derive(Debug)]
pub(crate) struct Shares {
    /// How large a share is, in calls.
    size: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tenants: HashMap<TenantId, Arc<Semaphore>>,
    /// How many there are when they are next swept.
    sweep_at: usize,
}

impl Shares {
    pub(crate) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let state = State { tenants: HashMap::new(), sweep_at: SWEEP_MIN };
        Self { size: CALLS_MIN.max(CALLS_PER_CORE * cores), state: Mutex::new(state) }
    }

    /// Waits for a place in the tenant's share, which is held until the answer is dropped; none if there is none until then.
    pub(crate) async fn take(&self, tenant: TenantId, until: Instant) -> Option<OwnedSemaphorePermit> {
        let share = self.of(tenant);
        // The semaphore is never closed.
        timeout_at(until, share.acquire_owned()).await.ok()?.ok()
    }

    fn of(&self, tenant: TenantId) -> Arc<Semaphore> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.tenants.len() >= state.sweep_at {
            // A place that is held or waited for is a second owner.
            state.tenants.retain(|_, share| Arc::strong_count(share) > 1);
            state.sweep_at = SWEEP_MIN.max(2 * state.tenants.len());
        }
        let share = state.tenants.entry(tenant).or_insert_with(|| Arc::new(Semaphore::new(self.size)));
        Arc::clone(share)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn r14_a_tenant_waits_for_its_own_calls_and_no_other_does() {
        let (shares, loud, quiet) = (Shares::new(), TenantId::generate(), TenantId::generate());
        let soon = || Instant::now() + Duration::from_secs(1);
        let mut held = Vec::new();
        for _ in 0..shares.size {
            held.push(shares.take(loud, soon()).await.unwrap());
        }
        assert!(shares.take(loud, soon()).await.is_none());
        assert!(shares.take(quiet, Instant::now()).await.is_some());
        held.pop();
        assert!(shares.take(loud, Instant::now()).await.is_some());
    }

    #[tokio::test]
    async fn tenants_that_ask_for_nothing_are_forgotten_and_those_that_do_are_not() {
        let (shares, busy) = (Shares::new(), TenantId::generate());
        let mut held = Vec::new();
        for _ in 0..shares.size {
            held.push(shares.take(busy, Instant::now()).await.unwrap());
        }
        for _ in 0..10 * SWEEP_MIN {
            drop(shares.take(TenantId::generate(), Instant::now()).await.unwrap());
        }
        assert!(shares.state.lock().unwrap().tenants.len() <= SWEEP_MIN + 1);
        assert!(shares.take(busy, Instant::now()).await.is_none());
    }
}
