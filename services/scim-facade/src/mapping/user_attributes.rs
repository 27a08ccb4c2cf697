//! The values of the attributes that a tenant defined, both ways. They stand in the resource under their URN.

use std::collections::HashMap;

use proto::identity::v1::{NumberList, StringList, UserAttributeValue, user_attribute_value::Kind};
use scim::schema::USER_ATTRIBUTE_URN;
use serde_json::{Map, Number, Value};

/// The largest whole number below which a double has no gaps: 2^53.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Takes the values out of a resource, whose types are those of the definitions.
pub(crate) fn take(object: &mut Map<String, Value>) -> HashMap<String, UserAttributeValue> {
    let Some(Value::Object(values)) = object.remove(USER_ATTRIBUTE_URN) else { return HashMap::new() };
    let wire = values.into_iter().filter_map(|(name, value)| Some((name, to_wire(value)?)));
    wire.map(|(name, kind)| (name, UserAttributeValue { kind: Some(kind) })).collect()
}

/// Puts the values into a resource.
pub(crate) fn put(object: &mut Map<String, Value>, values: HashMap<String, UserAttributeValue>) {
    // A map has no order, and an answer has one.
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let values: Map<String, Value> =
        values.into_iter().filter_map(|(name, value)| Some((name, to_json(value.kind?)))).collect();
    if !values.is_empty() {
        object.insert(USER_ATTRIBUTE_URN.to_owned(), Value::Object(values));
    }
}

fn to_wire(value: Value) -> Option<Kind> {
    match value {
        Value::String(text) => Some(Kind::String(text)),
        Value::Number(number) => number.as_f64().map(Kind::Number),
        Value::Bool(truth) => Some(Kind::Boolean(truth)),
        Value::Array(values) => list(values),
        Value::Null | Value::Object(_) => None,
    }
}

fn list(values: Vec<Value>) -> Option<Kind> {
    if values.first()?.is_number() {
        let values = values.iter().filter_map(Value::as_f64).collect();
        return Some(Kind::NumberList(NumberList { values }));
    }
    let texts = values.into_iter().filter_map(|value| match value {
        Value::String(text) => Some(text),
        _ => None,
    });
    Some(Kind::StringList(StringList { values: texts.collect() }))
}

fn to_json(kind: Kind) -> Value {
    match kind {
        Kind::String(text) => Value::String(text),
        Kind::Number(number) => number_to_json(number),
        Kind::Boolean(truth) => Value::Bool(truth),
        Kind::StringList(list) => Value::from(list.values),
        Kind::NumberList(list) => list.values.into_iter().map(number_to_json).collect(),
    }
}

/// Whole numbers are written as such: a directory that sent 42 and reads 42.0 may take it for another value.
fn number_to_json(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() <= WHOLE_MAX {
        let text = format!("{number:.0}");
        if let Ok(whole) = text.parse::<i64>() {
            return Value::from(whole);
        }
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn there_and_back(values: &Value) -> Value {
        let mut object = Map::from_iter([(USER_ATTRIBUTE_URN.to_owned(), values.clone())]);
        let wire = take(&mut object);
        assert!(object.is_empty());
        put(&mut object, wire);
        object.remove(USER_ATTRIBUTE_URN).unwrap_or_default()
    }

    #[test]
    fn values_come_back_as_they_went() {
        let values = json!({
            "a": "text", "b": 42, "c": -1.5, "d": true, "e": ["x", "y"], "f": [1, 2.5],
            "g": 9_007_199_254_740_992_i64, "h": 0, "i": 1e300,
        });
        assert_eq!(there_and_back(&values), values);
        assert_eq!(there_and_back(&json!({"a": 42.0})), json!({"a": 42}));
        assert_eq!(there_and_back(&json!({})), Value::Null);
    }
}
