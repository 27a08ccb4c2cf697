//! Users.

use ids::UserId;

use crate::domain::{CaseKey, DisplayName, EffectiveRole, ExternalId, InvalidField, Profile, Timestamp, text};

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
    pub(crate) provisioned_active: bool,
    pub(crate) profile: Profile,
}

/// A live user.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) provisioned: UserDraft,
    /// Whether an administrator took access away (rule R23).
    pub(crate) suspended: bool,
    /// The role in effect; none without access.
    pub(crate) role: Option<EffectiveRole>,
    pub(crate) version: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

impl User {
    /// Whether the person has access.
    pub(crate) const fn active(&self) -> bool {
        self.provisioned.provisioned_active && !self.suspended
    }
}
