//! Roles and where they come from. The role in effect is computed on read and never stored (rule D6).

use std::collections::BTreeSet;

use ids::GroupId;

use crate::domain::{CaseKey, ContactPoint, InvalidField, Timestamp};

/// The roles that every tenant has, highest rank first.
pub(crate) const BUILT_IN: [(&str, i32); 4] = [("admin", 400), ("developer", 300), ("explorer", 200), ("viewer", 100)];
/// The role whose last holder is kept (rule R20).
pub(crate) const ADMIN: &str = "admin";
/// The highest rank of a custom role: below admin (rule R22).
pub(crate) const CUSTOM_RANK_MAX: i32 = 399;
/// How many custom roles a tenant may have.
pub(crate) const ROLES_MAX: u64 = 100;
/// How many mappings of groups a tenant may have. Each is looked at for each user that is read.
pub(crate) const ROLE_MAPPINGS_MAX: u64 = 100;
/// The longest id of a role, in characters.
const ID_MAX: usize = 64;
/// The longest description of a role, in characters.
const DESCRIPTION_MAX: usize = 256;

/// The id of a role: 1 to 64 of a-z, 0-9, `.`, `_`, `:` and `-`, beginning with a letter or digit. Whether there is such a role, the store knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RoleId(String);

impl RoleId {
    /// The default of a new tenant.
    pub(crate) fn explorer() -> Self {
        Self("explorer".to_owned())
    }

    pub(crate) fn parse(text: &str) -> Result<Self, InvalidField> {
        let allowed = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b':' | b'-'));
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if allowed && begins && text.len() <= ID_MAX {
            return Ok(Self(text.to_owned()));
        }
        let problem =
            format!("must be 1 to {ID_MAX} characters of a-z, 0-9, `.`, `_`, `:` and `-`, the first a letter or digit");
        Err(InvalidField::new("role", problem))
    }

    /// The role that a directory means, where it can be one.
    fn meant(value: &str) -> Option<Self> {
        Self::parse(CaseKey::of(value).as_str()).ok()
    }

    /// From the store, which holds only what was parsed.
    pub(crate) const fn stored(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.0 == ADMIN
    }

    /// The rank of a built-in role.
    pub(crate) fn built_in_rank(&self) -> Option<i32> {
        BUILT_IN.iter().find(|(id, _)| *id == self.0).map(|(_, rank)| *rank)
    }
}

/// What a directory's list of roles names, folded (rule R15): whatever can be the id of a role.
pub(crate) fn role_keys(roles: &[ContactPoint]) -> BTreeSet<String> {
    let meant = roles.iter().filter_map(|role| RoleId::meant(role.value.as_deref()?));
    meant.map(|RoleId(key)| key).collect()
}

/// A role of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) id: RoleId,
    pub(crate) rank: i32,
    /// For people; empty for the built-in ones.
    pub(crate) description: String,
    pub(crate) built_in: bool,
}

impl Role {
    /// The roles that every tenant has.
    pub(crate) fn built_in() -> impl Iterator<Item = Self> {
        BUILT_IN.iter().map(|(id, rank)| Self {
            id: RoleId((*id).to_owned()),
            rank: *rank,
            description: String::new(),
            built_in: true,
        })
    }
}

/// A role to add to the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleDraft {
    pub(crate) id: RoleId,
    pub(crate) rank: i32,
    pub(crate) description: String,
}

impl RoleDraft {
    pub(crate) fn parse(id: &str, rank: i32, description: String) -> Result<Self, InvalidField> {
        let id = RoleId::parse(id).map_err(|error| InvalidField::new("role.id", error.problem))?;
        if !(1..=CUSTOM_RANK_MAX).contains(&rank) {
            return Err(InvalidField::new("role.rank", format!("must be 1 to {CUSTOM_RANK_MAX}: below admin's")));
        }
        if description.chars().count() > DESCRIPTION_MAX || description.chars().any(char::is_control) {
            let problem = format!("must be at most {DESCRIPTION_MAX} characters, none of them a control character");
            return Err(InvalidField::new("role.description", problem));
        }
        Ok(Self { id, rank, description })
    }
}

/// Where a role comes from, in the order in which they decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoleSource {
    Manual,
    Provisioned,
    Group,
    Default,
}

impl RoleSource {
    /// The source of an administrator's assignments in the store.
    pub(crate) const MANUAL: &'static str = "manual";

    /// As the change feed says it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => Self::MANUAL,
            Self::Provisioned => "provisioned",
            Self::Group => "group",
            Self::Default => "default",
        }
    }
}

/// What an assignment follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RoleOrigin {
    /// An administrator's word.
    Manual,
    /// A value among the roles that the directory gives, as it was sent.
    Provisioned { value: String },
    /// Membership of a mapped group.
    Group { id: GroupId, display_name: String },
}

impl RoleOrigin {
    pub(crate) const fn source(&self) -> RoleSource {
        match self {
            Self::Manual => RoleSource::Manual,
            Self::Provisioned { .. } => RoleSource::Provisioned,
            Self::Group { .. } => RoleSource::Group,
        }
    }
}

/// What one source gives a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleAssignment {
    pub(crate) role: RoleId,
    pub(crate) rank: i32,
    pub(crate) origin: RoleOrigin,
    /// Whose act it is, as a caller's actor: who set it, whose credential sent it, or who mapped the group. Empty where it is not known.
    pub(crate) assigned_by: String,
    pub(crate) assigned_at: Timestamp,
}

/// The tenant's default role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DefaultRole {
    pub(crate) role: RoleId,
    pub(crate) rank: i32,
}

/// What may be given to a person now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoleAccess {
    /// No role: the person is without access.
    None,
    /// Nothing above the tenant's default: this may be another person (rule R18).
    Held,
    /// Whatever the sources give.
    Full,
}

impl RoleAccess {
    pub(crate) const fn of(active: bool, held: bool) -> Self {
        match (active, held) {
            (false, _) => Self::None,
            (true, true) => Self::Held,
            (true, false) => Self::Full,
        }
    }
}

/// The role that a person has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EffectiveRole {
    pub(crate) role: RoleId,
    pub(crate) source: RoleSource,
}

impl EffectiveRole {
    /// The first source that has a role that may be given decides; `assignments` holds what each gives, in their order.
    pub(crate) fn of(access: RoleAccess, assignments: &[RoleAssignment], default: DefaultRole) -> Option<Self> {
        if access == RoleAccess::None {
            return None;
        }
        let is_let = |assignment: &&RoleAssignment| access == RoleAccess::Full || assignment.rank <= default.rank;
        Some(match assignments.iter().find(is_let) {
            Some(first) => Self { role: first.role.clone(), source: first.origin.source() },
            None => Self { role: default.role, source: RoleSource::Default },
        })
    }

    /// Whether it is an admin's.
    pub(crate) fn is_admin(role: Option<&Self>) -> bool {
        role.is_some_and(|role| role.role.is_admin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment(id: &str, rank: i32, origin: RoleOrigin) -> RoleAssignment {
        RoleAssignment {
            role: RoleId::parse(id).unwrap(),
            rank,
            origin,
            assigned_by: "key:admin".to_owned(),
            assigned_at: Timestamp(0),
        }
    }

    fn effective(access: RoleAccess, assignments: &[RoleAssignment]) -> Option<(String, RoleSource)> {
        let default = DefaultRole { role: RoleId::explorer(), rank: 200 };
        EffectiveRole::of(access, assignments, default).map(|role| (role.role.as_str().to_owned(), role.source))
    }

    #[test]
    fn the_first_source_that_has_a_role_decides() {
        let manual = assignment("viewer", 100, RoleOrigin::Manual);
        let provisioned = assignment("developer", 300, RoleOrigin::Provisioned { value: "Developer".into() });
        let group = RoleOrigin::Group { id: GroupId::generate(), display_name: "Ops".into() };
        let group = assignment("admin", 400, group);
        let role = |id: &str, source| Some((id.to_owned(), source));
        let all = [manual, provisioned, group];
        assert_eq!(effective(RoleAccess::Full, &all), role("viewer", RoleSource::Manual));
        assert_eq!(effective(RoleAccess::Full, &all[1..]), role("developer", RoleSource::Provisioned));
        assert_eq!(effective(RoleAccess::Full, &all[2..]), role("admin", RoleSource::Group));
        assert_eq!(effective(RoleAccess::Full, &[]), role("explorer", RoleSource::Default));
    }

    #[test]
    fn a_person_without_access_has_no_role() {
        assert_eq!(effective(RoleAccess::None, &[assignment("admin", 400, RoleOrigin::Manual)]), None);
        assert_eq!((RoleAccess::of(false, false), RoleAccess::of(false, true)), (RoleAccess::None, RoleAccess::None));
    }

    #[test]
    fn r18_what_is_held_is_never_above_the_default() {
        let role = |id: &str, source| Some((id.to_owned(), source));
        let held = |id, rank| effective(RoleAccess::of(true, true), &[assignment(id, rank, RoleOrigin::Manual)]);
        assert_eq!(held("admin", 400), role("explorer", RoleSource::Default));
        assert_eq!(held("developer", 201), role("explorer", RoleSource::Default));
        assert_eq!(held("explorer", 200), role("explorer", RoleSource::Manual));
        assert_eq!(held("viewer", 100), role("viewer", RoleSource::Manual));
        // What is held does not hide what the next source gives.
        let viewer = assignment("viewer", 100, RoleOrigin::Provisioned { value: "Viewer".into() });
        let both = [assignment("developer", 300, RoleOrigin::Manual), viewer];
        assert_eq!(effective(RoleAccess::Held, &both), role("viewer", RoleSource::Provisioned));
    }

    #[test]
    fn r22_values_are_compared_without_case_and_what_can_be_no_role_is_left_out() {
        let value = |value: &str| ContactPoint { value: Some(value.to_owned()), ..ContactPoint::default() };
        let roles = ["Admin", "ADMIN", "Billing.Reader", "", "no role", "-x", &"x".repeat(ID_MAX + 1)].map(value);
        let keys = role_keys(&[roles.as_slice(), &[ContactPoint::default()]].concat());
        assert_eq!(keys.into_iter().collect::<Vec<_>>(), ["admin", "billing.reader"]);
    }

    #[test]
    fn a_role_of_a_tenant_ranks_below_admin() {
        let draft = |id: &str, rank, description: &str| RoleDraft::parse(id, rank, description.to_owned());
        assert!(draft("billing", 1, "").is_ok() && draft(&"a".repeat(ID_MAX), CUSTOM_RANK_MAX, "Bills").is_ok());
        for (id, rank, description, field) in [
            ("Billing", 1, "", "role.id"),
            ("", 1, "", "role.id"),
            (&"a".repeat(ID_MAX + 1), 1, "", "role.id"),
            ("billing", 0, "", "role.rank"),
            ("billing", CUSTOM_RANK_MAX + 1, "", "role.rank"),
            ("billing", 1, "a\nb", "role.description"),
            ("billing", 1, &"é".repeat(DESCRIPTION_MAX + 1), "role.description"),
        ] {
            assert_eq!(draft(id, rank, description).unwrap_err().field, field, "{id}");
        }
    }
}
