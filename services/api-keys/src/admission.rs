//! Who may have a credential checked that was not verified yet (rule R4).
//!
//! Wrong credentials from one address use up its allowance, and then it is told to come later. Nothing else is slowed by them: a credential that
//! was verified before asks for no admission, no key id has an allowance that others could use up, and what could not be judged uses nothing up.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::domain::Error;

/// How many wrong credentials an address may send at once.
const ALLOWANCE: u32 = 30;
/// How long it takes until it may send one more.
const REFILL: Duration = Duration::from_secs(2);
/// How many addresses are kept apart; what comes from more shares one allowance.
const ADDRESSES_MAX: usize = 10_000;

/// How often what is kept is looked through for what can go.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What an allowance is kept for: an IPv4 address, or the network that one IPv6 subscriber has; none for those that share one.
type Key = Option<IpAddr>;

#[derive(Debug, Default)]
pub(crate) struct Admission(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    allowances: HashMap<Key, Allowance>,
    swept_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Allowance {
    /// When it will be whole again: each wrong credential has put that off by [`REFILL`].
    whole_at: Instant,
    /// How many credentials are being checked, each of which may turn out wrong.
    under_way: u32,
}

/// An admission, which ends when this is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Admitted<'a> {
    admission: &'a Admission,
    key: Option<Key>,
}

impl Admission {
    /// Admits what comes from `address`, if its allowance is not used up. Where no address is known, the bound of all checks has to do.
    pub(crate) fn admit(&self, address: Option<IpAddr>) -> Result<Admitted<'_>, Error> {
        self.admit_at(address, Instant::now())
    }

    fn admit_at(&self, address: Option<IpAddr>, now: Instant) -> Result<Admitted<'_>, Error> {
        let Some(address) = address else { return Ok(Admitted { admission: self, key: None }) };
        let mut state = self.state();
        let key = state.key(subscriber(address), now);
        let allowance = state.allowances.entry(key).or_insert(Allowance { whole_at: now, under_way: 0 });
        let used = allowance.whole_at.saturating_duration_since(now) + REFILL * (allowance.under_way + 1);
        if used > REFILL * ALLOWANCE {
            return Err(Error::Throttled { retry_after: (used - REFILL * ALLOWANCE).min(REFILL) });
        }
        allowance.under_way += 1;
        Ok(Admitted { admission: self, key: Some(key) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What stands for an address, and makes room for it now and then.
    fn key(&mut self, address: IpAddr, now: Instant) -> Key {
        let full =
            |state: &Self| state.allowances.len() >= ADDRESSES_MAX && !state.allowances.contains_key(&Some(address));
        if full(self) && self.swept_at.is_none_or(|at| now.saturating_duration_since(at) >= SWEEP_INTERVAL) {
            self.swept_at = Some(now);
            self.allowances.retain(|_, allowance| allowance.whole_at > now || allowance.under_way > 0);
        }
        if full(self) { None } else { Some(address) }
    }
}

impl Admitted<'_> {
    /// The credential was wrong.
    pub(crate) fn failed(self) {
        self.failed_at(Instant::now());
    }

    fn failed_at(self, now: Instant) {
        let Some(key) = self.key else { return };
        if let Some(allowance) = self.admission.state().allowances.get_mut(&key) {
            allowance.whole_at = allowance.whole_at.max(now) + REFILL;
        }
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let mut state = self.admission.state();
        let Some(allowance) = state.allowances.get_mut(&key) else { return };
        allowance.under_way = allowance.under_way.saturating_sub(1);
        // What has failed nobody is not kept.
        if allowance.under_way == 0 && allowance.whole_at <= Instant::now() {
            state.allowances.remove(&key);
        }
    }
}

fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    /// So many wrong credentials.
    fn fail(admission: &Admission, from: Option<IpAddr>, times: u32, now: Instant) {
        for _ in 0..times {
            admission.admit_at(from, now).unwrap().failed_at(now);
        }
    }

    #[test]
    fn r04_an_address_with_many_wrong_credentials_is_told_when_to_come_and_no_other_is() {
        let (admission, now) = (Admission::default(), Instant::now() + Duration::from_secs(60));
        fail(&admission, address("192.0.2.1"), ALLOWANCE, now);
        let refused = admission.admit_at(address("192.0.2.1"), now).unwrap_err();
        assert_eq!(refused, Error::Throttled { retry_after: REFILL });
        assert!(admission.admit_at(address("::ffff:192.0.2.1"), now).is_err(), "the same address");
        for other in [address("192.0.2.2"), address("2001:db8::1"), None] {
            assert!(admission.admit_at(other, now).is_ok(), "{other:?}");
        }
        let later = now + REFILL;
        admission.admit_at(address("192.0.2.1"), later).unwrap().failed_at(later);
        assert!(admission.admit_at(address("192.0.2.1"), later).is_err());
    }

    #[test]
    fn r04_only_what_is_found_wrong_uses_anything_up() {
        let (admission, now) = (Admission::default(), Instant::now());
        for _ in 0..10 * ALLOWANCE {
            drop(admission.admit_at(address("192.0.2.1"), now).unwrap());
        }
        assert!(admission.state().allowances.is_empty(), "and nothing is kept");
    }

    #[test]
    fn r04_no_more_are_checked_at_once_than_may_be_wrong() {
        let (admission, now) = (Admission::default(), Instant::now());
        let under_way: Vec<_> =
            (0..ALLOWANCE).map(|_| admission.admit_at(address("192.0.2.1"), now).unwrap()).collect();
        assert!(admission.admit_at(address("192.0.2.1"), now).is_err());
        drop(under_way);
        assert!(admission.admit_at(address("192.0.2.1"), now).is_ok());
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_share_their_allowance() {
        let (admission, now) = (Admission::default(), Instant::now() + Duration::from_secs(60));
        for host in 0..ALLOWANCE {
            fail(&admission, address(&format!("2001:db8::{host:x}")), 1, now);
        }
        assert!(admission.admit_at(address("2001:db8::ffff:0:0:1"), now).is_err());
        assert!(admission.admit_at(address("2001:db8:0:1::1"), now).is_ok());
    }

    #[test]
    fn what_is_kept_is_bounded_and_old_addresses_make_room() {
        let (admission, now) = (Admission::default(), Instant::now() + Duration::from_secs(60));
        for at in 0..u32::try_from(ADDRESSES_MAX).unwrap() {
            fail(&admission, Some(IpAddr::from(at.to_be_bytes())), 1, now);
        }
        let beyond = |host: u32| Some(IpAddr::from((u32::MAX - host).to_be_bytes()));
        for host in 0..ALLOWANCE {
            fail(&admission, beyond(host), 1, now);
        }
        assert!(admission.admit_at(beyond(ALLOWANCE), now).is_err(), "those beyond share one allowance");
        assert!(admission.state().allowances.len() <= ADDRESSES_MAX + 1);
        assert!(admission.admit_at(beyond(ALLOWANCE), now + REFILL * 2).is_ok());
    }
}
