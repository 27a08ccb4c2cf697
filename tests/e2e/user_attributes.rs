//! Attributes of users that a tenant defines for itself: from the definition by an administrator to the value over gRPC.

use std::time::Duration;

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{
    Deployment::{self, ServePostgres, UpPostgres, UpSqlite},
    Rollcall, eventually,
};

const URN: &str = "urn:rollcall:params:1.0:UserAttribute";

/// How soon a definition is felt by every façade: they ask twice a second (rule D11).
const FELT_WITHIN: Duration = Duration::from_secs(2);

async fn schema(rollcall: &Rollcall, key: &str) -> Option<Value> {
    let answer = rollcall.scim(key, Method::GET, &format!("/Schemas/{URN}"), None).await;
    answer.status.is_success().then(|| answer.json())
}

async fn found(rollcall: &Rollcall, key: &str, filter: &str) -> Vec<String> {
    let filter: String = filter.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let answer = rollcall.scim(key, Method::GET, &format!("/Users?filter={filter}&attributes=userName"), None).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let names = answer.json()["Resources"].as_array().unwrap().clone();
    names.iter().map(|user| user["userName"].as_str().unwrap().to_owned()).collect()
}

fn patch(operations: &Value) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations})
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_attribute_is_defined_provisioned_found_and_taken_back(
    #[values(UpSqlite, UpPostgres, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, key)) = Rollcall::provisioned(deployment).await else { return };
    let user = json!({"userName": "ada", format!("{URN}:shoeSize"): "42"});
    // What is not defined is dropped (rule R12).
    let created = rollcall.scim(&key, Method::POST, "/Users", Some(&user)).await.json();
    assert!(created.get(URN).is_none() && schema(&rollcall, &key).await.is_none(), "{created}");
    let path = format!("/Users/{}", created["id"].as_str().unwrap());

    rollcall.succeed(&["user-attribute", "create", "shoeSize", "--type", "number", "--description", "In EU sizes"]);
    rollcall.succeed(&["user-attribute", "create", "skills", "--type", "string-list"]);
    let listed = rollcall.json(&["user-attribute", "list"]);
    assert_eq!((listed[0]["name"].as_str(), listed[1]["name"].as_str()), (Some("shoeSize"), Some("skills")));
    eventually("the schema is there", FELT_WITHIN, async || {
        schema(&rollcall, &key).await.is_some_and(|schema| schema["attributes"].as_array().unwrap().len() == 2)
    })
    .await;
    let shown = schema(&rollcall, &key).await.unwrap();
    let attribute = &shown["attributes"][0];
    assert_eq!(
        (&attribute["name"], &attribute["type"], &attribute["description"]),
        (&json!("shoeSize"), &json!("decimal"), &json!("In EU sizes"))
    );

    // As Entra sends it: by its URN, a number as text, the values of a list each in an object of their own.
    let operations = json!([
        {"op": "Add", "path": format!("{URN}:shoeSize"), "value": "42.5"},
        {"op": "Add", "path": format!("{URN}:skills"), "value": [{"value": "Rust"}, {"value": "SQL"}]},
    ]);
    let patched = rollcall.scim(&key, Method::PATCH, &path, Some(&patch(&operations))).await;
    assert_eq!(patched.status, 200, "{patched:?}");
    assert_eq!(patched.json()[URN], json!({"shoeSize": 42.5, "skills": ["Rust", "SQL"]}));
    assert!(patched.json()["schemas"].as_array().unwrap().contains(&json!(URN)));

    assert_eq!(found(&rollcall, &key, &format!("{URN}:shoeSize gt 42")).await, ["ada"]);
    assert_eq!(found(&rollcall, &key, &format!("{URN}:skills eq \"rust\" and {URN}:shoeSize pr")).await, ["ada"]);
    assert_eq!(found(&rollcall, &key, &format!("{URN}:shoeSize lt 42")).await, [""; 0]);
    let refused = rollcall.scim(&key, Method::GET, &format!("/Users?filter={URN}:shoeSize+co+%221%22"), None).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["scimType"]), (400, &json!("invalidFilter")));

    // Typed, for the teams that read over gRPC.
    let shown = rollcall.json(&["user", "show", "ada"]);
    assert_eq!(shown["userAttributes"]["shoeSize"], json!({"number": 42.5}));
    assert_eq!(shown["userAttributes"]["skills"], json!({"stringList": {"values": ["Rust", "SQL"]}}));

    let wrong = json!([{"op": "replace", "path": format!("{URN}:shoeSize"), "value": "large"}]);
    let refused = rollcall.scim(&key, Method::PATCH, &path, Some(&patch(&wrong))).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["scimType"]), (400, &json!("invalidValue")));

    rollcall.succeed(&["user-attribute", "delete", "SHOESIZE"]);
    eventually("the value is gone", FELT_WITHIN, async || {
        rollcall.scim(&key, Method::GET, &path, None).await.json()[URN] == json!({"skills": ["Rust", "SQL"]})
    })
    .await;
    assert_ne!(
        rollcall.scim(&key, Method::GET, &path, None).await.json()["meta"]["version"],
        patched.json()["meta"]["version"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_knows_nothing_of_it() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    rollcall.succeed(&["user-attribute", "create", "badge", "--type", "string"]);
    rollcall.succeed(&["tenant", "create", "globex"]);
    rollcall.succeed(&["scim", "enable", "--tenant", "globex"]);
    let stranger = rollcall.key(&["--name", "stranger", "--tenant", "globex"]);
    eventually("the schema is there", FELT_WITHIN, async || schema(&rollcall, &key).await.is_some()).await;
    assert_eq!(schema(&rollcall, &stranger).await, None);
    let user = json!({"userName": "ada", URN: {"badge": "7"}});
    assert_eq!(rollcall.scim(&key, Method::POST, "/Users", Some(&user)).await.json()[URN], json!({"badge": "7"}));
    let dropped = rollcall.scim(&stranger, Method::POST, "/Users", Some(&user)).await;
    assert_eq!((dropped.status.as_u16(), dropped.json().get(URN)), (201, None));
}
