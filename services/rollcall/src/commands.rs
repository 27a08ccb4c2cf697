//! The administrator's commands, one module for each kind of thing.

pub(crate) mod api_key;
pub(crate) mod audit;
pub(crate) mod changes;
pub(crate) mod events;
pub(crate) mod generate;
pub(crate) mod group;
pub(crate) mod log;
pub(crate) mod migrate;
pub(crate) mod operator_key;
pub(crate) mod role;
pub(crate) mod scim;
pub(crate) mod signing_key;
pub(crate) mod simulate;
pub(crate) mod tenant;
pub(crate) mod trust;
pub(crate) mod user;
pub(crate) mod user_attribute;

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use anyhow::Context;
use pbjson_types::Timestamp;
use proto::identity::v1::{Comparison, Filter, Operator, Value, filter, value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A filter for the resources whose field is equal to a text.
fn equals(field: &str, text: &str) -> Filter {
    let comparison = Comparison {
        field: field.to_owned(),
        operator: Operator::Equal.into(),
        value: Some(Value { kind: Some(value::Kind::String(text.to_owned())) }),
    };
    Filter { kind: Some(filter::Kind::Comparison(comparison)) }
}

/// A time as it is sent.
fn timestamp(time: SystemTime) -> anyhow::Result<Timestamp> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).context("this machine's clock is wrong")?;
    Ok(Timestamp { seconds: i64::try_from(since.as_secs())?, nanos: i32::try_from(since.subsec_nanos())? })
}

/// A time to the second, in UTC; `-` where there is none.
fn moment(time: Option<&Timestamp>) -> String {
    let text = time.and_then(|time| OffsetDateTime::from_unix_timestamp(time.seconds).ok()?.format(&Rfc3339).ok());
    text.unwrap_or_else(|| "-".to_owned())
}

/// How long ago a time was. A time ahead of this clock was just now.
fn age(time: Option<&Timestamp>, now: SystemTime) -> Option<Duration> {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(time?.seconds).ok()?);
    Some(now.duration_since(at).unwrap_or_default())
}

/// What changed, field by field, for people.
fn difference(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    let value = |values: &BTreeMap<String, String>, name: &String| {
        values.get(name).cloned().unwrap_or_else(|| "none".to_owned())
    };
    names.map(|name| format!("{name}: {} -> {}", value(before, name), value(after, name))).collect()
}

/// The last part of an enum's name: `API_KEY_STATE_ACTIVE` is `active`.
fn short(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}

fn or_dash(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_in_utc_to_the_second() {
        let at = Timestamp { seconds: 1_700_000_000, nanos: 999 };
        assert_eq!(moment(Some(&at)), "2023-11-14T22:13:20Z");
        assert_eq!(moment(None), "-");
        assert_eq!(moment(Some(&Timestamp { seconds: i64::MAX, nanos: 0 })), "-");
    }

    #[test]
    fn a_time_ahead_is_just_now() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        assert_eq!(age(Some(&Timestamp { seconds: 40, nanos: 0 }), now), Some(Duration::from_secs(60)));
        assert_eq!(age(Some(&Timestamp { seconds: 200, nanos: 0 }), now), Some(Duration::ZERO));
        assert_eq!(age(None, now), None);
    }
}
