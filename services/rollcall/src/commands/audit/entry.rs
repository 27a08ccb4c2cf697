//! An entry of either service's log.

use std::{collections::BTreeMap, fmt, str::FromStr};

use ::audit::{Content, Entry as Chained, Stored, Values};
use pbjson_types::Timestamp;
use proto::{api_keys::v1::KeyAuditEntry, identity::v1::AuditEntry};
use serde::{Deserialize, Serialize};

use crate::{
    commands::{difference, moment},
    output::Row,
};

/// A service that keeps a log. Its name stands in the hashes of its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Service {
    Identity,
    ApiKeys,
}

/// A name that is no such service's.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("identity and api-keys keep a log")]
pub(crate) struct UnknownService;

impl Service {
    pub(super) const ALL: [Self; 2] = [Self::Identity, Self::ApiKeys];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::ApiKeys => "api-keys",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Service {
    type Err = UnknownService;

    fn from_str(text: &str) -> Result<Self, UnknownService> {
        Self::ALL.into_iter().find(|service| service.as_str() == text).ok_or(UnknownService)
    }
}

/// An entry and the service whose log it stands in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "service", rename_all = "kebab-case")]
pub(super) enum Entry {
    Identity(AuditEntry),
    ApiKeys(KeyAuditEntry),
}

/// What both kinds of entry say.
pub(super) struct Parts<'a> {
    pub(super) service: Service,
    pub(super) position: i64,
    time: Option<&'a Timestamp>,
    actor: &'a str,
    address: &'a str,
    action: &'a str,
    subject: &'a str,
    detail: &'a str,
    before: &'a BTreeMap<String, String>,
    after: &'a BTreeMap<String, String>,
    salt: &'a [u8],
    values_digest: &'a [u8],
    hash: &'a [u8],
}

/// The two messages have the same fields and no common type.
macro_rules! parts {
    ($service:ident, $entry:ident) => {
        Parts {
            service: Service::$service,
            position: $entry.position,
            time: $entry.time.as_ref(),
            actor: &$entry.actor,
            address: &$entry.address,
            action: &$entry.action,
            subject: &$entry.subject,
            detail: &$entry.detail,
            before: &$entry.before,
            after: &$entry.after,
            salt: &$entry.salt,
            values_digest: &$entry.values_digest,
            hash: &$entry.hash,
        }
    };
}

impl Entry {
    pub(super) fn parts(&self) -> Parts<'_> {
        match self {
            Self::Identity(entry) => parts!(Identity, entry),
            Self::ApiKeys(entry) => parts!(ApiKeys, entry),
        }
    }
}

impl<'a> Parts<'a> {
    pub(super) fn content(&self) -> Content {
        Content {
            detail: self.detail.to_owned(),
            before: Values::stored(self.before.clone()),
            after: Values::stored(self.after.clone()),
        }
    }

    /// The entry as the chain has it.
    pub(super) fn stored(&self, content: &'a Content) -> Stored<'a> {
        let micros =
            |time: &Timestamp| time.seconds.saturating_mul(1_000_000).saturating_add(i64::from(time.nanos / 1000));
        Stored {
            entry: Chained {
                position: self.position,
                at_us: self.time.map(micros).unwrap_or_default(),
                actor: self.actor,
                address: self.address,
                action: self.action,
                subject: self.subject,
            },
            content,
            salt: self.salt,
            values_digest: self.values_digest,
            hash: self.hash,
        }
    }

    /// What the act changed, for people.
    fn change(&self) -> String {
        let mut said: Vec<String> = Vec::new();
        if !self.detail.is_empty() {
            said.push(self.detail.to_owned());
        }
        said.extend(difference(self.before, self.after));
        said.join("; ")
    }
}

impl Row for Entry {
    const COLUMNS: &'static [&'static str] = &["time", "service", "actor", "address", "action", "subject", "change"];

    fn cells(&self) -> Vec<String> {
        let parts = self.parts();
        let address = if parts.address.is_empty() { "-" } else { parts.address };
        let texts = [parts.service.as_str(), parts.actor, address, parts.action, parts.subject].map(str::to_owned);
        [moment(parts.time)].into_iter().chain(texts).chain([parts.change()]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_from_where_and_what_changed() {
        let values = |values: &[(&str, &str)]| {
            values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let entry = AuditEntry {
            address: "192.0.2.7".to_owned(),
            detail: "by hand".to_owned(),
            before: values(&[("role", "explorer"), ("gone", "x")]),
            after: values(&[("new", "y"), ("role", "admin")]),
            ..AuditEntry::default()
        };
        let cells = Entry::Identity(entry).cells();
        assert_eq!(cells[3], "192.0.2.7");
        assert_eq!(cells[6], "by hand; gone: x -> none; role: explorer -> admin; new: none -> y");
        assert_eq!(Entry::ApiKeys(KeyAuditEntry::default()).cells()[3], "-");
    }
}
