//! Members arrive as objects with `"$ref": null`, a `displayName`, or as bare ids.
//!
//! Source: learn.microsoft.com, use-scim-to-provision-users-and-groups (group samples); GitHub
//! AzureAD/SCIMReferenceCode#20 and #10, Azure/AzureAD-BYOA-Provisioning-Samples#24.
//!
//! An entry that cannot be read stays in the list, so that the engine refuses the request. Dropping it could turn
//! "remove these" into "remove nobody", or worse, into "remove all".

use serde_json::{Map, Value};

/// The list with nothing but the `value` of each entry.
pub(crate) fn list(value: Value) -> Value {
    match value {
        Value::Array(entries) => Value::Array(entries.into_iter().map(entry).collect()),
        Value::Object(_) => Value::Array(vec![entry(value)]),
        Value::String(id) if !id.is_empty() => Value::Array(vec![entry(Value::String(id))]),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

fn entry(value: Value) -> Value {
    let id = match value {
        Value::Object(members) => {
            members.into_iter().find(|(key, _)| key.eq_ignore_ascii_case("value")).map(|(_, id)| id)
        }
        Value::String(id) => Some(Value::String(id)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return value,
    };
    Value::Object(id.into_iter().map(|id| ("value".to_owned(), id)).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_value_of_an_entry_is_read() {
        let sent = json!([{"$ref": null, "Value": "u1"}, {"value": "u2", "displayName": "U"}, "u3"]);
        assert_eq!(list(sent), json!([{"value": "u1"}, {"value": "u2"}, {"value": "u3"}]));
        assert_eq!(list(json!({"value": "u1"})), json!([{"value": "u1"}]));
        assert_eq!(list(json!("u1")), json!([{"value": "u1"}]));
    }

    #[test]
    fn what_cannot_be_read_stays_unreadable() {
        for value in
            [json!(null), json!(""), json!(5), json!([null]), json!([5]), json!([{}]), json!([{"value": null}])]
        {
            assert_eq!(list(value.clone()), value);
        }
    }
}
