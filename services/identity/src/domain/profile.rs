//! What a directory says of a person beyond the names. It is stored as one document, whose keys are these fields' names.

use serde::{Deserialize, Serialize};

use crate::domain::InvalidField;

/// The longest text of a profile, in characters.
pub(crate) const PROFILE_TEXT_MAX: usize = 4096;
/// The longest e-mail address, in characters: RFC 5321 section 4.5.3.1 allows 254, and an index of PostgreSQL no more than about 2,700 bytes.
pub(crate) const EMAIL_MAX: usize = 320;
/// The largest profile, in bytes of its document. A page of 1,000 users is held in memory.
pub(crate) const PROFILE_BYTES_MAX: usize = 64 * 1024;
/// The longest list of a profile.
pub(crate) const PROFILE_LIST_MAX: usize = 128;

/// A person's profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Profile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<PersonName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nick_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) profile_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) preferred_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) locale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timezone: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) emails: Vec<ContactPoint>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) phone_numbers: Vec<ContactPoint>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ims: Vec<ContactPoint>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) photos: Vec<ContactPoint>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) addresses: Vec<Address>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) entitlements: Vec<ContactPoint>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) roles: Vec<ContactPoint>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) x509_certificates: Vec<ContactPoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enterprise: Option<Enterprise>,
}

/// The parts of a person's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PersonName {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) formatted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) family_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) given_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) middle_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) honorific_prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) honorific_suffix: Option<String>,
}

/// One value of a list, with its label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ContactPoint {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) display: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) primary: Option<bool>,
}

/// A postal address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Address {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) formatted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) street_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) locality: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) postal_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) country: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) primary: Option<bool>,
}

/// What an employer adds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Enterprise {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) employee_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cost_center: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) organization: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) division: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) department: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) manager_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) manager_display_name: Option<String>,
}

impl Profile {
    /// Checks every bound.
    pub(crate) fn check(&self) -> Result<(), InvalidField> {
        let lists = [
            ("profile.emails", &self.emails),
            ("profile.phone_numbers", &self.phone_numbers),
            ("profile.ims", &self.ims),
            ("profile.photos", &self.photos),
            ("profile.entitlements", &self.entitlements),
            ("profile.roles", &self.roles),
            ("profile.x509_certificates", &self.x509_certificates),
        ];
        for (field, list) in lists {
            check_length(field, list.len())?;
        }
        check_length("profile.addresses", self.addresses.len())?;
        if self.emails.iter().filter_map(|email| email.value.as_deref()).any(|value| value.chars().count() > EMAIL_MAX)
        {
            return Err(InvalidField::new("profile.emails.value", format!("is longer than {EMAIL_MAX} characters")));
        }
        // Whatever its name, every text of the document has the same bound: walk the document, and no field can be forgotten.
        let document = serde_json::to_value(self).map_err(|_| InvalidField::new("profile", "cannot be stored"))?;
        check_texts("profile", &document)?;
        if document.to_string().len() > PROFILE_BYTES_MAX {
            return Err(InvalidField::new("profile", format!("is larger than {} KiB", PROFILE_BYTES_MAX / 1024)));
        }
        Ok(())
    }
}

fn check_length(field: &'static str, length: usize) -> Result<(), InvalidField> {
    if length > PROFILE_LIST_MAX {
        return Err(InvalidField::new(field, format!("has more than {PROFILE_LIST_MAX} values")));
    }
    Ok(())
}

fn check_texts(path: &str, value: &serde_json::Value) -> Result<(), InvalidField> {
    match value {
        serde_json::Value::String(text) => {
            if text.len() > PROFILE_TEXT_MAX && text.chars().count() > PROFILE_TEXT_MAX {
                return Err(InvalidField::new(
                    path.to_owned(),
                    format!("is longer than {PROFILE_TEXT_MAX} characters"),
                ));
            }
            if text.contains('\0') {
                return Err(InvalidField::new(path.to_owned(), "contains the character U+0000"));
            }
            Ok(())
        }
        serde_json::Value::Array(list) => list.iter().try_for_each(|item| check_texts(path, item)),
        serde_json::Value::Object(fields) => {
            fields.iter().try_for_each(|(name, value)| check_texts(&format!("{path}.{name}"), value))
        }
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_on_both_sides() {
        let mut profile = Profile { title: Some("é".repeat(PROFILE_TEXT_MAX)), ..Profile::default() };
        profile.emails = vec![ContactPoint::default(); PROFILE_LIST_MAX];
        assert_eq!(profile.check(), Ok(()));

        profile.emails.push(ContactPoint::default());
        assert_eq!(profile.check().unwrap_err().field, "profile.emails");
        profile.emails.clear();
        profile.title = Some("é".repeat(PROFILE_TEXT_MAX + 1));
        assert_eq!(profile.check().unwrap_err().field, "profile.title");
        profile.title = None;
        let email = |length: usize| vec![ContactPoint { value: Some("é".repeat(length)), ..ContactPoint::default() }];
        profile.emails = email(EMAIL_MAX);
        assert_eq!(profile.check(), Ok(()));
        profile.emails = email(EMAIL_MAX + 1);
        assert_eq!(profile.check().unwrap_err().field, "profile.emails.value");
        profile.emails.clear();
        profile.photos =
            vec![ContactPoint { value: Some("x".repeat(PROFILE_TEXT_MAX)), ..ContactPoint::default() }; 16];
        assert_eq!(profile.check().unwrap_err().field, "profile");
        profile.photos.clear();
        profile.addresses = vec![Address { locality: Some("a\0".into()), ..Address::default() }];
        assert_eq!(profile.check().unwrap_err().field, "profile.addresses.locality");
    }

    #[test]
    fn a_document_survives_storage() {
        let profile = Profile {
            emails: vec![ContactPoint {
                value: Some("a@b".into()),
                kind: Some("work".into()),
                ..ContactPoint::default()
            }],
            enterprise: Some(Enterprise { manager_id: Some("x".into()), ..Enterprise::default() }),
            ..Profile::default()
        };
        let stored = serde_json::to_string(&profile).unwrap();
        assert_eq!(stored, r#"{"emails":[{"value":"a@b","type":"work"}],"enterprise":{"manager_id":"x"}}"#);
        assert_eq!(serde_json::from_str::<Profile>(&stored).unwrap(), profile);
    }
}
