//! OAuth clients at the token endpoint: workload identity federation with a real OpenID provider, and API keys as client secrets.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use rstest::rstest;
use serde_json::json;
use tonic::Code;

use crate::{
    harness::{
        Answer,
        Deployment::{self, ServePostgres, UpSqlite},
        Rollcall, eventually,
    },
    isolation::{self, rpcs},
    openid_provider::{CLIENT, OTHER_CLIENT, OpenIdProvider, form},
    service_identity,
};

const AUDIENCE: &str = "api://rollcall";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How soon what is revoked is refused everywhere.
const REVOKED_WITHIN: Duration = Duration::from_secs(1);

/// A JWT of the form that Entra ID gives an application for its own provisioning service: `iss` is `https://sts.windows.net/TENANT/`, `aud` is
/// `8adf8e6e-67b2-4cf2-a259-e3dc5476c621`, and it ends in 2100. Its signature is nobody's.
const ENTRAS_OWN: &str = concat!(
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsIng1dCI6ImtpZC1vZi1ub2JvZHkiLCJraWQiOiJraWQtb2Ytbm9ib2R5In0",
    ".eyJhdWQiOiI4YWRmOGU2ZS02N2IyLTRjZjItYTI1OS1lM2RjNTQ3NmM2MjEiLCJpc3MiOiJodHRwczovL3N0cy53aW5kb3dzLm5ldC8xMTExMTExMS0yMjIyLTQzMzMtODQ0NC01NTU1NTU1NTU1NTUvIiwiaWF0IjoxNzAwMDAwMDAwLCJuYmYiOjE3MDAwMDAwMDAsImV4cCI6NDEwMjQ0NDgwMCwiYXBwaWQiOiIwMDAwMDAxNC0wMDAwLTAwMDAtYzAwMC0wMDAwMDAwMDAwMDAiLCJhcHBpZGFjciI6IjIiLCJzdWIiOiJlbnRyYSIsInRpZCI6IjExMTExMTExLTIyMjItNDMzMy04NDQ0LTU1NTU1NTU1NTU1NSIsInZlciI6IjEuMCJ9",
    ".AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-P0BBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWltcXV5fYGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn-AgYKDhIWGh4iJiouMjY6PkJGSk5SVlpeYmZqbnJ2en6ChoqOkpaanqKmqq6ytrq-wsbKztLW2t7i5uru8vb6_wMHCw8TFxsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd3t_g4eLj5OXm5-jp6uvs7e7v8PHy8_T19vf4-fr7_P3-_w"
);

/// Rollcall with a provider that it may call, and the client id of a trust in what the provider says of [`CLIENT`].
struct Federated {
    rollcall: Rollcall,
    provider: OpenIdProvider,
    trust: String,
}

impl Federated {
    async fn start(deployment: Deployment) -> Option<Self> {
        let provider = OpenIdProvider::start()?;
        let arguments = provider.outbound_arguments();
        let rollcall = Rollcall::start_with(deployment, &arguments.each_ref().map(String::as_str)).await?;
        rollcall.succeed(&["scim", "enable"]);
        let trust = create_trust(&rollcall, provider.issuer(), &[]);
        Some(Self { rollcall, provider, trust })
    }

    async fn assertion(&self) -> String {
        self.provider.assertion(CLIENT, AUDIENCE, "").await
    }

    /// The token endpoint's answer to an assertion.
    async fn sign_in(&self, assertion: &str) -> Answer {
        sign_in(&self.rollcall, &self.trust, assertion).await
    }

    /// A new access token.
    async fn access_token(&self) -> String {
        granted(&self.sign_in(&self.assertion().await).await)
    }
}

/// Trusts what `issuer` says of [`CLIENT`]; the client id.
fn create_trust(rollcall: &Rollcall, issuer: &str, extra: &[&str]) -> String {
    let arguments = ["trust", "create", "--name", "Entra", "--audience", AUDIENCE, "--subject", CLIENT];
    let made = rollcall.succeed(&[&arguments[..], &["--issuer", issuer], extra].concat());
    made.trim_end().to_owned()
}

/// Asks for an access token.
async fn ask(rollcall: &Rollcall, parameters: &[(&str, &str)], basic: Option<(&str, &str)>) -> Answer {
    let mut request = reqwest::Client::new()
        .post(rollcall.token_url())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form(parameters));
    if let Some((id, secret)) = basic {
        request = RequestBuilder::basic_auth(request, id, Some(secret));
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    Answer { status, headers, text: answer.text().await.unwrap() }
}

/// Asks for an access token as Entra does.
async fn sign_in(rollcall: &Rollcall, client_id: &str, assertion: &str) -> Answer {
    let parameters = [
        ("grant_type", "client_credentials"),
        ("client_id", client_id),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion),
        ("scope", "scim"),
    ];
    ask(rollcall, &parameters, None).await
}

/// The access token in an answer.
fn granted(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    assert_eq!((&body["token_type"], &body["scope"]), (&json!("Bearer"), &json!("scim")));
    let seconds = body["expires_in"].as_u64().unwrap();
    assert!((3590..=6 * 3600).contains(&seconds), "{seconds}");
    body["access_token"].as_str().unwrap().to_owned()
}

fn assert_refused(answer: &Answer, case: &str) {
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (StatusCode::UNAUTHORIZED, &json!("invalid_client")),
        "{case}"
    );
}

fn assert_unavailable(answer: &Answer, case: &str) {
    let expected = (StatusCode::SERVICE_UNAVAILABLE, &json!("temporarily_unavailable"));
    assert_eq!((answer.status, &answer.json()["error"]), expected, "{case}");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0, "{case}");
}

/// How the directory's door answers an access token.
async fn status(rollcall: &Rollcall, token: &str) -> u16 {
    rollcall.scim(token, Method::GET, "/Users?count=1", None).await.status.as_u16()
}

/// Waits until an access token that worked is refused, which must be soon.
async fn dies(rollcall: &Rollcall, token: &str, what: &str) {
    eventually(what, REVOKED_WITHIN, async || status(rollcall, token).await == 401).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r09_an_assertion_that_a_provider_signed_provisions(#[values(UpSqlite, ServePostgres)] deployment: Deployment) {
    let Some(federated) = Federated::start(deployment).await else { return };
    let rollcall = &federated.rollcall;
    for algorithm in ["RS256", "PS256", "ES256"] {
        let assertion = federated.provider.assertion(CLIENT, AUDIENCE, algorithm).await;
        let token = granted(&federated.sign_in(&assertion).await);
        let user = json!({"userName": algorithm, "externalId": algorithm});
        let created = rollcall.scim(&token, Method::POST, "/Users", Some(&user)).await;
        assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
        let filtered = format!("/Users?filter=userName+eq+%22{algorithm}%22");
        assert_eq!(rollcall.scim(&token, Method::GET, &filtered, None).await.json()["totalResults"], 1);
    }
    assert_eq!(rollcall.json(&["user", "list"]).as_array().unwrap().len(), 3);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r09_what_the_trust_does_not_name_is_refused_and_always_alike(
    #[values(UpSqlite, ServePostgres)] deployment: Deployment,
) {
    let Some(federated) = Federated::start(deployment).await else { return };
    let (rollcall, provider) = (&federated.rollcall, &federated.provider);
    let Some(other) = OpenIdProvider::start() else { return };
    let good = federated.assertion().await;
    granted(&federated.sign_in(&good).await);

    let foreign = other.assertion(CLIENT, AUDIENCE, "").await;
    let (said, _) = good.rsplit_once('.').unwrap();
    let (_, signature) = foreign.rsplit_once('.').unwrap();
    let assertions = [
        ("about another subject", provider.assertion(OTHER_CLIENT, AUDIENCE, "").await),
        ("for another audience", provider.assertion(CLIENT, "api://another", "").await),
        ("expired", provider.assertion(CLIENT, AUDIENCE, "expired").await),
        ("of another issuer", foreign.clone()),
        ("signed by another's key", format!("{said}.{signature}")),
        ("not signed", format!("{said}.")),
        ("Entra's own", ENTRAS_OWN.to_owned()),
        ("no JWT", "nonsense".to_owned()),
    ];
    let first = sign_in(rollcall, &ids::TrustId::generate().to_string(), &good).await;
    assert_refused(&first, "another client");
    for (case, assertion) in assertions {
        let answer = federated.sign_in(&assertion).await;
        assert_refused(&answer, case);
        assert_eq!(answer.text, first.text, "{case}");
    }
    // The trust is none the worse for it.
    granted(&federated.sign_in(&good).await);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r11_a_provider_that_may_not_be_called_is_not_called(
    #[values(UpSqlite, ServePostgres)] deployment: Deployment,
) {
    let Some(mut provider) = OpenIdProvider::start() else { return };
    let Some(rollcall) = Rollcall::start(deployment).await else { return };
    rollcall.succeed(&["scim", "enable"]);
    let trust = create_trust(&rollcall, provider.issuer(), &[]);
    let assertion = provider.assertion(CLIENT, AUDIENCE, "").await;
    let before = provider.connections();
    assert_unavailable(&sign_in(&rollcall, &trust, &assertion).await, "not allowed");
    assert_eq!(provider.connections(), before);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_went_away_is_missed_only_where_its_keys_are_not_known(
    #[values(UpSqlite, ServePostgres)] deployment: Deployment,
) {
    let Some(mut federated) = Federated::start(deployment).await else { return };
    let Some(mut unseen) = OpenIdProvider::start() else { return };
    let unseen_trust = create_trust(&federated.rollcall, unseen.issuer(), &[]);
    let of_unseen = unseen.assertion(CLIENT, AUDIENCE, "").await;
    let (first, second) = (federated.assertion().await, federated.assertion().await);
    granted(&federated.sign_in(&first).await);

    federated.provider.stop();
    unseen.stop();
    let token = granted(&federated.sign_in(&second).await);
    assert_eq!(status(&federated.rollcall, &token).await, 200);
    // It may be good: that is for later to say.
    assert_unavailable(&sign_in(&federated.rollcall, &unseen_trust, &of_unseen).await, "keys that were never seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_keys_that_a_provider_changes_are_followed_at_once() {
    let Some(mut federated) = Federated::start(UpSqlite).await else { return };
    let old = federated.assertion().await;
    granted(&federated.sign_in(&old).await);
    federated.provider.rotate_keys();
    let before = federated.provider.connections();
    let new = federated.assertion().await;
    granted(&federated.sign_in(&new).await);
    assert!(federated.provider.connections() > before + 1);
    // Its key is published no more, and it is too soon to ask for it again: nobody knows whether that was a mistake of the provider's.
    assert_unavailable(&federated.sign_in(&old).await, "signed by the key that was withdrawn");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r09_access_tokens_end_with_the_trust_as_it_was(#[values(UpSqlite, ServePostgres)] deployment: Deployment) {
    let Some(federated) = Federated::start(deployment).await else { return };
    let (rollcall, trust) = (&federated.rollcall, federated.trust.as_str());
    let token = federated.access_token().await;
    assert_eq!(status(rollcall, &token).await, 200);
    rollcall.succeed(&["trust", "update", trust, "--subject", OTHER_CLIENT]);
    dies(rollcall, &token, "the trust was changed").await;

    assert_refused(&federated.sign_in(&federated.assertion().await).await, "no longer trusted");
    let assertion = federated.provider.assertion(OTHER_CLIENT, AUDIENCE, "").await;
    let token = granted(&federated.sign_in(&assertion).await);
    assert_eq!(status(rollcall, &token).await, 200);
    rollcall.succeed(&["trust", "revoke", trust]);
    dies(rollcall, &token, "the trust was revoked").await;
    assert_refused(&federated.sign_in(&assertion).await, "revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn r02_an_access_token_opens_no_rpc_of_a_service_by_itself() {
    let Some(federated) = Federated::start(ServePostgres).await else { return };
    let rollcall = &federated.rollcall;
    let token = federated.access_token().await;
    assert_eq!(status(rollcall, &token).await, 200);
    let config = service_identity::client(&rollcall.certificates(), None);
    for rpc in rpcs() {
        let of_api_keys = rpc.path.starts_with("/rollcall.api_keys.");
        let url = if of_api_keys { rollcall.api_keys_url() } else { rollcall.identity_url() };
        let refused = service_identity::call(&url, &config, &rpc.path, Some(&token)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{}: {refused:?}", rpc.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r02_an_access_token_opens_no_rpc() {
    let Some(federated) = Federated::start(UpSqlite).await else { return };
    let token = federated.access_token().await;
    assert_eq!(status(&federated.rollcall, &token).await, 200);
    for rpc in rpcs() {
        let url = federated.rollcall.identity_url();
        let refused = isolation::call(&url, &rpc.path, Some(&token), vec![]).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{}: {refused:?}", rpc.path);
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r05_an_access_token_reaches_its_own_tenant_alone(#[values(UpSqlite, ServePostgres)] deployment: Deployment) {
    let Some(federated) = Federated::start(deployment).await else { return };
    let rollcall = &federated.rollcall;
    let token = federated.access_token().await;
    let user = rollcall.scim(&token, Method::POST, "/Users", Some(&json!({"userName": "ada"}))).await.json();
    let user = user["id"].as_str().unwrap();

    rollcall.succeed(&["tenant", "create", "globex"]);
    rollcall.succeed(&["scim", "enable", "--tenant", "globex"]);
    let theirs = create_trust(rollcall, federated.provider.issuer(), &["--tenant", "globex"]);
    let stranger = granted(&sign_in(rollcall, &theirs, &federated.assertion().await).await);
    let foreign = rollcall.scim(&stranger, Method::GET, &format!("/Users/{user}"), None).await;
    let never = ids::UserId::generate().to_string();
    let absent = rollcall.scim(&stranger, Method::GET, &format!("/Users/{never}"), None).await;
    assert_eq!((foreign.status.as_u16(), foreign.text.replace(user, "ID")), (404, absent.text.replace(&never, "ID")));
    let deleted = rollcall.scim(&stranger, Method::DELETE, &format!("/Users/{user}"), None).await;
    assert_eq!(deleted.status, StatusCode::NOT_FOUND);
    let list = rollcall.scim(&stranger, Method::GET, "/Users", None).await;
    assert_eq!(list.json()["totalResults"], 0);
    assert_eq!(rollcall.scim(&token, Method::GET, &format!("/Users/{user}"), None).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_an_assertion_is_no_access_token() {
    let Some(federated) = Federated::start(UpSqlite).await else { return };
    let assertion = federated.assertion().await;
    granted(&federated.sign_in(&assertion).await);
    assert_eq!(status(&federated.rollcall, &assertion).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_entras_own_token_is_refused_by_the_directorys_door() {
    let (rollcall, _) = Rollcall::provisioned(UpSqlite).await.unwrap();
    let refused = rollcall.scim(ENTRAS_OWN, Method::GET, "/Users", None).await;
    assert_eq!((refused.status.as_u16(), refused.header("www-authenticate")), (401, "Bearer"));
}

/// A new key: its id, which is the client id, and its text, which is the secret.
fn new_key(rollcall: &Rollcall, arguments: &[&str]) -> (String, String) {
    let made = rollcall.json(&[&["api-key"], arguments].concat());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
    (text(&made["apiKey"]["id"]), text(&made["key"]))
}

/// Asks with a secret in the body.
async fn ask_with_secret(rollcall: &Rollcall, (id, secret): (&str, &str)) -> Answer {
    let parameters = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    ask(rollcall, &parameters, None).await
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_a_client_secret_in_the_header_in_the_body_and_in_both(
    #[values(UpSqlite, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, _)) = Rollcall::provisioned(deployment).await else { return };
    let (id, secret) = new_key(&rollcall, &["create", "--name", "client"]);
    let (id, secret) = (id.as_str(), secret.as_str());
    let grant = ("grant_type", "client_credentials");
    let in_body = [grant, ("client_id", id), ("client_secret", secret), ("scope", "scim")];
    for (case, parameters, basic) in [
        ("header", &[grant][..], Some((id, secret))),
        ("body", &in_body[..], None),
        ("both", &in_body[..], Some((id, secret))),
    ] {
        let token = granted(&ask(&rollcall, parameters, basic).await);
        let created = rollcall.scim(&token, Method::POST, "/Users", Some(&json!({"userName": case}))).await;
        assert_eq!(created.status, StatusCode::CREATED, "{case}: {created:?}");
    }
    let (other_id, other) = new_key(&rollcall, &["create", "--name", "other"]);
    let two = ask(&rollcall, &in_body, Some((&other_id, &other))).await;
    assert_eq!((two.status.as_u16(), &two.json()["error"]), (400, &json!("invalid_request")), "two clients at once");
    assert_refused(&ask_with_secret(&rollcall, (&other_id, secret)).await, "another's secret");
    assert_refused(&ask_with_secret(&rollcall, (id, "nonsense")).await, "nonsense");
    let (reader, secret) = new_key(&rollcall, &["create", "--name", "reader", "--scope", "identity.read"]);
    let lacking = ask_with_secret(&rollcall, (&reader, &secret)).await;
    assert_eq!((lacking.status.as_u16(), &lacking.json()["error"]), (400, &json!("unauthorized_client")));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_works_beside_the_new_one_until_the_overlap_ends(
    #[values(UpSqlite, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, _)) = Rollcall::provisioned(deployment).await else { return };
    let (old_id, old) = new_key(&rollcall, &["create", "--name", "client"]);
    let token = granted(&ask_with_secret(&rollcall, (&old_id, &old)).await);
    let (new_id, new) = new_key(&rollcall, &["rotate", &old_id]);
    assert_ne!((&new_id, &new), (&old_id, &old));
    for (case, client) in [("old", (&*old_id, &*old)), ("new", (&*new_id, &*new))] {
        let issued = granted(&ask_with_secret(&rollcall, client).await);
        assert_eq!(status(&rollcall, &issued).await, 200, "{case}");
    }
    assert_eq!(status(&rollcall, &token).await, 200);

    let (short_id, short) = new_key(&rollcall, &["create", "--name", "short"]);
    let of_short = granted(&ask_with_secret(&rollcall, (&short_id, &short)).await);
    assert_eq!(status(&rollcall, &of_short).await, 200);
    let (next_id, next) = new_key(&rollcall, &["rotate", &short_id, "--overlap", "1s"]);
    eventually("the old secret ends with the overlap", Duration::from_secs(10), async || {
        ask_with_secret(&rollcall, (&short_id, &short)).await.status == 401
    })
    .await;
    // No token outlives its key.
    dies(&rollcall, &of_short, "the key ended").await;
    granted(&ask_with_secret(&rollcall, (&next_id, &next)).await);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_ends_its_access_tokens_within_a_second(
    #[values(UpSqlite, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, _)) = Rollcall::provisioned(deployment).await else { return };
    let (id, secret) = new_key(&rollcall, &["create", "--name", "client"]);
    let token = granted(&ask_with_secret(&rollcall, (&id, &secret)).await);
    assert_eq!(status(&rollcall, &token).await, 200);
    rollcall.succeed(&["api-key", "revoke", &id]);
    dies(&rollcall, &token, "the key was revoked").await;
    assert_refused(&ask_with_secret(&rollcall, (&id, &secret)).await, "revoked");
}
