//! The one table of names: which field of the proto holds a SCIM attribute.
//!
//! It is read forwards for filters and backwards for refusals, which name a field that an administrator knows by its
//! SCIM name.

use scim::{
    AttributePath, Definition, ResourceType,
    schema::{Attribute, USER_ATTRIBUTE_URN},
};

/// The field of what a tenant defined by itself.
pub(crate) const USER_ATTRIBUTES: &str = "user_attributes";

/// Where an attribute stands in the proto.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// The repeated field, when the attribute has many values.
    pub(crate) list: Option<String>,
    /// The field's path, within an element if there is a list. Empty for the elements themselves.
    pub(crate) name: String,
}

impl Field {
    fn single(name: impl Into<String>) -> Self {
        Self { list: None, name: name.into() }
    }

    /// The path from the resource, as refusals write it.
    pub(crate) fn path(&self) -> String {
        match &self.list {
            Some(list) if self.name.is_empty() => list.clone(),
            Some(list) => format!("{list}.{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// The field of an attribute, unless the proto has none.
pub(crate) fn of(resource_type: ResourceType, path: &AttributePath<'_>) -> Option<Field> {
    match (resource_type, path.extension) {
        (ResourceType::User, Some(extension)) if extension.id == USER_ATTRIBUTE_URN => {
            Some(Field::single(format!("{USER_ATTRIBUTES}.{}", path.attribute.name)))
        }
        (ResourceType::User, Some(_)) => enterprise_field(path),
        (ResourceType::User, None) => common_field(path).or_else(|| user_field(path)),
        (ResourceType::Group, _) => common_field(path).or_else(|| group_field(path)),
    }
}

/// The SCIM name of a field, as identity names it in a refusal. A field that is no attribute keeps its name.
pub(crate) fn attribute_name(resource_type: ResourceType, field: &str) -> String {
    if resource_type == ResourceType::Group && matches!(field, "member_ids" | "changes" | "user_ids") {
        return "members".to_owned();
    }
    if let Some(name) = field.strip_prefix(USER_ATTRIBUTES).and_then(|rest| rest.strip_prefix('.')) {
        return format!("{USER_ATTRIBUTE_URN}:{name}");
    }
    let known = paths(resource_type.into()).find(|path| of(resource_type, path).is_some_and(|at| at.path() == field));
    known.map_or_else(|| field.to_owned(), |path| path.to_string())
}

fn common_field(path: &AttributePath<'_>) -> Option<Field> {
    let sub_attribute = path.sub_attribute.map(|sub| sub.name.as_ref());
    match (path.attribute.name.as_ref(), sub_attribute) {
        ("id", None) => Some(Field::single("id")),
        ("externalId", None) => Some(Field::single("external_id")),
        ("displayName", None) => Some(Field::single("display_name")),
        ("meta", Some("created")) => Some(Field::single("create_time")),
        ("meta", Some("lastModified")) => Some(Field::single("update_time")),
        (_, _) => None,
    }
}

fn user_field(path: &AttributePath<'_>) -> Option<Field> {
    let attribute = path.attribute;
    let sub_attribute = path.sub_attribute.map(|sub| snake_case(&sub.name));
    match (attribute.name.as_ref(), sub_attribute) {
        ("schemas" | "meta" | "id" | "externalId" | "displayName", _) => None,
        ("userName", _) => Some(Field::single("user_name")),
        // It is kept nowhere.
        ("password", _) => None,
        ("groups", sub_attribute) => related("groups", "group_id", sub_attribute.as_deref()),
        // An administrator's suspension is no part of what SCIM reads (rule R23).
        ("active", _) => Some(Field::single("provisioned_active")),
        (name, sub_attribute) if attribute.multi_valued => {
            Some(Field { list: Some(format!("profile.{}", snake_case(name))), name: sub_attribute.unwrap_or_default() })
        }
        (name, Some(sub_attribute)) => Some(Field::single(format!("profile.{}.{sub_attribute}", snake_case(name)))),
        (name, None) => Some(Field::single(format!("profile.{}", snake_case(name)))),
    }
}

fn enterprise_field(path: &AttributePath<'_>) -> Option<Field> {
    let name = match (path.attribute.name.as_ref(), path.sub_attribute.map(|sub| sub.name.as_ref())) {
        ("manager", Some("value") | None) => "manager_id".to_owned(),
        ("manager", Some("displayName")) => "manager_display_name".to_owned(),
        // The address of the manager follows from the id and is not kept.
        ("manager", Some(_)) => return None,
        (name, _) => snake_case(name),
    };
    Some(Field::single(format!("profile.enterprise.{name}")))
}

fn group_field(path: &AttributePath<'_>) -> Option<Field> {
    match (path.attribute.name.as_ref(), path.sub_attribute.map(|sub| sub.name.as_ref())) {
        ("members", sub_attribute) => related("members", "user_id", sub_attribute),
        (_, _) => None,
    }
}

/// A list of other resources.
fn related(list: &str, id: &str, sub_attribute: Option<&str>) -> Option<Field> {
    let name = match sub_attribute {
        None => "",
        Some("value") => id,
        Some("display") => "display_name",
        // The type is always the same, and the address follows from the id.
        Some(_) => return None,
    };
    Some(Field { list: Some(list.to_owned()), name: name.to_owned() })
}

/// Every path of a resource type; sub-attributes before the attribute that they belong to, so that the narrower name
/// is found first.
fn paths(definition: Definition<'_>) -> impl Iterator<Item = AttributePath<'_>> {
    let core = definition.attributes().map(|attribute| (None, attribute));
    let extensions = definition
        .extensions()
        .flat_map(|schema| schema.attributes.iter().map(move |attribute| (Some(schema), attribute)));
    core.chain(extensions).flat_map(|(extension, attribute): (_, &Attribute)| {
        let subs = attribute.sub_attributes.iter().map(Some).chain([None]);
        subs.map(move |sub_attribute| AttributePath { extension, attribute, sub_attribute })
    })
}

fn snake_case(name: &str) -> String {
    name.chars().fold(String::with_capacity(name.len() + 4), |mut snake, c| {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
        snake
    })
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    fn check(resource_type: ResourceType, attribute: &str, field: &str) {
        let path = AttributePath::parse(resource_type, attribute).unwrap();
        assert_eq!(of(resource_type, &path).map(|at| at.path()), Some(field.to_owned()), "{attribute}");
        assert_eq!(attribute_name(resource_type, field), path.to_string(), "{field}");
    }

    #[test]
    fn attributes_and_fields_name_each_other() {
        const ENTERPRISE: &str = scim::schema::ENTERPRISE_USER_URN;
        check(ResourceType::User, "userName", "user_name");
        check(ResourceType::User, "active", "provisioned_active");
        check(ResourceType::User, "name.givenName", "profile.name.given_name");
        check(ResourceType::User, "profileUrl", "profile.profile_url");
        check(ResourceType::User, "emails", "profile.emails");
        check(ResourceType::User, "x509Certificates.value", "profile.x509_certificates.value");
        check(ResourceType::User, "addresses.postalCode", "profile.addresses.postal_code");
        check(ResourceType::User, &format!("{ENTERPRISE}:costCenter"), "profile.enterprise.cost_center");
        check(ResourceType::User, &format!("{ENTERPRISE}:manager.value"), "profile.enterprise.manager_id");
        check(ResourceType::User, "meta.created", "create_time");
        check(ResourceType::User, "groups.value", "groups.group_id");
        check(ResourceType::Group, "displayName", "display_name");
        check(ResourceType::Group, "members.value", "members.user_id");
        check(ResourceType::Group, "meta.lastModified", "update_time");
    }

    #[test]
    fn what_is_no_attribute_keeps_its_name() {
        assert_eq!(attribute_name(ResourceType::User, "page_token"), "page_token");
        let own = format!("{USER_ATTRIBUTE_URN}:shoeSize");
        assert_eq!(attribute_name(ResourceType::User, "user_attributes.shoeSize"), own);
        assert_eq!(attribute_name(ResourceType::Group, "member_ids"), "members");
    }

    /// Reads the names of a message's fields out of the descriptor set, so that a field that is renamed breaks this
    /// test.
    #[test]
    fn every_field_exists_in_the_proto() {
        let set = prost_types::FileDescriptorSet::decode(proto::DESCRIPTOR_SET).unwrap();
        let messages: Vec<_> = set.file.iter().flat_map(|file| &file.message_type).collect();
        let exists = |message: &str, path: &str| {
            let mut message = message.to_owned();
            path.split('.').all(|name| {
                let Some(found) = messages.iter().find(|m| m.name() == message) else { return false };
                let Some(field) = found.field.iter().find(|field| field.name() == name) else { return false };
                message = field.type_name().rsplit('.').next().unwrap_or_default().to_owned();
                true
            })
        };
        for path in paths(ResourceType::User.into()) {
            if let Some(field) = of(ResourceType::User, &path)
                && !path.attribute.is_complex() | path.sub_attribute.is_some()
            {
                assert!(exists("User", &field.path()), "{path}: {field:?}");
            }
        }
        assert!(exists("Member", "user_id") && exists("Member", "display_name") && exists("Group", "external_id"));
    }
}
