//! Bad input: refused clearly, with nothing written and never a 5xx; and what is only unknown is dropped (rule R12).

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Deployment::UpSqlite, Rollcall};

/// A name, a request, and the status and scimType that it deserves.
type Case<'c> = (&'c str, Method, &'c str, Vec<u8>, u16, Option<&'c str>);

fn check_error(answer: &Answer, status: u16, scim_type: Option<&str>, case: &str) {
    assert_eq!(answer.status, status, "{case}: {answer:?}");
    assert_eq!(answer.header("content-type"), "application/scim+json", "{case}");
    let body = answer.json();
    assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]), "{case}");
    assert_eq!(body["status"], status.to_string(), "{case}");
    assert_eq!(body.get("scimType").and_then(Value::as_str), scim_type, "{case}: {body}");
    assert!(body["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{case}: {body}");
}

async fn user_count(rollcall: &Rollcall, key: &str) -> Value {
    rollcall.scim(key, Method::GET, "/Users?count=0", None).await.json()["totalResults"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_bodies_are_refused_and_write_nothing() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    let bearer = format!("Bearer {key}");
    let created =
        rollcall.scim(&key, Method::POST, "/Users", Some(&json!({"userName": "ada", "title": "t"}))).await.json();
    let path = format!("/Users/{}", created["id"].as_str().unwrap());
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let too_big = format!("{{\"userName\":\"{}\"}}", "x".repeat(5 * 1024 * 1024));
    let cases: [Case<'_>; 19] = [
        ("empty", Method::POST, "/Users", b"".to_vec(), 400, Some("invalidSyntax")),
        ("cut off", Method::POST, "/Users", b"{\"userName\":".to_vec(), 400, Some("invalidSyntax")),
        ("no UTF-8", Method::POST, "/Users", b"{\"userName\":\"\xff\"}".to_vec(), 400, Some("invalidSyntax")),
        ("lone surrogate", Method::POST, "/Users", br#"{"userName":"\ud800"}"#.to_vec(), 400, Some("invalidSyntax")),
        ("too deep", Method::POST, "/Users", deep.into_bytes(), 400, Some("invalidSyntax")),
        ("a list", Method::POST, "/Users", b"[]".to_vec(), 400, Some("invalidSyntax")),
        ("too big", Method::POST, "/Users", too_big.into_bytes(), 413, None),
        ("no userName", Method::POST, "/Users", b"{}".to_vec(), 400, Some("invalidValue")),
        ("userName a number", Method::POST, "/Users", br#"{"userName":1}"#.to_vec(), 400, Some("invalidValue")),
        ("NUL", Method::POST, "/Users", br#"{"userName":"a\u0000b"}"#.to_vec(), 400, Some("invalidValue")),
        ("name a text", Method::POST, "/Users", br#"{"userName":"b","name":"x"}"#.to_vec(), 400, Some("invalidValue")),
        ("active a list", Method::POST, "/Users", br#"{"userName":"b","active":[1]}"#.to_vec(), 400, Some("invalidValue")),
        ("no displayName", Method::POST, "/Groups", b"{}".to_vec(), 400, Some("invalidValue")),
        ("members a text", Method::POST, "/Groups", br#"{"displayName":"g","members":"x"}"#.to_vec(), 400, Some("invalidValue")),
        ("unknown op", Method::PATCH, &path, br#"{"Operations":[{"op":"move","path":"title"}]}"#.to_vec(), 400, Some("invalidSyntax")),
        ("no list", Method::PATCH, &path, br#"{"Operations":{}}"#.to_vec(), 400, Some("invalidSyntax")),
        ("bad path", Method::PATCH, &path, br#"{"Operations":[{"op":"add","path":"name..x","value":"x"}]}"#.to_vec(), 400, Some("invalidPath")),
        // RFC 7644 section 3.12: a malformed filter within a path is an invalid filter.
        ("bad filter in a path", Method::PATCH, &path, br#"{"Operations":[{"op":"add","path":"emails[","value":"x"}]}"#.to_vec(), 400, Some("invalidFilter")),
        (
            "atomic",
            Method::PATCH,
            &path,
            br#"{"Operations":[{"op":"replace","path":"title","value":"changed"},{"op":"replace","path":"active","value":{"a":1}}]}"#
                .to_vec(),
            400,
            Some("invalidValue"),
        ),
    ];
    for (case, method, path, body, status, scim_type) in cases {
        let answer = rollcall.send(Some(&bearer), method, path, Some(body)).await;
        check_error(&answer, status, scim_type, case);
    }
    assert_eq!(user_count(&rollcall, &key).await, 1);
    let read = rollcall.scim(&key, Method::GET, &path, None).await.json();
    assert_eq!(read, created, "a refused request changed something");
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
