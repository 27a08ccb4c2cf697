//! Time, as it is stored.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Microseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(pub(crate) i64);

impl Timestamp {
    pub(crate) const EPOCH: Self = Self(0);

    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(micros(since))
    }

    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// How long it is after an earlier time; nothing if it is not after it.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    pub(crate) fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }

    /// The second that it lies in: tokens count in those.
    pub(crate) const fn second(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The beginning of the second that it lies in.
    pub(crate) const fn whole_second(self) -> Self {
        Self(self.second() * 1_000_000)
    }

    /// In UTC to the second, as RFC 3339 writes it; a time that it cannot write as its number.
    pub(crate) fn to_rfc3339(self) -> String {
        let text = OffsetDateTime::from_unix_timestamp(self.second()).ok().and_then(|at| at.format(&Rfc3339).ok());
        text.unwrap_or_else(|| self.0.to_string())
    }

    pub(crate) fn system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(u64::try_from(self.0).unwrap_or(0))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
