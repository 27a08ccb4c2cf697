//! Booleans arrive as the text `"True"` or `"False"`, in any case.
//!
//! Source: learn.microsoft.com, application-provisioning-config-problem-scim-compatibility; GitHub
//! bytebase/bytebase#19073 (users stayed active), simpleidserver/SimpleIdServer#376 (`"true"` for `primary`),
//! AzureAD/SCIMReferenceCode#21 (`active` in a POST).

use serde_json::Value;

/// The boolean that a text stands for.
pub(crate) fn from_text(text: &str) -> Option<bool> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// The value with text made boolean; anything else is left for the engine to judge.
pub(crate) fn coerced(value: Value) -> Value {
    match &value {
        Value::String(text) => from_text(text).map_or(value, Value::Bool),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_becomes_boolean_in_any_case() {
        for (text, expect) in [("True", json!(true)), ("FALSE", json!(false)), ("yes", json!("yes")), ("1", json!("1"))]
        {
            assert_eq!(coerced(json!(text)), expect);
        }
        assert_eq!(coerced(json!(1)), json!(1));
    }
}
