//! The body of a POST or PUT.
//!
//! Source: learn.microsoft.com, use-scim-to-provision-users-and-groups (nulls, `meta`, the second URN of a group, the
//! misspelt enterprise URN), customize-application-attributes (an extension's URN is missing in `schemas`); GitHub
//! simpleidserver/SimpleIdServer#376 and #733, lightdash/lightdash#28062.

use scim::schema::Schema;
use scim::{AttributePath, Definition, Error};
use serde_json::{Map, Value};

use crate::dropped::{Dropped, Reports};
use crate::elements;
use crate::names::{self, Name};

/// The body with canonical names and shapes, and what was dropped from it. Wrong types of known attributes stay.
pub fn resource<'s>(definition: impl Into<Definition<'s>>, body: Value) -> Result<(Value, Vec<Dropped>), Error> {
    let definition = definition.into();
    let Value::Object(body) = body else { return Err(Error::invalid_syntax("the body is not a JSON object")) };
    let mut reports = Reports::default();
    let mut found = Vec::new();
    for (key, value) in body {
        match names::resolve(definition, &key) {
            Name::Schema(schema) => open_schema(definition, schema, value, &mut found, &mut reports),
            Name::Attribute(path) => found.push(Found::Attribute(path, value)),
            Name::ServerOnly => {}
            Name::Unknown(reason) => reports.add(&key, reason),
        }
    }
    // Dotted names come last, so that they join the object that a plain name may have brought.
    found.sort_by_key(|found| matches!(found, Found::Attribute(path, _) if path.sub_attribute.is_some()));
    let mut object = Map::new();
    for found in found {
        match found {
            Found::Unreadable(schema, value) => {
                object.entry(schema.id).or_insert(value);
            }
            Found::Attribute(path, value) => set(&mut object, &path, value, &mut reports),
        }
    }
    Ok((Value::Object(object), reports.into_list()))
}

enum Found<'s> {
    Attribute(AttributePath<'s>, Value),
    /// Not an object where a schema's attributes belong; the engine says so.
    Unreadable(&'s Schema, Value),
}

fn open_schema<'s>(
    definition: Definition<'s>,
    schema: &'s Schema,
    value: Value,
    found: &mut Vec<Found<'s>>,
    reports: &mut Reports,
) {
    let members = match value {
        Value::Object(members) => members,
        Value::Null => return,
        Value::String(text) if text.is_empty() => return,
        other => {
            found.push(Found::Unreadable(schema, other));
            return;
        }
    };
    for (key, value) in members {
        let name = format!("{}:{key}", schema.id);
        match names::resolve(definition, &name) {
            Name::Attribute(path) => found.push(Found::Attribute(path, value)),
            Name::ServerOnly | Name::Schema(_) => {}
            Name::Unknown(reason) if !value.is_null() => reports.add(&name, reason),
            Name::Unknown(_) => {}
        }
    }
}

fn set(object: &mut Map<String, Value>, path: &AttributePath<'_>, value: Value, reports: &mut Reports) {
    let Some(value) = elements::value(path.leaf(), value, &path.to_string(), reports) else { return };
    let container = match path.extension {
        None => object,
        Some(extension) => {
            match object.entry(extension.id).or_insert_with(|| Value::Object(Map::new())) {
                Value::Object(members) => members,
                // The engine refuses what stands here.
                _ => return,
            }
        }
    };
    let name = &*path.attribute.name;
    let Some(sub) = path.sub_attribute else {
        container.insert(name.to_owned(), value);
        return;
    };
    let empty = || Value::Object(Map::new());
    let slot = container
        .entry(name)
        .or_insert_with(|| if path.attribute.multi_valued { Value::Array(vec![empty()]) } else { empty() });
    let slot = match slot {
        Value::Array(entries) => entries.first_mut(),
        single => Some(single),
    };
    if let Some(Value::Object(members)) = slot {
        members.insert(sub.name.to_string(), value);
    }
}

#[cfg(test)]
mod tests;
