//! No secret is printed, however verbose the logs are and wherever traces go; and at the default level no person is named (rule R26).

mod collector;

use std::{fs, process::Output};

use authn::{KeyText, key::Kind};
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};

use collector::Collector;

use crate::harness::{
    Deployment::{self, ServePostgres, UpSqlite},
    Rollcall,
};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// What a directory sends as a user's password.
const PASSWORD: &str = "Tr0ub4dor-and-3-staples";
/// A client assertion that nobody signed.
const ASSERTION: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhc3NlcnRlZCJ9.c2lnbmVkLWJ5LW5vYm9keS1hdC1hbGw";
/// A bearer that is nothing that Rollcall gives.
const FOREIGN: &str = "f0reign-bearer-0123456789abcdef";

/// What a receiver of events wants to be shown.
const RECEIVERS: &str = "rece1vers-0wn-bearer-0123456789";

/// How much of a secret may stand nowhere: by so much of it nobody has guessed the rest, and no text has it by chance.
const PIECE: usize = 8;

/// A secret and what it is called where it is found.
struct Secret {
    what: &'static str,
    text: String,
}

/// Where something stands in a text.
type Find = fn(&str) -> Option<usize>;

/// What secrets of a form that nobody else uses look like. A secret of such a form needs no row of its own.
const FORMS: &[(&str, Find)] = &[
    ("a JWT", find_jwt),
    ("a hash of argon2id", |text| text.find("$argon2id$")),
    ("a private key in PEM", |text| text.find("PRIVATE KEY-----")),
];

/// Where a text holds something signed: a header in base64url and a dot.
fn find_jwt(text: &str) -> Option<usize> {
    text.match_indices("eyJ").map(|(at, _)| at).find(|&at| {
        let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let header = text.as_bytes().iter().skip(at).take_while(|byte| is_digit(byte)).count();
        header > 8 && text.as_bytes().get(at + header) == Some(&b'.')
    })
}

/// What stands in `text` of a secret, if anything does: a part of it as it is, or as a list of its bytes.
fn found(secret: &Secret, text: &str) -> Option<String> {
    assert!(secret.text.len() >= PIECE, "{} is too short to be searched for", secret.what);
    // Of any part that is twice as long as a piece, one piece at least is whole.
    let pieces = secret.text.as_bytes().chunks_exact(PIECE).map(|piece| str::from_utf8(piece).unwrap());
    pieces.into_iter().find_map(|piece| {
        let listed = format!("{:?}", piece.as_bytes());
        let listed = listed.trim_matches(['[', ']']);
        [piece, listed].into_iter().find_map(|form| text.find(form)).map(|at| around(text, at))
    })
}

fn around(text: &str, at: usize) -> String {
    let (from, to) = (text.floor_char_boundary(at.saturating_sub(400)), text.ceil_char_boundary(at + 100));
    text.get(from..to).unwrap_or_default().to_owned()
}

/// The part of a key's text that nobody may know: what stands before it is its kind and its id, and behind it a checksum.
fn secret_part(key: &str) -> String {
    let id = authn::key::TENANT_PREFIX.len() + 22;
    key.get(id..id + 44).unwrap().to_owned()
}

/// A Rollcall of which every word is kept.
struct Overheard {
    rollcall: Rollcall,
    collector: Collector,
    secrets: Vec<Secret>,
    /// What commands printed, but for the standard output of those that print a secret.
    said: Vec<(String, Vec<u8>)>,
}

impl Overheard {
    async fn start(deployment: Deployment, logging: &[&str]) -> Option<Self> {
        let (collector, url) = Collector::start().await;
        let traces = format!("--otlp-endpoint={url}");
        let rollcall = Rollcall::start_each_with(deployment, &[logging, &[&traces]].concat(), &[]).await?;
        let mut overheard = Self { rollcall, collector, secrets: Vec::new(), said: Vec::new() };
        overheard.secret("the password of a user", PASSWORD);
        overheard.secret("a client assertion", ASSERTION);
        overheard.secret("a foreign bearer", FOREIGN);
        overheard.secret("a receiver's bearer", RECEIVERS);
        overheard.secret("the operator's key", &secret_part(&overheard.rollcall.operator_key()));
        overheard.secret("the encryption key", &overheard.rollcall.encryption_key());
        if let Some(password) = overheard.rollcall.database_password() {
            overheard.secret("the password of the database", &password);
        }
        for file in fs::read_dir(overheard.rollcall.certificates()).into_iter().flatten() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "key") {
                let lines: String =
                    fs::read_to_string(path).unwrap().lines().filter(|line| !line.contains('-')).collect();
                // What stands before it in PKCS #8 is the same in every such key, and behind it is the public key.
                overheard.secret("a private key of a certificate", lines.get(48..88).unwrap());
            }
        }
        Some(overheard)
    }

    fn secret(&mut self, what: &'static str, text: &str) {
        self.secrets.push(Secret { what, text: text.to_owned() });
    }

    /// Runs a command that must not print a secret, with the operator's credential or another.
    fn command(&mut self, key: Option<&str>, arguments: &[&str]) -> Output {
        let output = match key {
            Some(key) => self.rollcall.cli_as(key, arguments),
            None => self.rollcall.cli(arguments),
        };
        self.said.push((format!("rollcall {arguments:?}"), [&output.stdout[..], &output.stderr].concat()));
        output
    }

    fn succeed(&mut self, arguments: &[&str]) -> String {
        let output = self.command(None, arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that prints a new key on standard output, and there alone.
    fn key(&mut self, what: &'static str, arguments: &[&str]) -> String {
        let output = self.rollcall.cli(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        self.said.push((format!("rollcall {arguments:?}"), output.stderr));
        let key = String::from_utf8(output.stdout).unwrap().trim_end().to_owned();
        self.secret(what, &secret_part(&key));
        key
    }

    /// The ids of the tenant's keys, the oldest first, or of the operator's.
    fn key_ids(&mut self, command: &str) -> Vec<String> {
        let listed: Value = serde_json::from_str(&self.succeed(&[command, "list", "--output", "json"])).unwrap();
        listed.as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect()
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.rollcall.scim_url());
        Client::new().request(method, url).header("content-type", "application/scim+json")
    }

    fn token_request(&self, form: &[(&str, &str)]) -> RequestBuilder {
        let url = self.rollcall.scim_url().replace("/api/scim/v2", "/api/oauth2/token");
        let form: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Client::new().post(url).header("content-type", "application/x-www-form-urlencoded").body(form.join("&"))
    }

    /// Ends the processes and answers everything that was printed and exported, by where it stands.
    async fn everything(&mut self) -> Vec<(String, String)> {
        for id in self.rollcall.process_ids() {
            let command_line = fs::read(format!("/proc/{id}/cmdline")).unwrap();
            self.said.push((format!("the command line of {id}"), command_line));
            // A child would inherit the environment, which may hold the password of the database.
            for task in fs::read_dir(format!("/proc/{id}/task")).unwrap() {
                let children = fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
                assert_eq!(children, "", "{id} has made processes");
            }
        }
        self.rollcall.terminate().await;
        let mut everything = self.rollcall.outputs();
        everything.append(&mut self.said);
        let (traces, metrics) = (&self.collector.traces, &self.collector.metrics);
        for (place, sent) in [("the exported spans", traces), ("the exported metrics", metrics)] {
            everything.push((place.to_owned(), sent.lock().unwrap().clone()));
        }
        everything.into_iter().map(|(place, bytes)| (place, String::from_utf8_lossy(&bytes).into_owned())).collect()
    }
}

/// Keys of every kind, and what is done to them. Answers the keys that are good at the end.
fn keys(overheard: &mut Overheard) -> (String, String) {
    overheard.succeed(&["scim", "enable"]);
    let directory = overheard.key("a directory's key", &["api-key", "create", "--name", "directory"]);
    for scope in ["identity.read", "identity.write"] {
        let arguments = ["api-key", "create", "--name", scope, "--scope", scope, "--output", "table"];
        overheard.key("a program's key", &arguments);
    }
    let admin = ["api-key", "create", "--name", "admin", "--scope", "admin", "--scope", "scim"];
    let admin = overheard.key("an administrator's key", &admin);
    let ids = overheard.key_ids("api-key");
    overheard.key("the key that took a key's place", &["api-key", "rotate", &ids[1]]);
    overheard.succeed(&["api-key", "update", &ids[1], "--description", "about to end", "--expires-in", "1h"]);
    overheard.succeed(&["api-key", "revoke", &ids[1]]);
    let operator = overheard.key_ids("operator-key")[0].clone();
    overheard.key("the operator's next key", &["operator-key", "rotate", &operator]);
    overheard.succeed(&["signing-key", "rotate"]);
    overheard.succeed(&["signing-key", "rotate", "--withdraw"]);
    (directory, admin)
}

/// What an administrator does over gRPC, and what is refused there.
fn administer(overheard: &mut Overheard, admin: &str) {
    let trust = overheard.succeed(&[
        "trust",
        "create",
        "--name=entra",
        "--issuer=https://idp.example.com",
        "--audience=api://rollcall",
        "--subject=asserted",
    ]);
    overheard.succeed(&["trust", "update", trust.trim(), "--subject", "asserted-too"]);
    let webhook = ["events", "create", "--url=https://hooks.invalid/", "--kind=user.created"];
    let made = overheard.rollcall.cli(&webhook);
    assert!(made.status.success(), "{made:?}");
    overheard.said.push((format!("rollcall {webhook:?}"), made.stderr));
    let secret = String::from_utf8(made.stdout).unwrap();
    overheard.secret("the secret of a webhook", secret.trim().strip_prefix("whsec_").unwrap().trim_end_matches('='));
    let shown = tempfile::NamedTempFile::new().unwrap();
    fs::write(shown.path(), format!("Bearer {RECEIVERS}")).unwrap();
    let shown = format!("--authorization-file={}", shown.path().display());
    let push = ["events", "create", "--as=set-push", "--url=https://hooks.invalid/", "--audience=receiver", &shown];
    overheard.succeed(&push);
    overheard.succeed(&["events", "list"]);
    let stranger = KeyText::mint(Kind::Tenant, ids::ApiKeyId::generate()).unwrap();
    overheard.secret("a key that nobody has", &secret_part(stranger.expose()));
    for (key, is_good) in [(admin, true), (stranger.expose(), false), (FOREIGN, false), (ASSERTION, false)] {
        for arguments in [&["user", "list"][..], &["api-key", "list"], &["audit", "list"]] {
            let output = overheard.command(Some(key), arguments);
            assert_eq!(output.status.success(), is_good, "{arguments:?}: {output:?}");
        }
    }
}

/// A key's text with another secret: its checksum is right, and it is wrong.
fn with_another_secret(key: &str) -> String {
    let id = key.parse::<KeyText>().unwrap().id();
    KeyText::mint(Kind::Tenant, id).unwrap().expose().to_owned()
}

/// Requests with good, wrong and mistyped keys, in the right header and in others.
async fn present(overheard: &mut Overheard, key: &str) {
    let wrong = with_another_secret(key);
    overheard.secret("a wrong key", &secret_part(&wrong));
    let mistyped = format!("{}0", &key[..key.len() - 1]);
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let state = |key: &str| format!("vendor={key}");
    for key in [key, &wrong, &mistyped, FOREIGN] {
        let mut requests = vec![
            overheard.request(Method::GET, "/Users").bearer_auth(key),
            overheard.request(Method::GET, "/Users").basic_auth("client", Some(key)),
            overheard.request(Method::GET, "/Users").bearer_auth(key).header("authorization", format!("Bearer {key}")),
            overheard.request(Method::GET, "/Users").bearer_auth(format!("{key} {key}")),
            overheard.request(Method::GET, "/Users").header("authorization", key),
            overheard.request(Method::GET, &format!("/Users?access_token={key}")),
            overheard.request(Method::GET, &format!("/{key}")),
            overheard.request(Method::GET, &format!("/Users/{key}")).bearer_auth(key),
            overheard
                .request(Method::GET, "/Users")
                .header("traceparent", traceparent)
                .header("tracestate", state(key)),
        ];
        let mut headers =
            vec!["proxy-authorization", "x-api-key", "x-forwarded-authorization", "cookie", "baggage", "traceparent"];
        // What is as short as an id of a request is one: the caller names its request so. No secret of Rollcall's is.
        headers.extend((key.len() > telemetry::REQUEST_ID_LEN_MAX).then_some("x-request-id"));
        for header in headers {
            let value = format!("Bearer {key}");
            requests.push(overheard.request(Method::GET, "/Users").header(header, &value));
            requests.push(overheard.request(Method::GET, "/Users").bearer_auth(key).header(header, key));
        }
        for request in requests {
            let status = request.send().await.unwrap().status();
            assert!(status == 200 || status.is_client_error(), "{status}");
        }
    }
    let encoded = STANDARD.encode(format!("client:{key}"));
    overheard.secret("credentials of Basic authentication", &encoded[48..]);
}

/// One request of each kind that is refused, each with a secret in it where there is a place for one.
async fn refuse(overheard: &mut Overheard, key: &str, weak: &str) {
    let user = json!({"schemas": [USER], "userName": "ada@example.com", "password": PASSWORD}).to_string();
    let large = format!("{{\"password\": \"{}\"}}", PASSWORD.repeat(500_000));
    let created = overheard.request(Method::POST, "/Users").bearer_auth(key).body(user.clone()).send().await.unwrap();
    assert_eq!(created.status(), StatusCode::CREATED);
    let created: Value = created.json().await.unwrap();
    let path = format!("/Users/{}", created["id"].as_str().unwrap());
    let replace = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "password", "value": PASSWORD}]});
    let wrong_type = json!({"schemas": [USER], "userName": {"password": PASSWORD}}).to_string();
    let filter = format!("/Users?filter=password%20eq%20%22{PASSWORD}%22");
    let patched = overheard.request(Method::PATCH, &path).bearer_auth(key).body(replace.to_string());
    assert!(patched.send().await.unwrap().status().is_success());
    let unmatched = overheard.request(Method::PUT, &path).bearer_auth(key).header("if-match", "W/\"99\"");
    for (status, request) in [
        (
            400,
            overheard.request(Method::POST, "/Users").bearer_auth(key).body(format!("{{\"password\": \"{PASSWORD}\"")),
        ),
        (400, overheard.request(Method::POST, "/Users").bearer_auth(key).body(wrong_type)),
        (400, overheard.request(Method::GET, &filter).bearer_auth(key)),
        (401, overheard.request(Method::POST, "/Users").body(user.clone())),
        (403, overheard.request(Method::POST, "/Users").bearer_auth(weak).body(user.clone())),
        (404, overheard.request(Method::GET, &format!("/Users/{PASSWORD}")).bearer_auth(key)),
        (404, overheard.request(Method::GET, &format!("/{PASSWORD}")).bearer_auth(key)),
        (405, overheard.request(Method::PUT, "/Users").bearer_auth(key).body(user.clone())),
        (409, overheard.request(Method::POST, "/Users").bearer_auth(key).body(user.clone())),
        (412, unmatched.body(user.clone())),
        (413, overheard.request(Method::POST, "/Users").bearer_auth(key).body(large)),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{}", answer.text().await.unwrap());
    }
}

/// The token endpoint, with what it is sent in each of its places.
async fn ask_for_tokens(overheard: &mut Overheard, key: &str) {
    let id = key.parse::<KeyText>().unwrap().id().to_string();
    let wrong = with_another_secret(key);
    overheard.secret("a client's wrong secret", &secret_part(&wrong));
    for (what, secret) in [("a client's credentials", key), ("a client's wrong credentials", &wrong)] {
        overheard.secret(what, &STANDARD.encode(format!("{id}:{secret}"))[80..]);
    }
    let grant = ("grant_type", "client_credentials");
    let (client, secret) = (("client_id", &*id), ("client_secret", key));
    let asserted = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    for (status, request) in [
        (200, overheard.token_request(&[grant, client, secret])),
        (200, overheard.token_request(&[grant]).basic_auth(&id, Some(key))),
        (200, overheard.token_request(&[grant, client, secret]).basic_auth(&id, Some(key))),
        (401, overheard.token_request(&[grant, client, ("client_secret", &wrong)])),
        (401, overheard.token_request(&[grant]).basic_auth(&id, Some(&wrong))),
        (401, overheard.token_request(&[grant, client]).bearer_auth(key)),
        (401, overheard.token_request(&[grant, client, asserted, ("client_assertion", ASSERTION)])),
        (400, overheard.token_request(&[grant, client, secret, asserted, ("client_assertion", ASSERTION)])),
        (400, overheard.token_request(&[("grant_type", key), client, secret])),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status);
        let answer: Value = answer.json().await.unwrap();
        if let Some(token) = answer["access_token"].as_str() {
            overheard.secret("an access token", token.rsplit('.').next().unwrap());
            let listed = overheard.request(Method::GET, "/Users").bearer_auth(token).send().await.unwrap();
            assert_eq!(listed.status(), StatusCode::OK);
            assert!(!overheard.command(Some(token), &["user", "list"]).status.success());
        }
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_cycle_at_the_most_verbose_level_prints_no_secret(
    #[values(UpSqlite, ServePostgres)] deployment: Deployment,
    #[values("text", "json")] format: &str,
) {
    let format = format!("--log-format={format}");
    let Some(mut overheard) = Overheard::start(deployment, &["--log=trace", &format]).await else { return };
    let (directory, admin) = keys(&mut overheard);
    let played = overheard.rollcall.simulate(&directory, &["--users=4", "--groups=2"]);
    assert!(played.status.success(), "{played:?}");
    overheard.said.push(("rollcall simulate".to_owned(), [played.stdout, played.stderr].concat()));
    let weak = ["api-key", "create", "--name", "weak", "--scope", "identity.read"];
    let weak = overheard.key("a key that lacks the scope", &weak);
    present(&mut overheard, &directory).await;
    refuse(&mut overheard, &directory, &weak).await;
    ask_for_tokens(&mut overheard, &directory).await;
    administer(&mut overheard, &admin);
    let refused = overheard.rollcall.simulate(&with_another_secret(&directory), &["--users=1"]);
    overheard.said.push(("rollcall simulate, refused".to_owned(), [refused.stdout, refused.stderr].concat()));

    let everything = overheard.everything().await;
    let mut leaks = Vec::new();
    for (place, text) in &everything {
        let secrets = overheard.secrets.iter().filter_map(|secret| Some((secret.what, found(secret, text)?)));
        let forms = FORMS.iter().filter_map(|(what, find)| Some((*what, around(text, find(text)?))));
        leaks.extend(secrets.chain(forms).map(|(what, around)| format!("{what} stands in {place}: {around}")));
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n\n"));
    // That nothing was found says something only where much was said.
    let names = overheard.collector.span_names.lock().unwrap().clone();
    assert!(names.contains("http") && names.contains("rpc"), "{names:?}");
    let logs = |word: &str| everything.iter().any(|(place, text)| place.ends_with(".log") && text.contains(word));
    for word in ["DEBUG", "request answered", "call answered", "SIGTERM"] {
        assert!(logs(word), "the logs have no {word}");
    }
    if deployment == ServePostgres {
        assert!(logs("rustls::") && logs("h2::"), "libraries log too");
    }
}

/// What the values of personal attributes begin with here.
const PERSONAL: &str = "zq4person";

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r26_logs_and_spans_at_the_default_level_name_no_person(
    #[values(UpSqlite, ServePostgres)] deployment: Deployment,
) {
    let Some(mut overheard) = Overheard::start(deployment, &[]).await else { return };
    overheard.rollcall.succeed(&["scim", "enable"]);
    let key = overheard.rollcall.key(&["--name", "directory"]);
    let name = |part: &str| format!("{PERSONAL}-{part}");
    let mail = format!("{}@example.com", name("mail"));
    let user = json!({
        "schemas": [USER], "userName": name("user"), "externalId": name("external"), "displayName": name("display"),
        "name": {"familyName": name("family")}, "emails": [{"type": "work", "value": mail}], "unknown": name("unknown"),
    });
    let group = json!({"displayName": name("group"), "externalId": name("groupexternal")});
    let patch = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "displayName", "value": name("patched")}]});
    let created = overheard.rollcall.scim(&key, Method::POST, "/Users", Some(&user)).await;
    assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
    let path = format!("/Users/{}", created.json()["id"].as_str().unwrap());
    let filter = |operator: &str| format!("/Users?filter=userName%20{operator}%20%22{}%22", name("filter"));
    for (status, method, path, body) in [
        (201, Method::POST, "/Groups", Some(&group)),
        (409, Method::POST, "/Users", Some(&user)),
        (200, Method::PATCH, &*path, Some(&patch)),
        (200, Method::GET, &filter("eq"), None),
        (400, Method::GET, &filter("senseless"), None),
        (404, Method::GET, &format!("/Users/{}", name("path")), None),
        (404, Method::GET, &format!("/{}?{}", name("route"), name("query")), None),
        (400, Method::POST, "/Users", Some(&json!(name("body")))),
        (204, Method::DELETE, &path, None),
    ] {
        let answer = overheard.rollcall.scim(&key, method, path, body).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    for arguments in [&["user", "show"][..], &["user", "deactivate"], &["group", "show"]] {
        overheard.rollcall.cli(&[arguments, &[&name("command")]].concat());
    }
    let everything = overheard.everything().await;
    for (place, text) in &everything {
        let named = text.find(PERSONAL).map(|at| around(text, at));
        assert!(named.is_none(), "{place} names a person: {}", named.unwrap_or_default());
    }
    let names = overheard.collector.span_names.lock().unwrap().clone();
    assert!(names.contains("http") && names.contains("rpc"), "{names:?}");
}

#[test]
fn a_secret_is_found_in_part_and_in_any_spelling() {
    let secret = Secret { what: "a secret", text: "0123456789abcdefghijklmnopqrstuv".to_owned() };
    for text in
        ["x89abcdefgh89abcdefghijklmno", "Bearer 0123456789abcdefghijklmnopqrstuv", "[48, 49, 50, 51, 52, 53, 54, 55]"]
    {
        assert!(found(&secret, text).is_some(), "{text}");
    }
    assert!(found(&secret, "0123456").is_none());
    assert_eq!(find_jwt(&format!("token={ASSERTION}")), Some(6));
    assert_eq!([find_jwt("eyJhbGciOiJSUzI1NiJ9"), find_jwt("eyJ.")], [None, None]);
}
