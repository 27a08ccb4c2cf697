//! When a directory that takes access from many people at once is warned of (rule R19): an assignment or a scope that was changed by mistake looks so.

use std::time::Duration;

use crate::domain::{InvalidField, Timestamp};

/// The time within which people are counted.
pub(crate) const ALARM_WINDOW: Duration = Duration::from_secs(60 * 60);
/// Fewer people than this are no alarm, whatever their share: a small company loses a team.
const PEOPLE_MIN: u64 = 10;

/// What a tenant wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeactivationAlarm {
    /// More than this share rings; 0 never does.
    percent: i32,
    /// Whether that pauses provisioning.
    pub(crate) pauses: bool,
}

impl DeactivationAlarm {
    pub(crate) fn parse(percent: i32, pauses: bool) -> Result<Self, InvalidField> {
        if (0..=99).contains(&percent) {
            return Ok(Self { percent, pauses });
        }
        Err(InvalidField::new("alarm.percent", "must be 0 to 99"))
    }

    /// From the store, which holds only what was parsed.
    pub(crate) const fn stored(percent: i32, pauses: bool) -> Self {
        Self { percent, pauses }
    }

    pub(crate) const fn percent(self) -> i32 {
        self.percent
    }

    /// With how many people who still have access it does not ring yet, after so many have lost it; none where it is not worth counting them. The more
    /// have lost it, the fewer of their numbers are looked at, so that counting stays cheap: the alarm comes at most a tenth late.
    pub(crate) fn quiet_from(self, ended: u64) -> Option<u64> {
        let percent = u64::try_from(self.percent).ok().filter(|percent| *percent > 0)?;
        let step = 10_u64.pow(ended.checked_ilog10()?.saturating_sub(1));
        if ended < PEOPLE_MIN || !ended.is_multiple_of(step) {
            return None;
        }
        Some((ended * (100 - percent)).div_ceil(percent))
    }
}

/// What a tenant wants, and when it rang last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AlarmState {
    pub(crate) alarm: DeactivationAlarm,
    pub(crate) rang_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_is_larger_rings() {
        let alarm = DeactivationAlarm::parse(20, false).unwrap();
        assert_eq!(alarm.quiet_from(9), None, "too few people");
        // 10 of 50 are 20 %, and no more than that.
        assert_eq!(alarm.quiet_from(10), Some(40));
        assert_eq!(alarm.quiet_from(11), Some(44));
        assert_eq!(DeactivationAlarm::parse(30, false).unwrap().quiet_from(10), Some(24));
        assert_eq!(DeactivationAlarm::parse(0, true).unwrap().quiet_from(10), None);
        assert!(DeactivationAlarm::parse(100, true).is_err() && DeactivationAlarm::parse(-1, true).is_err());
    }

    #[test]
    fn many_people_are_counted_now_and_then() {
        let alarm = DeactivationAlarm::parse(20, false).unwrap();
        let looked_at = |range: std::ops::RangeInclusive<u64>| range.filter(|n| alarm.quiet_from(*n).is_some()).count();
        assert_eq!((looked_at(0..=99), looked_at(100..=999), looked_at(1_000..=9_999)), (90, 90, 90));
    }
}
