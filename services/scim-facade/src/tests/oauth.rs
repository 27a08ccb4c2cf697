//! The token endpoint, as Entra and others call it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Method, Request, header};
use pbjson_types::Timestamp;
use proto::api_keys::v1::{IssueAccessTokenRequest, IssueAccessTokenResponse, issue_access_token_request::Proof};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::harness::{Answer, Service};

const ASSERTION_TYPE: &str = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";

async fn service() -> Service {
    let service = Service::new().await;
    let ends = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(3601);
    let expire_time = Some(Timestamp { seconds: i64::try_from(ends.as_secs()).unwrap(), nanos: 0 });
    let issued =
        IssueAccessTokenResponse { access_token: "at".into(), expire_time, tenant_id: service.tenant.to_string() };
    *service.credentials.issued.lock().unwrap() = Ok(issued);
    service
}

fn request(authorization: Option<&str>, body: &str) -> Request<Body> {
    let mut request =
        Request::post("/api/oauth2/token").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(value) = authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

async fn ask(service: &Service, authorization: Option<&str>, body: &str) -> Answer {
    service.send(request(authorization, body)).await
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.bytes).unwrap()
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

fn refusal(answer: &Answer) -> (u16, String) {
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    let challenged =
        answer.headers.get(header::WWW_AUTHENTICATE).is_some_and(|value| value.as_bytes().starts_with(b"Basic"));
    assert_eq!(challenged, answer.status == 401);
    let body = json_of(answer);
    assert!(body["error_description"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    (answer.status.as_u16(), body["error"].as_str().unwrap().to_owned())
}

fn asked(service: &Service) -> IssueAccessTokenRequest {
    service.credentials.asked.lock().unwrap().pop().unwrap()
}

#[tokio::test]
async fn a_client_is_known_by_its_secret_in_the_header_the_body_or_both() {
    let service = service().await;
    let body = "grant_type=client_credentials&scope=scim&client_id=c1&client_secret=s%2B1";
    for (authorization, body) in [
        (None, body),
        (Some(basic("c1", "s%2B1")), "grant_type=client_credentials"),
        (Some(basic("c1", "s%2B1")), body),
        (Some(basic("c1", "s%2B1")), "grant_type=client_credentials&client_id=c1&client_secret="),
    ] {
        let answer = ask(&service, authorization.as_deref(), body).await;
        assert_eq!(answer.status, 200, "{body}");
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
        let mut json = json_of(&answer);
        let life = json["expires_in"].take().as_u64().unwrap();
        assert!((3590..=3601).contains(&life), "{life}");
        assert_eq!(json, json!({"access_token": "at", "token_type": "Bearer", "expires_in": null, "scope": "scim"}));
        let asked = asked(&service);
        assert_eq!((asked.client_id.as_str(), asked.proof), ("c1", Some(Proof::ClientSecret("s+1".into()))));
    }
}

#[tokio::test]
async fn a_client_assertion_is_passed_on_as_entra_sends_it() {
    let service = service().await;
    let body = format!(
        "client_id=c1&client_assertion_type={ASSERTION_TYPE}&client_assertion=eyJ.e30.c2ln&scope=api%3A%2F%2Fx%2F.default&grant_type=client_credentials"
    );
    assert_eq!(ask(&service, None, &body).await.status, 200);
    let asked = asked(&service);
    assert_eq!((asked.client_id.as_str(), asked.proof), ("c1", Some(Proof::ClientAssertion("eyJ.e30.c2ln".into()))));
}

#[tokio::test]
async fn what_is_no_request_for_a_token_is_refused_before_anybody_is_asked() {
    let service = service().await;
    let client = "client_id=c1&client_secret=s1";
    let long = format!("grant_type=client_credentials&{client}&x={}", "y".repeat(64 * 1024));
    let many =
        format!("grant_type=client_credentials&{client}&{}", (0..40).map(|at| format!("p{at}=1&")).collect::<String>());
    let cases: &[(&str, Option<String>, u16, &str)] = &[
        ("", None, 400, "invalid_request"),
        (client, None, 400, "invalid_request"),
        ("grant_type=password&client_id=c1&client_secret=s1", None, 400, "unsupported_grant_type"),
        ("grant_type=client_credentials", None, 401, "invalid_client"),
        ("grant_type=client_credentials&client_id=c1", None, 401, "invalid_client"),
        ("grant_type=client_credentials&client_secret=s1", None, 401, "invalid_client"),
        ("grant_type=client_credentials&client_id=c1&client_id=c1&client_secret=s1", None, 400, "invalid_request"),
        ("grant_type=client_credentials", Some("Bearer x".into()), 401, "invalid_client"),
        ("grant_type=client_credentials", Some("Basic !".into()), 401, "invalid_client"),
        ("grant_type=client_credentials&client_id=c2", Some(basic("c1", "s1")), 400, "invalid_request"),
        ("grant_type=client_credentials&client_secret=s2", Some(basic("c1", "s1")), 400, "invalid_request"),
        ("grant_type=client_credentials&client_id=c1&client_assertion=x", None, 400, "invalid_request"),
        (
            "grant_type=client_credentials&client_id=c1&client_assertion_type=x&client_assertion=x",
            None,
            400,
            "invalid_request",
        ),
        (&long, None, 400, "invalid_request"),
        (&many, None, 400, "invalid_request"),
    ];
    for (body, authorization, status, error) in cases {
        let answer = ask(&service, authorization.as_deref(), body).await;
        assert_eq!(refusal(&answer), (*status, (*error).to_owned()), "{body:.80}");
    }
    let both =
        format!("grant_type=client_credentials&{client}&client_assertion_type={ASSERTION_TYPE}&client_assertion=x");
    assert_eq!(refusal(&ask(&service, None, &both).await), (400, "invalid_request".to_owned()));
    let mut json = request(None, "{}");
    json.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    assert_eq!(refusal(&service.send(json).await), (400, "invalid_request".to_owned()));
    let get = Request::builder().method(Method::GET).uri("/api/oauth2/token").body(Body::empty()).unwrap();
    let answer = service.send(get).await;
    assert_eq!((answer.status.as_u16(), &answer.headers[header::ALLOW]), (405, &"POST".parse().unwrap()));
    assert!(service.credentials.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn each_refusal_of_api_keys_has_its_answer() {
    let service = service().await;
    let with_reason = |code, reason: &str| {
        let details = ErrorDetails::with_error_info(reason, "api-keys.rollcall", std::collections::HashMap::new());
        Status::with_error_details(code, "no", details)
    };
    let throttled = Status::with_error_details(
        Code::ResourceExhausted,
        "no",
        ErrorDetails::with_retry_info(Some(Duration::from_secs(7))),
    );
    for (status, expected, error) in [
        (with_reason(Code::Unauthenticated, "UNAUTHENTICATED"), 401, "invalid_client"),
        (with_reason(Code::PermissionDenied, "NOT_FOR_CLIENTS"), 400, "unauthorized_client"),
        (with_reason(Code::PermissionDenied, "ADDRESS_REFUSED"), 400, "unauthorized_client"),
        (Status::permission_denied("not for its caller"), 503, "temporarily_unavailable"),
        (Status::internal("no"), 503, "temporarily_unavailable"),
        (throttled, 503, "temporarily_unavailable"),
    ] {
        *service.credentials.issued.lock().unwrap() = Err(status);
        let answer = ask(&service, Some(&basic("c1", "s1")), "grant_type=client_credentials").await;
        assert_eq!(refusal(&answer), (expected, error.to_owned()));
        assert_eq!(answer.headers.contains_key(header::RETRY_AFTER), expected == 503);
    }
}
