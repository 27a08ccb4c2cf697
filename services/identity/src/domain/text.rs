//! Texts with a bound. NUL is refused everywhere: PostgreSQL cannot store it.

use crate::domain::{CaseKey, InvalidField};

/// The longest name that is unique in a tenant, in characters.
pub(crate) const UNIQUE_NAME_MAX: usize = 256;
/// The longest `external_id`, in characters.
pub(crate) const EXTERNAL_ID_MAX: usize = 256;
/// The longest `display_name` of a user, in characters.
pub(crate) const DISPLAY_NAME_MAX: usize = 1024;

/// Checks a text that must not be empty.
pub(crate) fn bounded(field: &'static str, text: String, characters_max: usize) -> Result<String, InvalidField> {
    if text.is_empty() {
        return Err(InvalidField::new(field, "must not be empty"));
    }
    if text.len() > characters_max && text.chars().count() > characters_max {
        return Err(InvalidField::new(field, format!("is longer than {characters_max} characters")));
    }
    if text.contains('\0') {
        return Err(InvalidField::new(field, "contains the character U+0000"));
    }
    Ok(text)
}

/// The directory's own id of a resource; compared with case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExternalId(String);

impl ExternalId {
    pub(crate) fn parse(text: String) -> Result<Self, InvalidField> {
        bounded("external_id", text, EXTERNAL_ID_MAX).map(Self)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// From the store, which holds only what was parsed.
    pub(crate) const fn stored(text: String) -> Self {
        Self(text)
    }
}

/// The name of a user to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DisplayName(String);

impl DisplayName {
    pub(crate) fn parse(text: String) -> Result<Self, InvalidField> {
        bounded("display_name", text, DISPLAY_NAME_MAX).map(Self)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn key(&self) -> CaseKey {
        CaseKey::of(&self.0)
    }

    /// From the store, which holds only what was parsed.
    pub(crate) const fn stored(text: String) -> Self {
        Self(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_on_both_sides() {
        assert!(ExternalId::parse("é".repeat(EXTERNAL_ID_MAX)).is_ok());
        assert!(ExternalId::parse("é".repeat(EXTERNAL_ID_MAX + 1)).is_err());
        assert!(ExternalId::parse(String::new()).is_err());
        assert!(DisplayName::parse("a\0b".into()).is_err());
    }
}
