//! A user's attributes under each mapping, and the body that creates it.

use serde_json::{Map, Value, json};

use super::{ENTERPRISE, USER, target::Mapped, target::Target};
use crate::{Mapping, User};

/// Where `active` stands.
pub(crate) const ACTIVE: Target = Target::Plain("active");
/// Where the manager's id stands in an answer is inside this object.
pub(crate) const MANAGER: Target = Target::Enterprise("manager");

/// What the mapping makes of a user, without the manager. Attributes without a value are left out: Entra never sends null.
pub(crate) fn mapped(user: &User, mapping: Mapping) -> Vec<Mapped> {
    let text = |target, value: &str| Mapped { target, value: value.into() };
    let mut values = vec![
        text(Target::Plain("userName"), &user.user_principal_name),
        Mapped { target: ACTIVE, value: user.account_enabled.into() },
        text(Target::Plain("displayName"), &user.display_name),
    ];
    if mapping == Mapping::Minimal {
        return values;
    }
    let optional = |target, value: &Option<String>| value.as_deref().map(|value| text(target, value));
    values.push(text(Target::Plain("externalId"), &user.mail_nickname));
    values.extend(optional(Target::Plain("title"), &user.job_title));
    values.extend(optional(Target::Typed("emails", "work", "value"), &user.mail));
    values.extend(optional(Target::Typed("phoneNumbers", "mobile", "value"), &user.mobile));
    values.extend([
        text(Target::Plain("preferredLanguage"), &user.preferred_language),
        text(Target::Sub("name", "givenName"), &user.given_name),
        text(Target::Sub("name", "familyName"), &user.surname),
        text(Target::Sub("name", "formatted"), &format!("{} {}", user.given_name, user.surname)),
        text(Target::Typed("addresses", "work", "streetAddress"), &user.street_address),
        text(Target::Typed("addresses", "work", "locality"), &user.city),
        text(Target::Typed("addresses", "work", "postalCode"), &user.postal_code),
        text(Target::Typed("addresses", "work", "country"), &user.country),
        text(Target::Enterprise("employeeNumber"), &user.employee_id),
        text(Target::Enterprise("department"), &user.department),
    ]);
    values
}

/// The body of POST /Users, in both dialects alike.
pub(crate) fn create_body(values: &[Mapped], mapping: Mapping) -> Value {
    let mut body = Map::new();
    match mapping {
        Mapping::Minimal => body.insert("schemas".into(), json!([USER])),
        Mapping::Default => {
            body.insert("roles".into(), json!([]));
            body.insert("schemas".into(), json!([USER, ENTERPRISE]))
        }
    };
    for Mapped { target, value } in values {
        target.write(&mut body, value.clone());
    }
    body.insert("meta".into(), json!({ "resourceType": "User" }));
    Value::Object(body)
}

/// The manager's id in a user that was read, if there is one.
pub(crate) fn manager(resource: &Value) -> Option<&str> {
    MANAGER.read(resource)?.get("value")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Directory;

    fn ada() -> User {
        User {
            user_principal_name: "ada@example.org".into(),
            display_name: "Ada L".into(),
            given_name: "Ada".into(),
            surname: "L".into(),
            mail_nickname: "ada".into(),
            mail: Some("ada@example.org".into()),
            mobile: Some("5550100".into()),
            department: "R".into(),
            job_title: None,
            employee_id: "7".into(),
            preferred_language: "en-GB".into(),
            street_address: "1 Row".into(),
            city: "London".into(),
            postal_code: "EC1".into(),
            country: "GB".into(),
            ..Directory::sample(1, 0).user(0)
        }
    }

    #[test]
    fn minimal_body_has_the_mapped_attributes_alone() {
        let expected = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": "ada@example.org", "displayName": "Ada L", "active": true,
            "meta": { "resourceType": "User" },
        });
        assert_eq!(create_body(&mapped(&ada(), Mapping::Minimal), Mapping::Minimal), expected);
    }

    #[test]
    fn default_body_is_the_recorded_one() {
        let expected = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User",
                        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
            "externalId": "ada", "userName": "ada@example.org", "active": true, "displayName": "Ada L",
            "emails": [{ "primary": true, "type": "work", "value": "ada@example.org" }],
            "name": { "formatted": "Ada L", "familyName": "L", "givenName": "Ada" },
            "addresses": [{ "type": "work", "primary": true, "country": "GB", "locality": "London",
                            "streetAddress": "1 Row", "postalCode": "EC1" }],
            "phoneNumbers": [{ "type": "mobile", "value": "5550100" }],
            "preferredLanguage": "en-GB",
            "roles": [],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "employeeNumber": "7", "department": "R" },
            "meta": { "resourceType": "User" },
        });
        assert_eq!(create_body(&mapped(&ada(), Mapping::Default), Mapping::Default), expected);
    }

    #[test]
    fn absent_values_leave_no_key_behind() {
        let user = User { mail: None, mobile: None, ..ada() };
        let body = create_body(&mapped(&user, Mapping::Default), Mapping::Default);
        assert!(body.get("emails").is_none() && body.get("phoneNumbers").is_none() && body.get("title").is_none());
    }

    #[test]
    fn manager_is_read_from_its_object_alone() {
        assert_eq!(manager(&json!({ ENTERPRISE: { "manager": { "value": "271" } } })), Some("271"));
        assert_eq!(manager(&json!({ ENTERPRISE: { "manager": "271" } })), None);
    }
}
