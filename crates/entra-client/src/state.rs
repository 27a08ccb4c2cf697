//! What the client remembers between cycles, as Entra keeps the ids of what it has provisioned.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What was provisioned, by Entra object id. It grows during a cycle, also during one that fails, and can be stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Users by their object id.
    pub users: BTreeMap<Uuid, UserLink>,
    /// Groups by their object id.
    pub groups: BTreeMap<Uuid, GroupLink>,
}

/// A user's SCIM id, and what was last sent and acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserLink {
    /// The SCIM id.
    pub id: String,
    /// The userName last sent.
    pub user_name: String,
    /// The value of `active` last sent.
    pub active: bool,
    /// The SCIM id of the manager last sent, or found there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
}

/// A group's SCIM id, and what was last sent and acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupLink {
    /// The SCIM id.
    pub id: String,
    /// The displayName last sent.
    pub display_name: String,
}
