//! Groups and their members.

use ids::{GroupId, UserId};

use crate::domain::{CaseKey, ExternalId, InvalidField, Timestamp, text};

/// How many ids one call may name as members.
pub(crate) const MEMBER_IDS_MAX: usize = 50_000;
/// How many changes one call may make of a group.
pub(crate) const GROUP_CHANGES_MAX: usize = 10_000;

/// A group's name: unique in the tenant without case, kept as sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupName(String);

impl GroupName {
    pub(crate) fn parse(text: String) -> Result<Self, InvalidField> {
        text::bounded("display_name", text, text::UNIQUE_NAME_MAX).map(Self)
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

/// What a directory says of a group, its members apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupDraft {
    pub(crate) display_name: GroupName,
    pub(crate) external_id: Option<ExternalId>,
}

/// A live group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) provisioned: GroupDraft,
    pub(crate) version: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// One change of a group. Ids stand as the caller sent them: only the store knows which exist (rule R16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GroupChange {
    AddMembers(Vec<String>),
    RemoveMembers(Vec<String>),
    ReplaceMembers(Vec<String>),
    ClearMembers,
    SetDisplayName(GroupName),
    SetExternalId(Option<ExternalId>),
}

impl GroupChange {
    /// The ids that this change would make members.
    pub(crate) fn joining(&self) -> &[String] {
        match self {
            Self::AddMembers(ids) | Self::ReplaceMembers(ids) => ids,
            Self::RemoveMembers(_) | Self::ClearMembers | Self::SetDisplayName(_) | Self::SetExternalId(_) => &[],
        }
    }
}

/// A live member of a group.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) user: UserId,
    pub(crate) display_name: String,
}
