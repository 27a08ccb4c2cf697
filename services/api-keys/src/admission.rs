//! Who may have a credential checked that was not verified yet (rule R4).
//!
//! Wrong credentials from one address use up its allowance, and then it is told to come later. Nothing else is slowed by them: a credential that
//! was verified before asks for no admission, and no key id has an allowance that others could use up.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::domain::Error;

/// How many wrong credentials an address may send at once.
const ALLOWANCE: u32 = 30;
/// How long it takes until it may send one more.
const REFILL: Duration = Duration::from_secs(2);
/// How many addresses are kept apart; what comes from more shares one allowance.
const ADDRESSES_MAX: usize = 10_000;

/// What an allowance is kept for: an IPv4 address, or the network that one IPv6 subscriber has.
type Key = Option<IpAddr>;

/// When the allowance will be whole again: until then each failure has put it off by [`REFILL`].
#[derive(Debug, Default)]
pub(crate) struct Admission(Mutex<HashMap<Key, Instant>>);

/// An admission, which counts as a failure unless it is given back.
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
        let mut whole_at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = Some(subscriber(address));
        if whole_at.len() >= ADDRESSES_MAX && !whole_at.contains_key(&key) {
            whole_at.retain(|_, whole_at| *whole_at > now);
            key = key.filter(|_| whole_at.len() < ADDRESSES_MAX);
        }
        let used_until = whole_at.get(&key).copied().unwrap_or(now).max(now);
        let used = used_until.duration_since(now);
        if used + REFILL > REFILL * ALLOWANCE {
            return Err(Error::Throttled { retry_after: used + REFILL - REFILL * ALLOWANCE });
        }
        whole_at.insert(key, used_until + REFILL);
        Ok(Admitted { admission: self, key: Some(key) })
    }
}

impl Admitted<'_> {
    /// The credential was not wrong.
    pub(crate) fn give_back(self) {
        let Some(key) = self.key else { return };
        let mut whole_at = self.admission.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = whole_at.get_mut(&key) {
            *until = until.checked_sub(REFILL).unwrap_or(*until);
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

    #[test]
    fn r04_an_address_with_many_wrong_credentials_is_told_when_to_come_and_no_other_is() {
        let (admission, now) = (Admission::default(), Instant::now());
        for _ in 0..ALLOWANCE {
            let _failed = admission.admit_at(address("192.0.2.1"), now).unwrap();
        }
        let refused = admission.admit_at(address("192.0.2.1"), now).unwrap_err();
        assert_eq!(refused, Error::Throttled { retry_after: REFILL });
        assert!(admission.admit_at(address("::ffff:192.0.2.1"), now).is_err(), "the same address");
        for other in [address("192.0.2.2"), address("2001:db8::1"), None] {
            assert!(admission.admit_at(other, now).is_ok(), "{other:?}");
        }
        assert!(admission.admit_at(address("192.0.2.1"), now + REFILL).is_ok());
        assert!(admission.admit_at(address("192.0.2.1"), now + REFILL).is_err());
    }

    #[test]
    fn r04_right_credentials_use_nothing_up() {
        let (admission, now) = (Admission::default(), Instant::now());
        for _ in 0..10 * ALLOWANCE {
            admission.admit_at(address("192.0.2.1"), now).unwrap().give_back();
        }
        assert!(admission.admit_at(address("192.0.2.1"), now).is_ok());
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_share_their_allowance() {
        let (admission, now) = (Admission::default(), Instant::now());
        for host in 0..ALLOWANCE {
            let _failed = admission.admit_at(address(&format!("2001:db8::{host:x}")), now).unwrap();
        }
        assert!(admission.admit_at(address("2001:db8::ffff:0:0:1"), now).is_err());
        assert!(admission.admit_at(address("2001:db8:0:1::1"), now).is_ok());
    }

    #[test]
    fn what_is_kept_is_bounded_and_old_addresses_make_room() {
        let (admission, now) = (Admission::default(), Instant::now());
        for at in 0..ADDRESSES_MAX + 100 {
            let v4 = IpAddr::from(u32::try_from(at).unwrap().to_be_bytes());
            let _ = admission.admit_at(Some(v4), now);
        }
        assert!(admission.0.lock().unwrap().len() <= ADDRESSES_MAX + 1);
        assert!(admission.admit_at(address("203.0.113.1"), now).is_err(), "those beyond share one allowance");
        assert!(admission.admit_at(address("203.0.113.1"), now + REFILL * 2).is_ok());
    }
}
