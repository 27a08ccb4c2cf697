//! Attributes of users that a tenant defines for itself, and their values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{InvalidField, Timestamp, USER_ATTRIBUTES};

/// How many attributes a tenant may define.
pub(crate) const USER_ATTRIBUTES_MAX: u64 = 100;
/// The longest name, in characters.
const NAME_MAX: usize = 64;
/// The longest description, in characters.
const DESCRIPTION_MAX: usize = 1024;
/// The longest text that is a value, in characters.
const TEXT_MAX: usize = 4096;
/// The longest list of values.
const LIST_MAX: usize = 128;

/// The name of an attribute (RFC 7643 section 2.1), unique in its tenant without case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AttributeName(String);

impl AttributeName {
    pub(crate) fn parse(text: String) -> Result<Self, InvalidField> {
        let allowed = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if !allowed || text.len() > NAME_MAX || !text.starts_with(|first: char| first.is_ascii_alphabetic()) {
            let problem = format!(
                "must be a letter and then at most {} letters, digits, `_` and `-`",
                NAME_MAX.saturating_sub(1)
            );
            return Err(InvalidField::new("user_attribute.name", problem));
        }
        Ok(Self(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// By what it is unique: names are ASCII.
    pub(crate) fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// Whether a name that somebody wrote is this one.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }

    /// From the store, which holds only what was parsed.
    pub(crate) const fn stored(text: String) -> Self {
        Self(text)
    }
}

/// The type of an attribute's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttributeType {
    Text,
    Number,
    Boolean,
    Texts,
    Numbers,
}

impl AttributeType {
    const ALL: [Self; 5] = [Self::Text, Self::Number, Self::Boolean, Self::Texts, Self::Numbers];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Texts => "string-list",
            Self::Numbers => "number-list",
        }
    }

    /// From the store; none for what this release does not know.
    pub(crate) fn stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The definition of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserAttribute {
    pub(crate) name: AttributeName,
    pub(crate) kind: AttributeType,
    pub(crate) description: String,
    pub(crate) created_at: Timestamp,
}

/// An attribute to define.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserAttributeDraft {
    pub(crate) name: AttributeName,
    pub(crate) kind: AttributeType,
    pub(crate) description: String,
}

impl UserAttributeDraft {
    /// Checks the description.
    pub(crate) fn check(self) -> Result<Self, InvalidField> {
        const FIELD: &str = "user_attribute.description";
        if self.description.chars().count() > DESCRIPTION_MAX {
            return Err(InvalidField::new(FIELD, format!("is longer than {DESCRIPTION_MAX} characters")));
        }
        if self.description.contains('\0') {
            return Err(InvalidField::new(FIELD, "contains the character U+0000"));
        }
        Ok(self)
    }
}

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum AttributeValue {
    Boolean(bool),
    Number(f64),
    Text(String),
    Texts(Vec<String>),
    Numbers(Vec<f64>),
}

// A number that is stored is finite, so it equals itself.
impl Eq for AttributeValue {}

/// The values of a user, by the attributes' names.
pub(crate) type AttributeValues = BTreeMap<String, AttributeValue>;

impl AttributeValue {
    const fn kind(&self) -> AttributeType {
        match self {
            Self::Boolean(_) => AttributeType::Boolean,
            Self::Number(_) => AttributeType::Number,
            Self::Text(_) => AttributeType::Text,
            Self::Texts(_) => AttributeType::Texts,
            Self::Numbers(_) => AttributeType::Numbers,
        }
    }

    /// Checks every bound.
    pub(crate) fn check(&self, name: &str) -> Result<(), InvalidField> {
        let (texts, numbers): (&[String], &[f64]) = match self {
            Self::Boolean(_) => (&[], &[]),
            Self::Number(number) => (&[], std::slice::from_ref(number)),
            Self::Text(text) => (std::slice::from_ref(text), &[]),
            Self::Texts(texts) => (texts, &[]),
            Self::Numbers(numbers) => (&[], numbers),
        };
        if texts.len().max(numbers.len()) > LIST_MAX {
            return Err(invalid(name, format!("has more than {LIST_MAX} values")));
        }
        if texts.iter().any(|text| text.len() > TEXT_MAX && text.chars().count() > TEXT_MAX) {
            return Err(invalid(name, format!("is longer than {TEXT_MAX} characters")));
        }
        if texts.iter().any(|text| text.contains('\0')) {
            return Err(invalid(name, "contains the character U+0000".to_owned()));
        }
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(invalid(name, "must be finite".to_owned()));
        }
        Ok(())
    }
}

/// The values as they are stored: each under the name as it is defined. Refuses what is not defined, or defined as another type.
pub(crate) fn resolve(sent: &AttributeValues, defined: &[UserAttribute]) -> Result<AttributeValues, InvalidField> {
    let mut resolved = AttributeValues::new();
    for (name, value) in sent {
        let Some(attribute) = defined.iter().find(|attribute| attribute.name.is(name)) else {
            return Err(invalid(name, "is not defined: make a user attribute of this name first".to_owned()));
        };
        if value.kind() != attribute.kind {
            return Err(invalid(name, format!("must be a {}", attribute.kind.as_str())));
        }
        if resolved.insert(attribute.name.as_str().to_owned(), value.clone()).is_some() {
            return Err(invalid(name, "stands twice".to_owned()));
        }
    }
    Ok(resolved)
}

fn invalid(name: &str, problem: String) -> InvalidField {
    InvalidField::new(format!("{USER_ATTRIBUTES}.{name}"), problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defined(name: &str, kind: AttributeType) -> UserAttribute {
        let name = AttributeName::parse(name.to_owned()).unwrap();
        UserAttribute { name, kind, description: String::new(), created_at: Timestamp(0) }
    }

    #[test]
    fn a_name_is_an_attribute_name_of_rfc_7643() {
        for good in ["a", "A1", "cost-Center_2", &"a".repeat(64)] {
            assert!(AttributeName::parse(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", "1a", "_a", "-", "a b", "a.b", "ä", "a\"", &"a".repeat(65)] {
            assert!(AttributeName::parse(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn bounds_hold_on_both_sides() {
        let refused = |value: AttributeValue| value.check("a").err().map(|error| error.field.into_owned());
        assert_eq!(refused(AttributeValue::Text("é".repeat(TEXT_MAX))), None);
        assert_eq!(refused(AttributeValue::Numbers(vec![f64::MAX; LIST_MAX])), None);
        for bad in [
            AttributeValue::Text("é".repeat(TEXT_MAX + 1)),
            AttributeValue::Texts(vec!["a\0".into()]),
            AttributeValue::Texts(vec!["a".into(); LIST_MAX + 1]),
            AttributeValue::Numbers(vec![1.0; LIST_MAX + 1]),
            AttributeValue::Number(f64::NAN),
            AttributeValue::Numbers(vec![f64::INFINITY]),
        ] {
            assert_eq!(refused(bad), Some("user_attributes.a".to_owned()));
        }
    }

    #[test]
    fn values_stand_under_the_defined_name() {
        let badges = [defined("Badge", AttributeType::Text)];
        let sent = |names: &[&str], value: AttributeValue| {
            names.iter().map(|name| ((*name).to_owned(), value.clone())).collect::<AttributeValues>()
        };
        let text = || AttributeValue::Text("x".into());
        assert_eq!(resolve(&sent(&["bADGE"], text()), &badges), Ok(sent(&["Badge"], text())));
        for (bad, name) in [
            (sent(&["Bridge"], text()), "user_attributes.Bridge"),
            (sent(&["badge"], AttributeValue::Number(1.0)), "user_attributes.badge"),
            (sent(&["BADGE", "badge"], text()), "user_attributes.badge"),
        ] {
            assert_eq!(resolve(&bad, &badges).unwrap_err().field, name);
        }
    }

    #[test]
    fn a_value_survives_storage() {
        for value in [
            AttributeValue::Boolean(true),
            AttributeValue::Number(5.0),
            AttributeValue::Number(0.1 + 0.2),
            AttributeValue::Number(-1e300),
            AttributeValue::Text("5".into()),
            AttributeValue::Texts(vec!["true".into()]),
            AttributeValue::Numbers(vec![1e15, 2.5]),
        ] {
            let stored = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<AttributeValue>(&stored).unwrap(), value, "{stored}");
        }
    }
}
