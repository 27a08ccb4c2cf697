use std::collections::HashMap;

use serde_json::{Value, json};

use super::{BULK_OPERATIONS_MAX, Bulk, Method, Request, references, resolve};
use crate::ResourceType;
use crate::arbitrary::json_values;

fn bulk(operations: Value) -> Bulk {
    Bulk::parse(json!({"Operations": operations})).unwrap()
}

fn refused(body: Value) -> (u16, String) {
    let error = Bulk::parse(body).unwrap_err();
    (error.status, error.detail)
}

#[test]
fn a_request_is_read_whatever_the_case_of_its_names() {
    let bulk = Bulk::parse(json!({"FailOnErrors": 2, "operations": [
        {"Method": "post", "bulkid": "a", "path": "/Users", "data": {"userName": "x"}},
        {"method": "DELETE", "path": "/Groups/1", "version": "W/\"2\""},
    ]}))
    .unwrap();
    assert_eq!(bulk.fail_on_errors, Some(2));
    let request = |method, resource_type, id| Request { method, resource_type, id };
    assert_eq!(bulk.operations[0].request(), Ok(request(Method::Post, ResourceType::User, "")));
    assert_eq!(bulk.operations[0].body(), Some(json!({"userName": "x"})));
    assert_eq!(bulk.operations[1].request(), Ok(request(Method::Delete, ResourceType::Group, "1")));
    assert_eq!(bulk.operations[1].version.as_deref(), Some("W/\"2\""));
}

#[test]
fn a_body_that_is_no_bulk_request_is_refused_whole() {
    for body in [
        json!([]),
        json!({}),
        json!({"Operations": {}}),
        json!({"Operations": []}),
        json!({"Operations": [1]}),
        json!({"Operations": [{"method": 1}]}),
        json!({"Operations": [{"path": []}]}),
        json!({"failOnErrors": "1", "Operations": [{}]}),
        json!({"failOnErrors": 0, "Operations": [{}]}),
        json!({"failOnErrors": -1, "Operations": [{}]}),
        json!({"Operations": [{"bulkId": "a"}, {"bulkId": "a"}]}),
        json!({"Operations": [{"bulkId": "a".repeat(257)}]}),
    ] {
        assert_eq!(refused(body.clone()).0, 400, "{body}");
    }
}

#[test]
fn the_number_of_operations_is_bounded() {
    let operations = |count: usize| json!({"Operations": vec![json!({}); count]});
    assert!(Bulk::parse(operations(BULK_OPERATIONS_MAX)).is_ok());
    let (status, detail) = refused(operations(BULK_OPERATIONS_MAX + 1));
    assert!(status == 413 && detail.contains("1000"), "{status} {detail}");
}

#[test]
fn an_operation_that_is_malformed_fails_by_itself() {
    let check = |operation: Value, expect: u16| {
        let bulk = bulk(json!([operation]));
        assert_eq!(bulk.operations[0].request().err().map(|error| error.status), Some(expect), "{operation}");
    };
    check(json!({"method": "GET", "path": "/Users/1"}), 400);
    check(json!({"path": "/Users"}), 400);
    check(json!({"method": "POST", "path": "/Users", "data": {}}), 400);
    check(json!({"method": "POST", "path": "/Users/1", "bulkId": "a", "data": {}}), 400);
    check(json!({"method": "POST", "path": "/Bulk", "bulkId": "a", "data": {}}), 400);
    check(json!({"method": "POST", "path": "/Users", "bulkId": "a"}), 400);
    check(json!({"method": "PUT", "path": "/Users", "data": {}}), 400);
    check(json!({"method": "DELETE", "path": "/Users/"}), 400);
    check(json!({"method": "DELETE", "path": "/Users/1/2"}), 400);
    check(json!({"method": "DELETE", "path": "/Users/1?x"}), 400);
    check(json!({"method": "DELETE"}), 400);
}

#[test]
fn the_data_of_a_patch_may_be_the_bare_list() {
    let bulk = bulk(json!([{"method": "PATCH", "path": "/Users/1", "data": [{"op": "remove", "path": "title"}]}]));
    assert_eq!(bulk.operations[0].body().unwrap()["Operations"], json!([{"op": "remove", "path": "title"}]));
}

#[test]
fn what_is_made_comes_before_what_refers_to_it() {
    let member = |id: &str| json!({"members": [{"value": format!("bulkId:{id}")}]});
    let make = |id: &str, data: Value| json!({"method": "POST", "path": "/Groups", "bulkId": id, "data": data});
    let plain = json!({"displayName": "bulkId:b"});
    let bulk = bulk(json!([
        make("a", member("b")),
        make("x", plain),
        {"method": "DELETE", "path": "/Users/bulkId:b"},
        make("b", member("c")),
        make("c", json!({})),
        // Only what is made can be referred to.
        {"method": "PUT", "path": "/Groups/1", "bulkId": "p", "data": member("x")},
    ]));
    assert_eq!(bulk.order(), [4, 3, 0, 1, 2, 5]);
    assert_eq!((bulk.makers().get("c"), bulk.makers().get("p")), (Some(&4), None));
}

#[test]
fn a_circle_is_broken_where_it_is_met_first_and_a_long_chain_is_no_harm() {
    let make = |id: usize, to: usize| json!({"method": "POST", "path": "/Users", "bulkId": id.to_string(), "data": {"manager": format!("bulkId:{to}")}});
    assert_eq!(bulk(json!([make(0, 1), make(1, 0)])).order(), [1, 0]);
    assert_eq!(bulk(json!([make(0, 0)])).order(), [0]);
    let chain: Vec<Value> = (0..BULK_OPERATIONS_MAX).map(|at| make(at, at + 1)).collect();
    let order = bulk(Value::from(chain)).order();
    assert_eq!((order.len(), order[0]), (BULK_OPERATIONS_MAX, BULK_OPERATIONS_MAX - 1));
}

#[test]
fn references_become_ids_and_what_is_missing_is_left_out() {
    let ids = HashMap::from([("a".to_owned(), "1".to_owned())]);
    let value = json!({
        "displayName": "bulkId:a",
        "members": [{"value": "bulkId:a"}, {"value": "bulkId:b", "type": "User"}, {"value": "7"}],
        "urn:x:User": {"manager": {"value": "bulkId:b"}},
        "urn:x:User:manager": "bulkId:a",
    });
    assert_eq!(references(&value), ["a", "b", "b", "a"]);
    let resolution = resolve(value, &ids);
    assert!(resolution.missing.iter().eq(["b"]));
    let expect = json!({
        "displayName": "bulkId:a",
        "members": [{"value": "1"}, {"value": "7"}],
        "urn:x:User": {},
        "urn:x:User:manager": "1",
    });
    assert_eq!(resolution.value, Some(expect));
}

proptest::proptest! {
    #[test]
    fn any_json_is_read_or_refused(value in json_values()) {
        if let Ok(bulk) = Bulk::parse(value) {
            let mut order = bulk.order();
            order.sort_unstable();
            proptest::prop_assert_eq!(order, (0..bulk.operations.len()).collect::<Vec<_>>());
            for operation in &bulk.operations {
                let _ = operation.request();
            }
        }
    }

    #[test]
    fn a_value_without_references_stays(value in json_values()) {
        if references(&value).is_empty() {
            let resolution = resolve(value.clone(), &HashMap::new());
            proptest::prop_assert_eq!(resolution.value, Some(value));
        }
    }
}
