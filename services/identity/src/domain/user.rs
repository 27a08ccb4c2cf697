//! Users.

use ids::{GroupId, UserId};

use crate::domain::{
    AttributeValues, CaseKey, DisplayName, EffectiveRole, ExternalId, InvalidField, PROFILE_BYTES_MAX, Profile,
    RoleAssignment, Timestamp, USER_ATTRIBUTES, text,
};

/// The name by which a directory knows a user: unique in the tenant without case, kept as sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserName(String);

impl UserName {
    pub(crate) fn parse(text: String) -> Result<Self, InvalidField> {
        text::bounded("user_name", text, text::UNIQUE_NAME_MAX).map(Self)
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

/// What a directory says of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserDraft {
    pub(crate) user_name: UserName,
    pub(crate) external_id: Option<ExternalId>,
    pub(crate) display_name: Option<DisplayName>,
    /// Whether the person is to have access. None where the directory took its word back: what it said before goes on to decide.
    pub(crate) provisioned_active: Option<bool>,
    pub(crate) profile: Profile,
    /// Values of the attributes that the tenant defined.
    pub(crate) attributes: AttributeValues,
}

impl UserDraft {
    /// Checks the bound of what the profile and the attributes take together.
    pub(crate) fn check(&self) -> Result<(), InvalidField> {
        if self.attributes.is_empty() {
            return Ok(());
        }
        let stored = serde_json::to_string(&(&self.profile, &self.attributes)).map(|document| document.len());
        if stored.is_ok_and(|length| length <= PROFILE_BYTES_MAX) {
            return Ok(());
        }
        let problem = format!("is larger than {} KiB together with the profile", PROFILE_BYTES_MAX / 1024);
        Err(InvalidField::new(USER_ATTRIBUTES, problem))
    }
}

/// A live group that a user is a member of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemberOf {
    pub(crate) group: GroupId,
    pub(crate) display_name: String,
}

/// A user.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) provisioned: UserDraft,
    /// What the directory says of access now, or said last.
    pub(crate) governing_active: bool,
    /// Whether an administrator took access away (rule R23).
    pub(crate) suspended: bool,
    /// The rank of the tenant's default role.
    pub(crate) default_rank: i32,
    /// The role in effect; none without access.
    pub(crate) role: Option<EffectiveRole>,
    /// What each source gives, in the order in which they decide; the default is not among them.
    pub(crate) role_assignments: Vec<RoleAssignment>,
    /// Since when roles above the tenant's default have no effect, where they have none (rule R18).
    pub(crate) roles_held_at: Option<Timestamp>,
    pub(crate) version: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// When a directory first wrote to the user; none has where the product made it and no directory found it yet.
    pub(crate) directory_since: Option<Timestamp>,
    /// When the user was softly deleted.
    pub(crate) deleted_at: Option<Timestamp>,
}

impl User {
    /// Whether the person has access.
    pub(crate) const fn active(&self) -> bool {
        self.governing_active && !self.suspended && self.deleted_at.is_none()
    }

    /// Whether some source gives a role that would be held.
    pub(crate) fn has_role_above_default(&self) -> bool {
        self.role_assignments.iter().any(|assignment| assignment.rank > self.default_rank)
    }
}
