//! The service in one line, and one request at a time.

use authn::{Authenticator, Budget, Scope};
use axum::{Router, body::Body};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use ids::TenantId;
use proto::identity::v1::ProvisioningEntry;
use serde_json::Value;
use tower::ServiceExt as _;

use super::{
    credentials::Credentials,
    identity::{Fault, Identity},
};
use crate::{Config, ProvisioningLog, router};

/// Where a test's service seems to stand.
pub(super) const BASE: &str = "https://rollcall.example/api/scim/v2";

pub(super) struct Service {
    pub(super) identity: Identity,
    pub(super) credentials: Credentials,
    pub(super) tenant: TenantId,
    pub(super) key: String,
    pub(super) router: Router,
    pub(super) log: ProvisioningLog,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Vec<u8>,
}

impl Service {
    pub(super) async fn new() -> Self {
        Self::with(Config { public_url: Some("https://rollcall.example".to_owned()), ..Config::default() }).await
    }

    pub(super) async fn with(config: Config) -> Self {
        let (identity, credentials, tenant) = (Identity::default(), Credentials::new(), TenantId::generate());
        let key = credentials.make(tenant, Scope::Scim);
        let authenticator = Authenticator::new(credentials.channel(), Budget::default());
        authenticator.ready().await;
        let log = ProvisioningLog::start(identity.channel());
        let router = router(config, authenticator, identity.channel(), log.clone());
        Self { identity, credentials, tenant, key, router, log }
    }

    /// Sends a request as it is.
    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        self.answer(request).await.expect("the body is whole")
    }

    /// As [`Service::send`], where the body may be cut off.
    pub(super) async fn answer(&self, request: Request<Body>) -> Result<Answer, axum::Error> {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await?.to_bytes().to_vec();
        Ok(Answer { status: parts.status, headers: parts.headers, bytes })
    }

    /// A request with the right key, as Entra builds it: no `Accept`, and a content type only with a body.
    pub(super) fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Request<Body> {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/scim/v2{path}"))
            .header(header::HOST, "rollcall.example")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key));
        match body {
            Some(body) => request
                .header(header::CONTENT_TYPE, "application/scim+json; charset=utf-8")
                .body(Body::from(body.to_string()))
                .unwrap(),
            None => request.body(Body::empty()).unwrap(),
        }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path, None)).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path, Some(&body))).await
    }

    pub(super) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PUT, path, Some(&body))).await
    }

    pub(super) async fn patch(&self, path: &str, operations: Value) -> Answer {
        let schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"];
        let body = serde_json::json!({"schemas": schemas, "Operations": operations});
        self.send(self.request(Method::PATCH, path, Some(&body))).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path, None)).await
    }

    /// A request that names the versions it wants to meet.
    pub(super) async fn if_match(&self, method: Method, path: &str, tag: &str, body: Option<Value>) -> Answer {
        let mut request = self.request(method, path, body.as_ref());
        request.headers_mut().insert(header::IF_MATCH, tag.parse().unwrap());
        self.send(request).await
    }

    /// Makes a user and gives its id.
    pub(super) async fn user(&self, user_name: &str) -> String {
        self.post("/Users", serde_json::json!({"userName": user_name})).await.created()
    }

    /// Makes a group with members and gives its id.
    pub(super) async fn group(&self, display_name: &str, members: &[String]) -> String {
        let members: Vec<Value> = members.iter().map(|id| serde_json::json!({"value": id})).collect();
        self.post("/Groups", serde_json::json!({"displayName": display_name, "members": members})).await.created()
    }

    /// Lets the next calls of a method fail.
    pub(super) fn fault(&self, method: &'static str, faults: impl IntoIterator<Item = Fault>) {
        self.identity.directory().faults.entry(method).or_default().extend(faults);
    }

    /// What the provisioning log holds, after all of it was sent.
    pub(super) async fn entries(&self) -> Vec<ProvisioningEntry> {
        self.log.flush().await;
        self.identity.directory().log.clone()
    }

    /// How often a method of identity was called.
    pub(super) fn calls(&self, method: &str) -> usize {
        self.identity.directory().calls.get(method).copied().unwrap_or_default()
    }
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.bytes)))
    }

    /// The header, or nothing.
    pub(super) fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn created(&self) -> String {
        assert_eq!(self.status, StatusCode::CREATED, "{}", self.json());
        self.json()["id"].as_str().unwrap().to_owned()
    }

    /// Checks that this is a SCIM error of the status, and gives its keyword and its sentence.
    pub(super) fn refused(&self, status: u16) -> (String, String) {
        let body = self.json();
        assert_eq!(
            (self.status.as_u16(), self.header(header::CONTENT_TYPE)),
            (status, "application/scim+json"),
            "{body}"
        );
        assert_eq!(body["schemas"], serde_json::json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
        assert_eq!(body["status"], status.to_string());
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        (text("scimType"), text("detail"))
    }
}
