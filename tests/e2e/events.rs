//! Events to those who hold no stream, from outside: a receiver that verifies with other people's code, on every deployment.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use http::HeaderMap;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use outbound::testing::{Answer, Request, Server};
use reqwest::{Client, Method, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tempfile::TempDir;

use crate::harness::{
    Deployment::{self, ServePostgres, UpPostgres, UpSqlite},
    Rollcall, eventually,
};

/// How long something may take that has no promise about it. Far more than it needs.
const DEADLINE: Duration = Duration::from_secs(60);
/// Longer than any test runs.
const NEVER: Duration = Duration::from_secs(600);

/// Somebody whom events are sent to.
struct Receiver {
    server: Server,
    posted: Arc<Mutex<Vec<Request>>>,
    directory: TempDir,
}

impl Receiver {
    async fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let posted = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&posted);
        let server = Server::answering(move |request| {
            keep.lock().unwrap().push(request.clone());
            answer(request)
        });
        let (server, directory) = (server.await.unwrap(), TempDir::new().unwrap());
        let authority = server.settings().root_certificates_pem.unwrap();
        std::fs::write(directory.path().join("ca.crt"), authority).unwrap();
        Self { server, posted, directory }
    }

    /// The arguments by which Rollcall may call it.
    fn arguments(&self) -> [String; 2] {
        let authority = self.directory.path().join("ca.crt");
        ["--outbound-allow=127.0.0.0/8".to_owned(), format!("--outbound-ca-file={}", authority.display())]
    }

    fn posted(&self) -> Vec<Request> {
        self.posted.lock().unwrap().clone()
    }
}

/// Rollcall with provisioning on, a directory's key, and a webhook at the receiver with its secret.
async fn start(deployment: Deployment, receiver: &Receiver) -> Option<(Rollcall, String, String)> {
    let arguments = receiver.arguments();
    let rollcall = Rollcall::start_with(deployment, &arguments.each_ref().map(String::as_str)).await?;
    rollcall.succeed(&["scim", "enable"]);
    let key = rollcall.key(&["--name", "directory"]);
    let url = format!("{}/hook", receiver.server.url());
    let secret = rollcall.succeed(&["events", "create", "--url", &url, "--description", "Billing"]).trim().to_owned();
    Some((rollcall, key, secret))
}

fn verifies(request: &Request, secret: &str) -> bool {
    let mut headers = HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, request.header(name).parse().unwrap());
    }
    Webhook::new(secret).unwrap().verify(&request.body, &headers).is_ok()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_deprovisioned_user_is_told_to_a_webhook(
    #[values(UpSqlite, UpPostgres, ServePostgres)] deployment: Deployment,
) {
    let receiver = Receiver::start(|_| Answer::failure("204 No Content")).await;
    let Some((rollcall, key, secret)) = start(deployment, &receiver).await else { return };
    let user = json!({"userName": "ada@example.com", "active": true});
    let made = rollcall.scim(&key, Method::POST, "/Users", Some(&user)).await.json();
    let path = format!("/Users/{}", made["id"].as_str().unwrap());
    let patch = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "Replace", "path": "active", "value": "False"}]});
    assert!(rollcall.scim(&key, Method::PATCH, &path, Some(&patch)).await.status.is_success());
    // That the user was made, lost access, and with it the role.
    eventually("the events arrive", DEADLINE, async || receiver.posted().len() == 3).await;
    let mut bodies: Vec<Value> = Vec::new();
    for request in receiver.posted() {
        assert!(verifies(&request, &secret), "{request:?}");
        bodies.push(serde_json::from_slice(&request.body).unwrap());
    }
    let told = bodies.iter().find(|body| body["type"] == "user.changed").unwrap();
    assert_eq!(told["data"]["subjectId"], made["id"]);
    assert_eq!(
        (&told["data"]["before"]["active"], &told["data"]["after"]["active"]),
        (&"true".into(), &"false".into())
    );

    let endpoints = rollcall.json(&["events", "list"]);
    let id = endpoints[0]["id"].as_str().unwrap().to_owned();
    eventually("it is written down", DEADLINE, async || {
        rollcall.json(&["events", "show", &id])["deliveredCount"] == "3"
    })
    .await;
    let shown = rollcall.json(&["events", "show", &id]);
    assert_eq!((&shown["state"], &shown["description"]), (&"EVENT_ENDPOINT_STATE_ENABLED".into(), &"Billing".into()));
    assert!(shown.get("secret").is_none());

    // A new secret, and the one before for as long as it overlaps.
    let next = rollcall.succeed(&["events", "rotate-secret", &id, "--overlap", "1h"]).trim().to_owned();
    rollcall.scim(&key, Method::DELETE, &path, None).await;
    eventually("the last arrives", DEADLINE, async || receiver.posted().len() == 4).await;
    let last = receiver.posted().pop().unwrap();
    assert!(verifies(&last, &next) && verifies(&last, &secret) && next != secret);
    rollcall.succeed(&["events", "delete", &id]);
    assert_eq!(rollcall.json(&["events", "list"]), json!([]));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_does_not_answer_holds_nobody_up(#[values(UpSqlite, ServePostgres)] deployment: Deployment) {
    let receiver = Receiver::start(|_| Answer { pause: NEVER, is_endless: true, ..Answer::ok("hello") }).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let Some((rollcall, key, _)) = start(deployment, &receiver).await else { return };
    // It takes connections, and says nothing.
    let url = format!("https://127.0.0.1:{}/", silent.local_addr().unwrap().port());
    rollcall.succeed(&["events", "create", "--url", &url]);
    let begun = Instant::now();
    for number in 0..30 {
        let user = json!({"userName": format!("user{number}@example.com")});
        assert_eq!(rollcall.scim(&key, Method::POST, "/Users", Some(&user)).await.status, 201);
    }
    // A single delivery to the silent one takes 15 seconds.
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    assert!(rollcall.json(&["user", "list"]).as_array().unwrap().len() == 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn r11_an_address_within_the_network_is_refused() {
    let rollcall = Rollcall::start(UpSqlite).await.unwrap();
    for url in [
        "http://example.com/hook",
        "https://me:secret@example.com/hook",
        "https://127.0.0.1/hook",
        "https://[::1]/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/hook",
        "https://2130706433/hook",
        "nonsense",
    ] {
        let refused = rollcall.cli(&["events", "create", "--url", url]);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(
            refused.status.code() == Some(1) && said.contains("event_endpoint.url cannot be called"),
            "{url}: {said}"
        );
    }
    assert_eq!(rollcall.json(&["events", "list"]), json!([]));
    let refused = rollcall.cli(&["events", "create", "--url=https://example.com/", "--kind=user.deactivated"]);
    assert!(String::from_utf8(refused.stderr).unwrap().contains("user.deleted"), "it says what there is");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_administered_from_the_command_line() {
    let rollcall = Rollcall::start(UpSqlite).await.unwrap();
    let made = rollcall.json(&["events", "create", "--url=https://hooks.invalid/a", "--kind=user.deleted"]);
    let id = made["eventEndpoint"]["id"].as_str().unwrap();
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    let updated = rollcall.json(&["events", "update", id, "--all-kinds", "--url=https://hooks.invalid/b"]);
    assert_eq!((&updated["kinds"], &updated["url"]), (&json!([]), &"https://hooks.invalid/b".into()));
    assert_eq!(rollcall.json(&["events", "disable", id])["stop"], "EVENT_ENDPOINT_STOP_ADMINISTRATOR");
    assert!(rollcall.succeed(&["events", "list"]).contains("disabled: administrator"));
    assert_eq!(rollcall.json(&["events", "enable", id])["state"], "EVENT_ENDPOINT_STATE_ENABLED");
    assert_eq!(rollcall.json(&["events", "dead-letters", "list", id]), json!([]));
    rollcall.succeed(&["events", "dead-letters", "retry", id, "--all"]);
    assert_eq!(rollcall.cli(&["events", "dead-letters", "drop", id]).status.code(), Some(2), "which, must be said");
    assert_eq!(rollcall.cli(&["events", "dead-letters", "drop", id, "evt_x"]).status.code(), Some(3));
    assert_eq!(rollcall.cli(&["events", "show", "nonsense"]).status.code(), Some(3));
    // Whom it tells of whom is an administrator's to say.
    let reader = rollcall.key(&["--name", "team", "--scope", "identity.read", "--scope", "identity.write"]);
    assert_eq!(rollcall.cli_as(&reader, &["events", "show", id]).status.code(), Some(4));
    let log = rollcall.succeed(&["audit", "list"]);
    assert!(log.contains("EventService/CreateEventEndpoint") && !log.contains("hooks.invalid/"), "{log}");
}

const AUDIENCE: &str = "https://receiver.example.com/events";

/// A receiver that fetches.
struct Poller<'r> {
    rollcall: &'r Rollcall,
    stream: String,
    key: String,
}

impl Poller<'_> {
    async fn ask(&self, body: &Value) -> (StatusCode, Value) {
        self.ask_by(Some(&self.key), &self.stream, body).await
    }

    async fn ask_by(&self, key: Option<&str>, stream: &str, body: &Value) -> (StatusCode, Value) {
        let url = self.rollcall.facade_url(&format!("/api/events/v1/streams/{stream}/poll"));
        let mut request = Client::new().post(url).header("content-type", "application/json").body(body.to_string());
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap())
    }

    /// The claims of a token, verified by what the façade publishes.
    async fn verified(&self, token: &str) -> Value {
        let keys = reqwest::get(self.rollcall.facade_url("/api/events/v1/jwks")).await.unwrap();
        assert_eq!(keys.headers()["content-type"], "application/jwk-set+json");
        let keys: JwkSet = keys.json().await.unwrap();
        let header = decode_header(token).unwrap();
        assert_eq!(header.typ.as_deref(), Some("secevent+jwt"));
        let tenant = self.rollcall.json(&["tenant", "show", "default"]);
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[format!("urn:rollcall:tenant:{}", tenant["id"].as_str().unwrap())]);
        validation.set_required_spec_claims(&["iss", "aud"]);
        validation.validate_exp = false;
        let key = DecodingKey::from_jwk(keys.find(&header.kid.unwrap()).unwrap()).unwrap();
        decode::<Value>(token, &key, &validation).unwrap().claims
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn security_event_tokens_are_fetched_verified_and_acknowledged(
    #[values(UpSqlite, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, directory)) = Rollcall::provisioned(deployment).await else { return };
    let stream = rollcall.succeed(&["events", "create", "--as", "set-poll", "--audience", AUDIENCE]).trim().to_owned();
    let key = rollcall.key(&["--name", "receiver", "--scope", "identity.read"]);
    let poller = Poller { rollcall: &rollcall, stream: stream.clone(), key };
    let at_once = json!({"returnImmediately": true});
    assert_eq!(poller.ask(&at_once).await, (StatusCode::OK, json!({"sets": {}})));

    // Who waits is answered when something happens.
    let user = json!({"userName": "ada@example.com", "active": true});
    let patient = json!({});
    let (waited, made) =
        tokio::join!(poller.ask(&patient), rollcall.scim(&directory, Method::POST, "/Users", Some(&user)));
    let made = made.json();
    let path = format!("/Users/{}", made["id"].as_str().unwrap());
    let mut answer = waited.1;
    if answer["sets"].as_object().unwrap().is_empty() {
        answer = poller.ask(&at_once).await.1;
    }
    let sets = answer["sets"].as_object().unwrap().clone();
    assert_eq!(sets.len(), 1, "{answer}");
    let (jti, token) = sets.iter().next().unwrap();
    let claims = poller.verified(token.as_str().unwrap()).await;
    assert_eq!((&claims["jti"], &claims["sub_id"]["uri"]), (&json!(jti), &json!(path)));
    assert!(claims["events"].get("urn:ietf:params:scim:event:prov:create:notice").is_some(), "{claims}");
    // Again, until it is acknowledged.
    assert_eq!(poller.ask(&at_once).await.1["sets"].as_object().unwrap().keys().collect::<Vec<_>>(), [jti]);
    let acknowledged = json!({"returnImmediately": true, "ack": [jti]});
    assert_eq!(poller.ask(&acknowledged).await, (StatusCode::OK, json!({"sets": {}})));

    rollcall.scim(&directory, Method::DELETE, &path, None).await;
    let answer = poller.ask(&json!({"maxEvents": 1, "returnImmediately": true})).await.1;
    let jti = answer["sets"].as_object().unwrap().keys().next().unwrap().clone();
    let refused = json!({"returnImmediately": true, "setErrs": {&*jti: {"err": "invalid_key", "description": "ada"}}});
    assert_eq!(poller.ask(&refused).await, (StatusCode::OK, json!({"sets": {}})));
    let letters = rollcall.json(&["events", "dead-letters", "list", &stream]);
    assert_eq!((&letters[0]["eventId"], &letters[0]["lastFailure"]), (&json!(jti), &json!("refused: invalid_key")));

    // Who may not.
    for (status, key, stream) in [
        (401, None, &*stream),
        (401, Some("nonsense"), &*stream),
        (403, Some(&*directory), &*stream),
        (404, Some(&*poller.key), "01890000-0000-7000-8000-000000000000"),
        (404, Some(&*poller.key), "nonsense"),
    ] {
        let answer = poller.ask_by(key, stream, &at_once).await;
        assert_eq!(answer.0, status, "{answer:?}");
        assert!(answer.1["err"].is_string() && answer.1["description"].is_string(), "{answer:?}");
    }
    assert_eq!(poller.ask(&json!({"ack": "no list"})).await.0, 400);
    assert_eq!(poller.ask(&json!({"maxEvents": -1})).await.0, 400);
    rollcall.succeed(&["tenant", "create", "other"]);
    let stranger = rollcall.key(&["--name", "stranger", "--scope", "identity.read", "--tenant", "other"]);
    assert_eq!(poller.ask_by(Some(&stranger), &stream, &at_once).await.0, 404);
    // While the tenant's provisioning is off, its receivers are answered all the same.
    rollcall.succeed(&["scim", "disable"]);
    assert_eq!(poller.ask(&json!({"maxEvents": 0})).await.0, 200);
    rollcall.succeed(&["events", "disable", &stream]);
    assert_eq!(poller.ask(&at_once).await.0, 403);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn ended_sessions_are_pushed_by_caep(#[values(UpSqlite, ServePostgres)] deployment: Deployment) {
    let receiver = Receiver::start(|_| Answer::failure("202 Accepted")).await;
    let arguments = receiver.arguments();
    let extra = arguments.each_ref().map(String::as_str);
    let Some(rollcall) = Rollcall::start_with(deployment, &extra).await else { return };
    rollcall.succeed(&["scim", "enable"]);
    let key = rollcall.key(&["--name", "directory"]);
    let authorization = receiver.directory.path().join("authorization");
    std::fs::write(&authorization, "Bearer receivers-own-secret\n").unwrap();
    let url = format!("{}/push", receiver.server.url());
    let create = ["events", "create", "--as=set-push", "--profile=caep", "--audience", AUDIENCE, "--url", &url];
    let id = rollcall.succeed(&[&create[..], &["--authorization-file", authorization.to_str().unwrap()]].concat());
    let user = json!({"userName": "ada@example.com", "active": true});
    let made = rollcall.scim(&key, Method::POST, "/Users", Some(&user)).await.json();
    rollcall.scim(&key, Method::DELETE, &format!("/Users/{}", made["id"].as_str().unwrap()), None).await;
    eventually("the token arrives", DEADLINE, async || !receiver.posted().is_empty()).await;
    let request = receiver.posted().remove(0);
    assert_eq!(request.header("authorization"), "Bearer receivers-own-secret");
    let poller = Poller { rollcall: &rollcall, stream: String::new(), key: String::new() };
    let claims = poller.verified(std::str::from_utf8(&request.body).unwrap()).await;
    let events = claims["events"].as_object().unwrap();
    assert!(events.len() == 1 && events.keys().next().unwrap().ends_with("/session-revoked"), "{claims}");
    assert_eq!(claims["sub_id"]["sub"], made["id"]);
    let shown = rollcall.json(&["events", "show", id.trim()]);
    assert_eq!(shown["kind"], "EVENT_ENDPOINT_KIND_SET_PUSH");
    assert!(!shown.to_string().contains("receivers-own-secret"));
    assert_eq!(rollcall.cli(&["events", "rotate-secret", id.trim()]).status.code(), Some(1), "it has none");
}
