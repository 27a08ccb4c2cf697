//! Where a mapped value stands: one description from which bodies are built, PATCH paths written and answers compared.

use serde_json::{Map, Value, json};

use super::ENTERPRISE;

/// Where a mapped value stands in a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// An attribute by itself: `displayName`.
    Plain(&'static str),
    /// A sub-attribute: `name.givenName`.
    Sub(&'static str, &'static str),
    /// A sub-attribute of the element of one type: `emails[type eq "work"].value`.
    Typed(&'static str, &'static str, &'static str),
    /// An attribute of the enterprise extension.
    Enterprise(&'static str),
}

/// A value and where it belongs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mapped {
    pub(crate) target: Target,
    pub(crate) value: Value,
}

impl Target {
    /// The path of a PATCH operation.
    pub(crate) fn path(self) -> String {
        match self {
            Self::Plain(attribute) => attribute.to_owned(),
            Self::Sub(attribute, sub) => format!("{attribute}.{sub}"),
            Self::Typed(attribute, kind, sub) => format!("{attribute}[type eq \"{kind}\"].{sub}"),
            Self::Enterprise(attribute) => format!("{ENTERPRISE}:{attribute}"),
        }
    }

    /// The value at this place of a resource; keys are compared with case, and null is no value.
    pub(crate) fn read(self, resource: &Value) -> Option<&Value> {
        let value = match self {
            Self::Plain(attribute) => resource.get(attribute),
            Self::Sub(attribute, sub) => resource.get(attribute)?.get(sub),
            Self::Enterprise(attribute) => resource.get(ENTERPRISE)?.get(attribute),
            Self::Typed(attribute, kind, sub) => {
                let elements = resource.get(attribute)?.as_array()?;
                elements.iter().find(|element| element["type"] == kind)?.get(sub)
            }
        };
        value.filter(|value| !value.is_null())
    }

    /// Puts a value at this place of a body to be sent.
    pub(crate) fn write(self, body: &mut Map<String, Value>, value: Value) {
        match self {
            Self::Plain(attribute) => {
                body.insert(attribute.to_owned(), value);
            }
            Self::Sub(attribute, sub) => write_sub(body, attribute, sub, value),
            Self::Enterprise(attribute) => write_sub(body, ENTERPRISE, attribute, value),
            Self::Typed(attribute, kind, sub) => {
                if let Value::Array(elements) = body.entry(attribute).or_insert_with(|| json!([])) {
                    write_element(elements, (attribute, kind), sub, value);
                }
            }
        }
    }
}

fn write_sub(body: &mut Map<String, Value>, attribute: &str, sub: &str, value: Value) {
    if let Value::Object(object) = body.entry(attribute).or_insert_with(|| json!({})) {
        object.insert(sub.to_owned(), value);
    }
}

/// Entra marks the one work e-mail and the one work address as primary, phone numbers never.
fn write_element(elements: &mut Vec<Value>, (attribute, kind): (&str, &str), sub: &str, value: Value) {
    if let Some(element) = elements.iter_mut().find(|element| element["type"] == kind) {
        element[sub] = value;
        return;
    }
    let mut element = json!({ "type": kind, sub: value });
    if attribute != "phoneNumbers" {
        element["primary"] = Value::Bool(true);
    }
    elements.push(element);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: [(Target, &str); 4] = [
        (Target::Plain("title"), "title"),
        (Target::Sub("name", "givenName"), "name.givenName"),
        (Target::Typed("addresses", "work", "country"), "addresses[type eq \"work\"].country"),
        (Target::Enterprise("department"), "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"),
    ];

    #[test]
    fn what_is_written_is_read_at_the_same_place() {
        for (target, path) in PLACES {
            let mut body = Map::new();
            target.write(&mut body, json!("x"));
            let body = Value::Object(body);
            assert_eq!(target.read(&body), Some(&json!("x")));
            assert_eq!(target.path(), path);
            assert_eq!(target.read(&json!({})), None);
        }
    }

    #[test]
    fn values_of_one_type_share_one_element() {
        let mut body = Map::new();
        Target::Typed("addresses", "work", "country").write(&mut body, json!("GB"));
        Target::Typed("addresses", "work", "locality").write(&mut body, json!("London"));
        Target::Typed("phoneNumbers", "mobile", "value").write(&mut body, json!("1"));
        let expected = json!({
            "addresses": [{ "type": "work", "primary": true, "country": "GB", "locality": "London" }],
            "phoneNumbers": [{ "type": "mobile", "value": "1" }],
        });
        assert_eq!(Value::Object(body), expected);
    }

    #[test]
    fn keys_in_another_case_and_nulls_are_no_values() {
        assert_eq!(Target::Plain("displayName").read(&json!({ "DisplayName": "x" })), None);
        assert_eq!(Target::Plain("displayName").read(&json!({ "displayName": null })), None);
    }
}
