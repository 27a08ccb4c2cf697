//! Facts about resources.

use proptest::prelude::proptest;
use serde_json::json;
use time::macros::datetime;

use super::{Meta, Resource, STRING_LENGTH_MAX, VALUES_MAX};
use crate::ScimType;
use crate::arbitrary::json_values;
use crate::schema::{
    ENTERPRISE_USER_URN, ResourceType, Schemas, USER_ATTRIBUTE_URN, USER_URN, UserAttribute, UserAttributeKind,
};
use serde_json::Value;

fn check(body: Value, expect: Value) {
    let resource = Resource::from_json(ResourceType::User, body).unwrap();
    assert_eq!(Value::Object(resource.into_object()), expect);
}

fn refused(body: Value, scim_type: ScimType, named: &str) {
    let error = Resource::from_json(ResourceType::User, body).unwrap_err();
    assert_eq!((error.status, error.scim_type), (400, Some(scim_type)), "{error}");
    assert!(error.detail.contains(named), "{error}");
}

#[test]
fn names_take_the_spelling_of_the_schema() {
    check(
        json!({"USERNAME": "ada", "Name": {"GIVENNAME": "Ada"}, ENTERPRISE_USER_URN.to_uppercase(): {"Department": "R"}}),
        json!({"userName": "ada", "name": {"givenName": "Ada"}, ENTERPRISE_USER_URN: {"department": "R"}}),
    );
}

#[test]
fn null_and_empty_values_are_absent() {
    check(
        json!({"userName": "ada", "title": null, "emails": [], "name": {}, "roles": [null, {}], ENTERPRISE_USER_URN: {"manager": null}}),
        json!({"userName": "ada"}),
    );
}

#[test]
fn attributes_of_the_server_are_passed_over() {
    check(
        json!({"schemas": 5, "id": "x", "meta": {"any": "thing"}, "userName": "ada",
            ENTERPRISE_USER_URN: {"manager": {"value": "m", "displayName": "M"}}}),
        json!({"userName": "ada", ENTERPRISE_USER_URN: {"manager": {"value": "m"}}}),
    );
}

#[test]
fn unknown_names_are_refused_by_name() {
    refused(json!({"userName": "ada", "shoeSize": 5}), ScimType::InvalidSyntax, "shoeSize");
    refused(json!({"userName": "ada", "name": {"nick": "A"}}), ScimType::InvalidSyntax, "name.nick");
    refused(json!({"userName": "ada", "urn:example:x": {}}), ScimType::InvalidSyntax, "urn:example:x");
    refused(json!([]), ScimType::InvalidSyntax, "object");
}

#[test]
fn a_password_is_thrown_away_after_it_was_looked_at() {
    check(json!({"userName": "ada", "password": "x"}), json!({"userName": "ada"}));
    refused(json!({"userName": "ada", "password": 1}), ScimType::InvalidValue, "password must be text");
}

#[test]
fn attributes_that_a_service_adds_are_checked_like_any_other() {
    let own = [("shoeSize", UserAttributeKind::Number), ("skills", UserAttributeKind::StringList)];
    let schemas =
        Schemas::new(own.map(|(name, kind)| UserAttribute { name: name.to_owned(), kind, description: String::new() }));
    let read = |attributes: Value| {
        let body = json!({"userName": "ada", USER_ATTRIBUTE_URN: attributes});
        Resource::from_json(schemas.of(ResourceType::User), body)
    };
    let resource = read(json!({"SHOESIZE": 42.5, "skills": ["a", "b"]})).unwrap();
    assert_eq!(resource.get(USER_ATTRIBUTE_URN), Some(&json!({"shoeSize": 42.5, "skills": ["a", "b"]})));
    for (attributes, word) in [
        (json!({"shoeSize": "42"}), "a number"),
        (json!({"shoeSize": [42]}), "a number"),
        (json!({"shoeSize": 9_007_199_254_740_993_u64}), "exactly"),
        (json!({"skills": "a"}), "an array"),
        (json!({"skills": [1]}), "text"),
        (json!({"hat": 1}), "not known"),
    ] {
        let error = read(attributes).unwrap_err();
        assert!(error.status == 400 && error.detail.contains(word), "{error}");
    }
    assert!(read(json!({"shoeSize": -9_007_199_254_740_992_i64})).is_ok());
    let body = json!({"userName": "ada", USER_ATTRIBUTE_URN: {"shoeSize": 42}});
    assert!(Resource::from_json(ResourceType::User, body).is_err(), "another service does not know it");
}

#[test]
fn wrong_types_are_refused_by_path() {
    refused(json!({"userName": 5}), ScimType::InvalidValue, "userName must be text");
    refused(json!({"userName": "a", "active": "True"}), ScimType::InvalidValue, "active must be true or false");
    refused(json!({"userName": "a", "emails": {"value": "x"}}), ScimType::InvalidValue, "emails must be an array");
    refused(json!({"userName": "a", "emails": [{"value": 1}]}), ScimType::InvalidValue, "emails[0].value must be text");
    refused(json!({"userName": "a", "name": "Ada"}), ScimType::InvalidValue, "name must be an object");
    refused(json!({"userName": "a", "title": "a\0b"}), ScimType::InvalidValue, "title");
    refused(json!({"userName": "a", ENTERPRISE_USER_URN: "x"}), ScimType::InvalidValue, "not an object");
}

#[test]
fn required_attributes_must_have_text() {
    for body in [json!({}), json!({"userName": null}), json!({"userName": ""}), json!({"userName": " "})] {
        refused(body, ScimType::InvalidValue, "userName is required");
    }
    let error = Resource::from_json(ResourceType::Group, json!({"displayName": "g", "members": [{}]}));
    assert!(error.unwrap_err().detail.contains("members[0].value is required"));
}

#[test]
fn the_first_primary_value_stays_primary() {
    check(
        json!({"userName": "a", "emails": [{"value": "x", "primary": true}, {"value": "y", "primary": true}]}),
        json!({"userName": "a", "emails": [{"value": "x", "primary": true}, {"value": "y", "primary": false}]}),
    );
}

#[test]
fn limits_hold_on_both_sides() {
    let status = |body: Value| Resource::from_json(ResourceType::User, body).err().map(|error| error.status);
    let emails = |count: usize| json!({"userName": "a", "emails": vec![json!({"value": "x"}); count]});
    let title = |length: usize| json!({"userName": "a", "title": "x".repeat(length)});
    assert_eq!((status(emails(VALUES_MAX)), status(emails(VALUES_MAX + 1))), (None, Some(400)));
    assert_eq!((status(title(STRING_LENGTH_MAX)), status(title(STRING_LENGTH_MAX + 1))), (None, Some(400)));
}

#[test]
fn an_answer_lists_the_schemas_that_have_values() {
    let body = json!({"userName": "ada", "externalId": "7", ENTERPRISE_USER_URN: {"department": "R"}});
    let resource = Resource::from_json(ResourceType::User, body).unwrap();
    let meta = Meta {
        id: "u1",
        created: datetime!(2026-11-24 01:02:03.456789 UTC),
        last_modified: datetime!(2026-11-24 01:02:04 UTC),
        location: "https://h/scim/v2/Users/u1",
        version: Some("W/\"3\""),
    };
    let expect = json!({
        "schemas": [USER_URN, ENTERPRISE_USER_URN], "id": "u1", "externalId": "7", "userName": "ada",
        ENTERPRISE_USER_URN: {"department": "R"},
        "meta": {"resourceType": "User", "created": "2026-11-24T01:02:03.456Z", "lastModified": "2026-11-24T01:02:04Z",
            "location": "https://h/scim/v2/Users/u1", "version": "W/\"3\""},
    });
    assert_eq!(Value::Object(resource.to_response(&meta)), expect);
}

proptest! {
    #[test]
    fn a_checked_resource_checks_to_itself(body in json_values()) {
        if let Ok(resource) = Resource::from_json(ResourceType::User, body) {
            let again = Resource::from_json(ResourceType::User, Value::Object(resource.as_object().clone()));
            proptest::prop_assert_eq!(again, Ok(resource));
        }
    }
}
