//! Keys at the façade's door: what is refused is refused alike, and what is revoked is refused at once.

use std::time::Duration;

use authn::key::{KeyText, Kind};
use ids::ApiKeyId;
use reqwest::{Method, StatusCode};
use rstest::rstest;

use crate::harness::{
    Answer,
    Deployment::{self, ServePostgres, UpPostgres, UpSqlite},
    Rollcall, eventually,
};

/// Every route below the tenant URL. One that is added without a row here is found by `an_unknown_path_is_refused_like_a_known_one`.
const ROUTES: &[(&str, &str)] = &[
    ("GET", "/Users"),
    ("POST", "/Users"),
    ("POST", "/Users/.search"),
    ("GET", "/Users/x"),
    ("PUT", "/Users/x"),
    ("PATCH", "/Users/x"),
    ("DELETE", "/Users/x"),
    ("GET", "/Groups"),
    ("POST", "/Groups"),
    ("POST", "/Groups/.search"),
    ("GET", "/Groups/x"),
    ("PUT", "/Groups/x"),
    ("PATCH", "/Groups/x"),
    ("DELETE", "/Groups/x"),
    ("GET", "/ServiceProviderConfig"),
    ("GET", "/Schemas"),
    ("GET", "/Schemas/x"),
    ("GET", "/ResourceTypes"),
    ("GET", "/ResourceTypes/User"),
    ("GET", "/nothing/here"),
];

/// What a client can see of a refusal, but for what differs between any two requests: the date, and the id that the log knows the request by.
fn seen(answer: &Answer) -> (StatusCode, Vec<(String, String)>, String) {
    let headers = answer.headers.iter().filter(|(name, _)| *name != "date" && *name != "x-request-id");
    let mut headers: Vec<_> =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    headers.sort();
    (answer.status, headers, answer.text.clone())
}

fn flipped(key: &str) -> String {
    let (rest, last) = key.split_at(key.len() - 1);
    format!("{rest}{}", if last == "0" { "1" } else { "0" })
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r03_wrong_revoked_expired_and_mistyped_keys_are_refused_alike(
    #[values(UpSqlite, UpPostgres, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, good)) = Rollcall::provisioned(deployment).await else { return };
    let revoked = rollcall.key(&["--name", "revoked"]);
    let expiring = rollcall.key(&["--name", "expiring", "--expires-in", "1s"]);
    let keys = rollcall.json(&["api-key", "list"]);
    let id = keys.as_array().unwrap().iter().find(|key| key["name"] == "revoked").unwrap()["id"].as_str().unwrap();
    // It worked, and is cached by the façade, until it is revoked.
    assert_eq!(rollcall.scim(&revoked, Method::GET, "/Users", None).await.status, 200);
    rollcall.succeed(&["api-key", "revoke", id]);
    eventually("a revoked key is refused", Duration::from_secs(1), async || {
        rollcall.scim(&revoked, Method::GET, "/Users", None).await.status == 401
    })
    .await;
    eventually("an expired key is refused", Duration::from_secs(10), async || {
        rollcall.scim(&expiring, Method::GET, "/Users", None).await.status == 401
    })
    .await;

    let unknown = KeyText::mint(Kind::Tenant, ApiKeyId::generate()).unwrap();
    let foreign_token = "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL3N0cy53aW5kb3dzLm5ldC8ifQ.c2ln";
    let bearer = |key: &str| Some(format!("Bearer {key}"));
    let refused = [
        ("none", None),
        ("empty", Some(String::new())),
        ("another scheme", Some(format!("Basic {good}"))),
        ("no token", Some("Bearer".to_owned())),
        ("nonsense", bearer("nonsense")),
        ("mistyped", bearer(&flipped(&good))),
        ("unknown", bearer(unknown.expose())),
        ("revoked", bearer(&revoked)),
        ("expired", bearer(&expiring)),
        ("the operator's, which is no directory's key", bearer(&flipped(&rollcall.operator_key()))),
        ("a foreign token", bearer(foreign_token)),
    ];
    let first = rollcall.send(None, Method::GET, "/Users", None).await;
    assert_eq!((first.status.as_u16(), first.header("www-authenticate")), (401, "Bearer"));
    assert_eq!(first.header("content-type"), "application/scim+json");
    assert_eq!(first.json()["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:Error");
    assert_eq!(first.json()["status"], "401");
    for (case, authorization) in refused {
        let answer = rollcall.send(authorization.as_deref(), Method::GET, "/Users", None).await;
        assert_eq!(seen(&answer), seen(&first), "{case}");
    }
    assert_eq!(rollcall.scim(&good, Method::GET, "/Users", None).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_refuses_a_caller_without_a_key() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    for (method, path) in ROUTES {
        let method: Method = method.parse().unwrap();
        let answer = rollcall.send(None, method.clone(), path, None).await;
        assert_eq!((answer.status.as_u16(), answer.header("www-authenticate")), (401, "Bearer"), "{method} {path}");
        let answer = rollcall.send(Some(&format!("Bearer {}", flipped(&key))), method.clone(), path, None).await;
        assert_eq!(answer.status, 401, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_the_scope_is_told_which_scope_it_lacks() {
    let (rollcall, _) = Rollcall::provisioned(UpSqlite).await.unwrap();
    let reader = rollcall.key(&["--name", "reader", "--scope", "identity.read"]);
    let answer = rollcall.scim(&reader, Method::GET, "/Users", None).await;
    assert_eq!(answer.status, 403);
    assert!(answer.json()["detail"].as_str().unwrap().contains("scim"), "{answer:?}");
    let answer = rollcall.scim(&rollcall.operator_key(), Method::GET, "/Users", None).await;
    assert!(matches!(answer.status.as_u16(), 401 | 403), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once_and_stored_only_as_a_hash() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    assert!(key.starts_with("rollcallkey") && key.chars().all(|character| character.is_ascii_alphanumeric()), "{key}");
    let secret = &key[key.len() - 50..key.len() - 6];
    let listed = rollcall.json(&["api-key", "list"]).to_string();
    assert!(!listed.contains(secret), "{listed}");
    for file in rollcall.data_files() {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "the secret stands in {}", file.display());
    }
    assert!(!rollcall.logs().contains(secret));
}
