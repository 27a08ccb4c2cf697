//! Bodies that are none, and an identity that fails.

use std::time::Duration;

use axum::body::Body;
use http::{Method, header};
use proto::identity::v1::ErrorReason;
use serde_json::json;
use tonic::{Code, Status};

use super::{
    harness::{Answer, Service},
    identity::{Fault, refused},
};
use crate::{BODY_BYTES_MAX, Config};

/// Sends a body as it is to every route that takes one.
async fn bodies(service: &Service, content_type: Option<&str>, body: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    for (method, path) in [
        (Method::POST, "/Users"),
        (Method::PUT, "/Users/x"),
        (Method::PATCH, "/Users/x"),
        (Method::POST, "/Groups"),
        (Method::PUT, "/Groups/x"),
        (Method::PATCH, "/Groups/x"),
    ] {
        let mut request = service.request(method, path, None).map(|_| Body::from(body.to_vec()));
        if let Some(content_type) = content_type {
            request.headers_mut().insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        }
        answers.push(service.send(request).await);
    }
    answers
}

#[tokio::test]
async fn what_is_not_json_is_400() {
    let service = Service::new().await;
    let deep = "[".repeat(100_000);
    for body in
        [&b""[..], b"{", b"\xff\xfe", b"{\"userName\":\"\\ud800\"}", b"{} {}", deep.as_bytes(), b"null", b"[]", b"5"]
    {
        for answer in bodies(&service, Some("application/scim+json"), body).await {
            assert_eq!(answer.refused(400).0, "invalidSyntax", "{body:?}");
        }
    }
}

#[tokio::test]
async fn a_body_has_a_bound_on_both_sides() {
    let service = Service::new().await;
    let sized = |size: usize| {
        let frame = br#"{"userName":"ada","displayName":"ada","Operations":[],"shoe":""}"#;
        let mut body = frame[..frame.len() - 2].to_vec();
        body.resize(size - 2, b'x');
        body.extend(b"\"}");
        body
    };
    for answer in bodies(&service, None, &sized(BODY_BYTES_MAX)).await {
        assert!(answer.status.is_success() || answer.status == 404, "{}", answer.status);
    }
    for answer in bodies(&service, None, &sized(BODY_BYTES_MAX + 1)).await {
        answer.refused(413);
    }
    let mut announced = service.request(Method::POST, "/Users", Some(&json!({"userName": "a"})));
    // What is announced as far too large is not waited for.
    announced.headers_mut().insert(header::CONTENT_LENGTH, (100 * BODY_BYTES_MAX).into());
    service.send(announced).await.refused(413);
}

#[tokio::test]
async fn a_body_is_scim_or_json_with_any_parameters_or_says_nothing() {
    let service = Service::new().await;
    let body = br#"{"userName":"a","displayName":"a","Operations":[]}"#;
    for content_type in [
        None,
        Some("application/scim+json"),
        Some("Application/SCIM+JSON; charset=utf-8"),
        Some("application/json;charset=UTF-8"),
    ] {
        for answer in bodies(&service, content_type, body).await {
            assert!(![400, 415].contains(&answer.status.as_u16()), "{content_type:?}: {}", answer.status);
        }
    }
    for answer in bodies(&service, Some("text/xml"), body).await {
        answer.refused(415);
    }
}

#[tokio::test(start_paused = true)]
async fn r14_a_short_outage_is_waited_out_by_reads() {
    let service = Service::new().await;
    service.fault("ListUsers", (0..5).map(|_| Fault::Status(Status::unavailable("restarting"))));
    assert_eq!(service.get("/Users").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn r14_a_longer_one_is_503_after_five_seconds() {
    let service = Service::new().await;
    service.fault("ListUsers", (0..1000).map(|_| Fault::Status(Status::unavailable("gone"))));
    let began = tokio::time::Instant::now();
    let answer = service.get("/Users").await;
    answer.refused(503);
    assert!(began.elapsed() > Duration::from_secs(4) && began.elapsed() <= Duration::from_secs(5));
    assert_eq!(answer.header("retry-after"), "5");
}

#[tokio::test]
async fn r14_a_write_that_may_have_arrived_is_sent_again_where_that_does_no_harm() {
    let service = Service::new().await;
    let (user, group) =
        (format!("/Users/{}", service.user("ada").await), format!("/Groups/{}", service.group("Ops", &[]).await));
    let unavailable = || {
        let status = refused(Code::Unavailable, ErrorReason::StoreUnavailable, "the store does not answer", &[]);
        [Fault::Status(status)]
    };
    let rename = || json!([{"op": "replace", "path": "displayName", "value": "New"}]);
    service.fault("ReplaceUser", unavailable());
    assert_eq!(service.patch(&user, rename()).await.status, 200);
    service.fault("ReplaceUser", unavailable());
    assert_eq!(service.put(&user, json!({"userName": "ada", "active": true})).await.status, 200);
    service.fault("ChangeGroup", unavailable());
    assert_eq!(service.patch(&group, rename()).await.status, 204);

    service.fault("ReplaceUser", unavailable());
    let body = json!({"Operations": rename()});
    service.if_match(Method::PATCH, &user, "W/\"3\"", Some(body)).await.refused(503);
    service.fault("CreateUser", unavailable());
    service.post("/Users", json!({"userName": "eva"})).await.refused(503);
    service.fault("DeleteUser", unavailable());
    service.delete(&user).await.refused(503);
    assert_eq!((service.calls("CreateUser"), service.calls("DeleteUser")), (2, 1));
}

fn ended() -> Fault {
    Fault::Status(Status::unauthenticated("ended"))
}

#[tokio::test]
async fn a_token_that_ended_on_the_way_is_renewed() {
    let service = Service::new().await;
    service.fault("ListUsers", [ended()]);
    assert_eq!(service.get("/Users").await.status, 200);
    service.fault("CreateUser", [ended()]);
    assert_eq!(service.post("/Users", json!({"userName": "ada"})).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn r01_a_token_that_identity_refuses_is_401_only_where_its_credential_is_gone() {
    let service = Service::new().await;
    // Identity has heard of something that api-keys' answers do not show yet.
    service.fault("ListUsers", (0..5).map(|_| ended()));
    assert_eq!(service.get("/Users").await.status, 200);
    service.fault("ListUsers", (0..1000).map(|_| ended()));
    let (began, answer) = (tokio::time::Instant::now(), service.get("/Users").await);
    answer.refused(503);
    assert!(began.elapsed() <= Duration::from_secs(5));
    assert_eq!(answer.header("retry-after"), "1");

    service.credentials.forget(&service.key);
    service.get("/Users").await.refused(401);
}

#[tokio::test]
async fn a_fault_of_ours_is_500_in_a_stable_sentence() {
    let service = Service::new().await;
    service.fault("ListUsers", [Fault::Status(Status::internal("SELECT secret FROM users"))]);
    assert_eq!(service.get("/Users").await.refused(500).1, "the service failed; its log says why");
}

#[tokio::test]
async fn a_panic_is_500_and_the_next_request_is_answered() {
    let service = Service::new().await;
    service.fault("ListUsers", [Fault::Panic]);
    service.get("/Users").await.refused(500);
    assert_eq!(service.get("/Schemas").await.status, 200);
}

#[tokio::test]
async fn without_a_public_address_the_clients_own_is_given_back() {
    let service = Service::with(Config::default()).await;
    let answer = service.post("/Users", json!({"userName": "ada"})).await;
    assert!(answer.header(header::LOCATION).starts_with("http://rollcall.example/api/scim/v2/Users/"));
    let mut request = service.request(Method::GET, "/ServiceProviderConfig", None);
    request.headers_mut().insert("x-forwarded-host", "evil.example".parse().unwrap());
    request.headers_mut().insert(header::HOST, "x.example/evil?".parse().unwrap());
    let location = service.send(request).await.json()["meta"]["location"].clone();
    assert_eq!(location, "/api/scim/v2/ServiceProviderConfig");
}

#[tokio::test]
async fn a_page_that_is_too_large_for_a_message_is_made_smaller() {
    let service = Service::new().await;
    for number in 0..4 {
        service.user(&format!("u{number}")).await;
    }
    let too_large = || Fault::Status(Status::out_of_range("decoded message length too large"));
    service.fault("ListUsers", [too_large(), too_large()]);
    let body = service.get("/Users?count=8").await.json();
    assert_eq!((&body["totalResults"], &body["itemsPerPage"]), (&json!(4), &json!(2)));
}
