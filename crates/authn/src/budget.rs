//! How much one tenant may ask of this process, so that no tenant's load is another's wait.

use std::{
    fmt,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use ids::TenantId;

/// The least that a tenant may be given: Entra sends up to 25 requests a second, and is never to be told to slow down (rule R14).
pub const REQUESTS_PER_SECOND_MIN: u32 = 25;
/// What a tenant is given unless told otherwise.
const REQUESTS_PER_SECOND_DEFAULT: u32 = 500;
/// A tenant that was quiet may send as much at once as in this many seconds.
const BURST_SECONDS: u32 = 2;
/// After how many requests tenants are forgotten that have been quiet.
const SWEEP_INTERVAL: u32 = 10_000;

/// So many requests a second for each tenant, and twice as many at once. Clones share it.
#[derive(Clone)]
pub struct Budget(Arc<Inner>);

struct Inner {
    limiter: DefaultKeyedRateLimiter<TenantId>,
    requests: AtomicU32,
}

/// A budget that is too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tenant is given at least {REQUESTS_PER_SECOND_MIN} requests a second")]
pub struct InvalidBudget;

impl Budget {
    /// A budget of so many requests a second.
    ///
    /// # Errors
    /// When they are fewer than [`REQUESTS_PER_SECOND_MIN`].
    pub fn new(requests_per_second: u32) -> Result<Self, InvalidBudget> {
        let rate = NonZeroU32::new(requests_per_second).filter(|rate| rate.get() >= REQUESTS_PER_SECOND_MIN);
        Ok(Self::of(rate.ok_or(InvalidBudget)?))
    }

    fn of(rate: NonZeroU32) -> Self {
        let burst = rate.saturating_mul(NonZeroU32::MIN.saturating_add(BURST_SECONDS - 1));
        let limiter = RateLimiter::keyed(Quota::per_second(rate).allow_burst(burst));
        Self(Arc::new(Inner { limiter, requests: AtomicU32::new(0) }))
    }

    /// Takes one request from the tenant's budget, or says how long until there is one.
    pub(crate) fn take(&self, tenant: TenantId) -> Result<(), Duration> {
        let Inner { limiter, requests } = &*self.0;
        if requests.fetch_add(1, Ordering::Relaxed) % SWEEP_INTERVAL == SWEEP_INTERVAL - 1 {
            limiter.retain_recent();
        }
        limiter.check_key(&tenant).map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::of(NonZeroU32::new(REQUESTS_PER_SECOND_DEFAULT).unwrap_or(NonZeroU32::MIN))
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r14_no_tenant_is_given_less_than_25_requests_a_second() {
        assert!(Budget::new(REQUESTS_PER_SECOND_MIN).is_ok());
        for rate in [0, REQUESTS_PER_SECOND_MIN - 1] {
            assert_eq!(Budget::new(rate).err(), Some(InvalidBudget));
        }
    }

    #[test]
    fn a_tenant_that_has_used_its_budget_up_is_told_when_to_come_and_no_other_is() {
        let (budget, loud, quiet) = (Budget::new(25).unwrap(), TenantId::generate(), TenantId::generate());
        let taken = (0..100).take_while(|_| budget.take(loud).is_ok()).count();
        assert!((50..=55).contains(&taken), "{taken}");
        let wait = budget.take(loud).unwrap_err();
        assert!(wait <= Duration::from_secs(1) / 25, "{wait:?}");
        assert_eq!(budget.take(quiet), Ok(()));
    }

    #[test]
    fn tenants_that_are_quiet_are_forgotten() {
        let budget = Budget::new(1_000_000).unwrap();
        for _ in 0..2 * SWEEP_INTERVAL {
            budget.take(TenantId::generate()).unwrap();
        }
        assert!(budget.0.limiter.len() <= usize::try_from(SWEEP_INTERVAL).unwrap(), "{}", budget.0.limiter.len());
    }
}
