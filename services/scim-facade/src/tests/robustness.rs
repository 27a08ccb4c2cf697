//! No input is a fault of ours: whatever is sent, the answer is SCIM and below 500.

use axum::body::Body;
use http::Method;
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Map, Value};

use super::harness::Service;

const NAMES: [&str; 24] = [
    "schemas",
    "id",
    "meta",
    "userName",
    "externalId",
    "displayName",
    "name",
    "givenName",
    "emails",
    "value",
    "type",
    "primary",
    "active",
    "members",
    "$ref",
    "roles",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    "manager",
    "department",
    "Operations",
    "op",
    "path",
    "name.givenName",
    "addresses",
];

const TEXTS: [&str; 12] = [
    "",
    "a",
    "True",
    "add",
    "Replace",
    "remove",
    "members",
    "emails[type eq \"work\"].value",
    "members[value eq \"x\"]",
    "name.givenName",
    "urn:ietf:params:scim:schemas:core:2.0:User",
    "\u{0}",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(&TEXTS[..]).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        let name = prop_oneof![4 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned), 1 => any::<String>()];
        let object = prop::collection::vec((name, inner.clone()), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            object.prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn any_query() -> impl Strategy<Value = String> {
    let names =
        prop::sample::select(&["filter", "startIndex", "count", "cursor", "attributes", "excludedAttributes", "x"][..]);
    let encoded = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let values = prop_oneof![
        any::<Vec<u8>>().prop_map(encoded),
        any::<i64>().prop_map(|number| number.to_string()),
        prop::sample::select(
            &["userName+eq+%22a%22", "not+(active+eq+true)", "members", "emails%5Btype+pr%5D", "meta.created+gt+1"][..]
        )
        .prop_map(str::to_owned),
    ];
    prop::collection::vec((names, values).prop_map(|(name, value)| format!("{name}={value}")), 0..4)
        .prop_map(|all| all.join("&"))
}

/// Runs a check on many inputs over one service.
fn for_any<T: std::fmt::Debug>(inputs: impl Strategy<Value = T>, check: impl AsyncFn(&Service, T)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let service = runtime.block_on(Service::new());
    let (user, group) = runtime.block_on(async { (service.user("first").await, service.group("first", &[]).await) });
    {
        // The paths below name them.
        let mut directory = service.identity.directory();
        let stored = directory.users[&user].clone();
        directory.users.insert("u".to_owned(), proto::identity::v1::User { id: "u".to_owned(), ..stored });
        let (stored, members) = directory.groups[&group].clone();
        directory.groups.insert("g".to_owned(), (proto::identity::v1::Group { id: "g".to_owned(), ..stored }, members));
        directory.users.remove(&user);
        directory.groups.remove(&group);
    }
    let result = TestRunner::default().run(&inputs, |input| {
        runtime.block_on(check(&service, input));
        Ok(())
    });
    result.unwrap();
}

async fn check(service: &Service, method: Method, path: &str, body: Body) {
    let answer = service.send(service.request(method.clone(), path, None).map(|_| body)).await;
    assert!(answer.status.as_u16() < 500, "{method} {path}: {}", String::from_utf8_lossy(&answer.bytes));
    assert_eq!(answer.header("content-type"), "application/scim+json");
    if !answer.bytes.is_empty() {
        answer.json();
    }
}

const WRITES: [(Method, &str); 6] = [
    (Method::POST, "/Users"),
    (Method::PUT, "/Users/u"),
    (Method::PATCH, "/Users/u"),
    (Method::POST, "/Groups"),
    (Method::PUT, "/Groups/g"),
    (Method::PATCH, "/Groups/g"),
];

#[test]
fn any_json_is_answered() {
    for_any(any_json(), async |service, body| {
        for (method, path) in WRITES {
            check(service, method, path, Body::from(body.to_string())).await;
        }
        let patch = serde_json::json!({"Operations": [{"op": "Replace", "value": body}]});
        check(service, Method::PATCH, "/Users/u", Body::from(patch.to_string())).await;
        check(service, Method::PATCH, "/Groups/g", Body::from(patch.to_string())).await;
    });
}

#[test]
fn any_bytes_are_answered() {
    for_any(any::<Vec<u8>>(), async |service, body| {
        for (method, path) in WRITES {
            check(service, method, path, Body::from(body.clone())).await;
        }
    });
}

#[test]
fn any_query_is_answered() {
    for_any(any_query(), async |service, query| {
        for path in ["/Users", "/Groups", "/Users/u", "/Groups/g", "/Schemas", "//Users"] {
            check(service, Method::GET, &format!("{path}?{query}"), Body::empty()).await;
        }
    });
}
