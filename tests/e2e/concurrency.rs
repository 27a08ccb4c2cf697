//! Many clients at once, over HTTP, on every deployment.

use std::collections::BTreeSet;

use futures::future::join_all;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{
    Deployment::{self, ServePostgres, UpPostgres, UpSqlite},
    Rollcall,
};

/// How many clients change one group at once.
const CLIENTS: usize = 16;

async fn create(rollcall: &Rollcall, key: &str, name: &str) -> String {
    let answer = rollcall.scim(key, Method::POST, "/Users", Some(&json!({"userName": name}))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn patch(operations: &Value) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations})
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r17_two_creates_of_one_name_at_once_are_one_user(
    #[values(UpSqlite, UpPostgres, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, key)) = Rollcall::provisioned(deployment).await else { return };
    for round in 0..10 {
        let names = [format!("ada{round}@example.org"), format!("ADA{round}@Example.ORG")];
        let bodies = names.map(|name| json!({"userName": name}));
        let answers = join_all(bodies.iter().map(|body| rollcall.scim(&key, Method::POST, "/Users", Some(body)))).await;
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
        let conflict = answers.iter().find(|answer| answer.status == 409).unwrap().json();
        let created = answers.iter().find(|answer| answer.status == 201).unwrap().json();
        assert_eq!(conflict["scimType"], "uniqueness");
        // The detail says who holds the name.
        assert!(conflict["detail"].as_str().unwrap().contains(created["id"].as_str().unwrap()), "{conflict}");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r17_changes_of_one_user_at_once_all_succeed(
    #[values(UpSqlite, UpPostgres, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, key)) = Rollcall::provisioned(deployment).await else { return };
    let user = create(&rollcall, &key, "ada").await;
    let attributes = ["title", "nickName", "userType", "locale"];
    let path = format!("/Users/{user}");
    let bodies = attributes.map(|name| patch(&json!([{"op": "replace", "path": name, "value": name}])));
    let answers = join_all(bodies.iter().map(|body| rollcall.scim(&key, Method::PATCH, &path, Some(body)))).await;
    for answer in answers {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let user = rollcall.scim(&key, Method::GET, &path, None).await.json();
    for name in attributes {
        assert_eq!(user[name], name, "{user}");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn sixteen_clients_at_one_group_leave_the_exact_set(
    #[values(UpSqlite, UpPostgres, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, key)) = Rollcall::provisioned(deployment).await else { return };
    let mut users = Vec::new();
    for number in 0..2 * CLIENTS {
        users.push(create(&rollcall, &key, &format!("user{number}")).await);
    }
    let (staying, leaving) = users.split_at(CLIENTS);
    let members: Vec<Value> = leaving.iter().map(|id| json!({"value": id})).collect();
    let group = json!({"displayName": "Ops", "members": members});
    let group =
        rollcall.scim(&key, Method::POST, "/Groups", Some(&group)).await.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/Groups/{group}");
    let clients = (0..CLIENTS).map(|client| {
        // Every second client speaks the other dialect.
        let (joins, leaves) = (&staying[client], &leaving[client]);
        let operations = if client % 2 == 0 {
            [
                json!([{"op": "Add", "path": "members", "value": [{"$ref": null, "value": joins}]}]),
                json!([{"op": "Remove", "path": "members", "value": [{"$ref": null, "value": leaves}]}]),
            ]
        } else {
            [
                json!([{"op": "add", "path": "members", "value": [{"value": joins}]}]),
                json!([{"op": "remove", "path": format!("members[value eq \"{leaves}\"]")}]),
            ]
        };
        let (rollcall, key, path) = (&rollcall, &key, &path);
        async move {
            for operations in operations {
                let answer = rollcall.scim(key, Method::PATCH, path, Some(&patch(&operations))).await;
                assert!(matches!(answer.status.as_u16(), 200 | 204), "{answer:?}");
            }
        }
    });
    join_all(clients).await;
    let group = rollcall.scim(&key, Method::GET, &path, None).await.json();
    let members: BTreeSet<&str> =
        group["members"].as_array().unwrap().iter().map(|member| member["value"].as_str().unwrap()).collect();
    assert_eq!(members, staying.iter().map(String::as_str).collect());
    assert_eq!(group["members"].as_array().unwrap().len(), CLIENTS, "a member stands twice");
}
