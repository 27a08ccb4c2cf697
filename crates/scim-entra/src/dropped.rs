//! Unknown attributes are dropped and reported, never refused.
//!
//! Source: one unsupported attribute blocks the whole user for as long as it is mapped (GitHub kortix-ai/suna#7302,
//! wireapp/wire-docs#96); extension URNs that `schemas` does not list (learn.microsoft.com,
//! customize-application-attributes).

use std::fmt;

/// How many attributes one request reports; more say nothing new.
pub const DROPPED_MAX: usize = 100;

/// The longest name that is reported, in characters.
const NAME_MAX: usize = 200;

/// An attribute that a request named and this server does not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The name as it was sent, without any value.
    pub attribute: String,
    /// Why it was dropped.
    pub reason: Reason,
}

/// Why an attribute was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The schema has no such attribute.
    UnknownAttribute,
    /// There is no schema of that URN.
    UnknownSchema,
    /// Passwords are never stored.
    Password,
}

impl Reason {
    /// A keyword for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownAttribute => "unknown_attribute",
            Self::UnknownSchema => "unknown_schema",
            Self::Password => "password",
        }
    }

    /// What an administrator can do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::UnknownAttribute | Self::UnknownSchema => {
                "define the attribute or remove its mapping from the provisioning configuration"
            }
            Self::Password => "remove the mapping of the password: it is never stored",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is reported in the place of a text that no attribute could be called by. It may be anything, a person's address among it, and goes to no log
/// (rule R26).
const NOT_A_NAME: &str = "(not the name of an attribute)";

/// Whether an attribute could be called so (RFC 7644 section 3.10), as far as its characters tell.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '.' | ':'))
}

/// The reports of one request, each name once.
#[derive(Debug, Default)]
pub(crate) struct Reports(Vec<Dropped>);

impl Reports {
    pub(crate) fn add(&mut self, name: &str, reason: Reason) {
        let attribute: String =
            if is_name(name) { name.chars().take(NAME_MAX).collect() } else { NOT_A_NAME.to_owned() };
        let known = self.0.iter().any(|dropped| dropped.attribute == attribute);
        if !known && self.0.len() < DROPPED_MAX {
            self.0.push(Dropped { attribute, reason });
        }
    }

    pub(crate) fn into_list(self) -> Vec<Dropped> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_reported_once_and_cut() {
        let mut reports = Reports::default();
        reports.add("shoeSize", Reason::UnknownAttribute);
        reports.add("shoeSize", Reason::UnknownAttribute);
        reports.add(&"x".repeat(NAME_MAX + 1), Reason::UnknownAttribute);
        let list = reports.into_list();
        assert_eq!(list.iter().map(|dropped| dropped.attribute.len()).collect::<Vec<_>>(), [8, NAME_MAX]);
    }

    #[test]
    fn r26_what_is_no_name_is_not_repeated() {
        let mut reports = Reports::default();
        for text in ["ada@example.org", "Ada Lovelace", "a\nb", ""] {
            reports.add(text, Reason::UnknownAttribute);
        }
        let expect = Dropped { attribute: NOT_A_NAME.to_owned(), reason: Reason::UnknownAttribute };
        assert_eq!(reports.into_list(), [expect]);
    }

    #[test]
    fn reports_are_bounded() {
        let mut reports = Reports::default();
        (0..=DROPPED_MAX).for_each(|number| reports.add(&format!("a{number}"), Reason::UnknownAttribute));
        assert_eq!(reports.into_list().len(), DROPPED_MAX);
    }
}
