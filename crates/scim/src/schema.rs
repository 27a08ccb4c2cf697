//! The attributes that a service provider knows (RFC 7643 sections 2, 4, 7 and 8).
//!
//! Those of the RFC are the same for everyone; a service provider may add attributes of its own to users, under a URN of their own. Everything
//! that looks a name up does so in a [`Definition`], so that what validation knows, what filters know and what discovery says cannot differ.
//!
//! Look-ups ignore case (RFC 7643 section 2.1), for URNs too.

mod attribute;
mod common;
mod definition;
mod enterprise;
mod group;
mod user;
mod user_attribute;

use std::borrow::Cow;

pub use attribute::{Attribute, Kind, Mutability, Returned, Uniqueness};
pub use definition::{Definition, Schemas};
pub use user_attribute::{UserAttribute, UserAttributeKind};

pub(crate) use common::{COMMON, EXTERNAL_ID};

/// The schema URN of the User core schema.
pub const USER_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The schema URN of the Group core schema.
pub const GROUP_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The schema URN of the enterprise extension of User.
pub const ENTERPRISE_USER_URN: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// The schema URN of the attributes of users that a service provider adds.
pub const USER_ATTRIBUTE_URN: &str = "urn:rollcall:params:1.0:UserAttribute";

/// What a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceType {
    /// A person's account.
    User,
    /// A named set of users.
    Group,
}

impl ResourceType {
    /// Every resource type, in the order in which discovery lists them.
    pub const ALL: [Self; 2] = [Self::User, Self::Group];

    /// The name, as `meta.resourceType` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// The endpoint, relative to the address of the service.
    pub const fn endpoint(self) -> &'static str {
        match self {
            Self::User => "/Users",
            Self::Group => "/Groups",
        }
    }

    /// What discovery says of the resource type.
    pub const fn description(self) -> &'static str {
        match self {
            Self::User => "User Account",
            Self::Group => "Group",
        }
    }
}

/// A named set of attributes.
#[derive(Debug, PartialEq)]
pub struct Schema {
    /// The URN.
    pub id: &'static str,
    /// The name for people.
    pub name: &'static str,
    /// What it describes.
    pub description: &'static str,
    /// The attributes, in the order in which they are shown.
    pub attributes: Vec<Attribute>,
}

impl Schema {
    /// The attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        find(&self.attributes, name)
    }
}

/// A text of a schema: known when the program is built, or a service provider's own.
type Text = Cow<'static, str>;

fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Definition<'static> {
        ResourceType::User.into()
    }

    fn group() -> Definition<'static> {
        ResourceType::Group.into()
    }

    #[test]
    fn names_and_urns_are_found_without_case() {
        assert_eq!(user().attribute("USERNAME").map(|a| a.name.as_ref()), Some("userName"));
        assert_eq!(group().attribute("ExternalId").map(|a| a.name.as_ref()), Some("externalId"));
        let urn = ENTERPRISE_USER_URN.to_uppercase();
        assert_eq!(user().extension(&urn).map(|s| s.id), Some(ENTERPRISE_USER_URN));
        assert!(group().extension(&urn).is_none());
    }

    #[test]
    fn match_attributes_compare_as_the_directory_expects() {
        let user_name = user().attribute("userName").unwrap();
        assert!(!user_name.case_exact && user_name.required && user_name.uniqueness == Uniqueness::Server);
        let display_name = group().attribute("displayName").unwrap();
        assert!(!display_name.case_exact && display_name.required && display_name.uniqueness == Uniqueness::Server);
        assert!(user().attribute("externalId").unwrap().case_exact);
    }

    #[test]
    fn types_are_canonical_where_the_rfc_lists_them_and_free_for_roles() {
        let values = |name: &str| user().attribute(name).unwrap().sub_attribute("type").unwrap();
        for name in ["emails", "phoneNumbers", "addresses", "ims", "photos"] {
            assert!(!values(name).canonical_values.is_empty(), "{name}");
        }
        for name in ["roles", "entitlements", "x509Certificates"] {
            assert!(values(name).canonical_values.is_empty(), "{name}");
        }
    }

    #[test]
    fn names_are_unique_within_their_parent() {
        fn check(attributes: &[Attribute]) {
            for (at, attribute) in attributes.iter().enumerate() {
                let same = attributes.iter().skip(at + 1).any(|other| other.name.eq_ignore_ascii_case(&attribute.name));
                assert!(!same, "{}", attribute.name);
                assert_eq!(attribute.is_complex(), !attribute.sub_attributes.is_empty(), "{}", attribute.name);
                check(&attribute.sub_attributes);
            }
        }
        for resource_type in ResourceType::ALL {
            Definition::from(resource_type).schemas().for_each(|schema| check(&schema.attributes));
        }
        check(&COMMON);
    }
}
