//! "Without case", as one function (rule R15): Unicode NFC, then simple case folding. Nothing is trimmed.
//!
//! The crates fix the Unicode version, so that a key written today compares with one of next year; raising one of them wants a migration.

use std::num::NonZeroU32;

use unicode_normalization::UnicodeNormalization;

/// A text folded for comparison. Two texts are the same without case when their keys are equal byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseKey(String);

impl CaseKey {
    /// Folds a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        // ASCII is its own composed form, and its letters fold to the small ones.
        if text.is_ascii() {
            return Self(text.to_ascii_lowercase());
        }
        Self(text.nfc().map(fold).collect())
    }

    /// The folded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folded text, owned.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

fn fold(character: char) -> char {
    unicode_case_mapping::case_folded(character).map(NonZeroU32::get).and_then(char::from_u32).unwrap_or(character)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn same(left: &str, right: &str) -> bool {
        CaseKey::of(left) == CaseKey::of(right)
    }

    #[test]
    fn r15_case_and_composition_do_not_distinguish() {
        assert!(same("Ada@Example.ORG", "ada@example.org"));
        assert!(same("STRAẞE", "straße"));
        assert!(same("ΟΔΥΣΣΕΥΣ", "οδυσσευς"));
        assert!(same("Zoe\u{308}", "zo\u{eb}"));
    }

    #[test]
    fn r15_nothing_else_is_folded_away() {
        assert!(!same("ada ", "ada"));
        assert!(!same("straße", "strasse"));
        assert!(!same("i", "ı"));
    }

    proptest! {
        #[test]
        fn r15_case_of_ascii_never_matters(text in any::<String>()) {
            assert!(same(&text, &text.to_ascii_uppercase()));
        }
    }
}
