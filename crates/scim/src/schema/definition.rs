//! What is known of one resource type: its core schema, its extensions and the common attributes.

use std::sync::LazyLock;

use super::{
    Attribute, COMMON, ResourceType, Schema, UserAttribute, enterprise::ENTERPRISE_USER, find, group::GROUP,
    user::USER, user_attribute,
};

/// The schemas of one service provider: those of the RFC, and the attributes of users that it adds.
#[derive(Debug, Default)]
pub struct Schemas {
    user_attributes: Option<Schema>,
}

impl Schemas {
    /// Those of the RFC, and these attributes of users; each name once, whatever its case.
    pub fn new(user_attributes: impl IntoIterator<Item = UserAttribute>) -> Self {
        Self { user_attributes: user_attribute::schema(user_attributes) }
    }

    /// Those of the RFC alone.
    pub fn standard() -> &'static Self {
        static STANDARD: LazyLock<Schemas> = LazyLock::new(Schemas::default);
        &STANDARD
    }

    /// What is known of a resource type.
    pub fn of(&self, resource_type: ResourceType) -> Definition<'_> {
        Definition { resource_type, schemas: self }
    }

    /// What is known of every resource type.
    pub fn definitions(&self) -> [Definition<'_>; 2] {
        ResourceType::ALL.map(|resource_type| self.of(resource_type))
    }
}

/// What is known of one resource type.
#[derive(Clone, Copy, Debug)]
pub struct Definition<'s> {
    resource_type: ResourceType,
    schemas: &'s Schemas,
}

impl PartialEq for Definition<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.resource_type == other.resource_type && std::ptr::eq(self.schemas, other.schemas)
    }
}

impl From<ResourceType> for Definition<'static> {
    /// The definition of the RFC alone.
    fn from(resource_type: ResourceType) -> Self {
        Schemas::standard().of(resource_type)
    }
}

impl<'s> Definition<'s> {
    /// Which resource type.
    pub const fn resource_type(self) -> ResourceType {
        self.resource_type
    }

    /// The core schema.
    pub fn schema(self) -> &'s Schema {
        match self.resource_type {
            ResourceType::User => &USER,
            ResourceType::Group => &GROUP,
        }
    }

    /// The extensions, none of them required.
    pub fn extensions(self) -> impl Iterator<Item = &'s Schema> {
        let of_users: [Option<&'s Schema>; 2] = match self.resource_type {
            ResourceType::User => [Some(&ENTERPRISE_USER), self.schemas.user_attributes.as_ref()],
            ResourceType::Group => [None, None],
        };
        of_users.into_iter().flatten()
    }

    /// The core schema, then the extensions.
    pub fn schemas(self) -> impl Iterator<Item = &'s Schema> {
        std::iter::once(self.schema()).chain(self.extensions())
    }

    /// The core attributes and those of every resource.
    pub fn attributes(self) -> impl Iterator<Item = &'s Attribute> {
        self.schema().attributes.iter().chain(COMMON.iter())
    }

    /// The core or common attribute of that name.
    pub fn attribute(self, name: &str) -> Option<&'s Attribute> {
        self.schema().attribute(name).or_else(|| find(&COMMON, name))
    }

    /// The extension of that URN.
    pub fn extension(self, urn: &str) -> Option<&'s Schema> {
        self.extensions().find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }

    /// The core schema or extension of that URN.
    pub fn schema_by_urn(self, urn: &str) -> Option<&'s Schema> {
        self.schemas().find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }

    /// The first extension attribute of that name, for a client that leaves the URN away.
    pub fn extension_attribute(self, name: &str) -> Option<(&'s Schema, &'s Attribute)> {
        self.extensions().find_map(|schema| schema.attribute(name).map(|attribute| (schema, attribute)))
    }
}
