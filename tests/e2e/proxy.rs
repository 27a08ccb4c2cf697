//! Behind a reverse proxy: under which address resources are named.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::harness::{Deployment::UpSqlite, Rollcall};

const FORWARDED: &[(&str, &str)] = &[("forwarded", "for=192.0.2.1;host=scim.example.com;proto=https")];
const X_FORWARDED: &[(&str, &str)] = &[
    ("x-forwarded-for", "192.0.2.1"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "scim.example.com"),
    ("x-forwarded-port", "8443"),
    ("x-forwarded-prefix", "/idp"),
];

async fn send(request: reqwest::RequestBuilder, headers: &[(&str, &str)]) -> Response {
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.unwrap()
}

/// Where a new user is said to be, by every answer that says it.
async fn address(rollcall: &Rollcall, key: &str, headers: &[(&str, &str)]) -> String {
    let client = reqwest::Client::new();
    let body = json!({"userName": "ada"}).to_string();
    let post = client.post(format!("{}/Users", rollcall.scim_url())).bearer_auth(key).body(body);
    let created = send(post, headers).await;
    assert_eq!(created.status(), 201);
    let header = created.headers()["location"].to_str().unwrap().to_owned();
    let created: Value = created.json().await.unwrap();
    let path = format!("/Users/{}", created["id"].as_str().unwrap());
    let get = client.get(format!("{}{path}", rollcall.scim_url())).bearer_auth(key);
    let read: Value = send(get, headers).await.json().await.unwrap();
    assert_eq!((&created["meta"]["location"], &read["meta"]["location"]), (&json!(header), &json!(header)));
    assert_eq!(rollcall.scim(key, Method::DELETE, &path, None).await.status, 204);
    header.strip_suffix(&path).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_named_as_a_trusted_proxy_says() {
    let (mut rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    for headers in [FORWARDED, X_FORWARDED, &[]] {
        assert_eq!(address(&rollcall, &key, headers).await, rollcall.scim_url(), "nobody is trusted");
    }
    rollcall.run(&["--trusted-proxy=192.0.2.0/24"]).await;
    for headers in [FORWARDED, X_FORWARDED] {
        assert_eq!(address(&rollcall, &key, headers).await, rollcall.scim_url(), "another is trusted");
    }
    rollcall.run(&["--trusted-proxy=192.0.2.0/24", "--trusted-proxy=127.0.0.0/8"]).await;
    assert_eq!(address(&rollcall, &key, FORWARDED).await, "https://scim.example.com/api/scim/v2");
    assert_eq!(address(&rollcall, &key, X_FORWARDED).await, "https://scim.example.com:8443/idp/api/scim/v2");
    assert_eq!(address(&rollcall, &key, &[]).await, rollcall.scim_url());
    rollcall.run(&["--trusted-proxy=127.0.0.0/8", "--public-url=https://public.example.com"]).await;
    assert_eq!(address(&rollcall, &key, X_FORWARDED).await, "https://public.example.com/api/scim/v2");
}
