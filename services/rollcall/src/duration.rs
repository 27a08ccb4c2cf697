//! Durations as people write them: `180d`, `12h`, `30m`.

use std::time::Duration;

/// The longest duration that is accepted: ten years.
pub(crate) const DAYS_MAX: u64 = 3_650;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A text that is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    #[error("not a duration: write a number and a unit, for example 180d, 12h, 30m or 45s")]
    Form,
    #[error("out of range: from 1s to {DAYS_MAX}d")]
    Range,
}

/// Parses a whole number with one unit: `w`, `d`, `h`, `m` or `s`.
pub(crate) fn parse(text: &str) -> Result<Duration, Invalid> {
    let split = text.find(|character: char| !character.is_ascii_digit()).ok_or(Invalid::Form)?;
    let (number, unit) = text.split_at(split);
    let unit = match unit {
        "w" => 7 * DAY,
        "d" => DAY,
        "h" => HOUR,
        "m" => MINUTE,
        "s" => 1,
        _ => return Err(Invalid::Form),
    };
    if number.is_empty() {
        return Err(Invalid::Form);
    }
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or(Invalid::Range)?;
    if (1..=DAYS_MAX * DAY).contains(&seconds) { Ok(Duration::from_secs(seconds)) } else { Err(Invalid::Range) }
}

/// The duration in its largest unit, rounded down: `26 hours`, `3 days`.
pub(crate) fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (count, unit) = match seconds {
        0..MINUTE => (seconds, "second"),
        MINUTE..HOUR => (seconds / MINUTE, "minute"),
        // Two days and less in hours: the difference between 24 and 47 hours matters to who waits.
        HOUR..=172_799 => (seconds / HOUR, "hour"),
        _ => (seconds / DAY, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_a_unit_is_a_duration() {
        for (text, seconds) in [
            ("180d", 180 * DAY),
            ("12h", 12 * HOUR),
            ("30m", 1_800),
            ("45s", 45),
            ("2w", 14 * DAY),
            ("3650d", 3_650 * DAY),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_not() {
        for text in ["", "d", "180", "1.5h", "-1d", "1 d", "1D", "1mo", "1d12h", "١d", " 1d"] {
            assert_eq!(parse(text), Err(Invalid::Form), "{text}");
        }
        for text in ["0s", "3651d", "99999999999999999999d", "18446744073709551615w"] {
            assert_eq!(parse(text), Err(Invalid::Range), "{text}");
        }
    }

    #[test]
    fn words_use_the_largest_unit() {
        let words = |seconds| in_words(Duration::from_secs(seconds));
        assert_eq!(words(0), "0 seconds");
        assert_eq!(words(60), "1 minute");
        assert_eq!(words(26 * HOUR), "26 hours");
        assert_eq!(words(2 * DAY), "2 days");
    }
}
