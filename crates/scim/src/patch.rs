//! PATCH (RFC 7644 section 3.5.2).
//!
//! A user's operations are applied to the user as it was read, in memory, and give the whole new user ([`apply()`]). A
//! group's become a list of changes that need no reading ([`group_changes`]), since a group can be too large to read.

mod apply;
mod effort;
mod element;
mod group;

use serde_json::{Map, Value};

use crate::error::{Error, shown};
use crate::path::{AttributePath, Path};
use crate::schema::Definition;

pub use apply::apply;
pub use effort::PATCH_COMPARISONS_MAX;
pub use group::{GroupChange, group_changes};

/// How many operations one request may hold.
pub const PATCH_OPERATIONS_MAX: usize = 10_000;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Adds a value, or sets a single one.
    Add,
    /// Takes a value away.
    Remove,
    /// Sets a value.
    Replace,
}

/// What happens when the value filter of a path matches nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnMissing {
    /// The request is refused with `noTarget`, as the RFC has it.
    #[default]
    Refuse,
    /// An element is made from the filter's equality terms; a removal succeeds and does nothing.
    Create,
}

/// One operation, its path resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation<'s> {
    /// What it does.
    pub op: Op,
    /// To what; none means the resource itself.
    pub path: Option<Path<'s>>,
    /// With what value.
    pub value: Option<Value>,
    /// What happens when the path's filter matches nothing.
    pub on_missing: OnMissing,
}

impl<'s> Operation<'s> {
    /// An operation that refuses a filter without a match.
    pub fn new(op: Op, path: Option<Path<'s>>, value: Option<Value>) -> Self {
        Self { op, path, value, on_missing: OnMissing::Refuse }
    }
}

/// Reads the body of a PATCH as the RFC writes it.
pub fn parse<'s>(definition: impl Into<Definition<'s>>, body: Value) -> Result<Vec<Operation<'s>>, Error> {
    let definition = definition.into();
    let Value::Object(mut body) = body else { return Err(Error::invalid_syntax("the body is not a JSON object")) };
    let Some(Value::Array(entries)) = body.remove("Operations") else {
        return Err(Error::invalid_syntax("Operations is missing or not an array"));
    };
    if entries.is_empty() {
        return Err(Error::invalid_syntax("Operations is empty"));
    }
    let mut operations = Vec::with_capacity(entries.len().min(PATCH_OPERATIONS_MAX));
    for entry in entries {
        parse_entry(definition, entry, &mut operations)?;
        if operations.len() > PATCH_OPERATIONS_MAX {
            return Err(Error::payload_too_large(format!("there are more than {PATCH_OPERATIONS_MAX} operations")));
        }
    }
    Ok(operations)
}

fn parse_entry<'s>(definition: Definition<'s>, entry: Value, operations: &mut Vec<Operation<'s>>) -> Result<(), Error> {
    let Value::Object(mut entry) = entry else { return Err(Error::invalid_syntax("an operation is not an object")) };
    let op = match entry.remove("op") {
        Some(Value::String(op)) => match op.as_str() {
            "add" => Op::Add,
            "remove" => Op::Remove,
            "replace" => Op::Replace,
            _ => return Err(Error::invalid_syntax(format!("\"{}\" is not an operation", shown(&op)))),
        },
        _ => return Err(Error::invalid_syntax("op is missing or not text")),
    };
    let value = entry.remove("value");
    match entry.remove("path") {
        None => operations.push(Operation::new(op, None, value)),
        Some(Value::String(path)) => match extension_operations(definition, op, &path, value.as_ref()) {
            Some(expanded) => operations.extend(expanded),
            None => operations.push(Operation::new(op, Some(Path::parse(definition, &path)?), value)),
        },
        Some(_) => return Err(Error::invalid_path("path is not text")),
    }
    Ok(())
}

/// The operations that a path stands for that is nothing but a schema's URN; nothing if it is any other path.
pub fn extension_operations<'s>(
    definition: Definition<'s>,
    op: Op,
    path: &str,
    value: Option<&Value>,
) -> Option<Vec<Operation<'s>>> {
    let schema = definition.schema_by_urn(path)?;
    let extension = definition.extension(path);
    Some(match (op, extension) {
        (Op::Remove, Some(extension)) => {
            let removal = |attribute| {
                let path = AttributePath { extension: Some(extension), attribute, sub_attribute: None };
                Operation::new(Op::Remove, Some(path.into()), None)
            };
            extension.attributes.iter().map(removal).collect()
        }
        (Op::Remove, None) => vec![Operation::new(op, None, None)],
        (Op::Add | Op::Replace, _) => {
            let value = value.cloned().unwrap_or(Value::Null);
            let object = Map::from_iter([(schema.id.to_owned(), value)]);
            vec![Operation::new(op, None, Some(Value::Object(object)))]
        }
    })
}

#[cfg(test)]
mod group_tests;
#[cfg(test)]
mod tests;
