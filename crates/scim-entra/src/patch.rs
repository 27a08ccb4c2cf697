//! The body of a PATCH, in both of Entra's forms: a path for every operation, or one value with many keys.
//!
//! Source: learn.microsoft.com, application-provisioning-config-problem-scim-compatibility (both forms, `op` in any
//! case), use-scim-to-provision-users-and-groups (`schemas` after `Operations`); GitHub langwatch/langwatch#6972
//! (`op`), scimmyjs/scimmy#59 (no operations at all).

mod operation;

use scim::patch::{Op, Operation, PATCH_OPERATIONS_MAX};
use scim::{Definition, Error};
use serde_json::{Map, Value};

use crate::dropped::Dropped;
use operation::Rewriter;

/// The operations for the engine, each with a path, and what was dropped from them.
pub fn patch<'s>(
    definition: impl Into<Definition<'s>>,
    body: Value,
) -> Result<(Vec<Operation<'s>>, Vec<Dropped>), Error> {
    let Value::Object(body) = body else { return Err(Error::invalid_syntax("the body is not a JSON object")) };
    let mut entries = None;
    for (key, value) in body {
        if key.eq_ignore_ascii_case("Operations") {
            entries = Some(value);
        } else if key.eq_ignore_ascii_case("schemas") && !matches!(value, Value::Array(_) | Value::Null) {
            return Err(Error::invalid_syntax("schemas is not an array"));
        }
    }
    let Some(Value::Array(entries)) = entries else {
        return Err(Error::invalid_syntax("Operations is missing or not an array"));
    };
    if entries.len() > PATCH_OPERATIONS_MAX {
        return Err(too_many());
    }
    let mut rewriter = Rewriter::new(definition.into());
    for entry in entries {
        let entry = Entry::parse(entry)?;
        rewriter.operation(entry.op, entry.path.as_deref(), entry.value)?;
        if rewriter.operations.len() > PATCH_OPERATIONS_MAX {
            return Err(too_many());
        }
    }
    Ok((rewriter.operations, rewriter.reports.into_list()))
}

fn too_many() -> Error {
    Error::payload_too_large(format!("there are more than {PATCH_OPERATIONS_MAX} operations"))
}

struct Entry {
    op: Op,
    path: Option<String>,
    value: Option<Value>,
}

impl Entry {
    fn parse(entry: Value) -> Result<Self, Error> {
        let Value::Object(mut entry) = entry else {
            return Err(Error::invalid_syntax("an operation is not an object"));
        };
        let op = match take(&mut entry, "op") {
            Some(Value::String(op)) => op_of(&op)?,
            Some(_) | None => return Err(Error::invalid_syntax("op is missing or not text")),
        };
        let path = match take(&mut entry, "path") {
            Some(Value::String(path)) => Some(path).filter(|path| !path.trim().is_empty()),
            Some(Value::Null) | None => None,
            Some(_) => return Err(Error::invalid_path("path is not text")),
        };
        Ok(Self { op, path, value: take(&mut entry, "value") })
    }
}

fn take(entry: &mut Map<String, Value>, name: &str) -> Option<Value> {
    let key = entry.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned()?;
    entry.remove(&key)
}

fn op_of(text: &str) -> Result<Op, Error> {
    match text.to_ascii_lowercase().as_str() {
        "add" => Ok(Op::Add),
        "remove" => Ok(Op::Remove),
        "replace" => Ok(Op::Replace),
        _ => Err(Error::invalid_syntax("op is none of add, remove and replace")),
    }
}

#[cfg(test)]
mod tests;
