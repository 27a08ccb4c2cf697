//! The definition of one attribute (RFC 7643 sections 2.2 to 2.4 and 7).

use super::{Text, find};

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
    /// The client, at any time, and nobody reads it.
    WriteOnly,
}

impl Mutability {
    /// The keyword in `/Schemas`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "readOnly",
            Self::ReadWrite => "readWrite",
            Self::Immutable => "immutable",
            Self::WriteOnly => "writeOnly",
        }
    }
}

/// When an attribute is in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Returned {
    /// Whatever the client asked for.
    Always,
    /// Whatever the client asked for, it is not.
    Never,
    /// Unless the client asked for others only.
    Default,
    /// Only when the client asked for it by name.
    Request,
}

impl Returned {
    /// The keyword in `/Schemas`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Never => "never",
            Self::Default => "default",
            Self::Request => "request",
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
    pub name: Text,
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
    /// Whether a filter or an order may name it. What is made up anew for each answer, and what nobody may read, has nothing to be looked up.
    pub queryable: bool,
    /// What a reference may point at.
    pub reference_types: &'static [&'static str],
    /// The parts of a complex attribute.
    pub sub_attributes: Vec<Attribute>,
    /// What it means.
    pub description: Text,
}

impl Attribute {
    /// The sub-attribute of that name.
    pub fn sub_attribute(&self, name: &str) -> Option<&Attribute> {
        find(&self.sub_attributes, name)
    }

    /// Whether the attribute has sub-attributes.
    pub fn is_complex(&self) -> bool {
        self.kind == Kind::Complex
    }

    pub(super) fn new(name: impl Into<Text>, kind: Kind, description: impl Into<Text>) -> Self {
        Self {
            name: name.into(),
            kind,
            multi_valued: false,
            required: false,
            // Comparing these without case would equate values that differ.
            case_exact: matches!(kind, Kind::Reference | Kind::Binary | Kind::DateTime),
            mutability: Mutability::ReadWrite,
            returned: Returned::Default,
            uniqueness: Uniqueness::None,
            canonical_values: &[],
            queryable: true,
            reference_types: &[],
            sub_attributes: Vec::new(),
            description: description.into(),
        }
    }

    pub(super) fn string(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Kind::String, description)
    }

    pub(super) fn complex(name: &'static str, sub_attributes: Vec<Self>, description: &'static str) -> Self {
        Self { sub_attributes, ..Self::new(name, Kind::Complex, description) }
    }

    pub(super) fn reference(name: &'static str, types: &'static [&'static str], description: &'static str) -> Self {
        Self { reference_types: types, ..Self::new(name, Kind::Reference, description) }
    }

    pub(super) fn multi_valued(self) -> Self {
        Self { multi_valued: true, ..self }
    }

    pub(super) fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(super) fn case_exact(self) -> Self {
        Self { case_exact: true, ..self }
    }

    pub(super) fn mutability(self, mutability: Mutability) -> Self {
        Self { mutability, ..self }
    }

    pub(super) fn returned(self, returned: Returned) -> Self {
        Self { returned, ..self }
    }

    pub(super) fn not_queryable(self) -> Self {
        Self { queryable: false, ..self }
    }

    pub(super) fn unique(self) -> Self {
        Self { uniqueness: Uniqueness::Server, ..self }
    }

    pub(super) fn canonical(self, values: &'static [&'static str]) -> Self {
        Self { canonical_values: values, ..self }
    }
}
