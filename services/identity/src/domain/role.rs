//! Roles and where they come from. The role in effect is computed on read and never stored (rule D6).

use crate::domain::InvalidField;

/// The roles that every tenant has, highest rank first.
pub(crate) const BUILT_IN: [(&str, i32); 4] = [("admin", 400), ("developer", 300), ("explorer", 200), ("viewer", 100)];

/// The id of a role of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleId(String);

impl RoleId {
    /// The default of a new tenant.
    pub(crate) fn explorer() -> Self {
        Self("explorer".to_owned())
    }

    pub(crate) fn parse(text: &str) -> Result<Self, InvalidField> {
        if BUILT_IN.iter().any(|(id, _)| *id == text) {
            return Ok(Self(text.to_owned()));
        }
        let known: Vec<&str> = BUILT_IN.iter().map(|(id, _)| *id).collect();
        Err(InvalidField::new("role", format!("must be one of {}", known.join(", "))))
    }

    /// From the store, which holds only what was parsed.
    pub(crate) const fn stored(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a role comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoleSource {
    Manual,
    Default,
}

impl RoleSource {
    pub(crate) const MANUAL: &'static str = "manual";
}

/// The role that a person has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EffectiveRole {
    pub(crate) role: RoleId,
    pub(crate) source: RoleSource,
}

impl EffectiveRole {
    /// The first source that has a role decides. A person without access has none.
    pub(crate) fn of(active: bool, manual: Option<RoleId>, default: RoleId) -> Option<Self> {
        if !active {
            return None;
        }
        Some(match manual {
            Some(role) => Self { role, source: RoleSource::Manual },
            None => Self { role: default, source: RoleSource::Default },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(id: &str) -> RoleId {
        RoleId::parse(id).unwrap()
    }

    #[test]
    fn manual_stands_before_the_default() {
        let effective = EffectiveRole::of(true, Some(role("viewer")), role("explorer")).unwrap();
        assert_eq!((effective.role.as_str(), effective.source), ("viewer", RoleSource::Manual));
        let effective = EffectiveRole::of(true, None, role("explorer")).unwrap();
        assert_eq!((effective.role.as_str(), effective.source), ("explorer", RoleSource::Default));
    }

    #[test]
    fn a_person_without_access_has_no_role() {
        assert_eq!(EffectiveRole::of(false, Some(role("admin")), role("explorer")), None);
    }

    #[test]
    fn only_the_catalogue_is_accepted() {
        assert!(RoleId::parse("root").is_err());
        assert!(RoleId::parse("Admin").is_err());
    }
}
