//! Attributes of users that a service provider adds, as an extension of User (RFC 7643 section 3.3).

use super::{Attribute, Kind, Schema, USER_ATTRIBUTE_URN};

/// The type of such an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UserAttributeKind {
    /// One text.
    String,
    /// One number.
    Number,
    /// True or false.
    Boolean,
    /// Texts.
    StringList,
    /// Numbers.
    NumberList,
}

/// An attribute that a service provider adds to users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserAttribute {
    /// The name: a letter, then letters, digits, `_` and `-`.
    pub name: String,
    /// The type.
    pub kind: UserAttributeKind,
    /// What it means.
    pub description: String,
}

impl From<UserAttribute> for Attribute {
    fn from(UserAttribute { name, kind, description }: UserAttribute) -> Self {
        let (kind, multi_valued) = match kind {
            UserAttributeKind::String => (Kind::String, false),
            UserAttributeKind::Number => (Kind::Decimal, false),
            UserAttributeKind::Boolean => (Kind::Boolean, false),
            UserAttributeKind::StringList => (Kind::String, true),
            UserAttributeKind::NumberList => (Kind::Decimal, true),
        };
        Self { multi_valued, ..Self::new(name, kind, description) }
    }
}

/// The extension, unless it would be empty.
pub(super) fn schema(attributes: impl IntoIterator<Item = UserAttribute>) -> Option<Schema> {
    let attributes: Vec<Attribute> = attributes.into_iter().map(Attribute::from).collect();
    (!attributes.is_empty()).then_some(Schema {
        id: USER_ATTRIBUTE_URN,
        name: "UserAttribute",
        description: "Attributes of users that this service adds",
        attributes,
    })
}
