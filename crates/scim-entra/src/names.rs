//! Names arrive in odd case, dotted, qualified by a URN with a colon or a dot, or without the URN that they need.
//!
//! Source: learn.microsoft.com, application-provisioning-config-problem-scim-compatibility (`name.givenName` and URN
//! keys in values without a path; the dot form from before 2018-12); the default mapping table of
//! use-scim-to-provision-users-and-groups (`emails[type eq "other"].Value`, top-level `department` and `manager`);
//! GitHub ssoready/ssoready#167 (a URN has dots of its own).

use std::borrow::Cow;

use scim::schema::{Mutability, Schema};
use scim::{AttributePath, ResourceType};

use crate::dropped::Reason;

/// What a name stands for.
#[derive(Debug, PartialEq)]
pub(crate) enum Name {
    /// All attributes of a schema.
    Schema(&'static Schema),
    /// An attribute that only the server writes.
    ServerOnly,
    /// Any other attribute or sub-attribute.
    Attribute(AttributePath),
    /// Nothing that this server keeps.
    Unknown(Reason),
}

/// Resolves the key of an object, or a path without brackets.
pub(crate) fn resolve(resource_type: ResourceType, text: &str) -> Name {
    if let Some(schema) = resource_type.schema_by_urn(text) {
        return Name::Schema(schema);
    }
    let text = with_colon(resource_type, text);
    match attribute(resource_type, &text) {
        Some(path) if path.attribute.mutability == Mutability::ReadOnly => Name::ServerOnly,
        Some(path) => Name::Attribute(path),
        None => Name::Unknown(reason(resource_type, &text)),
    }
}

/// The attribute of that name; one that only an extension has is found without its URN.
pub(crate) fn attribute(resource_type: ResourceType, text: &str) -> Option<AttributePath> {
    AttributePath::parse(resource_type, text).ok().or_else(|| {
        let name = text.split('.').next()?;
        let (schema, _) = resource_type.extension_attribute(name)?;
        AttributePath::parse(resource_type, &format!("{}:{text}", schema.id)).ok()
    })
}

/// The name with a colon between URN and attribute, where a dot stood.
pub(crate) fn with_colon(resource_type: ResourceType, text: &str) -> Cow<'_, str> {
    for schema in resource_type.schemas() {
        let Some((urn, rest)) = text.split_at_checked(schema.id.len()) else { continue };
        if let (true, Some(rest)) = (urn.eq_ignore_ascii_case(schema.id), rest.strip_prefix('.')) {
            return Cow::Owned(format!("{}:{rest}", schema.id));
        }
    }
    Cow::Borrowed(text)
}

/// Why a name is not known.
pub(crate) fn reason(resource_type: ResourceType, text: &str) -> Reason {
    let within = |schema: &Schema| {
        let prefix = text.split_at_checked(schema.id.len());
        prefix.is_some_and(|(urn, rest)| urn.eq_ignore_ascii_case(schema.id) && rest.starts_with(':'))
    };
    let last = text.rsplit(':').next().unwrap_or(text);
    if last.eq_ignore_ascii_case("password") {
        Reason::Password
    } else if text.contains(':') && !resource_type.schemas().any(within) {
        Reason::UnknownSchema
    } else {
        Reason::UnknownAttribute
    }
}

#[cfg(test)]
mod tests {
    use scim::schema::ENTERPRISE_USER_URN;

    use super::*;

    fn check(text: &str, expect: &str) {
        match resolve(ResourceType::User, text) {
            Name::Attribute(path) => assert_eq!(path.to_string(), expect),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn extension_attributes_are_found_without_their_urn() {
        check("Department", &format!("{ENTERPRISE_USER_URN}:department"));
        check("manager.value", &format!("{ENTERPRISE_USER_URN}:manager.value"));
    }

    #[test]
    fn a_dot_after_the_urn_counts_as_a_colon() {
        check(&format!("{ENTERPRISE_USER_URN}.employeeNumber"), &format!("{ENTERPRISE_USER_URN}:employeeNumber"));
    }

    #[test]
    fn what_is_not_kept_is_told_apart() {
        let check = |text: &str, expect: Name| assert_eq!(resolve(ResourceType::User, text), expect, "{text}");
        check("shoeSize", Name::Unknown(Reason::UnknownAttribute));
        check("Größe", Name::Unknown(Reason::UnknownAttribute));
        check("emails[", Name::Unknown(Reason::UnknownAttribute));
        check("Password", Name::Unknown(Reason::Password));
        check("urn:ietf:params:scim:schemas:core:2.0:User:password", Name::Unknown(Reason::Password));
        check("urn:ietf:params:scim:schemas:extension:enterprise:2.0User", Name::Unknown(Reason::UnknownSchema));
        check(&format!("{ENTERPRISE_USER_URN}:shoeSize"), Name::Unknown(Reason::UnknownAttribute));
        check("meta.location", Name::ServerOnly);
    }
}
