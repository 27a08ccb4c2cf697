//! The document in which a user is searched (rule D5): the profile's, with every text folded that compares without case, and the values of the
//! tenant's own attributes.

use serde_json::{Error, Value};

use crate::domain::{AttributeValues, CaseKey, Profile, USER_ATTRIBUTES, catalogue};

/// The search document of a user.
pub(crate) fn document(profile: &Profile, attributes: &AttributeValues) -> Result<Value, Error> {
    let mut document = folded("profile", serde_json::to_value(profile)?);
    if let (Value::Object(fields), false) = (&mut document, attributes.is_empty()) {
        fields.insert(USER_ATTRIBUTES.to_owned(), folded(USER_ATTRIBUTES, serde_json::to_value(attributes)?));
    }
    Ok(document)
}

fn folded(path: &str, value: Value) -> Value {
    match value {
        Value::String(text) if catalogue::is_exact(path) => Value::String(text),
        Value::String(text) => Value::String(CaseKey::of(&text).into_string()),
        Value::Array(list) => list.into_iter().map(|item| folded(path, item)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| {
                let value = folded(&format!("{path}.{name}"), value);
                (name, value)
            })
            .collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{AttributeValue, ContactPoint, Enterprise};

    #[test]
    fn d05_texts_are_folded_but_those_that_compare_with_case() {
        let point = |value: &str| {
            vec![ContactPoint { value: Some(value.into()), kind: Some("Work".into()), ..ContactPoint::default() }]
        };
        let profile = Profile {
            title: Some("Straẞe".into()),
            profile_url: Some("https://X/Y".into()),
            emails: point("A@B"),
            photos: point("https://P"),
            enterprise: Some(Enterprise {
                department: Some("R&D".into()),
                manager_id: Some("ID".into()),
                ..Enterprise::default()
            }),
            ..Profile::default()
        };
        let attributes = AttributeValues::from([
            ("Badge".to_owned(), AttributeValue::Texts(vec!["Ä".into()])),
            ("Floor".to_owned(), AttributeValue::Number(2.0)),
        ]);
        let expected = json!({
            "profile_url": "https://X/Y",
            "title": "straße",
            "emails": [{"value": "a@b", "type": "work"}],
            "photos": [{"value": "https://P", "type": "work"}],
            "enterprise": {"department": "r&d", "manager_id": "ID"},
            "user_attributes": {"Badge": ["ä"], "Floor": 2.0},
        });
        assert_eq!(document(&profile, &attributes).unwrap(), expected);
        assert_eq!(document(&Profile::default(), &AttributeValues::new()).unwrap(), json!({}));
    }
}
