//! Applies operations to a resource in memory: all of them, or none.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::effort::Effort;
use super::element::{self, Target};
use super::{Op, Operation};
use crate::error::{Error, shown};
use crate::path::{AttributePath, Path};
use crate::resource::{Resource, checked_value};
use crate::schema::{Definition, Mutability};

/// The resource as it is after all operations, in order. An operation that fails leaves nothing behind.
pub fn apply<'s>(resource: &Resource<'s>, operations: &[Operation<'s>]) -> Result<Resource<'s>, Error> {
    let definition = resource.definition();
    let mut work = Work { object: resource.as_object().clone(), shrunk: HashSet::new(), effort: Effort::default() };
    for operation in operations {
        match &operation.path {
            Some(path) => work.at_path(operation, path)?,
            None => work.without_path(definition, operation)?,
        }
    }
    let patched = Resource::from_trusted_object(definition, work.finish());
    patched.check_required()?;
    Ok(patched)
}

struct Work<'s> {
    object: Map<String, Value>,
    /// The multi-valued attributes of which a sub-attribute was taken away.
    shrunk: HashSet<(Option<&'s str>, &'s str)>,
    effort: Effort,
}

impl<'s> Work<'s> {
    /// The value is an object of attributes, each of which is its own target.
    fn without_path(&mut self, definition: Definition<'s>, operation: &Operation<'s>) -> Result<(), Error> {
        if operation.op == Op::Remove {
            return Err(Error::no_target("a remove operation needs a path"));
        }
        let Some(Value::Object(members)) = &operation.value else {
            return Err(Error::invalid_value("the value of an operation without a path must be an object"));
        };
        for (key, value) in members {
            let Some(schema) = definition.schema_by_urn(key) else {
                let attribute = definition.attribute(key).ok_or_else(|| unknown(key))?;
                self.member(operation, &AttributePath { extension: None, attribute, sub_attribute: None }, value)?;
                continue;
            };
            let extension = definition.extension(key);
            let Value::Object(members) = value else {
                return Err(Error::invalid_value(format!("{} is not an object", schema.id)));
            };
            for (key, value) in members {
                let attribute = schema.attribute(key).ok_or_else(|| unknown(&format!("{}:{key}", schema.id)))?;
                self.member(operation, &AttributePath { extension, attribute, sub_attribute: None }, value)?;
            }
        }
        Ok(())
    }

    fn member(&mut self, operation: &Operation<'s>, path: &AttributePath<'s>, value: &Value) -> Result<(), Error> {
        // A client that sends a whole resource back sends what only the server writes along with it.
        if path.attribute.mutability == Mutability::ReadOnly {
            return Ok(());
        }
        let target = Target { op: operation.op, path, filter: None, on_missing: operation.on_missing };
        self.change(&target, Some(value))
    }

    fn at_path(&mut self, operation: &Operation<'s>, path: &Path<'s>) -> Result<(), Error> {
        let read_only = |attribute: &crate::schema::Attribute| attribute.mutability == Mutability::ReadOnly;
        if read_only(path.attribute.attribute) || read_only(path.attribute.leaf()) {
            return Err(Error::mutability(format!("{} cannot be changed by a client", path.attribute)));
        }
        let value = operation.value.as_ref();
        let is_whole = path.filter.is_none() && path.attribute.sub_attribute.is_none();
        if operation.op == Op::Remove && is_whole && path.attribute.attribute.required {
            return Err(Error::mutability(format!("{} is required and cannot be removed", path.attribute)));
        }
        if value.is_none() && operation.op != Op::Remove {
            return Err(Error::invalid_value(format!("the operation on {} has no value", path.attribute)));
        }
        let target = Target {
            op: operation.op,
            path: &path.attribute,
            filter: path.filter.as_ref(),
            on_missing: operation.on_missing,
        };
        self.change(&target, value)
    }

    fn change(&mut self, target: &Target<'_, 's>, value: Option<&Value>) -> Result<(), Error> {
        let path = target.path;
        if path.attribute.mutability == Mutability::WriteOnly {
            // It is thrown away, but only after it was looked at, as in a create.
            return checked_value(path.attribute, value.cloned().unwrap_or_default(), &path.to_string()).map(drop);
        }
        let parts = value.and_then(Value::as_object);
        let unassigns_part = parts.is_some_and(|parts| parts.values().any(Value::is_null));
        if unassigns_part || (path.sub_attribute.is_some() && target.unassigns(value)) {
            self.shrunk.insert((path.extension.map(|extension| extension.id), path.attribute.name.as_ref()));
        }
        let Some(extension) = path.extension else {
            self.effort.spend(&self.object, target, value)?;
            return element::change(&mut self.object, target, value);
        };
        let entry = self.object.entry(extension.id).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(container) = entry else {
            return Err(Error::invalid_value(format!("{} is not an object", extension.id)));
        };
        self.effort.spend(container, target, value)?;
        element::change(container, target, value)?;
        if container.is_empty() {
            self.object.remove(extension.id);
        }
        Ok(())
    }

    /// An element that lost its value and keeps nothing but what it was selected by is gone. This is decided at the
    /// end, since a later operation of the request may give the element a new value.
    fn finish(mut self) -> Map<String, Value> {
        for (extension, name) in self.shrunk {
            let container = match extension {
                Some(urn) => self.object.get_mut(urn).and_then(Value::as_object_mut),
                None => Some(&mut self.object),
            };
            let Some(container) = container else { continue };
            let Some(Value::Array(elements)) = container.get_mut(name) else { continue };
            elements.retain(|element| !element::is_husk(element));
            if elements.is_empty() {
                container.remove(name);
            }
        }
        self.object
    }
}

fn unknown(name: &str) -> Error {
    Error::invalid_syntax(format!("the attribute {} is not known", shown(name)))
}
