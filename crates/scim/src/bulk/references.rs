//! References to what another operation of the same request makes: the text `bulkId:` and that operation's `bulkId` (RFC 7644 section 3.7.2).
//!
//! They are looked for where ids stand: a text under `value`, `$ref` or `manager`, in the path of an operation, and as the value of a PATCH.
//! Elsewhere the same text is what it says.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

/// What a reference begins with.
pub const REFERENCE_MARK: &str = "bulkId:";

/// Where an id may stand.
const PLACES: [&str; 3] = ["value", "$ref", "manager"];

/// What became of the references in a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolution {
    /// The value with ids in the place of references; what refers to something that is not there yet is left out.
    pub value: Option<Value>,
    /// The names of what was left out, each once.
    pub missing: BTreeSet<String>,
}

/// The names that a value refers to, in order.
pub fn references(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(value, true, &mut found);
    found
}

fn collect(value: &Value, is_place: bool, found: &mut Vec<String>) {
    match value {
        Value::String(text) if is_place => found.extend(text.strip_prefix(REFERENCE_MARK).map(str::to_owned)),
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, is_place, found)),
        Value::Object(members) => {
            for (key, member) in members {
                collect(member, is_id_place(key), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_id_place(key: &str) -> bool {
    let name = key.rsplit([':', '.']).next().unwrap_or(key);
    PLACES.iter().any(|place| place.eq_ignore_ascii_case(name))
}

/// Puts the ids that are known in the place of references. An object whose reference is not known yet is left out with it.
pub fn resolve(value: Value, ids: &HashMap<String, String>) -> Resolution {
    let mut missing = BTreeSet::new();
    let value = resolved(value, true, ids, &mut missing);
    Resolution { value, missing }
}

fn resolved(
    value: Value,
    is_place: bool,
    ids: &HashMap<String, String>,
    missing: &mut BTreeSet<String>,
) -> Option<Value> {
    match value {
        Value::String(text) if is_place => match text.strip_prefix(REFERENCE_MARK) {
            None => Some(Value::String(text)),
            Some(name) => match ids.get(name) {
                Some(id) => Some(Value::String(id.clone())),
                None => {
                    missing.insert(name.to_owned());
                    None
                }
            },
        },
        Value::Array(elements) => {
            let kept = elements.into_iter().filter_map(|element| resolved(element, is_place, ids, missing));
            Some(Value::Array(kept.collect()))
        }
        Value::Object(members) => {
            let mut kept = serde_json::Map::new();
            for (key, member) in members {
                let is_place = is_id_place(&key);
                let is_text = member.is_string();
                match resolved(member, is_place, ids, missing) {
                    Some(member) => {
                        kept.insert(key, member);
                    }
                    // The reference is what the object is for.
                    None if is_text && is_place => return None,
                    None => {}
                }
            }
            Some(Value::Object(kept))
        }
        other => Some(other),
    }
}
