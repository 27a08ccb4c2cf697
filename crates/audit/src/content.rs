//! What an entry says of the act itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Hash, chain::Digest};

/// The longest value, in characters. A longer one is cut: the log says what was changed and is no copy of it.
pub const VALUE_LENGTH_MAX: usize = 1024;
/// How many values are kept. What comes after them is left out.
pub const VALUES_MAX: usize = 256;
/// How long all of them may be together, in bytes. Those that would make it more are cut to nothing. A page of 100 such entries can still be sent.
pub const VALUES_LEN_MAX: usize = 12 * 1024;
/// The name under which a row's values stand that cannot be read: no field's.
pub const UNREADABLE: &str = "(unreadable)";

const DOMAIN: &str = "rollcall.audit.content.v1";
/// What a value ends with that was cut.
const CUT: char = '…';

/// Fields and their values, before or after an act. Never a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Values(BTreeMap<String, String>);

impl Values {
    /// Without any.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// These, as they were stored or sent.
    #[must_use]
    pub const fn stored(values: BTreeMap<String, String>) -> Self {
        Self(values)
    }

    /// With a field and its value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        if self.0.len() < VALUES_MAX {
            let value = cut(value.into(), VALUE_LENGTH_MAX);
            let before: usize = self.0.values().map(String::len).sum();
            let fits = before.saturating_add(value.len()) <= VALUES_LEN_MAX;
            self.0.insert(name.to_owned(), if fits { value } else { cut(value, 0) });
        }
        self
    }

    /// With a field, where it has a value.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// By name, in the order of the names.
    #[must_use]
    pub const fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// By name.
    #[must_use]
    pub fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }
}

fn cut(mut value: String, length_max: usize) -> String {
    if let Some((end, _)) = value.char_indices().nth(length_max) {
        value.truncate(end);
        value.push(CUT);
    }
    value
}

/// What an entry says of the act itself: the part that an erasure blanks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// A short sentence, or empty.
    pub detail: String,
    /// What was, of what the act changed.
    pub before: Values,
    /// What is.
    pub after: Values,
}

impl Content {
    /// A short sentence alone.
    #[must_use]
    pub fn detail(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..Self::default() }
    }

    /// What was and what is.
    #[must_use]
    pub fn change(before: Values, after: Values) -> Self {
        Self { detail: String::new(), before, after }
    }

    /// What differs between what was and what is.
    #[must_use]
    pub fn difference(mut before: Values, mut after: Values) -> Self {
        let same: Vec<String> = before
            .0
            .iter()
            .filter(|(name, value)| after.0.get(*name) == Some(value))
            .map(|(name, _)| name.clone())
            .collect();
        for name in same {
            before.0.remove(&name);
            after.0.remove(&name);
        }
        Self::change(before, after)
    }

    /// With what was.
    #[must_use]
    pub fn before(self, before: Values) -> Self {
        Self { before, ..self }
    }

    /// With what is.
    #[must_use]
    pub fn after(self, after: Values) -> Self {
        Self { after, ..self }
    }

    /// Whether it says nothing, as after an erasure.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.detail.is_empty() && self.before.is_empty() && self.after.is_empty()
    }

    /// The digest that stands for this in the chain.
    #[must_use]
    pub fn digest(&self, salt: &[u8]) -> Hash {
        let mut digest = Digest::new(DOMAIN);
        digest.bytes(salt).bytes(self.detail.as_bytes());
        for values in [&self.before, &self.after] {
            digest.number(values.0.len() as u64);
            for (name, value) in &values.0 {
                digest.bytes(name.as_bytes()).bytes(value.as_bytes());
            }
        }
        digest.finish()
    }
}

/// What keeps a digest from being guessed back: random, of each entry its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt([u8; Self::LENGTH]);

impl Salt {
    const LENGTH: usize = 32;

    /// A new one.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; Self::LENGTH];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
