//! Numbers arrive as text, since a directory's attributes are texts whatever they are mapped to.
//!
//! Source: learn.microsoft.com, customize-application-attributes (a mapping converts no types but by an expression, and
//! none of its functions makes a number).

use serde_json::{Number, Value};

/// The number that a text stands for.
pub(crate) fn from_text(text: &str) -> Option<Number> {
    serde_json::from_str(text.trim()).ok()
}

/// The value with text made a number; anything else is left for the engine to judge.
pub(crate) fn coerced(value: Value) -> Value {
    match &value {
        Value::String(text) => from_text(text).map_or(value, Value::Number),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_becomes_a_number_and_nothing_else_does() {
        for (text, expect) in [("42", json!(42)), (" -1.5 ", json!(-1.5)), ("0x1", json!("0x1")), ("", json!(""))] {
            assert_eq!(coerced(json!(text)), expect);
        }
        assert_eq!(coerced(json!(true)), json!(true));
    }
}
