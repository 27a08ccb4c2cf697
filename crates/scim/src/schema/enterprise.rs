//! The enterprise extension of User (RFC 7643 section 4.3).

use std::sync::LazyLock;

use super::{Attribute, ENTERPRISE_USER_URN, Mutability, Schema};

/// The schema.
pub(super) static ENTERPRISE_USER: LazyLock<Schema> = LazyLock::new(|| Schema {
    id: ENTERPRISE_USER_URN,
    name: "EnterpriseUser",
    description: "Enterprise User",
    attributes: vec![
        Attribute::string("employeeNumber", "The number or code that the organisation gave the person."),
        Attribute::string("costCenter", "The name of a cost centre."),
        Attribute::string("organization", "The name of an organisation."),
        Attribute::string("division", "The name of a division."),
        Attribute::string("department", "The name of a department."),
        Attribute::complex("manager", manager(), "The user's manager."),
    ],
});

fn manager() -> Vec<Attribute> {
    vec![
        Attribute::string("value", "The id of the manager's user, kept as it was sent.").case_exact(),
        Attribute::reference("$ref", &["User"], "The address of the manager's user.").not_queryable(),
        Attribute::string("displayName", "The manager's name.").mutability(Mutability::ReadOnly),
    ]
}
