//! Facts and properties of PATCH bodies; most of what is accepted stands in `tests/recorded`.

use proptest::prelude::proptest;
use scim::patch::{GroupChange, OnMissing, PATCH_OPERATIONS_MAX, apply, group_changes};
use scim::schema::{ENTERPRISE_USER_URN, USER_ATTRIBUTE_URN, UserAttribute, UserAttributeKind};
use scim::{Resource, ResourceType, Schemas, ScimType};
use serde_json::{Value, json};

use super::patch;
use scim::arbitrary::{bodies, json_values, patch_bodies, patch_body_of, schemas};

fn refused(body: Value, scim_type: ScimType) {
    let error = patch(ResourceType::User, body.clone()).expect_err(&body.to_string());
    assert_eq!((error.status, error.scim_type), (400, Some(scim_type)), "{body}");
}

fn refused_operation(operation: Value, scim_type: ScimType) {
    refused(json!({"Operations": [operation]}), scim_type);
}

#[test]
fn a_body_without_sound_structure_is_refused() {
    for body in [json!([]), json!("x"), json!({}), json!({"Operations": {}}), json!({"Operations": [], "schemas": "x"})]
    {
        refused(body, ScimType::InvalidSyntax);
    }
    refused_operation(json!("x"), ScimType::InvalidSyntax);
    refused_operation(json!({"path": "title", "value": "x"}), ScimType::InvalidSyntax);
    refused_operation(json!({"op": "upsert", "path": "title", "value": "x"}), ScimType::InvalidSyntax);
    refused_operation(json!({"op": 5, "path": "title", "value": "x"}), ScimType::InvalidSyntax);
}

#[test]
fn a_malformed_path_is_refused() {
    refused_operation(json!({"op": "Add", "path": 5, "value": "x"}), ScimType::InvalidPath);
    refused_operation(json!({"op": "Add", "path": "title title", "value": "x"}), ScimType::InvalidPath);
    refused_operation(json!({"op": "Add", "path": "emails]", "value": "x"}), ScimType::InvalidPath);
    refused_operation(json!({"op": "Add", "path": "emails[type eq]", "value": "x"}), ScimType::InvalidFilter);
    refused_operation(json!({"op": "Add", "path": "emails[type eq \"work]", "value": "x"}), ScimType::InvalidPath);
}

#[test]
fn the_number_of_operations_is_bounded_after_they_are_taken_apart() {
    let operations = |count: usize| vec![json!({"op": "Replace", "value": {"title": "x", "nickName": "y"}}); count];
    let half = PATCH_OPERATIONS_MAX / 2;
    assert!(patch(ResourceType::User, json!({"Operations": operations(half)})).is_ok());
    assert_eq!(patch(ResourceType::User, json!({"Operations": operations(half + 1)})).unwrap_err().status, 413);
}

#[test]
fn a_request_that_is_repeated_makes_no_second_element() {
    let user = json!({"userName": "ada", "emails": [{"type": "work", "value": "a@x"}]});
    let user = Resource::from_json(ResourceType::User, user).unwrap();
    for (path, value) in [("emails[value eq \"a@x\"].value", "b@x"), ("emails[type eq \"work\"].type", "home")] {
        let body = json!({"Operations": [{"op": "replace", "path": path, "value": value}]});
        let (operations, _) = patch(ResourceType::User, body).unwrap();
        let once = apply(&user, &operations).unwrap();
        assert_eq!(apply(&once, &operations).unwrap_err().scim_type, Some(ScimType::NoTarget), "{path}");
    }
}

#[test]
fn a_selector_of_a_list_without_parts_takes_nothing_else_away() {
    let own =
        UserAttribute { name: "skills".to_owned(), kind: UserAttributeKind::StringList, description: String::new() };
    let schemas = Schemas::new([own]);
    let path = format!("{USER_ATTRIBUTE_URN}:skills[value eq \"go\"]");
    let body = json!({"Operations": [{"op": "remove", "path": path}]});
    let error = patch(schemas.of(ResourceType::User), body).unwrap_err();
    assert_eq!(error.status, 400);
}

#[test]
fn null_unassigns_a_whole_extension() {
    let user = json!({"userName": "ada", ENTERPRISE_USER_URN: {"department": "R"}});
    let user = Resource::from_json(ResourceType::User, user).unwrap();
    let body = json!({"Operations": [{"op": "replace", "value": {ENTERPRISE_USER_URN: null}}]});
    let (operations, _) = patch(ResourceType::User, body).unwrap();
    assert_eq!(apply(&user, &operations).unwrap().get(ENTERPRISE_USER_URN), None);
}

#[test]
fn what_only_the_server_writes_is_passed_over_among_keys() {
    let value = json!({"displayName": "X", format!("{ENTERPRISE_USER_URN}:manager.displayName"): "Bob", "id": "1"});
    let (operations, dropped) =
        patch(ResourceType::User, json!({"Operations": [{"op": "replace", "value": value}]})).unwrap();
    assert_eq!((operations.len(), dropped.len()), (1, 0));
}

#[test]
fn only_equalities_with_a_sub_attribute_may_make_an_element() {
    let on_missing = |path: &str, value: Value| {
        let body = json!({"Operations": [{"op": "Replace", "path": path, "value": value}]});
        let (operations, _) = patch(ResourceType::User, body).unwrap();
        operations.first().unwrap().on_missing
    };
    assert_eq!(on_missing("emails[type eq \"work\"].value", json!("x")), OnMissing::Create);
    assert_eq!(on_missing("emails[type eq \"work\" and primary eq \"True\"].value", json!("x")), OnMissing::Create);
    assert_eq!(on_missing("emails[type eq \"work\"]", json!({"value": "x"})), OnMissing::Refuse);
    assert_eq!(on_missing("emails[type ne \"work\"].value", json!("x")), OnMissing::Refuse);
    assert_eq!(on_missing("emails[type eq \"a\" or type eq \"b\"].value", json!("x")), OnMissing::Refuse);
}

#[test]
fn a_filter_that_selects_nothing_in_a_list_does_not_select_everything() {
    for path in ["emails.value[type eq \"work\"]", "skills[value eq \"a\"]"] {
        let body = json!({"Operations": [{"op": "Remove", "path": path}]});
        let error = patch(schemas().of(ResourceType::User), body).expect_err(path);
        assert_eq!(error.scim_type, Some(ScimType::InvalidPath), "{path}");
    }
}

#[test]
fn a_role_in_a_string_is_unwrapped_in_a_list_of_one_too() {
    for value in [json!({"value": "{\"value\":\"Admin\"}"}), json!([{"value": "{\"value\":\"Admin\"}"}])] {
        let body = json!({"Operations": [{"op": "Replace", "path": "roles[value eq \"User\"]", "value": value}]});
        let (operations, _) = patch(ResourceType::User, body).unwrap();
        assert_eq!(operations.first().unwrap().value, Some(json!({"value": "Admin"})));
    }
}

#[test]
fn reports_never_hold_the_values_of_filters() {
    let body = json!({"Operations": [{"op": "Add", "path": "pets[name eq \"Rex\"].age", "value": 5}]});
    let (operations, dropped) = patch(ResourceType::User, body).unwrap();
    assert!(operations.is_empty());
    assert_eq!(dropped.iter().map(|dropped| dropped.attribute.as_str()).collect::<Vec<_>>(), ["pets"]);
}

proptest! {
    #[test]
    fn normalising_twice_is_normalising_once(user in patch_bodies(ResourceType::User), group in patch_bodies(ResourceType::Group)) {
        for (resource_type, body) in [(ResourceType::User, user), (ResourceType::Group, group)] {
            let definition = schemas().of(resource_type);
            let Ok((once, _)) = patch(definition, body) else { continue };
            proptest::prop_assert_eq!(patch(definition, patch_body_of(&once)), Ok((once.clone(), Vec::new())), "{}", patch_body_of(&once));
        }
    }

    #[test]
    fn a_patched_user_is_well_formed(mut before in bodies(schemas().of(ResourceType::User)), body in patch_bodies(ResourceType::User)) {
        let definition = schemas().of(ResourceType::User);
        before["userName"] = json!("ada");
        let before = Resource::from_json(definition, before).unwrap();
        let Ok((operations, _)) = patch(definition, body) else { return Ok(()) };
        if let Ok(after) = apply(&before, &operations) {
            let again = Resource::from_json(definition, Value::Object(after.as_object().clone()));
            proptest::prop_assert_eq!(again, Ok(after));
        }
    }

    #[test]
    fn no_body_panics(body in json_values(), value in json_values(), path in 0..9_usize, op in 0..3_usize) {
        let _ = patch(ResourceType::User, body);
        let paths = ["emails", "emails[type eq work].value", "name", "active", "roles", "roles[primary eq \"True\"].value",
            "manager", "members", ""];
        let op = ["Add", "REMOVE", "replace"][op];
        let body = json!({"Operations": [{"op": op, "path": paths[path], "value": value}]});
        let user = Resource::from_json(ResourceType::User, json!({"userName": "ada", "emails": [{"value": "x"}]})).unwrap();
        let patched = patch(ResourceType::User, body.clone()).and_then(|(operations, _)| apply(&user, &operations));
        if let Ok(patched) = patched {
            let again = Resource::from_json(ResourceType::User, Value::Object(patched.as_object().clone()));
            proptest::prop_assert_eq!(again, Ok(patched));
        }
        if let Ok((operations, _)) = patch(ResourceType::Group, body) {
            let cleared = group_changes(&operations).is_ok_and(|changes| changes.contains(&GroupChange::ClearMembers));
            proptest::prop_assert!(!cleared);
        }
    }
}
