//! Who is let in: every route, every method, every sort of credential.

use std::collections::BTreeSet;

use authn::Scope;
use axum::body::Body;
use http::{Method, Request, header};
use serde_json::json;
use tower::ServiceExt as _;

use super::{
    credentials::unknown_key,
    harness::{Answer, Service},
};
use crate::routes::endpoints;

const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// Every path that the table of routes has.
fn known() -> impl Iterator<Item = String> {
    endpoints().flat_map(|(endpoint, _)| {
        let path = endpoint.replace("{id}", "x").replace("{name}", "User").replace("{urn}", "urn:x");
        [format!("{path}/"), path]
    })
}

/// The same, and some that the table has not.
fn paths() -> Vec<String> {
    known()
        .chain(["", "/", "/Nothing", "//Users", "/Users//x", "/Users/x/y", "//Me", "/Bulk"].map(str::to_owned))
        .collect()
}

async fn with_headers(service: &Service, method: &Method, path: &str, authorization: &[&str]) -> Answer {
    let mut request = Request::builder().method(method).uri(format!("/api/scim/v2{path}"));
    for value in authorization {
        request = request.header(header::AUTHORIZATION, *value);
    }
    service.send(request.body(Body::from("{")).unwrap()).await
}

#[tokio::test]
async fn every_route_refuses_whoever_has_no_valid_key_and_always_in_the_same_words() {
    let service = Service::new().await;
    let unknown = format!("Bearer {}", unknown_key());
    let unknown = unknown.as_str();
    let token = "Bearer eyJhbGciOiJFZERTQSJ9.e30.AA";
    let mut bodies = Vec::new();
    for path in paths() {
        for method in METHODS {
            for authorization in [&[][..], &[unknown], &["Bearer x"], &["Basic eDp5"], &[token], &[unknown, unknown]] {
                let answer = with_headers(&service, &method, &path, authorization).await;
                assert_eq!(answer.status, 401, "{method} {path} {authorization:?}");
                assert_eq!(answer.header(header::WWW_AUTHENTICATE), "Bearer");
                assert_eq!(answer.header(header::CONTENT_TYPE), "application/scim+json");
                if method != Method::HEAD {
                    bodies.push(answer.bytes);
                }
            }
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    assert_eq!(service.identity.directory().calls.len(), 0);
}

#[tokio::test]
async fn every_route_answers_the_right_key_in_scim() {
    let service = Service::new().await;
    for path in paths() {
        for method in METHODS {
            let answer = service.send(service.request(method.clone(), &path, Some(&json!({"userName": "a"})))).await;
            let is_me = path.contains("/Me");
            assert_eq!(answer.status == 501, is_me, "{method} {path}");
            assert!(is_me || answer.status.as_u16() < 500, "{method} {path}: {}", answer.status);
            assert_ne!(answer.status, 401, "{method} {path}");
            assert_eq!(answer.header(header::CONTENT_TYPE), "application/scim+json", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_key_without_the_scope_is_told_which_one_it_lacks() {
    let service = Service::new().await;
    for scope in [Scope::IdentityRead, Scope::IdentityWrite, Scope::Admin] {
        let key = format!("Bearer {}", service.credentials.make(service.tenant, scope));
        let answer = with_headers(&service, &Method::GET, "/Users", &[&key]).await;
        assert!(answer.refused(403).1.contains("scope `scim`"));
    }
    assert_eq!(service.calls("ListUsers"), 0);
}

#[tokio::test]
async fn a_method_that_an_endpoint_lacks_is_405_and_says_which_there_are() {
    let service = Service::new().await;
    let mut methods = METHODS.to_vec();
    methods.push(Method::from_bytes(b"PROPFIND").unwrap());
    for path in known().chain(["//Users".to_owned()]) {
        let (mut offered, mut listed) = (BTreeSet::new(), BTreeSet::new());
        for method in &methods {
            let answer = service.send(service.request(method.clone(), &path, Some(&json!({})))).await;
            if answer.status == 405 {
                listed.insert(answer.header(header::ALLOW).split(',').map(str::to_owned).collect::<BTreeSet<_>>());
            } else {
                offered.insert(method.to_string());
            }
        }
        let expect = if path.starts_with("/Me") { BTreeSet::new() } else { BTreeSet::from([offered]) };
        assert_eq!(listed, expect, "{path}");
    }
}

#[tokio::test]
async fn nobody_is_me() {
    let service = Service::new().await;
    for path in ["/Me", "/Me/", "//Me", "/Me?attributes=id"] {
        for method in METHODS.into_iter().filter(|method| method != Method::HEAD) {
            let (scim_type, detail) = service.send(service.request(method, path, Some(&json!({})))).await.refused(501);
            assert_eq!(scim_type, "");
            assert!(detail.contains("/Users?filter="), "{detail}");
        }
    }
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let service = Service::new().await;
    let user = service.user("ada").await;
    let group = service.group("Ops", std::slice::from_ref(&user)).await;
    let one = [format!("/Users/{user}"), format!("/Groups/{group}")];
    let lists = ["/Users", "/Groups", "/Schemas", "/ServiceProviderConfig", "/Users/nobody"].map(str::to_owned);
    for path in one.into_iter().chain(lists) {
        let (get, head) = (service.get(&path).await, service.send(service.request(Method::HEAD, &path, None)).await);
        assert_eq!((head.status, head.bytes.len()), (get.status, 0), "{path}");
        for name in [header::CONTENT_TYPE, header::ETAG] {
            assert_eq!(head.header(&name), get.header(&name), "{path} {name}");
        }
    }
}

#[tokio::test]
async fn a_path_that_is_not_known_is_404() {
    let service = Service::new().await;
    for path in
        ["/Nothing", "/Users/x/y", "/Me/x", "//Nothing", "/Schemas/urn:x", "/ResourceTypes/Printer", "/Users/%ff"]
    {
        service.get(path).await.refused(404);
    }
}

#[tokio::test]
async fn slashes_too_many_are_no_matter() {
    let service = Service::new().await;
    let id = service.user("ada").await;
    for path in
        ["/Users", "/Users/", "//Users", "//Users//", "/Users/?count=1", "//Users?count=1&filter=userName+eq+%22ada%22"]
    {
        assert_eq!(service.get(path).await.json()["totalResults"], 1, "{path}");
    }
    for path in [format!("/Users/{id}/"), format!("//Users//{id}"), format!("/Users/{id}?aadOptscim062020")] {
        assert_eq!(service.get(&path).await.json()["userName"], "ada", "{path}");
    }
}

#[tokio::test]
async fn paths_elsewhere_belong_to_others() {
    let service = Service::new().await;
    let console = axum::Router::new().route("/", axum::routing::get(|| async { "console" }));
    for merged in [service.router.clone().merge(console.clone()), console.merge(service.router.clone())] {
        for (path, status) in [("/", 200), ("/nothing", 404), ("/api", 404), ("/api/scim/v2/Users", 401)] {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            assert_eq!(merged.clone().oneshot(request).await.unwrap().status(), status, "{path}");
        }
    }
}
