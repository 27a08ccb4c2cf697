//! Points in time.

use pbjson_types::Timestamp;
use time::OffsetDateTime;

/// A timestamp of the wire. One that no calendar has is the epoch: a resource is not unreadable because of a date.
pub(crate) fn from_wire(timestamp: Option<&Timestamp>) -> OffsetDateTime {
    let nanoseconds = timestamp.map_or(0, |at| i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanos));
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A timestamp for the wire.
pub(crate) fn to_wire(time: OffsetDateTime) -> Timestamp {
    Timestamp { seconds: time.unix_timestamp(), nanos: i32::try_from(time.nanosecond()).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_time_comes_back_as_it_went() {
        for time in [datetime!(2026-11-23 10:20:30.456789 UTC), datetime!(1969-12-31 23:59:59.5 UTC)] {
            assert_eq!(from_wire(Some(&to_wire(time))), time);
        }
    }

    #[test]
    fn a_time_that_no_calendar_has_is_the_epoch() {
        let beyond = Timestamp { seconds: i64::MAX, nanos: 0 };
        assert_eq!(from_wire(Some(&beyond)), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(from_wire(None), OffsetDateTime::UNIX_EPOCH);
    }
}
