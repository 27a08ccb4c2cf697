//! The Group schema (RFC 7643 section 4.2).
//!
//! RFC 7643 does not require `displayName`; this server does, since clients find groups by it. `members.display` costs a look at every member,
//! so it is answered only to those who ask for it by name.

use std::sync::LazyLock;

use super::{Attribute, GROUP_URN, Mutability, Returned, Schema};

/// The schema.
pub(super) static GROUP: LazyLock<Schema> = LazyLock::new(|| Schema {
    id: GROUP_URN,
    name: "Group",
    description: "Group",
    attributes: vec![
        Attribute::string("displayName", "The group's name, which no other group has.").required().unique(),
        Attribute::complex("members", members(), "The users in the group.").multi_valued(),
    ],
});

fn members() -> Vec<Attribute> {
    vec![
        Attribute::string("value", "The id of the member.").required().case_exact().mutability(Mutability::Immutable),
        Attribute::reference("$ref", &["User"], "The address of the member.")
            .mutability(Mutability::Immutable)
            .not_queryable(),
        Attribute::string("display", "The member's name.").mutability(Mutability::ReadOnly).returned(Returned::Request),
        Attribute::string("type", "The member's resource type.").canonical(&["User"]).mutability(Mutability::Immutable),
    ]
}
