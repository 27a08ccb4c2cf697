//! Events on their way to a receiver that speaks https, on both engines. What time it is, a test says.

mod replicas;
mod sets;
mod stops;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use database::testing::Engine::{self, Postgres, Sqlite};
use ids::EventEndpointId;
use outbound::testing::{Answer, Request, Server};
use rstest::rstest;
use sealing::EncryptionKey;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::sync::Notify;

use crate::{
    Senders,
    delivery::{Clock, Courier},
    domain::{
        EndpointDescription, EndpointKind, EndpointUrl, EventEndpoint, EventEndpointDraft, EventKinds, Timestamp,
        event_id,
    },
    event_keys::EventKeys,
    event_secrets::EventSecrets,
    store::{CreateEventEndpoint, DeadLetters, DeleteUser, RotateSecret, tests::World},
};

/// A receiver that keeps what it is posted and answers as it is told.
struct Receiver {
    server: Server,
    posted: Arc<Mutex<Vec<Request>>>,
    status: Arc<Mutex<&'static str>>,
    /// Told of each request.
    heard: Arc<Notify>,
}

impl Receiver {
    async fn start() -> Self {
        let (posted, status) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new("204 No Content")));
        let heard = Arc::new(Notify::new());
        let (keep, answer, tell) = (Arc::clone(&posted), Arc::clone(&status), Arc::clone(&heard));
        let server = Server::answering(move |request| {
            keep.lock().unwrap().push(request.clone());
            tell.notify_one();
            Answer::failure(*answer.lock().unwrap())
        });
        Self { server: server.await.unwrap(), posted, status, heard }
    }

    fn answers(&self, status: &'static str) {
        *self.status.lock().unwrap() = status;
    }

    /// What was posted since the last time.
    fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.posted.lock().unwrap())
    }

    /// What kinds of changes were posted since the last time, in the order of their names.
    fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<_> = self.take().iter().map(kind).collect();
        kinds.sort();
        kinds
    }
}

fn json(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn kind(request: &Request) -> String {
    json(request)["type"].as_str().unwrap().to_owned()
}

/// What verifies a webhook by other people's code.
fn verifies(request: &Request, secret: &SecretString) -> bool {
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, request.header(name).parse().unwrap());
    }
    Webhook::new(secret.expose_secret()).unwrap().verify(&request.body, &headers).is_ok()
}

/// A tenant, a receiver, and what sends to it.
struct Post {
    world: World,
    receiver: Receiver,
    key: EncryptionKey,
    senders: Senders,
    /// How far ahead of this machine's clock it is.
    ahead_us: Arc<AtomicI64>,
    courier: Courier,
}

impl Post {
    async fn open(engine: Engine) -> Option<Self> {
        let world = World::open(engine).await?;
        let receiver = Receiver::start().await;
        let key = EncryptionKey::generate().unwrap();
        let secrets = EventSecrets::new(Some(&key)).unwrap();
        let ahead_us = Arc::new(AtomicI64::new(0));
        let client = outbound::Client::new(&receiver.server.settings()).unwrap();
        let senders = Senders { client, keys: EventKeys::new(world.store.clone(), secrets.clone()), secrets };
        let courier = courier(&world, &senders, &ahead_us);
        Some(Self { world, receiver, key, senders, ahead_us, courier })
    }

    /// Another process that sends.
    fn replica(&self) -> Courier {
        courier(&self.world, &self.senders, &self.ahead_us)
    }

    fn pass(&self, time: Duration) {
        self.ahead_us.fetch_add(i64::try_from(time.as_micros()).unwrap(), Ordering::Relaxed);
    }

    /// An endpoint at the receiver for some kinds, and its secret.
    async fn endpoint(&self, kinds: &[&str]) -> (EventEndpointId, SecretString) {
        self.endpoint_at(&format!("{}/hook", self.receiver.server.url()), kinds).await
    }

    async fn endpoint_at(&self, url: &str, kinds: &[&str]) -> (EventEndpointId, SecretString) {
        let id = EventEndpointId::generate();
        let secret = self.senders.secrets.generate(self.world.tenant, id).unwrap();
        let draft = EventEndpointDraft {
            kind: EndpointKind::Webhook,
            url: EndpointUrl::parse(url.to_owned()).unwrap(),
            description: EndpointDescription::parse(String::new()).unwrap(),
            tokens: None,
            kinds: EventKinds::parse(kinds.iter().map(|kind| (*kind).to_owned()).collect()).unwrap(),
        };
        let create = CreateEventEndpoint { id, draft, sealed_secret: secret.sealed };
        self.world.store.create_event_endpoint(&self.world.administrator(), create).await.unwrap();
        (id, secret.text)
    }

    /// Sends whatever waits, as one process does.
    async fn send(&self) {
        while self.send_once().await > 0 {}
    }

    async fn send_once(&self) -> usize {
        let found = self.world.store.endpoints_with_work(self.courier.now(), 100).await.unwrap();
        for (tenant, id) in &found {
            self.courier.serve(*tenant, *id).await.unwrap();
        }
        found.len()
    }

    async fn shown(&self, id: EventEndpointId) -> EventEndpoint {
        self.world.store.event_endpoint(self.world.tenant, id).await.unwrap()
    }

    async fn dead(&self, id: EventEndpointId) -> Vec<String> {
        let letters = self.world.store.list_dead_letters(self.world.tenant, id, 0, 100).await.unwrap();
        letters.iter().map(|letter| format!("{} {} {}", letter.kind, letter.attempts, letter.last_failure)).collect()
    }
}

fn courier(world: &World, senders: &Senders, ahead_us: &Arc<AtomicI64>) -> Courier {
    let ahead_us = Arc::clone(ahead_us);
    let clock: Clock = Arc::new(move || Timestamp(Timestamp::now().0 + ahead_us.load(Ordering::Relaxed)));
    Courier::new(world.store.clone(), senders.clone(), clock)
}

#[rstest]
#[tokio::test]
async fn what_happens_is_posted_so_that_others_can_verify_it(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    post.world.user("before").await;
    let (id, secret) = post.endpoint(&[]).await;
    let ada = post.world.user("ada").await;
    post.send().await;
    let posted = post.receiver.take();
    assert_eq!(posted.len(), 1, "what was before the endpoint is not sent");
    let request = &posted[0];
    assert!(verifies(request, &secret));
    assert_eq!((&*request.method, &*request.path), ("POST", "/hook"));
    let body = json(request);
    assert_eq!(body["data"]["subjectId"], ada.id.to_string());
    assert_eq!((&body["type"], &body["data"]["after"]["user_name"]), (&"user.created".into(), &"ada".into()));
    let shown = post.shown(id).await;
    assert_eq!((shown.delivered, shown.retrying, shown.dead_letters), (1, 0, 0));
    assert_eq!(request.header("webhook-id"), event_id(shown.position));
    assert!(shown.last_delivery_at.is_some() && shown.health.failing_since.is_none());
    assert_eq!(post.send_once().await, 0, "there is nothing left");
}

#[rstest]
#[tokio::test]
async fn an_endpoint_is_sent_the_kinds_that_it_asks_for(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let (id, _) = post.endpoint(&["user.deleted", "group.created"]).await;
    let ada = post.world.user("ada").await;
    post.world.group("Ops", &[ada.id.to_string()]).await;
    let delete = DeleteUser { user: ada.id, expected_version: None };
    post.world.store.delete_user(&post.world.directory(), delete).await.unwrap();
    post.send().await;
    assert_eq!(post.receiver.kinds(), ["group.created", "user.deleted"]);
    let head = post.world.store.feed_head(post.world.tenant).await.unwrap();
    assert_eq!(post.shown(id).await.position, head.position, "what is not sent does not wait");
}

#[rstest]
#[tokio::test]
async fn more_than_a_batch_is_sent_once_each(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    post.endpoint(&[]).await;
    for number in 0..60 {
        post.world.user(&format!("user{number}")).await;
    }
    post.send().await;
    let ids: Vec<String> = post.receiver.take().iter().map(|request| request.header("webhook-id").to_owned()).collect();
    let distinct: BTreeSet<&String> = ids.iter().collect();
    assert_eq!((ids.len(), distinct.len()), (60, 60));
}

#[rstest]
#[tokio::test]
async fn what_fails_is_tried_again_while_others_go_on(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let (id, _) = post.endpoint(&[]).await;
    post.receiver.answers("500 Internal Server Error");
    post.world.user("ada").await;
    post.send().await;
    let first = post.receiver.take();
    let shown = post.shown(id).await;
    assert_eq!((first.len(), shown.retrying, shown.delivered), (1, 1, 0));
    assert_eq!((&*shown.last_failure, shown.health.failures_in_row), ("status 500", 1));
    post.receiver.answers("200 OK");
    post.world.user("grace").await;
    post.send().await;
    assert_eq!(post.receiver.kinds(), ["user.created"], "the later one alone: it is too early for the other");
    post.pass(Duration::from_secs(6));
    post.send().await;
    let again = post.receiver.take();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].header("webhook-id"), first[0].header("webhook-id"), "under the same id");
    assert_eq!(again[0].body, first[0].body);
    let shown = post.shown(id).await;
    assert_eq!((shown.retrying, shown.dead_letters, shown.delivered), (0, 0, 2));
    assert!(shown.health.failing_since.is_none());
}

#[rstest]
#[tokio::test]
async fn a_dead_letter_is_listed_sent_again_and_dropped(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let (store, administrator) = (&post.world.store, post.world.administrator());
    let (id, _) = post.endpoint(&[]).await;
    post.receiver.answers("404 Not Found");
    post.world.user("ada").await;
    post.send().await;
    for pause in [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400] {
        assert_eq!((post.receiver.take().len(), post.dead(id).await), (1, Vec::new()), "{pause}");
        post.pass(Duration::from_secs(pause / 2));
        assert_eq!(post.send_once().await, 0, "{pause}: it is too early");
        post.pass(Duration::from_secs(pause * 6 / 10 + 1));
        post.send().await;
    }
    post.receiver.take();
    assert_eq!(post.dead(id).await, ["user.created 10 status 404"]);
    let shown = post.shown(id).await;
    assert_eq!((shown.retrying, shown.dead_letters, shown.stop), (0, 1, None));
    post.pass(Duration::from_secs(24 * 60 * 60));
    assert_eq!(post.send_once().await, 0, "it is sent no more by itself");

    let all = || DeadLetters { endpoint: id, positions: None };
    assert_eq!(store.retry_dead_letters(&administrator, all()).await, Ok(1));
    assert_eq!(post.dead(id).await, Vec::<String>::new());
    post.send().await;
    assert_eq!(post.receiver.kinds(), ["user.created"]);
    assert_eq!(post.shown(id).await.retrying, 1, "it begins anew");

    let dead = format!("UPDATE event_deliveries SET next_attempt_us = NULL WHERE endpoint_id = {}", sql(id, engine));
    post.world.sql(dead).await;
    let letters = store.list_dead_letters(post.world.tenant, id, 0, 100).await.unwrap();
    let one = DeadLetters { endpoint: id, positions: Some(vec![letters[0].position]) };
    assert_eq!(store.drop_dead_letters(&administrator, one.clone()).await, Ok(1));
    assert_eq!(store.drop_dead_letters(&administrator, one).await, Ok(0));
    assert_eq!(post.shown(id).await.dead_letters, 0);
}

/// An id as the engine writes it.
fn sql(id: EventEndpointId, engine: Engine) -> String {
    match engine {
        Sqlite => format!("X'{}'", id.uuid().simple()),
        Postgres => format!("'{id}'"),
    }
}

#[rstest]
#[tokio::test]
async fn an_endpoint_that_is_down_is_asked_now_and_then_and_misses_nothing(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let (id, _) = post.endpoint(&[]).await;
    post.receiver.answers("503 Service Unavailable");
    for number in 0..100 {
        post.world.user(&format!("user{number}")).await;
    }
    post.send().await;
    let tried = post.receiver.take().len();
    assert!((10..40).contains(&tried), "{tried}: a batch shows that it is down");
    assert_eq!(
        post.shown(id).await.lag_of(&post).await,
        100 - i64::try_from(tried).unwrap(),
        "the rest waits in the feed"
    );
    post.pass(Duration::from_secs(61));
    post.receiver.answers("200 OK");
    post.send().await;
    post.pass(Duration::from_secs(60 * 60));
    post.send().await;
    let mut attempts = BTreeMap::<String, usize>::new();
    for request in post.receiver.take() {
        *attempts.entry(request.header("webhook-id").to_owned()).or_default() += 1;
    }
    assert_eq!(attempts.len(), 100, "each arrived");
    let shown = post.shown(id).await;
    assert_eq!((shown.delivered, shown.retrying, shown.dead_letters), (100, 0, 0));
}

impl EventEndpoint {
    async fn lag_of(&self, post: &Post) -> i64 {
        post.world.store.feed_head(post.world.tenant).await.unwrap().position.number - self.position.number
    }
}

#[rstest]
#[tokio::test]
async fn r26_nothing_is_sent_of_a_person_who_was_erased(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let (id, _) = post.endpoint(&[]).await;
    post.receiver.answers("500 Internal Server Error");
    let ada = post.world.user("zq4person").await;
    post.send().await;
    assert!(String::from_utf8_lossy(&post.receiver.take()[0].body).contains("zq4person"));
    post.world.store.erase_user(&post.world.administrator(), ada.id).await.unwrap();
    post.receiver.answers("200 OK");
    post.pass(Duration::from_secs(60));
    post.send().await;
    let posted = post.receiver.take();
    let mut kinds: Vec<String> = posted.iter().map(kind).collect();
    kinds.sort();
    assert_eq!(kinds, ["user.created", "user.erased"]);
    for request in &posted {
        assert!(!String::from_utf8_lossy(&request.body).contains("zq4person"), "{request:?}");
        assert_eq!(json(request)["data"]["subjectId"], ada.id.to_string());
    }
    assert_eq!(post.shown(id).await.retrying, 0);
}

#[rstest]
#[tokio::test]
async fn a_rotated_secret_overlaps_as_long_as_was_said(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let (id, old) = post.endpoint(&[]).await;
    let new = post.senders.secrets.generate(post.world.tenant, id).unwrap();
    let previous_until = Timestamp::now().after(Duration::from_secs(60 * 60));
    let rotate = RotateSecret { id, sealed_secret: new.sealed, previous_until };
    post.world.store.rotate_event_secret(&post.world.administrator(), rotate).await.unwrap();
    post.world.user("ada").await;
    post.send().await;
    let request = &post.receiver.take()[0];
    assert!(verifies(request, &old) && verifies(request, &new.text));
    // What verifies looks at the clock of this machine: the overlap ends by the row.
    post.world.sql("UPDATE event_endpoints SET previous_secret_until_us = 1".to_owned()).await;
    post.world.user("grace").await;
    post.send().await;
    let request = &post.receiver.take()[0];
    assert!(!verifies(request, &old) && verifies(request, &new.text));
}

#[rstest]
#[tokio::test]
async fn r11_a_secret_is_nowhere_in_the_database(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let (id, secret) = post.endpoint(&[]).await;
    let bytes = STANDARD.decode(secret.expose_secret().strip_prefix("whsec_").unwrap()).unwrap();
    let sealed = post.world.sealed_event_secret().await;
    assert!(!sealed.windows(8).any(|piece| bytes.windows(8).any(|own| own == piece)));
    let other = EventSecrets::new(Some(&EncryptionKey::generate().unwrap())).unwrap();
    assert!(other.open((post.world.tenant, id), sealed.clone()).is_err());
    let same = EventSecrets::new(Some(&post.key)).unwrap();
    assert_eq!(same.open((post.world.tenant, id), sealed).unwrap().expose_secret(), bytes);
}

#[rstest]
#[tokio::test]
async fn r11_an_address_within_the_network_is_not_called(#[values(Sqlite)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    // The name of an allowed address, and an address beside it.
    let port = post.receiver.server.port();
    let (id, _) = post.endpoint_at(&format!("https://127.0.0.2:{port}/hook"), &[]).await;
    post.world.user("ada").await;
    post.send().await;
    assert_eq!(post.receiver.take().len(), 0);
    assert_eq!(post.shown(id).await.last_failure, "the host has no address that may be called");
}
