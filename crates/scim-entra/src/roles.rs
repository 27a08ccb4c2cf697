//! Roles arrive as JSON inside a string, and with `displayName` where the schema says `display`.
//!
//! Source: learn.microsoft.com, customize-application-attributes (SingleAppRoleAssignment and
//! AppRoleAssignmentsComplex); GitHub Captain-P-Goldfish/SCIM-SDK#516, MicrosoftDocs/azure-docs#50772.
//!
//! Entra adds the roles that a user has and never removes one that the user lost. So an addition that carries Entra's
//! mark sets the whole list: everything in it came from the directory.

use scim::schema::Attribute;
use serde_json::{Map, Value};

/// The type that Entra gives an app role.
const ENTRA_ROLE_TYPE: &str = "WindowsAzureActiveDirectoryRole";

/// The role itself, where it stood in a string or in the `value` of an object; one role may be a list of one.
pub(crate) fn unwrapped(entry: Value) -> Value {
    match entry {
        Value::String(text) => match in_text(&text) {
            Some(role) => Value::Object(role),
            None => Value::String(text),
        },
        Value::Object(mut members) => {
            let key = members.keys().find(|key| key.eq_ignore_ascii_case("value")).cloned();
            let role = key.as_ref().and_then(|key| members.get(key)).and_then(Value::as_str).and_then(in_text);
            if let (Some(key), Some(role)) = (key, role) {
                members.remove(&key);
                members.extend(role);
            }
            Value::Object(members)
        }
        Value::Array(entries) => entries.into_iter().map(unwrapped).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => entry,
    }
}

/// The role that a text holds as JSON. Its `id` is the app role's own, which nothing here refers to.
fn in_text(text: &str) -> Option<Map<String, Value>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let Ok(Value::Object(mut role)) = serde_json::from_str(text) else { return None };
    role.remove("id");
    Some(role)
}

/// The name of the sub-attribute that a key means.
pub(crate) fn renamed<'a>(attribute: &Attribute, key: &'a str) -> &'a str {
    if attribute.name == "roles" && key.eq_ignore_ascii_case("displayName") { "display" } else { key }
}

/// Whether the roles bear Entra's mark, before they are unwrapped.
pub(crate) fn are_from_entra(value: &Value) -> bool {
    let member = |entry: &Value, name: &str| -> Option<String> {
        let (_, text) = entry.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        text.as_str().map(str::to_owned)
    };
    let marked = |entry: &Value| {
        let text = entry.as_str().map(str::to_owned).or_else(|| member(entry, "value"));
        text.is_some_and(|text| in_text(&text).is_some())
            || member(entry, "type").is_some_and(|name| name.eq_ignore_ascii_case(ENTRA_ROLE_TYPE))
    };
    match value {
        Value::Array(entries) => entries.iter().any(marked),
        other => marked(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_role_in_a_string_is_unwrapped() {
        let text = r#"{"id":"06b0","value":"Admin","displayName":"Administrator"}"#;
        let expect = json!({"value": "Admin", "displayName": "Administrator"});
        assert_eq!(unwrapped(json!({"Value": text})), expect);
        assert_eq!(unwrapped(json!(text)), expect);
        assert_eq!(unwrapped(json!([{"value": text}])), json!([expect]));
        assert_eq!(unwrapped(json!({"value": "{not json"})), json!({"value": "{not json"}));
    }

    #[test]
    fn the_mark_of_entra_is_the_string_form_or_the_type() {
        assert!(are_from_entra(&json!([{"value": "{\"value\":\"Admin\"}"}])));
        assert!(are_from_entra(&json!([{"value": "Admin", "type": ENTRA_ROLE_TYPE}])));
        assert!(are_from_entra(&json!("{\"value\":\"Admin\"}")));
        assert!(!are_from_entra(&json!([{"value": "Admin"}])) && !are_from_entra(&json!("Admin")));
    }
}
