//! Names arrive in odd case, dotted, qualified by a URN with a colon or a dot, or without the URN that they need.
//!
//! Source: learn.microsoft.com, application-provisioning-config-problem-scim-compatibility (`name.givenName` and URN
//! keys in values without a path; the dot form from before 2018-12); the default mapping table of
//! use-scim-to-provision-users-and-groups (`emails[type eq "other"].Value`, top-level `department` and `manager`);
//! GitHub ssoready/ssoready#167 (a URN has dots of its own).

use std::borrow::Cow;

use scim::schema::{Mutability, Schema};
use scim::{AttributePath, Definition};

use crate::dropped::Reason;

/// What a name stands for.
#[derive(Debug, PartialEq)]
pub(crate) enum Name<'s> {
    /// All attributes of a schema.
    Schema(&'s Schema),
    /// An attribute that only the server writes.
    ServerOnly,
    /// Any other attribute or sub-attribute.
    Attribute(AttributePath<'s>),
    /// Nothing that this server keeps.
    Unknown(Reason),
}

/// Resolves the key of an object, or a path without brackets.
pub(crate) fn resolve<'s>(definition: Definition<'s>, text: &str) -> Name<'s> {
    if let Some(schema) = definition.schema_by_urn(text) {
        return Name::Schema(schema);
    }
    let text = with_colon(definition, text);
    match attribute(definition, &text) {
        Some(path) => match path.leaf().mutability {
            Mutability::ReadOnly => Name::ServerOnly,
            // It would be thrown away; what is dropped is named in the log.
            Mutability::WriteOnly => Name::Unknown(Reason::Password),
            Mutability::ReadWrite | Mutability::Immutable => Name::Attribute(path),
        },
        None => Name::Unknown(reason(definition, &text)),
    }
}

/// The attribute of that name; one that only an extension has is found without its URN, and the `value` of a simple one is the attribute itself:
/// were it dropped, `active.value` would disable nobody.
pub(crate) fn attribute<'s>(definition: Definition<'s>, text: &str) -> Option<AttributePath<'s>> {
    let named = |text: &str| {
        AttributePath::parse(definition, text).ok().or_else(|| {
            let name = text.split('.').next()?;
            let (schema, _) = definition.extension_attribute(name)?;
            AttributePath::parse(definition, &format!("{}:{text}", schema.id)).ok()
        })
    };
    named(text).or_else(|| {
        let (name, last) = text.rsplit_once('.')?;
        named(name).filter(|path| last.eq_ignore_ascii_case("value") && !path.leaf().is_complex())
    })
}

/// The name with a colon between URN and attribute, where a dot stood.
pub(crate) fn with_colon<'t>(definition: Definition<'_>, text: &'t str) -> Cow<'t, str> {
    for schema in definition.schemas() {
        let Some((urn, rest)) = text.split_at_checked(schema.id.len()) else { continue };
        if let (true, Some(rest)) = (urn.eq_ignore_ascii_case(schema.id), rest.strip_prefix('.')) {
            return Cow::Owned(format!("{}:{rest}", schema.id));
        }
    }
    Cow::Borrowed(text)
}

/// Why a name is not known.
pub(crate) fn reason(definition: Definition<'_>, text: &str) -> Reason {
    let within = |schema: &Schema| {
        let prefix = text.split_at_checked(schema.id.len());
        prefix.is_some_and(|(urn, rest)| urn.eq_ignore_ascii_case(schema.id) && rest.starts_with(':'))
    };
    let last = text.rsplit(':').next().unwrap_or(text);
    if last.eq_ignore_ascii_case("password") {
        Reason::Password
    } else if text.contains(':') && !definition.schemas().any(within) {
        Reason::UnknownSchema
    } else {
        Reason::UnknownAttribute
    }
}

#[cfg(test)]
mod tests {
    use scim::ResourceType;
    use scim::schema::ENTERPRISE_USER_URN;

    use super::*;

    fn check(text: &str, expect: &str) {
        match resolve(ResourceType::User.into(), text) {
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
    fn the_value_of_a_simple_attribute_is_the_attribute() {
        check("active.value", "active");
        check("name.givenName.Value", "name.givenName");
        check("emails.value", "emails.value");
    }

    #[test]
    fn a_dot_after_the_urn_counts_as_a_colon() {
        check(&format!("{ENTERPRISE_USER_URN}.employeeNumber"), &format!("{ENTERPRISE_USER_URN}:employeeNumber"));
    }

    #[test]
    fn what_is_not_kept_is_told_apart() {
        let check = |text: &str, expect: Name| assert_eq!(resolve(ResourceType::User.into(), text), expect, "{text}");
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
