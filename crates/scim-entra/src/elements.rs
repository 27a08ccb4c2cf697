//! Values arrive in more shapes than the schema allows: null or empty text for nothing, one object where a list
//! belongs, a list or a `{value}` where one value belongs, bare text for an object with a `value`.
//!
//! Source: learn.microsoft.com, use-scim-to-provision-users-and-groups (explicit nulls, `[{"$ref", "value"}]` for a
//! manager); AzureAD/SCIMReferenceCode, SCIMTests_Workflow.json (`""` and null clear a value); GitHub
//! Captain-P-Goldfish/SCIM-SDK#541 and #686, apache/directory-scimple#1242 (a manager as bare text);
//! learn.microsoft.com/answers 1693075 (`[{"value"}]` for simple values).

use scim::schema::{Attribute, Kind};
use serde_json::{Map, Value};

use crate::dropped::{Reason, Reports};
use crate::{booleans, members, numbers, roles};

/// What becomes of a sub-attribute that says "nothing".
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Nothing {
    /// It is left away: the object is a whole new value.
    Absent,
    /// It stays as null: the object is merged into an old value, and takes this part away.
    Null,
}

/// The value of an attribute; none if it says "nothing".
pub(crate) fn value(attribute: &Attribute, value: Value, at: &str, reports: &mut Reports) -> Option<Value> {
    if attribute.name == "members" {
        return Some(members::list(value)).filter(|list| !list.is_null());
    }
    if !attribute.multi_valued {
        return element(attribute, value, at, reports, Nothing::Absent);
    }
    let entries = match value {
        Value::Array(entries) => entries,
        Value::Object(_) | Value::String(_) => vec![value],
        Value::Null => return None,
        Value::Number(_) if attribute.kind == Kind::Decimal => vec![value],
        // A number or boolean is no value of any other such attribute; the engine says so.
        Value::Bool(_) | Value::Number(_) => return Some(value),
    };
    let entries: Vec<Value> = entries
        .into_iter()
        .map(|entry| if attribute.name == "roles" { roles::unwrapped(entry) } else { entry })
        .filter_map(|entry| listed(attribute, entry, at, reports))
        .collect();
    (!entries.is_empty()).then_some(Value::Array(entries))
}

/// One element of a list. An inner list is left for the engine to refuse.
fn listed(attribute: &Attribute, entry: Value, at: &str, reports: &mut Reports) -> Option<Value> {
    if entry.is_array() {
        return Some(entry);
    }
    element(attribute, entry, at, reports, Nothing::Absent)
}

/// A single value, or one element of a list.
pub(crate) fn element(
    attribute: &Attribute,
    value: Value,
    at: &str,
    reports: &mut Reports,
    nothing: Nothing,
) -> Option<Value> {
    match (attribute.kind, value) {
        (_, Value::Null) => None,
        (_, Value::String(text)) if text.is_empty() && !attribute.required => None,
        (_, Value::Array(mut entries)) if entries.len() <= 1 => {
            entries.pop().and_then(|entry| element(attribute, entry, at, reports, nothing))
        }
        (Kind::Complex, Value::Object(members)) => object(attribute, members, at, reports, nothing),
        (Kind::Complex, Value::String(text)) if attribute.sub_attribute("value").is_some() => {
            Some(Value::Object(Map::from_iter([("value".to_owned(), Value::String(text))])))
        }
        (Kind::Complex, other) => Some(other),
        (_, Value::Object(mut members)) => {
            // Taken out, not copied: there may be a long list in a hundred of these, one in the other.
            let key = members.keys().find(|key| key.eq_ignore_ascii_case("value")).cloned();
            match key.and_then(|key| members.remove(&key)) {
                Some(inner) => element(attribute, inner, at, reports, nothing),
                None => Some(Value::Object(members)),
            }
        }
        (Kind::Boolean, other) => Some(booleans::coerced(other)),
        (Kind::Decimal | Kind::Integer, other) => Some(numbers::coerced(other)),
        (_, other) => Some(other),
    }
}

fn object(
    attribute: &Attribute,
    members: Map<String, Value>,
    at: &str,
    reports: &mut Reports,
    nothing: Nothing,
) -> Option<Value> {
    let mut known = Map::new();
    let mut emptied = false;
    for (key, part) in members {
        let Some(sub) = attribute.sub_attribute(roles::renamed(attribute, &key)) else {
            // `"$ref": null` accompanies many values and means nothing.
            if !part.is_null() {
                reports.add(&format!("{at}.{key}"), Reason::UnknownAttribute);
            }
            continue;
        };
        match value(sub, part, &format!("{at}.{}", sub.name), reports) {
            Some(part) => {
                known.insert(sub.name.to_string(), part);
            }
            None if nothing == Nothing::Null => {
                known.insert(sub.name.to_string(), Value::Null);
            }
            None => emptied |= !is_label(&sub.name),
        }
    }
    let labels_only = emptied && known.keys().all(|name| is_label(name));
    (!known.is_empty() && !labels_only).then_some(Value::Object(known))
}

/// What an element is told apart by; without anything else, it is no value.
fn is_label(name: &str) -> bool {
    matches!(name, "type" | "primary")
}
