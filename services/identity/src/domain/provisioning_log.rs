//! Entries of the provisioning log: what a directory asked and what became of it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::{CaseKey, Timestamp};

/// How many entries one call appends.
pub(crate) const ENTRIES_MAX: usize = 1000;
/// How many subjects, changes and notes an entry has, and how many users it says were seen.
pub(crate) const SUBJECTS_MAX: usize = 64;
pub(crate) const CHANGES_MAX: usize = 64;
pub(crate) const NOTES_MAX: usize = 32;
pub(crate) const SEEN_MAX: usize = 1000;
/// How long a credential, an id, a value and a sentence are, in characters.
pub(crate) const CREDENTIAL_MAX: usize = 64;
pub(crate) const ID_MAX: usize = 64;
pub(crate) const VALUE_MAX: usize = 256;
pub(crate) const NOTE_MAX: usize = 512;
pub(crate) const SENTENCE_MAX: usize = 1024;

/// An enum whose values are stored by a name each.
macro_rules! stored_names {
    ($(#[$of:meta])* $name:ident { $($variant:ident = $text:literal),* $(,)? }) => {
        $(#[$of])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) enum $name { $($variant),* }

        impl $name {
            /// As it is stored.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// From what is stored.
            pub(crate) fn stored(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

stored_names! {
    /// What was asked.
    Operation {
        List = "list", Get = "get", Create = "create", Replace = "replace", Patch = "patch", Delete = "delete", Bulk = "bulk",
        Discover = "discover", Other = "other",
    }
}

stored_names! {
    /// What became of a request.
    ProvisioningOutcome {
        Succeeded = "succeeded", Refused = "refused", Postponed = "postponed", Failed = "failed", Abandoned = "abandoned", Lost = "lost",
    }
}

stored_names! {
    /// A type of resource.
    ProvisionedType { User = "user", Group = "group" }
}

/// A value by which a request named a resource, or by which that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) resource_type: ProvisionedType,
    /// By its SCIM name.
    pub(crate) attribute: String,
    pub(crate) value: String,
}

impl Subject {
    /// Under what an entry about this is found.
    pub(crate) fn key(&self) -> String {
        subject_key(self.resource_type, &self.value)
    }
}

/// Under what entries about a resource are found, of which this is a name or an id.
pub(crate) fn subject_key(resource_type: ProvisionedType, value: &str) -> String {
    format!("{}:{}", resource_type.as_str(), CaseKey::of(value).as_str())
}

/// What became of one field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct FieldChange {
    pub(crate) field: String,
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) added: i64,
    pub(crate) removed: i64,
}

/// A word on a request that changes nothing about its outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Note {
    pub(crate) text: String,
    pub(crate) fix: String,
}

/// One request, or one operation of a bulk request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogEntry {
    pub(crate) id: Uuid,
    pub(crate) at: Timestamp,
    pub(crate) elapsed_us: i64,
    /// Empty where the entry is about no request.
    pub(crate) credential: String,
    pub(crate) request_id: String,
    pub(crate) trace_id: String,
    /// None where the entry is about no request.
    pub(crate) operation: Option<Operation>,
    pub(crate) resource_type: Option<ProvisionedType>,
    pub(crate) resource_id: String,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) status: i32,
    pub(crate) outcome: ProvisioningOutcome,
    pub(crate) scim_type: String,
    pub(crate) reason: String,
    pub(crate) cause: String,
    pub(crate) fix: String,
    pub(crate) changes: Vec<FieldChange>,
    pub(crate) notes: Vec<Note>,
    pub(crate) count: i64,
    pub(crate) lost: i64,
    /// Users whom the directory named or was answered. Not a part of what is read back.
    pub(crate) seen: Vec<Uuid>,
}

impl LogEntry {
    /// The entry without what is personal in it: that a request came, when, and what became of it.
    pub(crate) fn blanked(&self) -> Self {
        let (subjects, changes, notes, cause) = (Vec::new(), Vec::new(), Vec::new(), String::new());
        Self { subjects, changes, notes, cause, ..self.clone() }
    }

    /// The keys under which the entry is found, each once.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.subjects.iter().map(Subject::key).collect();
        if let Some(resource_type) = self.resource_type
            && !self.resource_id.is_empty()
        {
            keys.push(subject_key(resource_type, &self.resource_id));
        }
        keys.sort();
        keys.dedup();
        keys
    }
}

/// An entry as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoggedEntry {
    pub(crate) position: i64,
    pub(crate) entry: LogEntry,
}

/// The order of a list of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogOrder {
    NewestFirst,
    OldestFirst,
    Arrival,
}

/// Which entries are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogFilter {
    /// About this resource, by any of its names.
    pub(crate) about: Option<(ProvisionedType, String)>,
    pub(crate) outcome: Option<ProvisioningOutcome>,
    /// Not earlier.
    pub(crate) from: Option<Timestamp>,
    /// Earlier.
    pub(crate) until: Option<Timestamp>,
}

/// The entry after which a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogMark {
    pub(crate) at: Timestamp,
    pub(crate) position: i64,
}
