//! Several replicas of each service: what is revoked, expired or narrowed at one is felt at every façade within one second (rule R1), and a façade
//! that cannot know whether it has heard of everything honours nothing.

use std::{
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use futures::future::join_all;
use reqwest::{Client, StatusCode};
use rstest::rstest;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::harness::{Deployment::ServePostgres, Replica, Rollcall, eventually};

/// How soon a change is felt.
const FELT_WITHIN: Duration = Duration::from_secs(1);
/// How old the last word of api-keys may be for a façade to answer by what it remembers.
const HEAD_AGE_MAX: Duration = Duration::from_millis(750);
/// How long something may take that has no promise about it. Far more than it needs.
const DEADLINE: Duration = Duration::from_secs(60);

/// A way through the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// To there.
    Open(SocketAddr),
    /// Connections end, and new ones too.
    Cut,
    /// Connections are accepted and stay, and nothing is forwarded.
    Silent,
}

impl Way {
    const fn is_silent(&self) -> bool {
        matches!(self, Self::Silent)
    }
}

/// A TCP proxy whose way can be changed.
struct Proxy {
    address: SocketAddr,
    way: watch::Sender<Way>,
}

impl Proxy {
    async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self { address: listener.local_addr().unwrap(), way: watch::Sender::new(Way::Open(target)) };
        let way = proxy.way.subscribe();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(forward(connection, way.clone()));
            }
        });
        proxy
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    fn turn(&self, way: Way) {
        self.way.send_replace(way);
    }
}

/// Forwards a connection as long as the way is open, and what came in a silence after it.
async fn forward(client: TcpStream, mut way: watch::Receiver<Way>) {
    let mut cut = way.clone();
    let forwarded = async {
        let Ok(opened) = way.wait_for(|way| !way.is_silent()).await.map(|way| *way) else { return };
        let Way::Open(target) = opened else { return };
        let Ok(server) = TcpStream::connect(target).await else { return };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::select! {
            () = pump(from_client, to_server, way.clone()) => {}
            () = pump(from_server, to_client, way.clone()) => {}
        }
    };
    tokio::select! {
        () = forwarded => {}
        _ = cut.wait_for(|way| *way == Way::Cut) => {}
    }
}

async fn pump(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, mut way: watch::Receiver<Way>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if way.wait_for(|way| !way.is_silent()).await.is_err() || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// A façade and the way from it to its api-keys.
struct Facade {
    process: Replica,
    proxy: Proxy,
}

/// What a façade answered to a request of a directory.
#[derive(Debug)]
struct Answered {
    status: StatusCode,
    retry_after: bool,
    /// When the request was sent.
    began: Instant,
}

impl Facade {
    async fn ask(&self, bearer: &str) -> Answered {
        let began = Instant::now();
        let url = format!("http://{}/api/scim/v2/Users?count=1", self.process.public);
        let answer = Client::new().get(url).bearer_auth(bearer).send().await.unwrap();
        Answered { status: answer.status(), retry_after: answer.headers().contains_key("retry-after"), began }
    }

    /// Asks until the answer is `status`. Before that only `before` is answered, and 503 on a machine that is too busy; and `before` to no
    /// request that was sent more than a second after `changed`.
    async fn feels(&self, bearer: &str, (before, status): (u16, u16), changed: Instant) {
        loop {
            let answered = self.ask(bearer).await;
            if answered.status == status {
                return;
            }
            let late = answered.began.saturating_duration_since(changed);
            assert!(answered.status == before || answered.status == 503, "{answered:?}");
            assert!(answered.status == 503 || late <= FELT_WITHIN, "{answered:?}, {late:?} after the change");
            assert!(late < DEADLINE, "{answered:?}");
        }
    }

    /// Asks until a façade that is as it should be has answered.
    async fn answers(&self, bearer: &str, status: u16) {
        eventually("the façade answers", DEADLINE, async || {
            let answered = self.ask(bearer).await;
            assert_ne!(answered.status, if status == 401 { 200 } else { 401 }, "{answered:?}");
            answered.status == status
        })
        .await;
    }

    async fn access_token(&self, key: &str) -> String {
        let id = key.parse::<authn::KeyText>().unwrap().id();
        let url = format!("http://{}/api/oauth2/token", self.process.public);
        let body = format!("grant_type=client_credentials&client_id={id}&client_secret={key}");
        let request = Client::new().post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }
}

/// Two of each service on one database. The first façade, identity and api-keys speak with each other, and so do the second; the second identity
/// goes the way of its façade to its api-keys.
struct Replicas {
    rollcall: Rollcall,
    api_keys: Replica,
    identity: Replica,
    facades: [Facade; 2],
    /// The directory's.
    key: String,
}

impl Replicas {
    async fn start() -> Option<Self> {
        let (rollcall, key) = Rollcall::provisioned(ServePostgres).await?;
        let api_keys = rollcall.replica_of_api_keys("api-keys-2").await;
        let first = rollcall.api_keys_internal_url();
        let first = Proxy::to(first.trim_start_matches("https://").parse().unwrap()).await;
        let second = Proxy::to(api_keys.internal.unwrap()).await;
        let identity = rollcall.replica_of_identity("identity-2", &second.url()).await;
        let first = Facade {
            process: rollcall.replica_of_scim("scim-1", &rollcall.identity_internal_url(), &first.url()).await,
            proxy: first,
        };
        let second = Facade {
            process: rollcall.replica_of_scim("scim-2", &identity.internal_url(), &second.url()).await,
            proxy: second,
        };
        let replicas = Self { rollcall, api_keys, identity, facades: [first, second], key };
        replicas.all_answer(&replicas.key, 200).await;
        Some(replicas)
    }

    async fn all_answer(&self, bearer: &str, status: u16) {
        join_all(self.facades.iter().map(|facade| facade.answers(bearer, status))).await;
    }

    /// Waits until every façade feels a change, and holds them to their second.
    async fn all_feel(&self, bearer: &str, statuses: (u16, u16), changed: Instant) {
        join_all(self.facades.iter().map(|facade| facade.feels(bearer, statuses, changed))).await;
    }

    /// Another key of the directory's, which every façade has let in.
    async fn known_key(&self) -> (String, String) {
        let key = self.rollcall.key(&["--name", "second"]);
        self.all_answer(&key, 200).await;
        let id = key.parse::<authn::KeyText>().unwrap().id().to_string();
        (key, id)
    }

    /// Runs an administrator's command at the second identity and the second api-keys, and answers when it had ended.
    fn command(&self, key: Option<&str>, arguments: &[&str]) -> (String, Instant) {
        let [identity, api_keys] =
            [&self.identity, &self.api_keys].map(|replica| format!("https://{}", replica.public));
        let mut command = self.rollcall.command(&identity, &api_keys, arguments);
        command.envs(key.map(|key| ("ROLLCALL_OPERATOR_KEY", key)));
        let output = command.output().unwrap();
        let ended = Instant::now();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        (String::from_utf8(output.stdout).unwrap(), ended)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_a_key_revoked_at_one_replica_is_refused_by_every_facade_within_a_second() {
    let Some(replicas) = Replicas::start().await else { return };
    let (key, id) = replicas.known_key().await;
    let (_, changed) = replicas.command(None, &["api-key", "revoke", &id]);
    replicas.all_feel(&key, (200, 401), changed).await;
    replicas.all_answer(&replicas.key, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_a_key_narrowed_at_one_replica_is_forbidden_at_every_facade_within_a_second() {
    let Some(replicas) = Replicas::start().await else { return };
    let (key, id) = replicas.known_key().await;
    let (_, changed) = replicas.command(None, &["api-key", "update", &id, "--scope", "identity.read"]);
    replicas.all_feel(&key, (200, 403), changed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_a_key_whose_end_is_brought_forward_is_refused_by_every_facade_when_it_ends() {
    let Some(replicas) = Replicas::start().await else { return };
    let (key, id) = replicas.known_key().await;
    // The end is reckoned before the command ends.
    let (_, changed) = replicas.command(None, &["api-key", "update", &id, "--expires-in", "1s"]);
    replicas.all_feel(&key, (200, 401), changed + Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_overlaps_with_the_new_one_at_every_facade_and_then_ends() {
    let Some(replicas) = Replicas::start().await else { return };
    let (old, id) = replicas.known_key().await;
    let (rotated, changed) = replicas.command(None, &["api-key", "rotate", &id, "--overlap", "5s", "--output", "json"]);
    let (ends, rotated) = (changed + Duration::from_secs(5), serde_json::from_str::<Value>(&rotated).unwrap());
    let new = rotated["key"].as_str().unwrap();
    replicas.all_answer(new, 200).await;
    for facade in &replicas.facades {
        let answered = facade.ask(&old).await;
        // On a machine so busy that the overlap is over, there is nothing to see.
        let is_over = SystemTime::now() >= end_of(&rotated["previous"]);
        assert!(answered.status == 200 || answered.status == 503 || is_over, "{answered:?}");
    }
    replicas.all_feel(&old, (200, 401), ends).await;
    replicas.all_answer(new, 200).await;
}

fn end_of(key: &Value) -> SystemTime {
    let end = key["expireTime"].as_str().unwrap();
    time::OffsetDateTime::parse(end, &time::format_description::well_known::Rfc3339).unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_an_access_token_is_refused_by_every_facade_within_a_second_of_its_keys_end() {
    let Some(replicas) = Replicas::start().await else { return };
    let (key, id) = replicas.known_key().await;
    let token = replicas.facades[0].access_token(&key).await;
    replicas.all_answer(&token, 200).await;
    let (_, changed) = replicas.command(None, &["api-key", "revoke", &id]);
    replicas.all_feel(&token, (200, 401), changed).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r01_a_facade_that_hears_nothing_answers_503_until_it_hears_again(#[values(Way::Cut, Way::Silent)] deaf: Way) {
    let Some(replicas) = Replicas::start().await else { return };
    let (key, id) = replicas.known_key().await;
    let [first, second] = &replicas.facades;
    let Way::Open(api_keys) = *first.proxy.way.borrow() else { panic!("it is open") };
    first.proxy.turn(deaf);
    let deaf_since = Instant::now();
    loop {
        let answered = first.ask(&key).await;
        if answered.status == 503 {
            assert!(answered.retry_after && answered.began.elapsed() > Duration::from_secs(4), "{answered:?}");
            break;
        }
        let deaf_for = answered.began - deaf_since;
        assert!(answered.status == 200 && deaf_for <= HEAD_AGE_MAX, "{answered:?}, {deaf_for:?} after the last word");
    }
    second.answers(&key, 200).await;
    // What is revoked meanwhile is no reason for another answer, and neither is a key that nobody has.
    let (_, changed) = replicas.command(None, &["api-key", "revoke", &id]);
    second.feels(&key, (200, 401), changed).await;
    let stranger = authn::KeyText::mint(authn::key::Kind::Tenant, ids::ApiKeyId::generate()).unwrap();
    for answered in join_all([&*key, &replicas.key, stranger.expose()].map(|bearer| first.ask(bearer))).await {
        assert!(answered.status == 503 && answered.retry_after, "{answered:?}");
    }
    first.proxy.turn(Way::Open(api_keys));
    first.answers(&key, 401).await;
    replicas.all_answer(&replicas.key, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_while_the_api_keys_of_a_facade_is_dead_its_requests_are_held_and_then_told_to_come_again() {
    let Some(replicas) = Replicas::start().await else { return };
    let Replicas { rollcall, api_keys, identity: _identity, facades: [first, second], key } = replicas;
    let next = rollcall.replica_of_api_keys("api-keys-3").await;
    // As `kill -9` does.
    drop(api_keys);
    eventually("the façade's memory is too old", DEADLINE, async || {
        let answered = second.ask(&key).await;
        let held = answered.began.elapsed() > Duration::from_secs(4);
        assert!(answered.status == 200 || (answered.status == 503 && answered.retry_after && held), "{answered:?}");
        answered.status == 503
    })
    .await;
    first.answers(&key, 200).await;
    // Another takes its place at the same address: who waits is answered.
    let (held, ()) = tokio::join!(second.ask(&key), async { second.proxy.turn(Way::Open(next.internal.unwrap())) });
    let held_long = held.began.elapsed() > Duration::from_secs(4);
    assert!(held.status == 200 || (held.status == 503 && held_long), "{held:?}");
    second.answers(&key, 200).await;
}

#[rstest]
#[case::facade("facade")]
#[case::identity("identity")]
#[case::api_keys("api-keys")]
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_tells_when_and_from_where_keys_were_used(#[case] service: &str) {
    let Some(replicas) = Replicas::start().await else { return };
    let key = replicas.rollcall.key(&["--name", "used", "--scope", "admin", "--scope", "scim"]);
    let id = key.parse::<authn::KeyText>().unwrap().id().to_string();
    let unused = replicas.rollcall.json(&["api-key", "show", &id]);
    assert_eq!(unused["lastUseTime"], Value::Null, "{unused}");
    match service {
        "facade" => replicas.facades[1].answers(&key, 200).await,
        "identity" => drop(replicas.command(Some(&key), &["user", "list"])),
        _ => drop(replicas.command(Some(&key), &["api-key", "list"])),
    }
    let Replicas { rollcall, api_keys, identity, facades: [_first, second], .. } = replicas;
    match service {
        "facade" => second.process.terminate().await,
        "identity" => identity.terminate().await,
        _ => api_keys.terminate().await,
    }
    let used = rollcall.json(&["api-key", "show", &id]);
    assert_eq!(used["lastUseAddress"], "127.0.0.1", "{used}");
    // To the second, as it is listed.
    let time = &used["lastUseTime"].as_str().unwrap()[..19];
    let listed = rollcall.succeed(&["api-key", "list"]);
    assert!(listed.lines().any(|line| line.contains(&id) && line.contains(time)), "{time}: {listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn d09_api_keys_starts_and_answers_while_there_is_no_identity() {
    let Some(mut rollcall) = Rollcall::start(ServePostgres).await else { return };
    rollcall.kill();
    let api_keys = rollcall.replica_of_api_keys("api-keys-alone").await;
    let server = format!("https://{}", api_keys.public);
    let listed = rollcall.command(&rollcall.identity_url(), &server, &["signing-key", "list"]).output().unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let unreached = rollcall.command(&rollcall.identity_url(), &server, &["user", "list"]).output().unwrap();
    assert!(!unreached.status.success(), "there is an identity: {unreached:?}");
}
