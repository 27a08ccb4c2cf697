//! Bad input: refused clearly, with nothing written and never a 5xx; and what is only unknown is dropped (rule R12).

mod bodies;
mod urls;
mod wire;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    Answer,
    Deployment::{self, UpSqlite},
    Rollcall,
};

/// A request that is refused. In its path `{user}` and `{group}` stand for the ids of two that exist.
struct Case {
    name: String,
    method: Method,
    path: String,
    body: Option<Vec<u8>>,
    status: u16,
    scim_type: Option<&'static str>,
}

fn check_error(answer: &Answer, status: u16, scim_type: Option<&str>, case: &str) {
    assert_eq!(answer.status, status, "{case}: {answer:?}");
    assert_eq!(answer.header("content-type"), "application/scim+json", "{case}");
    let body = answer.json();
    assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]), "{case}");
    assert_eq!(body["status"], status.to_string(), "{case}");
    assert_eq!(body.get("scimType").and_then(Value::as_str), scim_type, "{case}: {body}");
    assert!(body["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{case}: {body}");
}

/// Sends each request, and checks that it was refused as it deserves and that none of them wrote anything.
async fn check_refused(deployment: Deployment, cases: impl IntoIterator<Item = Case>) {
    let Some((rollcall, key)) = Rollcall::provisioned(deployment).await else { return };
    let user = json!({"userName": "ada", "title": "t"});
    let user = rollcall.scim(&key, Method::POST, "/Users", Some(&user)).await.json()["id"].clone();
    let group = json!({"displayName": "Ops", "members": [{"value": user}]});
    let group = rollcall.scim(&key, Method::POST, "/Groups", Some(&group)).await.json()["id"].clone();
    let (user, group) = (user.as_str().unwrap(), group.as_str().unwrap());
    let before = everything(&rollcall, &key).await;
    let bearer = format!("Bearer {key}");
    for Case { name, method, path, body, status, scim_type } in cases {
        let path = path.replace("{user}", user).replace("{group}", group);
        let answer = rollcall.send(Some(&bearer), method, &path, body).await;
        check_error(&answer, status, scim_type, &name);
    }
    assert_eq!(everything(&rollcall, &key).await, before, "a refused request changed something");
}

/// All users and groups, as the directory sees them.
async fn everything(rollcall: &Rollcall, key: &str) -> [Value; 2] {
    let users = rollcall.scim(key, Method::GET, "/Users", None).await.json();
    [users, rollcall.scim(key, Method::GET, "/Groups", None).await.json()]
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_filters_are_refused_and_never_answered_with_everybody() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    rollcall.scim(&key, Method::POST, "/Users", Some(&json!({"userName": "ada"}))).await;
    let long = format!("userName+eq+%22{}%22", "x".repeat(30_000));
    let deep = format!("{}userName+eq+%22x%22{}", "(".repeat(500), ")".repeat(500));
    for filter in [
        "favouriteColour+eq+%22x%22",
        "userName+like+%22x%22",
        "userName",
        "userName+eq",
        "%22",
        "userName+eq+%22x",
        "(",
        &deep,
        &long,
    ] {
        let answer = rollcall.scim(&key, Method::GET, &format!("/Users?filter={filter}"), None).await;
        let shown = &filter[..filter.len().min(60)];
        // What is longer than any request line is refused by the server itself.
        if matches!(answer.status.as_u16(), 414 | 431) {
            continue;
        }
        check_error(&answer, 400, Some("invalidFilter"), shown);
    }
    let paging = rollcall.scim(&key, Method::GET, "/Users?startIndex=x", None).await;
    check_error(&paging, 400, Some("invalidValue"), "startIndex");
}

#[tokio::test(flavor = "multi_thread")]
async fn r12_what_is_unknown_in_a_body_is_dropped_and_named_in_the_log() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:example:unknown:1.0"],
        "userName": "ada", "favouriteColour": "blue", "password": "hunter2-hunter2",
        "urn:example:unknown:1.0": {"a": 1},
        "meta": {"resourceType": "User"}
    });
    let created = rollcall.scim(&key, Method::POST, "/Users", Some(&body)).await;
    assert_eq!(created.status, 201, "{created:?}");
    let created = created.json();
    assert!(created.get("favouriteColour").is_none() && created.get("password").is_none(), "{created}");
    let path = format!("/Users/{}", created["id"].as_str().unwrap());
    let patch = json!({"Operations": [
        {"op": "Replace", "path": "shoeSize", "value": "44"},
        {"op": "Add", "path": "urn:example:unknown:1.0:thing", "value": "x"},
        {"op": "Replace", "path": "displayName", "value": "Ada L"}
    ]});
    let patched = rollcall.scim(&key, Method::PATCH, &path, Some(&patch)).await;
    assert_eq!((patched.status.as_u16(), &patched.json()["displayName"]), (200, &json!("Ada L")));
    let logs = rollcall.logs();
    for name in ["favouriteColour", "shoeSize", "urn:example:unknown:1.0"] {
        assert!(logs.contains(name), "{name} is not named in the log:\n{logs}");
    }
    assert!(!logs.contains("hunter2-hunter2"), "a password stands in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods_are_scim_errors() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    check_error(&rollcall.scim(&key, Method::GET, "/Nothing", None).await, 404, None, "unknown path");
    check_error(&rollcall.scim(&key, Method::GET, "/Users/nothing", None).await, 404, None, "unknown id");
    let answer = rollcall.scim(&key, Method::DELETE, "/Users", None).await;
    check_error(&answer, 405, None, "unknown method");
    for path in ["/Users/", "//Users", "/Users?aadOptscim062020", "/Users/?filter=userName+eq+%22x%22"] {
        assert_eq!(rollcall.scim(&key, Method::GET, path, None).await.status, 200, "{path}");
    }
}
