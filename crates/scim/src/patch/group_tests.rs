//! Facts about operations on groups.

use proptest::prelude::proptest;
use serde_json::{Value, json};

use super::{GroupChange, group_changes, parse};
use crate::arbitrary::json_values;
use crate::resource::MEMBERS_MAX;
use crate::schema::{GROUP_URN, ResourceType};
use crate::{Error, ScimType};

fn changes(operations: Value) -> Result<Vec<GroupChange>, Error> {
    group_changes(&parse(ResourceType::Group, json!({"Operations": operations}))?)
}

fn check(operations: Value, expect: &[GroupChange]) {
    assert_eq!(changes(operations).as_deref(), Ok(expect));
}

fn refused(operations: Value, scim_type: ScimType) {
    let error = changes(operations.clone()).expect_err(&operations.to_string());
    assert_eq!((error.status, error.scim_type), (400, Some(scim_type)), "{error}");
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn a_removal_with_a_list_removes_those_and_no_others() {
    check(
        json!([{"op": "remove", "path": "members", "value": [{"value": "u1"}]}]),
        &[GroupChange::RemoveMembers(ids(&["u1"]))],
    );
    check(json!([{"op": "remove", "path": "members", "value": []}]), &[]);
    check(json!([{"op": "remove", "path": "members"}]), &[GroupChange::ClearMembers]);
}

#[test]
fn a_value_that_cannot_be_read_is_never_all_members() {
    for value in [
        json!(null),
        json!(""),
        json!("u1"),
        json!(5),
        json!([null]),
        json!([{}]),
        json!([{"value": null}]),
        json!([{"value": ""}]),
        json!([{"value": "u1"}, 5]),
    ] {
        for op in ["add", "remove", "replace"] {
            refused(json!([{"op": op, "path": "members", "value": value}]), ScimType::InvalidValue);
        }
    }
    refused(json!([{"op": "replace", "path": "members"}]), ScimType::InvalidValue);
}

#[test]
fn members_are_removed_by_filter() {
    check(json!([{"op": "remove", "path": "members[value eq \"u1\"]"}]), &[GroupChange::RemoveMembers(ids(&["u1"]))]);
    let either = json!([{"op": "remove", "path": "members[value eq \"u1\" or value eq \"u2\"]"}]);
    check(either, &[GroupChange::RemoveMembers(ids(&["u1", "u2"]))]);
    refused(json!([{"op": "remove", "path": "members[value sw \"u\"]"}]), ScimType::InvalidFilter);
    refused(json!([{"op": "remove", "path": "members[value ne \"u\"]"}]), ScimType::InvalidFilter);
    refused(json!([{"op": "remove", "path": "members[display eq \"u\"]"}]), ScimType::InvalidFilter);
    refused(json!([{"op": "add", "path": "members[value eq \"u1\"]", "value": {}}]), ScimType::InvalidPath);
}

#[test]
fn order_is_kept_and_neighbours_of_one_kind_become_one() {
    let operations = json!([
        {"op": "add", "path": "members", "value": [{"value": "u1"}]},
        {"op": "add", "path": "members", "value": {"value": "u2"}},
        {"op": "remove", "path": "members[value eq \"u1\"]"},
        {"op": "replace", "path": "displayName", "value": "Ops"},
        {"op": "remove", "path": "members[value eq \"u2\"]"},
    ]);
    let expect = [
        GroupChange::AddMembers(ids(&["u1", "u2"])),
        GroupChange::RemoveMembers(ids(&["u1"])),
        GroupChange::SetDisplayName("Ops".to_owned()),
        GroupChange::RemoveMembers(ids(&["u2"])),
    ];
    check(operations, &expect);
}

#[test]
fn members_are_replaced_only_where_they_are_named() {
    check(
        json!([{"op": "replace", "value": {"displayName": "Ops"}}]),
        &[GroupChange::SetDisplayName("Ops".to_owned())],
    );
    let named = json!([{"op": "replace", "value": {"members": [{"value": "u1"}], "id": "g"}}]);
    check(named, &[GroupChange::ReplaceMembers(ids(&["u1"]))]);
    check(
        json!([{"op": "add", "value": {GROUP_URN: {"members": [{"value": "u1"}]}}}]),
        &[GroupChange::AddMembers(ids(&["u1"]))],
    );
}

#[test]
fn the_external_id_can_go_and_the_name_cannot() {
    check(
        json!([{"op": "add", "path": "externalId", "value": "e"}]),
        &[GroupChange::SetExternalId(Some("e".to_owned()))],
    );
    check(json!([{"op": "remove", "path": "externalId"}]), &[GroupChange::SetExternalId(None)]);
    check(json!([{"op": "replace", "path": "externalId", "value": null}]), &[GroupChange::SetExternalId(None)]);
    refused(json!([{"op": "remove", "path": "displayName"}]), ScimType::Mutability);
    refused(json!([{"op": "replace", "path": "displayName", "value": " "}]), ScimType::InvalidValue);
    refused(json!([{"op": "replace", "path": "displayName", "value": 5}]), ScimType::InvalidValue);
    refused(json!([{"op": "replace", "path": "members[value eq \"u1\"].display", "value": "x"}]), ScimType::Mutability);
    refused(json!([{"op": "replace", "path": "id", "value": "x"}]), ScimType::Mutability);
    refused(json!([{"op": "remove"}]), ScimType::NoTarget);
}

#[test]
fn the_number_of_members_is_bounded_over_the_whole_request() {
    let add = |count: usize| json!({"op": "add", "path": "members", "value": vec![json!({"value": "u"}); count]});
    assert!(changes(json!([add(MEMBERS_MAX)])).is_ok());
    assert_eq!(changes(json!([add(MEMBERS_MAX + 1)])).unwrap_err().status, 413);
    assert_eq!(changes(json!([add(MEMBERS_MAX), add(1)])).unwrap_err().status, 413);
}

proptest! {
    #[test]
    fn no_value_clears_members(value in json_values()) {
        let operations = json!([{"op": "remove", "path": "members", "value": value}]);
        if let Ok(changes) = changes(operations) {
            proptest::prop_assert!(!changes.contains(&GroupChange::ClearMembers));
        }
    }
}
