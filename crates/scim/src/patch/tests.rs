//! Facts about operations on users, and about reading operations. Those on groups stand beside them in `group_tests`.

use proptest::prelude::proptest;
use serde_json::{Value, json};

use super::{OnMissing, Op, Operation, PATCH_COMPARISONS_MAX, PATCH_OPERATIONS_MAX, apply, parse};
use crate::arbitrary::json_values;
use crate::schema::{ENTERPRISE_USER_URN, ResourceType};
use crate::{Error, Path, Resource, ScimType, VALUES_MAX};

fn ada() -> Resource<'static> {
    let body = json!({
        "userName": "ada", "displayName": "Ada", "name": {"givenName": "Ada", "familyName": "L"},
        "emails": [{"type": "work", "value": "a@x", "primary": true}, {"type": "home", "value": "h@x"}],
        ENTERPRISE_USER_URN: {"department": "R", "manager": {"value": "m1", "$ref": "../Users/m1"}},
    });
    Resource::from_json(ResourceType::User, body).unwrap()
}

fn patched(operations: Value) -> Result<Resource<'static>, Error> {
    apply(&ada(), &parse(ResourceType::User, json!({"Operations": operations}))?)
}

/// Ada after the operations has this at the JSON pointer; null stands for absent.
fn check(operations: Value, pointer: &str, expect: Value) {
    let object = Value::Object(patched(operations).unwrap().into_object());
    assert_eq!(object.pointer(pointer).cloned().unwrap_or_default(), expect, "{object}");
}

fn refused(operations: Value, scim_type: ScimType) {
    let error = patched(operations).unwrap_err();
    assert_eq!((error.status, error.scim_type), (400, Some(scim_type)), "{error}");
}

fn creating(op: Op, path: &str, value: Option<Value>) -> Operation<'static> {
    let path = Path::parse(ResourceType::User, path).unwrap();
    Operation { on_missing: OnMissing::Create, ..Operation::new(op, Some(path), value) }
}

#[test]
fn single_values_are_set_by_add_and_by_replace() {
    for op in ["add", "replace"] {
        check(json!([{"op": op, "path": "displayName", "value": "B"}]), "/displayName", json!("B"));
        check(json!([{"op": op, "path": "title", "value": "T"}]), "/title", json!("T"));
        check(
            json!([{"op": op, "path": "name.givenName", "value": "B"}]),
            "/name",
            json!({"givenName": "B", "familyName": "L"}),
        );
    }
}

#[test]
fn complex_values_merge_their_parts() {
    for op in ["add", "replace"] {
        let expect = json!({"givenName": "B", "familyName": "L"});
        check(json!([{"op": op, "path": "name", "value": {"givenName": "B"}}]), "/name", expect.clone());
        check(json!([{"op": op, "value": {"name": {"givenName": "B"}}}]), "/name", expect);
        check(json!([{"op": op, "path": "name", "value": {"givenName": null}}]), "/name", json!({"familyName": "L"}));
        check(json!([{"op": op, "path": "name", "value": {}}]), "/name/givenName", json!("Ada"));
    }
}

#[test]
fn an_operation_without_a_path_reaches_every_attribute() {
    let value = json!({"title": "T", "id": "x", ENTERPRISE_USER_URN: {"division": "D"}, "displayName": null});
    let result = patched(json!([{"op": "replace", "value": value}])).unwrap();
    assert_eq!((result.get("title"), result.get("displayName")), (Some(&json!("T")), None));
    assert_eq!(result.get_extension(ENTERPRISE_USER_URN, "division"), Some(&json!("D")));
    assert_eq!(result.get_extension(ENTERPRISE_USER_URN, "department"), Some(&json!("R")));
}

#[test]
fn null_takes_a_value_away() {
    check(json!([{"op": "replace", "path": "displayName", "value": null}]), "/displayName", Value::Null);
    check(json!([{"op": "replace", "path": "emails", "value": null}]), "/emails", Value::Null);
    check(json!([{"op": "replace", "path": "emails", "value": []}]), "/emails", Value::Null);
    check(json!([{"op": "replace", "path": "name.givenName", "value": null}]), "/name", json!({"familyName": "L"}));
}

#[test]
fn a_new_manager_takes_nothing_over_from_the_old() {
    let manager = format!("{ENTERPRISE_USER_URN}:manager");
    let pointer = format!("/{ENTERPRISE_USER_URN}/manager");
    check(json!([{"op": "replace", "path": manager, "value": {"value": "m2"}}]), &pointer, json!({"value": "m2"}));
    check(
        json!([{"op": "replace", "path": format!("{manager}.value"), "value": "m2"}]),
        &pointer,
        json!({"value": "m2"}),
    );
    check(
        json!([{"op": "add", "path": manager, "value": {"$ref": "r"}}]),
        &pointer,
        json!({"value": "m1", "$ref": "r"}),
    );
    check(json!([{"op": "replace", "path": manager, "value": {"value": null}}]), &pointer, Value::Null);
}

#[test]
fn added_values_are_appended_once() {
    let add = |value: Value| json!([{"op": "add", "path": "emails", "value": value}]);
    check(add(json!([{"value": "n@x", "type": "other"}])), "/emails/2/value", json!("n@x"));
    check(add(json!({"value": "n@x"})), "/emails/2/value", json!("n@x"));
    check(add(json!([{"value": "a@x"}])), "/emails/2", Value::Null);
    check(add(json!([{"value": "h@x", "type": "home", "display": "H"}])), "/emails/1/display", json!("H"));
    check(add(json!([{"value": "a@x"}, {"value": "a@x", "type": "work"}])), "/emails/2", Value::Null);
    check(add(json!([])), "/emails/1/value", json!("h@x"));
}

#[test]
fn a_value_made_primary_takes_the_place_of_the_old() {
    let expect =
        json!([{"type": "work", "value": "a@x", "primary": false}, {"type": "home", "value": "h@x", "primary": true}]);
    check(json!([{"op": "add", "path": "emails[type eq \"home\"].primary", "value": true}]), "/emails", expect.clone());
    check(json!([{"op": "add", "path": "emails[type eq \"home\"]", "value": {"primary": true}}]), "/emails", expect);
    let added = json!([{"op": "add", "path": "emails", "value": [{"value": "n@x", "primary": true}]}]);
    check(added, "/emails/0/primary", json!(false));
}

#[test]
fn what_a_filter_selects_is_replaced_and_not_merged() {
    let value = json!({"value": "n@x", "type": "other"});
    check(
        json!([{"op": "replace", "path": "emails[type eq \"work\"]", "value": value}]),
        "/emails",
        json!([{"value": "n@x", "type": "other"}, {"type": "home", "value": "h@x"}]),
    );
}

#[test]
fn a_password_is_thrown_away() {
    check(json!([{"op": "replace", "path": "password", "value": "hunter2"}]), "/password", Value::Null);
    check(json!([{"op": "add", "value": {"password": "hunter2"}}]), "/password", Value::Null);
    check(json!([{"op": "remove", "path": "password"}]), "/password", Value::Null);
}

#[test]
fn a_filter_selects_what_is_changed() {
    check(
        json!([{"op": "replace", "path": "emails[type eq \"HOME\"].value", "value": "n@x"}]),
        "/emails/1/value",
        json!("n@x"),
    );
    check(
        json!([{"op": "remove", "path": "emails[type eq \"work\"]"}]),
        "/emails",
        json!([{"type": "home", "value": "h@x"}]),
    );
    check(json!([{"op": "remove", "path": "emails[value pr]"}]), "/emails", Value::Null);
    check(json!([{"op": "replace", "path": "emails.display", "value": "D"}]), "/emails/1/display", json!("D"));
    check(json!([{"op": "remove", "path": "emails", "value": [{"value": "a@x"}]}]), "/emails/0/value", json!("h@x"));
    check(json!([{"op": "remove", "path": "emails", "value": []}]), "/emails/1/value", json!("h@x"));
}

#[test]
fn values_are_the_same_by_the_rule_of_their_attribute() {
    check(json!([{"op": "remove", "path": "emails", "value": [{"value": "A@X"}]}]), "/emails/0/value", json!("h@x"));
    check(
        json!([{"op": "add", "path": "emails", "value": [{"value": "A@X", "type": "Work"}]}]),
        "/emails/2",
        Value::Null,
    );
    let photos =
        json!([{"op": "add", "path": "photos", "value": [{"value": "https://x/A"}, {"value": "https://x/a"}]}]);
    check(photos, "/photos/1/value", json!("https://x/a"));
}

#[test]
fn a_filter_without_a_match_is_no_target() {
    for op in ["add", "replace", "remove"] {
        refused(json!([{"op": op, "path": "emails[type eq \"other\"].value", "value": "x"}]), ScimType::NoTarget);
        refused(json!([{"op": op, "path": "emails[type eq \"other\"]", "value": {"value": "x"}}]), ScimType::NoTarget);
    }
    refused(json!([{"op": "remove"}]), ScimType::NoTarget);
}

#[test]
fn several_operations_on_one_missing_element_build_one_element() {
    let set =
        |sub: &str, value: &str| creating(Op::Add, &format!("addresses[type eq \"work\"].{sub}"), Some(json!(value)));
    let operations = [set("country", "GB"), set("locality", "London"), set("postalCode", "N1")];
    let result = apply(&ada(), &operations).unwrap();
    let expect = json!([{"type": "work", "country": "GB", "locality": "London", "postalCode": "N1"}]);
    assert_eq!(result.get("addresses"), Some(&expect));
}

#[test]
fn an_element_is_made_only_from_equalities() {
    let value = Some(json!("x"));
    for filter in [
        "type eq \"a\" or type eq \"b\"",
        "not (type eq \"a\")",
        "type sw \"a\"",
        "type eq \"a\" and type eq \"b\"",
        "type eq null and value eq \"q\"",
    ] {
        let operation = creating(Op::Add, &format!("ims[{filter}].value"), value.clone());
        let error = apply(&ada(), &[operation]).unwrap_err();
        assert_eq!(error.scim_type, Some(ScimType::NoTarget), "{filter}");
    }
    let both = creating(Op::Replace, "ims[type eq \"a\" and primary eq true].value", value);
    let result = apply(&ada(), &[both]).unwrap();
    assert_eq!(result.get("ims"), Some(&json!([{"type": "a", "primary": true, "value": "x"}])));
}

#[test]
fn a_made_element_that_is_primary_takes_the_place_of_the_old() {
    let made = creating(Op::Add, "emails[type eq \"other\" and primary eq true].value", Some(json!("o@x")));
    let emails = apply(&ada(), &[made]).unwrap().get("emails").cloned().unwrap();
    assert_eq!((&emails[0]["primary"], &emails[2]["primary"]), (&json!(false), &json!(true)), "{emails}");
    let path = "emails[type eq \"other\" and primary eq true].primary";
    let taken_back = apply(&ada(), &[creating(Op::Add, path, Some(json!(false)))]).unwrap();
    assert_eq!(taken_back.get("emails").unwrap()[0]["primary"], json!(true));
}

#[test]
fn an_element_is_not_made_from_what_only_the_server_writes() {
    let path = format!("{ENTERPRISE_USER_URN}:manager[displayName eq \"M\"].$ref");
    let error = apply(&ada(), &[creating(Op::Replace, &path, Some(json!("r")))]).unwrap_err();
    assert_eq!(error.scim_type, Some(ScimType::NoTarget));
}

#[test]
fn removing_from_an_element_that_may_be_missing_succeeds() {
    let operation = creating(Op::Remove, "ims[type eq \"a\"].value", None);
    assert_eq!(apply(&ada(), &[operation]), Ok(ada()));
}

#[test]
fn an_element_without_its_value_is_gone_unless_it_gets_a_new_one() {
    let remove = json!({"op": "remove", "path": "emails[type eq \"work\"].value"});
    check(json!([remove]), "/emails", json!([{"type": "home", "value": "h@x"}]));
    let cleared = json!({"op": "replace", "path": "emails[type eq \"work\"]", "value": {"value": null}});
    check(json!([cleared]), "/emails", json!([{"type": "home", "value": "h@x"}]));
    let add = json!({"op": "add", "path": "emails[type eq \"work\"].value", "value": "n@x"});
    check(json!([remove, add]), "/emails/0", json!({"type": "work", "value": "n@x", "primary": true}));
    check(
        json!([{"op": "remove", "path": "name.givenName"}, {"op": "remove", "path": "name.familyName"}]),
        "/name",
        Value::Null,
    );
}

#[test]
fn an_extension_is_removed_whole_by_its_urn() {
    check(json!([{"op": "remove", "path": ENTERPRISE_USER_URN}]), &format!("/{ENTERPRISE_USER_URN}"), Value::Null);
    let replace = json!([{"op": "replace", "path": ENTERPRISE_USER_URN, "value": {"department": "S"}}]);
    check(replace, &format!("/{ENTERPRISE_USER_URN}/department"), json!("S"));
}

#[test]
fn what_cannot_be_changed_is_refused() {
    refused(json!([{"op": "replace", "path": "id", "value": "x"}]), ScimType::Mutability);
    refused(json!([{"op": "replace", "path": "meta.created", "value": "x"}]), ScimType::Mutability);
    let manager_name = format!("{ENTERPRISE_USER_URN}:manager.displayName");
    refused(json!([{"op": "add", "path": manager_name, "value": "x"}]), ScimType::Mutability);
    refused(json!([{"op": "remove", "path": "userName"}]), ScimType::Mutability);
    refused(json!([{"op": "replace", "path": "userName", "value": null}]), ScimType::InvalidValue);
    refused(json!([{"op": "replace", "path": "groups", "value": []}]), ScimType::Mutability);
    refused(json!([{"op": "replace", "path": "password", "value": 1}]), ScimType::InvalidValue);
    refused(json!([{"op": "replace", "path": "userName", "value": ""}]), ScimType::InvalidValue);
    refused(json!([{"op": "replace", "path": "active", "value": "False"}]), ScimType::InvalidValue);
    refused(json!([{"op": "replace", "path": "title"}]), ScimType::InvalidValue);
    refused(json!([{"op": "replace", "value": "x"}]), ScimType::InvalidValue);
    refused(json!([{"op": "replace", "value": {"name.givenName": "x"}}]), ScimType::InvalidSyntax);
}

#[test]
fn what_cannot_be_read_is_refused() {
    refused(json!([]), ScimType::InvalidSyntax);
    refused(json!([5]), ScimType::InvalidSyntax);
    refused(json!([{"op": "Replace", "path": "title", "value": "x"}]), ScimType::InvalidSyntax);
    refused(json!([{"path": "title", "value": "x"}]), ScimType::InvalidSyntax);
    refused(json!([{"op": "add", "path": 5, "value": "x"}]), ScimType::InvalidPath);
    refused(json!([{"op": "add", "path": "shoeSize", "value": "x"}]), ScimType::InvalidPath);
    refused(json!([{"op": "add", "path": "emails[type", "value": "x"}]), ScimType::InvalidFilter);
    assert_eq!(parse(ResourceType::User, json!([])).unwrap_err().scim_type, Some(ScimType::InvalidSyntax));
}

#[test]
fn the_number_of_operations_is_bounded() {
    let operations = |count: usize| json!({"Operations": vec![json!({"op": "remove", "path": "title"}); count]});
    assert!(parse(ResourceType::User, operations(PATCH_OPERATIONS_MAX)).is_ok());
    assert_eq!(parse(ResourceType::User, operations(PATCH_OPERATIONS_MAX + 1)).unwrap_err().status, 413);
}

#[test]
fn a_urn_counts_as_the_operations_that_it_stands_for() {
    let operations =
        |count: usize| json!({"Operations": vec![json!({"op": "remove", "path": ENTERPRISE_USER_URN}); count]});
    let attributes = 6;
    assert!(parse(ResourceType::User, operations(PATCH_OPERATIONS_MAX / attributes)).is_ok());
    assert_eq!(parse(ResourceType::User, operations(PATCH_OPERATIONS_MAX / attributes + 1)).unwrap_err().status, 413);
}

/// A user with the most values, and so many operations that each look at every one of them.
fn compared(path: &str, value: &Value, count: usize) -> Result<Resource<'static>, Error> {
    let emails: Vec<Value> = (0..VALUES_MAX).map(|at| json!({"value": format!("{at}@x")})).collect();
    let user = Resource::from_json(ResourceType::User, json!({"userName": "ada", "emails": emails})).unwrap();
    let path = Path::parse(ResourceType::User, path).unwrap();
    apply(&user, &vec![Operation::new(Op::Add, Some(path), Some(value.clone())); count])
}

#[test]
fn the_comparisons_of_one_request_are_bounded() {
    let status = |path: &str, value: &Value, count| compared(path, value, count).err().map(|error| error.status);
    let filter = format!("emails[{}].display", ["value ne \"q\""; 10].join(" and "));
    let values: Value = vec![json!({"value": "0@x"}); 10].into();
    for (path, value) in [(filter.as_str(), json!("x")), ("emails", values)] {
        let most = PATCH_COMPARISONS_MAX / (10 * VALUES_MAX);
        assert_eq!((status(path, &value, most), status(path, &value, most + 1)), (None, Some(413)), "{path}");
    }
}

#[test]
fn the_most_operations_upon_the_most_values_are_within_the_bound() {
    assert!(compared("emails[value eq \"127@x\"].display", &json!("x"), PATCH_OPERATIONS_MAX).is_ok());
}

#[test]
fn a_failed_operation_leaves_the_user_as_it_was() {
    let before = ada();
    let operations = json!({"Operations": [{"op": "remove", "path": "title"}, {"op": "remove", "path": "userName"}]});
    assert!(apply(&before, &parse(ResourceType::User, operations).unwrap()).is_err());
    assert_eq!(before, ada());
}

proptest! {
    #[test]
    fn a_patched_user_is_a_valid_user(value in json_values(), at in 0..8_usize, op in 0..3_usize) {
        let paths = ["emails", "emails[type eq \"work\"].value", "name", "title", "emails[type eq \"work\"]", "roles.value",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", "emails.primary"];
        let op = [Op::Add, Op::Remove, Op::Replace][op];
        let path = Path::parse(ResourceType::User, paths[at]).unwrap();
        if let Ok(user) = apply(&ada(), &[Operation::new(op, Some(path), Some(value.clone()))]) {
            let again = Resource::from_json(ResourceType::User, Value::Object(user.as_object().clone()));
            proptest::prop_assert_eq!(again, Ok(user));
        }
        if let Ok(user) = apply(&ada(), &[Operation::new(op, None, Some(value))]) {
            let again = Resource::from_json(ResourceType::User, Value::Object(user.as_object().clone()));
            proptest::prop_assert_eq!(again, Ok(user));
        }
    }
}
