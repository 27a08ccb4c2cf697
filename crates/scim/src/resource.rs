//! A resource whose names and types are those of its schema (RFC 7643 sections 2 and 3), and how it is answered.

mod check;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::{Error, shown};
use crate::schema::{Attribute, Definition, Mutability, ResourceType, Schema};

pub(crate) use check::{checked_element, checked_value, is_primary, keep_one_primary, yield_primary};

/// How many members one request may name.
pub const MEMBERS_MAX: usize = 50_000;
/// How many values any other attribute may have. It bounds the work of a PATCH, whose every operation may look at each of them.
pub const VALUES_MAX: usize = 128;
/// The longest text of any attribute, in bytes.
pub const STRING_LENGTH_MAX: usize = 65_536;

/// The attributes of a resource that a client may write.
///
/// Names are spelled as in the schema, values have its types, and nothing is null or empty: what has no value is
/// absent. Extension attributes stand in an object under their URN. `schemas`, `id` and `meta` are not in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource<'s> {
    definition: Definition<'s>,
    object: Map<String, Value>,
}

/// What the server knows about a resource itself.
#[derive(Clone, Copy, Debug)]
pub struct Meta<'a> {
    /// The resource's id.
    pub id: &'a str,
    /// When it was made.
    pub created: OffsetDateTime,
    /// When it was last changed.
    pub last_modified: OffsetDateTime,
    /// Its address.
    pub location: &'a str,
    /// Its version as an ETag, such as `W/"3"`.
    pub version: Option<&'a str>,
}

impl<'s> Resource<'s> {
    /// Checks the body of a create or replace. Attributes that only the server writes are passed over.
    pub fn from_json(definition: impl Into<Definition<'s>>, body: Value) -> Result<Self, Error> {
        let definition = definition.into();
        let Value::Object(body) = body else {
            return Err(Error::invalid_syntax("the body is not a JSON object"));
        };
        let mut object = Map::new();
        for (key, value) in body {
            match definition.schema_by_urn(&key) {
                Some(schema) => insert_schema(definition, &mut object, schema, value)?,
                None => {
                    let attribute = definition.attribute(&key).ok_or_else(|| unknown(&key))?;
                    insert(&mut object, attribute, value, &attribute.name)?;
                }
            }
        }
        let resource = Self { definition, object };
        resource.check_required()?;
        Ok(resource)
    }

    /// Takes an object that is known to be well formed, such as one that the store gave back.
    pub fn from_trusted_object(definition: impl Into<Definition<'s>>, object: Map<String, Value>) -> Self {
        Self { definition: definition.into(), object }
    }

    /// What is known of such a resource.
    pub fn definition(&self) -> Definition<'s> {
        self.definition
    }

    /// The attributes.
    pub fn as_object(&self) -> &Map<String, Value> {
        &self.object
    }

    /// The attributes, without the type.
    pub fn into_object(self) -> Map<String, Value> {
        self.object
    }

    /// A core attribute, or the object of an extension, by its exact name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.object.get(name)
    }

    /// An attribute of an extension, by exact names.
    pub fn get_extension(&self, urn: &str, name: &str) -> Option<&Value> {
        self.object.get(urn)?.get(name)
    }

    /// The whole answer. Its members are written in the order of the schemas, which a reader sees wherever the map
    /// keeps the order of its members.
    pub fn to_response(&self, meta: &Meta<'_>) -> Map<String, Value> {
        let mut response = Map::new();
        response.insert("schemas".to_owned(), Value::from(self.schema_urns()));
        response.insert("id".to_owned(), Value::from(meta.id));
        let names = std::iter::once("externalId")
            .chain(self.definition.schema().attributes.iter().map(|attribute| attribute.name.as_ref()))
            .chain(self.definition.extensions().map(|extension| extension.id));
        for name in names {
            if let Some(value) = self.object.get(name) {
                response.insert(name.to_owned(), value.clone());
            }
        }
        response.insert("meta".to_owned(), meta.to_json(self.definition.resource_type()));
        response
    }

    /// The core URN, and the URNs of the extensions that have a value.
    fn schema_urns(&self) -> Vec<&'static str> {
        let extensions = self.definition.extensions().map(|extension| extension.id);
        std::iter::once(self.definition.schema().id)
            .chain(extensions.filter(|urn| self.object.contains_key(*urn)))
            .collect()
    }

    pub(crate) fn check_required(&self) -> Result<(), Error> {
        for attribute in self.definition.schema().attributes.iter().filter(|attribute| attribute.required) {
            let present = self.object.get(&*attribute.name).is_some_and(|value| match value {
                Value::String(text) => !text.trim().is_empty(),
                _ => true,
            });
            if !present {
                return Err(Error::invalid_value(format!("{} is required and must not be empty", attribute.name)));
            }
        }
        Ok(())
    }
}

impl Meta<'_> {
    /// The `meta` attribute.
    pub fn to_json(&self, resource_type: ResourceType) -> Value {
        let mut meta = Map::new();
        meta.insert("resourceType".to_owned(), Value::from(resource_type.name()));
        for (name, time) in [("created", self.created), ("lastModified", self.last_modified)] {
            if let Some(text) = date_text(time) {
                meta.insert(name.to_owned(), Value::from(text));
            }
        }
        meta.insert("location".to_owned(), json!(self.location));
        if let Some(version) = self.version {
            meta.insert("version".to_owned(), json!(version));
        }
        Value::Object(meta)
    }
}

/// Milliseconds are enough, and clients compare the text. A year beyond 9999 has no RFC 3339 form.
fn date_text(time: OffsetDateTime) -> Option<String> {
    let milliseconds = u32::from(time.millisecond()) * 1_000_000;
    time.replace_nanosecond(milliseconds).ok()?.format(&Rfc3339).ok()
}

fn insert_schema(
    definition: Definition<'_>,
    object: &mut Map<String, Value>,
    schema: &Schema,
    value: Value,
) -> Result<(), Error> {
    let members = match value {
        Value::Null => return Ok(()),
        Value::Object(members) => members,
        _ => return Err(Error::invalid_value(format!("{} is not an object", schema.id))),
    };
    let is_core = schema.id == definition.schema().id;
    let mut checked = Map::new();
    for (key, value) in members {
        let attribute = schema.attribute(&key).ok_or_else(|| unknown(&format!("{}:{key}", schema.id)))?;
        let target = if is_core { &mut *object } else { &mut checked };
        insert(target, attribute, value, &attribute.name)?;
    }
    if !checked.is_empty() {
        let extension = object.entry(schema.id).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(extension) = extension {
            extension.extend(checked);
        }
    }
    Ok(())
}

fn insert(object: &mut Map<String, Value>, attribute: &Attribute, value: Value, at: &str) -> Result<(), Error> {
    if attribute.mutability == Mutability::ReadOnly {
        return Ok(());
    }
    match checked_value(attribute, value, at)? {
        // It is thrown away, but only after it was looked at: a wrong type is a fault of the client's all the same.
        Some(_) | None if attribute.mutability == Mutability::WriteOnly => {}
        Some(mut value) => {
            keep_one_primary(&mut value);
            object.insert(attribute.name.to_string(), value);
        }
        None => {
            object.remove(&*attribute.name);
        }
    }
    Ok(())
}

fn unknown(name: &str) -> Error {
    Error::invalid_syntax(format!("the attribute {} is not known", shown(name)))
}

/// The members of an object in the order of the definitions.
pub(crate) fn in_schema_order(mut found: BTreeMap<&str, Value>, order: &[Attribute]) -> Map<String, Value> {
    let ordered = order.iter().filter_map(|a| found.remove(&*a.name).map(|value| (a.name.to_string(), value)));
    ordered.collect()
}

#[cfg(test)]
mod tests;
