//! The layer in front of a service. What stands behind it here says who was let in.

use std::{convert::Infallible, sync::Arc, time::Duration};

use ::http::{Request, Response, header::AUTHORIZATION};
use proto::{Peer, Service as ServiceName};
use secrecy::ExposeSecret;
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt;
use tower::{Layer as _, ServiceExt, service_fn};

use super::{ANYWHERE, ready};
use crate::{
    KeyText, Principal,
    grpc::{Callers, Layer, Standing, authorise},
    testing::{Fake, Link},
};

const READ: &str = "/rollcall.identity.v1.UserService/GetUser";
const WRITE: &str = "/rollcall.identity.v1.UserService/CreateUser";
const ACT: &str = "/rollcall.identity.v1.RoleService/SetManualRole";
/// A stream.
const WATCH: &str = "/rollcall.identity.v1.ChangeService/WatchChanges";
const EXCHANGE: &str = "/rollcall.api_keys.v1.CredentialService/ExchangeApiKey";

/// Answers who was let in; nobody, where no credential was asked for.
async fn let_in(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    assert!(!request.headers().contains_key(AUTHORIZATION), "nothing behind the layer sees a credential");
    let actor = request.extensions().get().map(|principal: &std::sync::Arc<Principal>| principal.actor());
    Ok(Response::builder().header("actor", actor.unwrap_or_default()).body(Body::empty()).unwrap())
}

async fn call(layer: &Layer, mut request: Request<Body>, peer: Option<ServiceName>) -> Result<String, Status> {
    if let Some(service) = peer {
        request.extensions_mut().insert(Peer { address: None, service: Some(service) });
    }
    let response = layer.layer(service_fn(let_in)).oneshot(request).await.unwrap();
    match Status::from_header_map(response.headers()) {
        Some(status) => Err(status),
        None => Ok(response.headers()["actor"].to_str().unwrap().to_owned()),
    }
}

fn request(path: &str, authorization: &str) -> Request<Body> {
    Request::builder().uri(path).header(AUTHORIZATION, authorization).body(Body::empty()).unwrap()
}

fn with_key(path: &str, key: &KeyText) -> Request<Body> {
    request(path, &format!("Bearer {}", key.expose()))
}

fn anonymous(path: &str) -> Request<Body> {
    Request::builder().uri(path).body(Body::empty()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_caller_with_a_scope_that_suffices_is_let_in_with_its_principal() {
    let fake = Fake::new();
    let layer = Layer::public(ready(&fake).await);
    for scopes in ["identity.write", "scim identity.write", "admin"] {
        let key = fake.key(scopes);
        let actor = call(&layer, with_key(WRITE, &key), None).await.unwrap();
        assert_eq!(actor, format!("key:{}", key.id()), "{scopes}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_without_one_is_denied_and_told_which() {
    let fake = Fake::new();
    let layer = Layer::public(ready(&fake).await);
    for (scopes, path, needed) in [
        ("identity.read", WRITE, "identity.write"),
        ("scim", READ, "identity.read"),
        ("identity.read identity.write", ACT, "admin"),
    ] {
        let status = call(&layer, with_key(path, &fake.key(scopes)), None).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
        assert_eq!(status.message(), format!("the key needs one of these scopes: {needed}"));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_not_authenticated_gets_one_answer() {
    let fake = Fake::new();
    let layer = Layer::public(ready(&fake).await);
    let good = fake.key("admin");
    let revoked = fake.key("admin");
    fake.revoke(&revoked);
    let stranger = Fake::new().key("admin");
    let mut answers = vec![call(&layer, anonymous(READ), None).await];
    for authorization in [
        "",
        "Bearer",
        "Bearer x",
        "Bearer a.b.c",
        &format!("Basic {}", good.expose()),
        &format!("Bearer {}x", good.expose()),
        &format!("Bearer {}", revoked.expose()),
        &format!("Bearer {}", stranger.expose()),
    ] {
        answers.push(call(&layer, request(READ, authorization), None).await);
    }
    for answer in answers {
        let status = answer.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unauthenticated, "the credential is missing or not valid")
        );
        assert!(status.details().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_cannot_be_checked_is_unavailable_with_a_time_to_retry() {
    let fake = Fake::new();
    let layer = Layer::public(ready(&fake).await);
    let key = fake.key("admin");
    call(&layer, with_key(READ, &key), None).await.unwrap();
    fake.link(Link::Cut);
    fake.answer_calls(false);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let status = call(&layer, with_key(READ, &key), None).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.get_details_retry_info().is_some());
}

#[tokio::test(start_paused = true)]
async fn r07_what_services_call_is_for_the_service_named_and_for_no_client() {
    let fake = Fake::new();
    let key = fake.key("scim identity.read identity.write admin");
    let public = Layer::public(ready(&fake).await);
    let alone = Layer::services_alone(Callers::Known);
    let on_behalf = Layer::internal(Callers::Known, ready(&fake).await);
    let denied = async |layer: &Layer, request: Request<Body>, peer| {
        let status = call(layer, request, peer).await.unwrap_err();
        assert_eq!(status.message(), "this method is not for its caller here");
        status.code() == Code::PermissionDenied
    };
    assert!(denied(&public, with_key(EXCHANGE, &key), Some(ServiceName::Scim)).await);
    assert!(denied(&public, with_key("/nothing/Here", &key), None).await, "a method without a row");
    assert!(denied(&alone, with_key(EXCHANGE, &key), None).await, "a client brings its key and no certificate");
    assert!(denied(&alone, anonymous(ACT), Some(ServiceName::Scim)).await);
    assert!(denied(&alone, with_key(WRITE, &key), Some(ServiceName::Scim)).await, "no credential is checked there");
    assert!(denied(&on_behalf, with_key(WRITE, &key), Some(ServiceName::Identity)).await);
    assert!(denied(&on_behalf, with_key(ACT, &key), Some(ServiceName::Scim)).await);
    for service in ServiceName::ALL {
        assert_eq!(call(&alone, anonymous(EXCHANGE), Some(service)).await.unwrap(), "", "{service}");
    }
    let actor = call(&on_behalf, with_key(WRITE, &key), Some(ServiceName::Scim)).await.unwrap();
    assert_eq!(actor, format!("key:{}", key.id()));
}

#[tokio::test(start_paused = true)]
async fn r02_only_a_facade_presents_what_a_directory_may_do_and_only_with_the_directorys_credential() {
    let fake = Fake::new();
    let (directory, reader) = (fake.key("scim"), fake.key("identity.read identity.write admin"));
    let public = Layer::public(ready(&fake).await);
    let internal = Layer::internal(Callers::Known, ready(&fake).await);
    let code = async |layer: &Layer, request, peer| call(layer, request, peer).await.unwrap_err().code();
    assert_eq!(code(&public, with_key(WRITE, &directory), Some(ServiceName::Scim)).await, Code::PermissionDenied);
    assert_eq!(code(&internal, with_key(WRITE, &directory), None).await, Code::PermissionDenied);
    assert_eq!(code(&internal, anonymous(WRITE), Some(ServiceName::Scim)).await, Code::Unauthenticated);
    assert_eq!(code(&internal, with_key(WRITE, &reader), Some(ServiceName::Scim)).await, Code::PermissionDenied);
    assert!(call(&internal, with_key(WRITE, &directory), Some(ServiceName::Scim)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn where_callers_are_unknown_the_table_still_says_what_is_served() {
    let alone = Layer::services_alone(Callers::Unknown);
    assert!(call(&alone, anonymous(EXCHANGE), None).await.is_ok());
    assert_eq!(call(&alone, anonymous(ACT), None).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test(start_paused = true)]
async fn a_principals_token_opens_the_next_service() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("identity.read"));
    let principal = authenticator.authenticate_client(&super::bearer(&key), ANYWHERE).await.unwrap();
    let mut request = tonic::Request::new(());
    authorise(&mut request, &principal);
    assert!(!format!("{request:?}").contains("eyJ"), "the token does not print");
    let sent = request.metadata().get("authorization").unwrap().to_str().unwrap().to_owned();
    assert_eq!(sent, format!("Bearer {}", principal.token.expose_secret()));
    let let_in = call(&Layer::public(authenticator), self::request(READ, &sent), None).await;
    assert_eq!(let_in.unwrap(), principal.actor());
}

/// The standing of a caller who was let in to a stream.
async fn stand(layer: &Layer, key: &KeyText) -> Arc<Standing> {
    let standing = Arc::new(std::sync::Mutex::new(None));
    let found = Arc::clone(&standing);
    let service = service_fn(move |request: Request<Body>| {
        *found.lock().unwrap() = request.extensions().get::<Arc<Standing>>().cloned();
        async { Ok::<_, Infallible>(Response::new(Body::empty())) }
    });
    layer.layer(service).oneshot(with_key(WATCH, key)).await.unwrap();
    let found = standing.lock().unwrap().take();
    found.unwrap()
}

#[tokio::test(start_paused = true)]
async fn r01_whoever_stands_is_let_in_again_for_as_long_as_the_credential_is_good() {
    let fake = Fake::new();
    fake.token_life(Duration::from_secs(60));
    let layer = Layer::public(ready(&fake).await);
    let (key, narrowed, revoked) = (fake.key("identity.read"), fake.key("identity.read"), fake.key("identity.read"));
    let [good, less, ended] =
        [stand(&layer, &key).await, stand(&layer, &narrowed).await, stand(&layer, &revoked).await];
    for standing in [&good, &less, &ended] {
        standing.check().await.unwrap();
        let printed = format!("{standing:?}");
        assert!(!printed.contains(&key.expose()[33..41]), "{printed}");
    }
    fake.change(&narrowed, "scim");
    fake.revoke(&revoked);
    tokio::time::sleep(Duration::from_secs(1)).await;
    good.check().await.unwrap();
    assert_eq!(less.check().await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(ended.check().await.unwrap_err().code(), Code::Unauthenticated);
    // Its tokens have ended in between, and it is exchanged anew.
    let exchanges = fake.exchanges();
    fake.rotate();
    tokio::time::sleep(Duration::from_secs(1)).await;
    good.check().await.unwrap();
    assert_eq!(fake.exchanges(), exchanges + 1);
    // While credentials cannot be checked, nothing is honoured.
    fake.link(Link::Cut);
    fake.answer_calls(false);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(good.check().await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn whoever_stands_takes_nothing_from_the_tenants_budget() {
    let fake = Fake::new();
    let authenticator = crate::Authenticator::new(fake.channel(), crate::Budget::new(25).unwrap());
    authenticator.ready().await;
    let (layer, key) = (Layer::public(authenticator), fake.key("identity.read"));
    let standing = stand(&layer, &key).await;
    for _ in 0..1000 {
        standing.check().await.unwrap();
    }
    assert!(call(&layer, with_key(READ, &key), None).await.is_ok());
}
