//! The Group schema (RFC 7643 section 4.2).
//!
//! RFC 7643 does not require `displayName`; this server does, since clients find groups by it.

use super::{Attribute, GROUP_URN, Mutability, Schema};

const MEMBERS: &[Attribute] = &[
    Attribute::string("value", "The id of the member.").required().case_exact().mutability(Mutability::Immutable),
    Attribute::reference("$ref", &["User"], "The address of the member.").mutability(Mutability::Immutable),
    Attribute::string("display", "The member's name.").mutability(Mutability::ReadOnly),
    Attribute::string("type", "The member's resource type.").canonical(&["User"]).mutability(Mutability::Immutable),
];

/// The schema.
pub(super) static GROUP: Schema = Schema {
    id: GROUP_URN,
    name: "Group",
    description: "Group",
    attributes: &[
        Attribute::string("displayName", "The group's name, which no other group has.").required().unique(),
        Attribute::complex("members", MEMBERS, "The users in the group.").multi_valued(),
    ],
};
