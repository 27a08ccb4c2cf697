use rstest::rstest;
use secrecy::SecretString;
use serde_json::json;

use super::*;
use crate::wire::{ENTERPRISE, GROUP, USER, target::Target};

const SCIM: &str = "application/scim+json; charset=utf-8";
const KEY: &str = "rollcallkey123";

fn user() -> Value {
    json!({
        "schemas": [USER], "id": "7", "userName": "Ada@x.org", "displayName": "Ada L", "active": true,
        "meta": { "resourceType": "User" },
    })
}

fn list(resources: Value) -> Value {
    json!({ "schemas": [LIST_RESPONSE], "totalResults": resources.as_array().map(Vec::len), "Resources": resources })
}

fn with(mut value: Value, key: &str, changed: Value) -> Value {
    value[key] = changed;
    value
}

fn without(mut value: Value, key: &str) -> Value {
    value.as_object_mut().unwrap().remove(key);
    value
}

fn sent() -> Vec<Mapped> {
    [("userName", json!("Ada@x.org")), ("displayName", json!("Ada L")), ("active", json!(true))]
        .map(|(attribute, value)| Mapped { target: Target::Plain(attribute), value })
        .into()
}

/// An answer with a body, a location that suits it and the content type that Entra demands.
fn ask<T>(status: u16, body: &Value, check: impl FnOnce(&Answer<'_>) -> Result<T, Error>) -> Result<T, Error> {
    ask_as(status, SCIM, body.to_string(), "https://h/Users/7", check)
}

fn ask_as<T>(
    status: u16,
    content_type: &str,
    body: String,
    location: &str,
    check: impl FnOnce(&Answer<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    check(&Answer {
        key: &SecretString::from(KEY),
        method: "GET".into(),
        path: "/Users".into(),
        status,
        content_type: (!content_type.is_empty()).then(|| content_type.into()),
        location: (!location.is_empty()).then(|| location.into()),
        body: body.into_bytes(),
    })
}

fn refused<T>(result: Result<T, Error>, expected: &str) {
    match result.map(|_| ()) {
        Err(Error::Difference(difference)) => assert!(difference.expected.contains(expected), "{difference}"),
        other => panic!("expected a difference about {expected:?}, found {other:?}"),
    }
}

#[test]
fn match_is_found_without_case() {
    let find = |body: &Value| ask(200, body, |answer| answer.found(Kind::User, "ADA@x.org"));
    assert_eq!(find(&list(json!([user()]))).unwrap(), Some(user()));
    assert_eq!(find(&list(json!([]))).unwrap(), None);
}

#[rstest]
#[case::not_found_is_no_empty_list(404, json!({ "schemas": [ERROR], "status": "404" }), "status 200")]
#[case::schema(200, with(list(json!([])), "schemas", json!([])), "schemas to list")]
#[case::total_in_another_case(200, json!({ "schemas": [LIST_RESPONSE], "TotalResults": 0, "Resources": [] }), "totalResults")]
#[case::total_as_text(200, with(list(json!([])), "totalResults", json!("0")), "totalResults")]
#[case::start_index_as_text(200, with(list(json!([])), "startIndex", json!("1")), "startIndex")]
#[case::resources_missing(200, without(list(json!([])), "Resources"), "Resources to be an array")]
#[case::resources_in_another_case(200, json!({ "schemas": [LIST_RESPONSE], "totalResults": 0, "resources": [] }), "Resources")]
#[case::several(200, list(json!([user(), user()])), "at most one match")]
#[case::several_of_which_one_is_shown(200, with(list(json!([user()])), "totalResults", json!(2)), "at most one match")]
#[case::total_without_resources(200, with(list(json!([])), "totalResults", json!(1)), "totalResults to count")]
#[case::bare_resource(200, user(), "schemas to list")]
#[case::bare_array(200, json!([user()]), "a JSON object")]
#[case::filter_ignored(200, list(json!([with(user(), "userName", json!("bob@x.org"))])), "only resources with userName")]
fn lists_that_entra_cannot_use_are_refused(#[case] status: u16, #[case] body: Value, #[case] expected: &str) {
    refused(ask(status, &body, |answer| answer.found(Kind::User, "ada@x.org")), expected);
}

#[rstest]
#[case::id_missing(without(user(), "id"), "an id that is a string")]
#[case::id_empty(with(user(), "id", json!("")), "an id that is a string")]
#[case::id_a_number(with(user(), "id", json!(7)), "an id that is a string")]
#[case::schema(with(user(), "schemas", json!([GROUP])), "schemas to list")]
#[case::resource_type(with(user(), "meta", json!({ "ResourceType": "User" })), "meta.resourceType User")]
#[case::active_missing(without(user(), "active"), "active to be present")]
#[case::active_null(with(user(), "active", Value::Null), "active to be present")]
#[case::active_as_text(with(user(), "active", json!("True")), "active to be a boolean")]
#[case::manager_as_text(with(user(), ENTERPRISE, json!({ "manager": "271" })), "manager to be an object")]
#[case::manager_without_value(with(user(), ENTERPRISE, json!({ "manager": { "id": "271" } })), "manager to be an object")]
fn users_that_entra_cannot_read_are_refused(#[case] user: Value, #[case] expected: &str) {
    refused(ask(200, &user, |answer| answer.read(Kind::User, "7")), expected);
    refused(ask(201, &user, |answer| answer.created(Kind::User, &sent())), expected);
}

#[test]
fn created_user_has_id_location_and_the_values_sent() {
    let created = |status, body: Value| ask(status, &body, |answer| answer.created(Kind::User, &sent()));
    assert_eq!(created(201, user()).unwrap(), "7");
    refused(created(200, user()), "status 201");
    refused(created(409, user()), "status 201");
    refused(created(201, with(user(), "displayName", json!("ada l"))), "displayName to be \"Ada L\"");
    refused(created(201, without(user(), "displayName")), "displayName to be \"Ada L\"");
    refused(created(201, with(user(), "active", json!(false))), "active to be true");
}

#[test]
fn location_must_end_with_the_id() {
    let created =
        |location| ask_as(201, SCIM, user().to_string(), location, |answer| answer.created(Kind::User, &sent()));
    assert!(created("/Users/7").is_ok());
    refused(created(""), "a Location");
    refused(created("https://h/Users/8"), "a Location");
}

#[test]
fn success_must_come_as_scim_json() {
    let read = |content_type| ask_as(200, content_type, user().to_string(), "", |answer| answer.read(Kind::User, "7"));
    assert!(read("Application/SCIM+json").is_ok());
    for content_type in ["", "application/json", "text/html", "application/scim+jsonx"] {
        refused(read(content_type), "content type application/scim+json");
    }
    let html = ask_as(200, SCIM, "<html>sign in</html>".into(), "", |answer| answer.read(Kind::User, "7"));
    refused(html, "a JSON object");
}

#[test]
fn read_demands_the_cached_id() {
    refused(ask(200, &user(), |answer| answer.read(Kind::User, "8")), "the id 8");
    refused(ask(404, &user(), |answer| answer.read(Kind::User, "7")), "status 200");
}

#[test]
fn user_patch_may_answer_nothing_or_part_of_the_user() {
    let patched = |status, body: Value| ask(status, &body, |answer| answer.user_patched("7", &sent()));
    assert!(patched(204, Value::Null).is_ok());
    assert!(patched(200, user()).is_ok());
    assert!(patched(200, json!({ "id": "7" })).is_ok());
    refused(patched(202, user()), "status 200 or 204");
    refused(patched(200, with(user(), "id", json!("8"))), "the id 7");
    refused(patched(200, with(user(), "active", json!("True"))), "active to be a boolean");
    refused(patched(200, with(user(), "displayName", json!("old"))), "displayName to be");
    let empty = ask_as(200, "", String::new(), "", |answer| answer.user_patched("7", &sent()));
    refused(empty, "content type");
}

#[test]
fn manager_in_the_answer_is_the_one_sent() {
    let set = |manager: Value| {
        let user = with(user(), ENTERPRISE, json!({ "manager": manager }));
        ask(200, &user, |answer| answer.manager_set("7", "271"))
    };
    assert!(set(json!({ "value": "271" })).is_ok());
    refused(set(json!({ "value": "9" })), "the manager 271");
    refused(set(json!("271")), "manager to be an object");
    assert!(ask(204, &Value::Null, |answer| answer.manager_set("7", "271")).is_ok());
}

#[test]
fn group_patch_may_answer_nothing_at_all() {
    let group = json!({ "schemas": [GROUP], "id": "7", "displayName": "Ops", "meta": { "resourceType": "Group" } });
    let name = [Mapped { target: Target::Plain("displayName"), value: "Ops".into() }];
    let patched =
        |status, body: &str| ask_as(status, SCIM, body.to_owned(), "", |answer| answer.group_patched("7", &name));
    assert!(patched(204, "").is_ok());
    assert!(patched(200, "").is_ok());
    assert!(patched(200, &group.to_string()).is_ok());
    refused(patched(200, &with(group, "displayName", json!("Old")).to_string()), "displayName to be");
    refused(patched(500, ""), "status 204 or 200");
}

#[test]
fn excluded_members_must_be_absent() {
    let group = json!({ "schemas": [GROUP], "id": "7", "displayName": "Ops", "members": [],
                        "meta": { "resourceType": "Group" } });
    let key = SecretString::from(KEY);
    let answer = |path: &str| Answer {
        key: &key,
        method: "GET".into(),
        path: path.into(),
        status: 200,
        content_type: Some(SCIM.into()),
        location: None,
        body: group.to_string().into_bytes(),
    };
    refused(answer("/Groups/7?excludedAttributes=members").read(Kind::Group, "7"), "no members");
    assert!(answer("/Groups/7").read(Kind::Group, "7").is_ok());
}

#[test]
fn delete_answers_204_alone() {
    let deleted = |status| ask(status, &Value::Null, |answer| answer.deleted());
    assert!(deleted(204).is_ok());
    refused(deleted(200), "status 204");
    refused(deleted(404), "status 204");
}

#[test]
fn what_is_gone_answers_a_scim_error() {
    let error = json!({ "schemas": [ERROR], "status": "404" });
    assert!(ask(404, &error, |answer| answer.gone()).is_ok());
    assert!(ask(404, &with(error.clone(), "status", json!(404)), |answer| answer.gone()).is_ok());
    assert!(ask_as(404, "application/json", error.to_string(), "", |answer| answer.gone()).is_ok());
    refused(ask(200, &user(), |answer| answer.gone()), "status 404");
    refused(ask(404, &json!({ "message": "not found" }), |answer| answer.gone()), "schemas to list");
    refused(ask(404, &with(error.clone(), "status", json!("400")), |answer| answer.gone()), "the error's status");
    refused(ask_as(404, "text/html", error.to_string(), "", |answer| answer.gone()), "content type");
}

#[test]
fn error_shows_a_bounded_excerpt_without_the_key() {
    let body = format!("{} Bearer {KEY} {}", "x".repeat(10), "y".repeat(10_000));
    let error = ask_as(500, "text/plain", body, "", |answer| answer.deleted()).unwrap_err().to_string();
    assert!(error.contains("GET /Users: expected status 204, found status 500"), "{error}");
    assert!(error.contains("Bearer [key]") && !error.contains(KEY), "{error}");
    assert!(error.len() < 700, "{}", error.len());
    let straddling = format!("{}{KEY}", "x".repeat(395));
    let error = ask_as(500, "", straddling, "", |answer| answer.deleted()).unwrap_err().to_string();
    assert!(!error.contains("rollcall"), "{error}");
}

#[test]
fn key_echoed_in_a_value_or_header_is_not_shown() {
    let body = with(user(), "displayName", json!(KEY)).to_string();
    let error = ask_as(201, SCIM, body, "", |answer| answer.created(Kind::User, &sent())).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(KEY));
    let error = ask_as(201, SCIM, user().to_string(), KEY, |answer| answer.created(Kind::User, &sent())).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(KEY));
}
