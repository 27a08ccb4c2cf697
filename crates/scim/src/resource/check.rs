//! Checks one value against the definition of its attribute (RFC 7643 section 2).

use std::collections::BTreeMap;

use serde_json::Value;

use super::{MEMBERS_MAX, STRING_LENGTH_MAX, VALUES_MAX, in_schema_order};
use crate::error::{Error, shown};
use crate::schema::{Attribute, Kind, Mutability};

/// The value with canonical names, or nothing if it says "unassigned": null, an empty array, an object without
/// members (RFC 7643 section 2.5).
pub(crate) fn checked_value(attribute: &Attribute, value: Value, at: &str) -> Result<Option<Value>, Error> {
    match value {
        Value::Null => Ok(None),
        Value::Array(elements) if attribute.multi_valued => checked_elements(attribute, elements, at),
        other if attribute.multi_valued => Err(wrong_type(at, "an array", &other)),
        single => checked_element(attribute, single, at),
    }
}

fn checked_elements(attribute: &Attribute, elements: Vec<Value>, at: &str) -> Result<Option<Value>, Error> {
    let limit = if attribute.name == "members" { MEMBERS_MAX } else { VALUES_MAX };
    if elements.len() > limit {
        return Err(too_many_values(attribute, at, limit));
    }
    let mut checked = Vec::with_capacity(elements.len());
    for (index, element) in elements.into_iter().enumerate() {
        checked.extend(checked_element(attribute, element, &format!("{at}[{index}]"))?);
    }
    Ok((!checked.is_empty()).then_some(Value::Array(checked)))
}

/// One element of a multi-valued attribute, or the value of a single-valued one.
pub(crate) fn checked_element(attribute: &Attribute, value: Value, at: &str) -> Result<Option<Value>, Error> {
    let expected = match (attribute.kind, &value) {
        (_, Value::Null) => return Ok(None),
        (Kind::Complex, Value::Object(_)) => return checked_object(attribute, value, at),
        (Kind::String | Kind::Reference | Kind::Binary | Kind::DateTime, Value::String(text)) => {
            check_text(text, at)?;
            return Ok(Some(value));
        }
        (Kind::Boolean, Value::Bool(_)) => return Ok(Some(value)),
        (Kind::Decimal, Value::Number(number)) if is_exact(number) => return Ok(Some(value)),
        (Kind::Decimal, Value::Number(_)) => "a number that 64 bits can hold exactly",
        (Kind::Integer, Value::Number(number)) if number.is_i64() => return Ok(Some(value)),
        (Kind::Complex, _) => "an object",
        (Kind::Boolean, _) => "true or false",
        (Kind::Decimal, _) => "a number",
        (Kind::Integer, _) => "a whole number",
        (Kind::String | Kind::Reference | Kind::Binary | Kind::DateTime, _) => "text",
    };
    Err(wrong_type(at, expected, &value))
}

/// Whether a whole number keeps its value as a double, which is what numbers are stored as. 2^53 is the last without a gap below it.
fn is_exact(number: &serde_json::Number) -> bool {
    let magnitude = number.as_i64().map(i64::unsigned_abs).or_else(|| number.as_u64());
    magnitude.is_none_or(|magnitude| magnitude <= 1 << 53)
}

fn checked_object(attribute: &Attribute, value: Value, at: &str) -> Result<Option<Value>, Error> {
    let Value::Object(members) = value else { return Err(wrong_type(at, "an object", &value)) };
    let mut found = BTreeMap::new();
    for (key, value) in members {
        let Some(sub) = attribute.sub_attribute(&key) else {
            return Err(Error::invalid_syntax(format!("the attribute {at}.{} is not known", shown(&key))));
        };
        if sub.mutability == Mutability::ReadOnly {
            continue;
        }
        if let Some(value) = checked_value(sub, value, &format!("{at}.{}", sub.name))? {
            found.insert(sub.name.as_ref(), value);
        }
    }
    let missing = |sub: &&Attribute| sub.required && !found.contains_key(&*sub.name);
    if let Some(sub) = attribute.sub_attributes.iter().find(missing) {
        return Err(Error::invalid_value(format!("{at}.{} is required", sub.name)));
    }
    let ordered = in_schema_order(found, &attribute.sub_attributes);
    Ok((!ordered.is_empty()).then_some(Value::Object(ordered)))
}

/// A group can be sent in parts; no other list has a reason to be so long.
fn too_many_values(attribute: &Attribute, at: &str, limit: usize) -> Error {
    let detail = format!("{at} has more than {limit} values");
    if attribute.name == "members" { Error::payload_too_large(detail) } else { Error::invalid_value(detail) }
}

fn check_text(text: &str, at: &str) -> Result<(), Error> {
    if text.len() > STRING_LENGTH_MAX {
        return Err(Error::invalid_value(format!("{at} is longer than {STRING_LENGTH_MAX} bytes")));
    }
    // A database's text cannot hold it, and no name needs it.
    if text.contains('\0') {
        return Err(Error::invalid_value(format!("{at} contains the character U+0000")));
    }
    Ok(())
}

fn wrong_type(at: &str, expected: &str, value: &Value) -> Error {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    Error::invalid_value(format!("{at} must be {expected}, not {found}"))
}

/// Leaves at most one element primary (RFC 7643 section 2.4): the first that says so.
pub(crate) fn keep_one_primary(value: &mut Value) {
    let Value::Array(elements) = value else { return };
    if let Some(first) = elements.iter().position(is_primary) {
        yield_primary(elements, first);
    }
}

/// Makes every primary element but the one at `winner` an ordinary one.
pub(crate) fn yield_primary(elements: &mut [Value], winner: usize) {
    for (at, element) in elements.iter_mut().enumerate() {
        if at != winner
            && is_primary(element)
            && let Value::Object(members) = element
        {
            members.insert("primary".to_owned(), Value::Bool(false));
        }
    }
}

/// Whether an element says that it is the preferred one.
pub(crate) fn is_primary(element: &Value) -> bool {
    element.get("primary") == Some(&Value::Bool(true))
}
