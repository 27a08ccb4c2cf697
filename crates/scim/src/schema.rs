//! The attributes that this server knows (RFC 7643 sections 2, 4, 7 and 8) as constant data.
//!
//! Look-ups ignore case (RFC 7643 section 2.1), for URNs too.

mod common;
mod enterprise;
mod group;
mod user;

pub use common::COMMON;
pub(crate) use common::EXTERNAL_ID;

/// The schema URN of the User core schema.
pub const USER_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The schema URN of the Group core schema.
pub const GROUP_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The schema URN of the enterprise extension of User.
pub const ENTERPRISE_USER_URN: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

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

    /// The core schema.
    pub fn schema(self) -> &'static Schema {
        match self {
            Self::User => &user::USER,
            Self::Group => &group::GROUP,
        }
    }

    /// The extensions, none of them required.
    pub fn extensions(self) -> &'static [&'static Schema] {
        static USER_EXTENSIONS: [&Schema; 1] = [&enterprise::ENTERPRISE_USER];
        match self {
            Self::User => &USER_EXTENSIONS,
            Self::Group => &[],
        }
    }

    /// The core schema, then the extensions.
    pub fn schemas(self) -> impl Iterator<Item = &'static Schema> {
        std::iter::once(self.schema()).chain(self.extensions().iter().copied())
    }

    /// The core or common attribute of that name.
    pub fn attribute(self, name: &str) -> Option<&'static Attribute> {
        self.schema().attribute(name).or_else(|| find(COMMON, name))
    }

    /// The extension of that URN.
    pub fn extension(self, urn: &str) -> Option<&'static Schema> {
        self.extensions().iter().copied().find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }

    /// The core schema or extension of that URN.
    pub fn schema_by_urn(self, urn: &str) -> Option<&'static Schema> {
        self.schemas().find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }

    /// The one extension attribute of that name, for a client that leaves the URN away.
    pub fn extension_attribute(self, name: &str) -> Option<(&'static Schema, &'static Attribute)> {
        self.extensions().iter().find_map(|schema| schema.attribute(name).map(|attribute| (*schema, attribute)))
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
    pub attributes: &'static [Attribute],
}

impl Schema {
    /// The attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        find(self.attributes, name)
    }
}

fn find(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

/// The data type of an attribute (RFC 7643 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text.
    String,
    /// True or false.
    Boolean,
    /// A number.
    Decimal,
    /// A number without a fraction.
    Integer,
    /// A point in time, as text.
    DateTime,
    /// Bytes, as base64 text.
    Binary,
    /// A URI, as text.
    Reference,
    /// An object with sub-attributes.
    Complex,
}

impl Kind {
    /// The keyword in `/Schemas`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Decimal => "decimal",
            Self::Integer => "integer",
            Self::DateTime => "dateTime",
            Self::Binary => "binary",
            Self::Reference => "reference",
            Self::Complex => "complex",
        }
    }
}

/// Who may write an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutability {
    /// Only the server.
    ReadOnly,
    /// The client, at any time.
    ReadWrite,
    /// The client, once.
    Immutable,
}

impl Mutability {
    /// The keyword in `/Schemas`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "readOnly",
            Self::ReadWrite => "readWrite",
            Self::Immutable => "immutable",
        }
    }
}

/// When an attribute is in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Returned {
    /// Whatever the client asked for.
    Always,
    /// Unless the client asked for others only.
    Default,
}

impl Returned {
    /// The keyword in `/Schemas`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Default => "default",
        }
    }
}

/// Within what a value is unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Uniqueness {
    /// Nothing.
    None,
    /// The resources of one type of one tenant.
    Server,
}

impl Uniqueness {
    /// The keyword in `/Schemas`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Server => "server",
        }
    }
}

/// The definition of an attribute or sub-attribute (RFC 7643 section 7).
#[derive(Debug, PartialEq)]
pub struct Attribute {
    /// The name as this server spells it.
    pub name: &'static str,
    /// The type of the value, or of each value.
    pub kind: Kind,
    /// Whether the value is an array.
    pub multi_valued: bool,
    /// Whether a resource, or an element, must have it.
    pub required: bool,
    /// Whether comparison regards case.
    pub case_exact: bool,
    /// Who may write it.
    pub mutability: Mutability,
    /// When it is in an answer.
    pub returned: Returned,
    /// Within what it is unique.
    pub uniqueness: Uniqueness,
    /// Values that a client is advised to use; others are accepted.
    pub canonical_values: &'static [&'static str],
    /// What a reference may point at.
    pub reference_types: &'static [&'static str],
    /// The parts of a complex attribute.
    pub sub_attributes: &'static [Attribute],
    /// What it means.
    pub description: &'static str,
}

impl Attribute {
    /// The sub-attribute of that name.
    pub fn sub_attribute(&self, name: &str) -> Option<&'static Attribute> {
        find(self.sub_attributes, name)
    }

    /// Whether the attribute has sub-attributes.
    pub fn is_complex(&self) -> bool {
        self.kind == Kind::Complex
    }

    const fn new(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self {
            name,
            kind,
            multi_valued: false,
            required: false,
            // Comparing these without case would equate values that differ.
            case_exact: matches!(kind, Kind::Reference | Kind::Binary | Kind::DateTime),
            mutability: Mutability::ReadWrite,
            returned: Returned::Default,
            uniqueness: Uniqueness::None,
            canonical_values: &[],
            reference_types: &[],
            sub_attributes: &[],
            description,
        }
    }

    const fn string(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Kind::String, description)
    }

    const fn complex(name: &'static str, sub_attributes: &'static [Self], description: &'static str) -> Self {
        Self { sub_attributes, ..Self::new(name, Kind::Complex, description) }
    }

    const fn reference(name: &'static str, types: &'static [&'static str], description: &'static str) -> Self {
        Self { reference_types: types, ..Self::new(name, Kind::Reference, description) }
    }

    const fn multi_valued(self) -> Self {
        Self { multi_valued: true, ..self }
    }

    const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    const fn case_exact(self) -> Self {
        Self { case_exact: true, ..self }
    }

    const fn mutability(self, mutability: Mutability) -> Self {
        Self { mutability, ..self }
    }

    const fn always(self) -> Self {
        Self { returned: Returned::Always, ..self }
    }

    const fn unique(self) -> Self {
        Self { uniqueness: Uniqueness::Server, ..self }
    }

    const fn canonical(self, values: &'static [&'static str]) -> Self {
        Self { canonical_values: values, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_urns_are_found_without_case() {
        assert_eq!(ResourceType::User.attribute("USERNAME").map(|a| a.name), Some("userName"));
        assert_eq!(ResourceType::Group.attribute("ExternalId").map(|a| a.name), Some("externalId"));
        let urn = ENTERPRISE_USER_URN.to_uppercase();
        assert_eq!(ResourceType::User.extension(&urn).map(|s| s.id), Some(ENTERPRISE_USER_URN));
        assert!(ResourceType::Group.extension(&urn).is_none());
    }

    #[test]
    fn match_attributes_compare_as_the_directory_expects() {
        let user_name = ResourceType::User.attribute("userName").unwrap();
        assert!(!user_name.case_exact && user_name.required && user_name.uniqueness == Uniqueness::Server);
        let display_name = ResourceType::Group.attribute("displayName").unwrap();
        assert!(!display_name.case_exact && display_name.required && display_name.uniqueness == Uniqueness::Server);
        assert!(ResourceType::User.attribute("externalId").unwrap().case_exact);
    }

    #[test]
    fn types_are_canonical_where_the_rfc_lists_them_and_free_for_roles() {
        let values = |name: &str| ResourceType::User.attribute(name).unwrap().sub_attribute("type").unwrap();
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
                let same = attributes.iter().skip(at + 1).any(|other| other.name.eq_ignore_ascii_case(attribute.name));
                assert!(!same, "{}", attribute.name);
                assert_eq!(attribute.is_complex(), !attribute.sub_attributes.is_empty(), "{}", attribute.name);
                check(attribute.sub_attributes);
            }
        }
        for resource_type in ResourceType::ALL {
            resource_type.schemas().for_each(|schema| check(schema.attributes));
        }
        check(COMMON);
    }
}
