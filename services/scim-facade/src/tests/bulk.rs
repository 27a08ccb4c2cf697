//! Bulk requests.

use std::time::Duration;

use serde_json::{Value, json};

use scim::bulk::BULK_OPERATIONS_MAX;

use super::{
    harness::{BASE, Service},
    identity::Fault,
};
use crate::identity::ProvisioningState;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

async fn bulk(service: &Service, operations: Value) -> Vec<Value> {
    let schemas = ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"];
    let answer = service.post("/Bulk", json!({"schemas": schemas, "Operations": operations})).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    let body = answer.json();
    assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:BulkResponse"]));
    body["Operations"].as_array().unwrap().clone()
}

fn statuses(results: &[Value]) -> Vec<&str> {
    results.iter().map(|result| result["status"].as_str().unwrap()).collect()
}

fn post_user(bulk_id: &str, data: Value) -> Value {
    json!({"method": "POST", "path": "/Users", "bulkId": bulk_id, "data": data})
}

fn id_of(result: &Value) -> &str {
    result["location"].as_str().unwrap().rsplit('/').next().unwrap()
}

#[tokio::test]
async fn each_method_is_carried_out_and_answered() {
    let service = Service::new().await;
    let (id, other) = (service.user("ada").await, service.user("bob").await);
    let results = bulk(
        &service,
        json!([
            post_user("new", json!({"userName": "eve"})),
            {"method": "patch", "path": format!("/Users/{id}"), "data": [{"op": "add", "path": "title", "value": "T"}]},
            {"method": "PUT", "path": format!("/Users/{other}"), "version": "W/\"1\"", "data": {"userName": "bobby"}},
            {"method": "DELETE", "path": format!("Users/{id}")},
        ]),
    )
    .await;
    assert_eq!(statuses(&results), ["201", "200", "200", "204"]);
    assert_eq!((&results[0]["bulkId"], &results[0]["method"]), (&json!("new"), &json!("POST")));
    assert_eq!(results[0]["location"], format!("{BASE}/Users/{}", id_of(&results[0])));
    assert_eq!(results[1]["location"], format!("{BASE}/Users/{id}"));
    assert_eq!((&results[2]["version"], results[2].get("response")), (&json!("W/\"2\""), None));
    service.get(&format!("/Users/{id}")).await.refused(404);
    assert_eq!(service.get(&format!("/Users/{other}")).await.json()["userName"], "bobby");
}

#[tokio::test]
async fn references_are_resolved_in_any_order() {
    let service = Service::new().await;
    let results = bulk(
        &service,
        json!([
            {"method": "POST", "path": "/Groups", "bulkId": "g", "data": {
                "displayName": "Ops", "members": [{"value": "bulkId:a"}, {"value": "bulkId:b"}]}},
            post_user("b", json!({"userName": "bob", ENTERPRISE: {"manager": {"value": "bulkId:a"}}})),
            post_user("a", json!({"userName": "ada", "displayName": "bulkId:b"})),
            {"method": "PATCH", "path": "/Users/bulkId:a", "data": [{"op": "add", "path": "title", "value": "T"}]},
        ]),
    )
    .await;
    assert_eq!(statuses(&results), ["201", "201", "201", "200"]);
    let group = service.get(&format!("/Groups/{}", id_of(&results[0]))).await.json();
    let members: Vec<&str> =
        group["members"].as_array().unwrap().iter().map(|m| m["value"].as_str().unwrap()).collect();
    assert!(members.contains(&id_of(&results[1])) && members.contains(&id_of(&results[2])), "{group}");
    let bob = service.get(&format!("/Users/{}", id_of(&results[1]))).await.json();
    assert_eq!(bob[ENTERPRISE]["manager"]["value"], id_of(&results[2]));
    let ada = service.get(&format!("/Users/{}", id_of(&results[2]))).await.json();
    assert_eq!((&ada["displayName"], &ada["title"]), (&json!("bulkId:b"), &json!("T")));
}

#[tokio::test]
async fn a_circle_of_references_is_closed() {
    let service = Service::new().await;
    let manager =
        |name: &str, of: &str| json!({"userName": name, ENTERPRISE: {"manager": {"value": format!("bulkId:{of}")}}});
    let operations = json!([post_user("a", manager("ada", "b")), post_user("b", manager("bob", "a"))]);
    let results = bulk(&service, operations).await;
    assert_eq!(statuses(&results), ["201", "201"]);
    let manager_of = async |at: usize| {
        let user = service.get(&format!("/Users/{}", id_of(&results[at]))).await;
        let version = user.header("etag").to_owned();
        assert_eq!(results[at]["version"], version);
        user.json()[ENTERPRISE]["manager"]["value"].clone()
    };
    assert_eq!(manager_of(0).await, id_of(&results[1]));
    assert_eq!(manager_of(1).await, id_of(&results[0]));
    // And of one with itself.
    let results = bulk(&service, json!([post_user("c", manager("eve", "c"))])).await;
    let eve = service.get(&format!("/Users/{}", id_of(&results[0]))).await.json();
    assert_eq!(eve[ENTERPRISE]["manager"]["value"], id_of(&results[0]));
}

#[tokio::test]
async fn what_refers_to_something_that_failed_fails_and_leaves_nothing() {
    let service = Service::new().await;
    let manager =
        |name: &str, of: &str| json!({"userName": name, ENTERPRISE: {"manager": {"value": format!("bulkId:{of}")}}});
    let operations = json!([
        post_user("a", manager("ada", "b")),
        post_user("b", json!({"userName": ""})),
        post_user("c", manager("eve", "nobody")),
        {"method": "PATCH", "path": "/Users/bulkId:b", "data": []},
    ]);
    let results = bulk(&service, operations).await;
    assert_eq!(statuses(&results), ["409", "400", "409", "409"]);
    assert_eq!(results[1]["response"]["scimType"], "invalidValue");
    // A circle of which one part fails is taken back.
    let operations = json!([
        post_user("a", manager("ada", "b")),
        post_user("b", {
            let mut bob = manager("bob", "a");
            bob["active"] = json!([1, 2]);
            bob
        })
    ]);
    assert_eq!(statuses(&bulk(&service, operations).await), ["409", "400"]);
    assert_eq!(service.get("/Users?count=0").await.json()["totalResults"], 0);
}

#[tokio::test]
async fn errors_end_the_request_where_the_client_says_so() {
    let service = Service::new().await;
    let bad = |at: usize| post_user(&at.to_string(), json!({"userName": ""}));
    let body =
        json!({"failOnErrors": 2, "Operations": [bad(0), post_user("x", json!({"userName": "ada"})), bad(1), bad(2)]});
    let answer = service.post("/Bulk", body).await.json();
    let results = answer["Operations"].as_array().unwrap();
    assert_eq!(statuses(results), ["400", "201", "400"]);
}

#[tokio::test]
async fn a_malformed_operation_fails_by_itself_and_a_stale_version_too() {
    let service = Service::new().await;
    let id = service.user("ada").await;
    let results = bulk(
        &service,
        json!([
            {"method": "GET", "path": "/Users"},
            {"method": "POST", "path": "/Bulk", "bulkId": "x", "data": {}},
            {"method": "DELETE", "path": format!("/Users/{id}"), "version": "W/\"9\""},
            {"method": "DELETE", "path": format!("/Users/{id}"), "version": "\n"},
            {"method": "POST", "path": "/Users", "bulkId": "y", "data": {"userName": "ADA"}},
            {"method": "PATCH", "path": "/Groups/none", "data": [{"op": "add", "path": "displayName", "value": "x"}]},
        ]),
    )
    .await;
    assert_eq!(statuses(&results), ["400", "400", "412", "400", "409", "404"]);
    assert_eq!(results[4]["response"]["scimType"], "uniqueness");
}

#[tokio::test]
async fn r13_a_pause_is_answered_to_the_whole() {
    let service = Service::new().await;
    let operations = json!({"Operations": [post_user("a", json!({"userName": "ada"}))]});
    service.identity.directory().state = ProvisioningState::Paused;
    let answer = service.post("/Bulk", operations.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "300"));
    service.identity.directory().state = ProvisioningState::Off;
    service.post("/Bulk", operations).await.refused(403);
}

#[tokio::test]
async fn what_was_there_before_is_neither_made_in_part_nor_taken_away() {
    let service = Service::new().await;
    let (boss, group) = (service.user("boss").await, service.group("Ops", &[]).await);
    let manager =
        |name: &str, of: &str| json!({"userName": name, ENTERPRISE: {"manager": {"value": format!("bulkId:{of}")}}});
    // A PUT that bears a bulkId makes nothing that could be referred to.
    let operations = json!([
        post_user("n", manager("boss", "p")),
        {"method": "PUT", "path": format!("/Users/{boss}"), "bulkId": "p", "data": manager("boss", "n")},
    ]);
    assert_eq!(statuses(&bulk(&service, operations).await), ["409", "409"]);
    let members = json!([{"op": "remove", "path": "members", "value": [{"value": "bulkId:p"}]}]);
    let operations = json!([{"method": "PATCH", "path": format!("/Groups/{group}"), "bulkId": "p", "data": members}]);
    assert_eq!(statuses(&bulk(&service, operations).await), ["409"]);
    assert_eq!(service.get(&format!("/Users/{boss}")).await.json()["userName"], "boss");
    assert_eq!(service.get(&format!("/Groups/{group}")).await.json()["displayName"], "Ops");
}

#[tokio::test]
async fn a_circle_is_closed_before_anything_else_changes_it() {
    let service = Service::new().await;
    let manager =
        |name: &str, of: &str| json!({"userName": name, ENTERPRISE: {"manager": {"value": format!("bulkId:{of}")}}});
    let patch = |path: &str, value: &str| {
        let data = [json!({"op": "replace", "path": path, "value": value})];
        json!({"method": "PATCH", "path": "/Users/bulkId:b", "data": data})
    };
    for operations in [
        json!([
            post_user("a", manager("ada", "b")),
            post_user("b", manager("bob", "a")),
            patch("title", "T"),
            patch("userName", "robert")
        ]),
        json!([
            patch("title", "T"),
            patch("userName", "robert2"),
            post_user("a", manager("ada2", "b")),
            post_user("b", manager("bob2", "a"))
        ]),
    ] {
        let results = bulk(&service, operations).await;
        let made = results.iter().find(|result| result["bulkId"] == "b").unwrap();
        let bob = service.get(&format!("/Users/{}", id_of(made))).await.json();
        assert!(bob["userName"].as_str().unwrap().starts_with("robert"), "{bob}");
        assert_eq!(bob["title"], "T");
        assert!(bob[ENTERPRISE]["manager"]["value"].is_string(), "{bob}");
    }
}

#[tokio::test(start_paused = true)]
async fn r14_an_outage_is_waited_out_once_and_not_for_each_operation() {
    let service = Service::new().await;
    let down = || std::iter::repeat_with(|| Fault::Status(tonic::Status::unavailable("down"))).take(1_000);
    let operations: Vec<Value> = (0..20)
        .map(|at| json!({"method": "PATCH", "path": format!("/Groups/{at}"), "data": [{"op": "add", "path": "displayName", "value": "x"}]}))
        .collect();
    service.fault("ChangeGroup", down());
    let began = tokio::time::Instant::now();
    let answer = service.post("/Bulk", json!({"Operations": operations})).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"));
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    // What was done before is told, and the rest is not tried.
    let mut some = vec![post_user("a", json!({"userName": "ada"}))];
    some.extend(operations);
    let results = bulk(&service, Value::from(some)).await;
    assert_eq!(results.len(), 21);
    assert_eq!(
        (&results[0]["status"], &results[1]["status"], &results[20]["status"]),
        (&json!("201"), &json!("503"), &json!("503"))
    );
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_chain_keeps_no_reference_to_what_was_taken_back() {
    let service = Service::new().await;
    service.user("taken").await;
    let manager =
        |name: &str, of: &str| json!({"userName": name, ENTERPRISE: {"manager": {"value": format!("bulkId:{of}")}}});
    let operations = json!([
        post_user("a", manager("taken", "b")),
        post_user("b", manager("bob", "c")),
        post_user("c", manager("eve", "a"))
    ]);
    assert_eq!(statuses(&bulk(&service, operations).await), ["409", "409", "409"]);
    assert_eq!(service.get("/Users?count=0").await.json()["totalResults"], 1);
}

#[tokio::test]
async fn a_chain_as_long_as_a_request_may_hold_is_taken_back() {
    let service = Service::new().await;
    // Each refers to the one before it, the first to the last: which of them is made in part is the second, and what it waits for fails.
    let user = |at: usize| {
        let before = if at == 0 { BULK_OPERATIONS_MAX } else { at } - 1;
        let name = if at == 0 { String::new() } else { format!("user{at}") };
        let manager = json!({"value": format!("bulkId:{before}")});
        post_user(&at.to_string(), json!({"userName": name, ENTERPRISE: {"manager": manager}}))
    };
    let results = bulk(&service, (0..BULK_OPERATIONS_MAX).map(user).collect()).await;
    assert_eq!(statuses(&results[..2]), ["400", "409"]);
    assert!(results.iter().skip(1).all(|result| result["status"] == "409"));
    assert_eq!(service.get("/Users?count=0").await.json()["totalResults"], 0);
}
