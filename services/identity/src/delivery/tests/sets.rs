//! Security event tokens: what they say, that others verify them, and how they are pushed and fetched.

use std::collections::HashMap;

use database::testing::Engine::{self, Postgres, Sqlite};
use ids::EventEndpointId;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use rstest::rstest;
use serde_json::{Value, json};

use super::Post;
use crate::{
    domain::{
        Audience, Caller, EndpointDescription, EndpointKind, EndpointUrl, Error, EventEndpointDraft, EventKinds,
        EventProfile, Position, Stop, Timestamp,
    },
    store::{CreateEventEndpoint, DeadLetters, DeleteUser, Poll, ReplaceUser, tests::user},
};

const AUDIENCE: &str = "https://receiver.example.com/events";
const DEACTIVATE: &str = "urn:ietf:params:scim:event:prov:deactivate";
const SESSION_REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

impl Post {
    async fn tokens(&self, kind: EndpointKind, profile: EventProfile) -> EventEndpointId {
        let id = EventEndpointId::generate();
        let url =
            if kind == EndpointKind::SetPush { format!("{}/push", self.receiver.server.url()) } else { String::new() };
        let draft = EventEndpointDraft {
            kind,
            url: EndpointUrl::parse(url).unwrap(),
            description: EndpointDescription::parse(String::new()).unwrap(),
            kinds: EventKinds::default(),
            tokens: Some((Audience::parse(AUDIENCE.to_owned()).unwrap(), profile)),
        };
        let sealed_secret = self.senders.secrets.seal(self.world.tenant, id, b"Bearer receivers-own").unwrap();
        let create = CreateEventEndpoint { id, draft, sealed_secret };
        self.world.store.create_event_endpoint(&self.world.administrator(), create).await.unwrap();
        id
    }

    /// The claims of a token, by other people's code and the keys that are published.
    async fn verified(&self, token: &str) -> HashMap<String, Value> {
        let keys: JwkSet = serde_json::from_value(self.senders.keys.published().await.unwrap()).unwrap();
        let header = decode_header(token).unwrap();
        assert_eq!((header.typ.as_deref(), header.alg), (Some("secevent+jwt"), Algorithm::ES256));
        let key = DecodingKey::from_jwk(keys.find(&header.kid.unwrap()).unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[format!("urn:rollcall:tenant:{}", self.world.tenant)]);
        validation.set_required_spec_claims(&["iss", "aud"]);
        validation.validate_exp = false;
        decode::<HashMap<String, Value>>(token, &key, &validation).unwrap().claims
    }

    async fn poll(&self, id: EventEndpointId, size: u64) -> Result<(Vec<i64>, bool), Error> {
        let polled = self.world.store.poll_events(self.world.tenant, id, size, self.courier.now()).await?;
        Ok((polled.events.iter().map(|change| change.position.number).collect(), polled.more))
    }

    async fn answer(&self, endpoint: EventEndpointId, acknowledged: &[i64], refused: &[i64]) {
        let epoch = self.world.store.feed_head(self.world.tenant).await.unwrap().position.epoch;
        let at = |number: &i64| Position { epoch, number: *number };
        let poll = Poll {
            endpoint,
            acknowledged: acknowledged.iter().map(at).collect(),
            refused: refused.iter().map(|number| (at(number), "refused: invalid_key".to_owned())).collect(),
            size: 0,
        };
        let reader = Caller { actor: "key:reader".to_owned(), ..self.world.administrator() };
        self.world.store.acknowledge_events(&reader, poll).await.unwrap();
    }

    /// Where the feed ends.
    async fn head(&self) -> i64 {
        self.world.store.feed_head(self.world.tenant).await.unwrap().position.number
    }
}

/// Somebody comes and loses access.
async fn deprovision(post: &Post) -> String {
    let ada = post.world.user("ada").await;
    let mut draft = user("ada");
    draft.provisioned_active = Some(false);
    let replace = ReplaceUser { user: ada.id, draft, expected_version: None };
    post.world.store.replace_user(&post.world.directory(), replace).await.unwrap();
    ada.id.to_string()
}

#[rstest]
#[tokio::test]
async fn a_pushed_token_is_verified_by_others_and_names_nobody(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let id = post.tokens(EndpointKind::SetPush, EventProfile::Scim).await;
    let ada = deprovision(&post).await;
    post.receiver.answers("202 Accepted");
    post.send().await;
    let mut told = Vec::new();
    for request in post.receiver.take() {
        assert_eq!(request.header("content-type"), "application/secevent+jwt");
        assert_eq!(request.header("authorization"), "Bearer receivers-own");
        let claims = post.verified(std::str::from_utf8(&request.body).unwrap()).await;
        assert!(!claims.contains_key("sub") && !claims.contains_key("exp"), "{claims:?}");
        assert_eq!(claims["sub_id"], json!({ "format": "scim", "uri": format!("/Users/{ada}") }));
        assert_eq!(claims["txn"], "r1");
        assert!(claims["jti"].as_str().unwrap().starts_with("evt_"));
        let text = serde_json::to_string(&claims).unwrap();
        assert!(!text.contains("The ada") && !text.contains("\"ada\""), "values stay here: {text}");
        told.push(claims["events"].clone());
    }
    assert!(told.iter().any(|events| events.get(DEACTIVATE).is_some()), "{told:?}");
    // Made, disabled, and so without a role.
    assert_eq!((told.len(), post.shown(id).await.delivered), (3, 3));
}

#[rstest]
#[tokio::test]
async fn a_refused_token_is_sent_again_the_same(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let id = post.tokens(EndpointKind::SetPush, EventProfile::Scim).await;
    post.receiver.answers("400 Bad Request");
    post.world.user("ada").await;
    post.send().await;
    assert_eq!(post.shown(id).await.last_failure, "status 400");
    post.receiver.answers("202 Accepted");
    post.pass(std::time::Duration::from_secs(6));
    post.send().await;
    let posted = post.receiver.take();
    assert_eq!(posted.len(), 2);
    let claims = |at: usize| post.verified(std::str::from_utf8(&posted[at].body).unwrap());
    assert_eq!(claims(0).await, claims(1).await);
}

#[rstest]
#[tokio::test]
async fn caep_tells_of_ended_sessions_and_of_nothing_else(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let id = post.tokens(EndpointKind::SetPush, EventProfile::Caep).await;
    let ada = deprovision(&post).await;
    post.world.group("Ops", std::slice::from_ref(&ada)).await;
    post.send().await;
    let posted = post.receiver.take();
    assert_eq!(posted.len(), 1);
    let claims = post.verified(std::str::from_utf8(&posted[0].body).unwrap()).await;
    assert_eq!(claims["events"].as_object().unwrap().keys().collect::<Vec<_>>(), [SESSION_REVOKED]);
    assert_eq!((&claims["sub_id"]["format"], &claims["sub_id"]["sub"]), (&"iss_sub".into(), &ada.into()));
    assert_eq!(post.shown(id).await.position.number, post.head().await, "what is nothing to it does not wait");
}

#[rstest]
#[tokio::test]
async fn replicas_sign_by_keys_that_are_all_published(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let other = crate::event_keys::EventKeys::new(post.world.store.clone(), post.senders.secrets.clone());
    let (one, two) = tokio::join!(post.senders.keys.signer(), other.signer());
    let kids = [one.unwrap().kid().to_owned(), two.unwrap().kid().to_owned()];
    let published: JwkSet = serde_json::from_value(other.published().await.unwrap()).unwrap();
    assert!(kids.iter().all(|kid| published.find(kid).is_some()), "{kids:?} {published:?}");
    // Who starts later signs by the newest.
    let third = crate::event_keys::EventKeys::new(post.world.store.clone(), post.senders.secrets.clone());
    assert!(kids.contains(&third.signer().await.unwrap().kid().to_owned()));
    let private = post.world.store.event_signing_keys().await.unwrap().remove(0).sealed_private_key;
    assert!(!private.windows(4).any(|bytes| bytes == b"\x30\x81\x87\x02"), "PKCS #8 in clear text");
}

#[rstest]
#[tokio::test]
async fn what_is_polled_comes_again_until_it_is_acknowledged(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let id = post.tokens(EndpointKind::SetPoll, EventProfile::Scim).await;
    let first = post.head().await + 1;
    for number in 0..5 {
        post.world.user(&format!("user{number}")).await;
    }
    assert_eq!(post.send_once().await, 0, "nobody pushes to it");
    assert_eq!(post.poll(id, 2).await, Ok((vec![first, first + 1], true)));
    assert_eq!(post.poll(id, 2).await, Ok((vec![first, first + 1], true)), "again");
    // Out of order: what lies between is not lost.
    post.answer(id, &[first + 1, first + 3], &[]).await;
    assert_eq!(post.shown(id).await.position.number, first - 1);
    assert_eq!(post.poll(id, 100).await, Ok((vec![first, first + 2, first + 4], false)));
    post.answer(id, &[first], &[]).await;
    assert_eq!(post.shown(id).await.position.number, first + 1);
    post.answer(id, &[first + 2, first + 4], &[]).await;
    assert_eq!(post.poll(id, 100).await, Ok((vec![], false)));
    let shown = post.shown(id).await;
    assert_eq!((shown.position.number, shown.delivered), (first + 4, 5));
    // What is not there yet is not acknowledged ahead of its time.
    post.answer(id, &[first + 5], &[]).await;
    post.world.user("later").await;
    assert_eq!(post.poll(id, 100).await, Ok((vec![first + 5], false)));
    assert_eq!(post.poll(id, 0).await, Ok((vec![], true)), "to acknowledge alone");
}

#[rstest]
#[tokio::test]
async fn what_a_poll_refuses_is_a_dead_letter_that_can_be_fetched_again(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let id = post.tokens(EndpointKind::SetPoll, EventProfile::Scim).await;
    let first = post.head().await + 1;
    post.world.user("ada").await;
    post.answer(id, &[], &[first]).await;
    assert_eq!(post.poll(id, 100).await, Ok((vec![], false)), "it does not hold up the others");
    assert_eq!(post.dead(id).await, ["user.created 1 refused: invalid_key"]);
    let all = DeadLetters { endpoint: id, positions: None };
    assert_eq!(post.world.store.retry_dead_letters(&post.world.administrator(), all).await, Ok(1));
    assert_eq!(post.poll(id, 100).await, Ok((vec![first], false)));
    post.answer(id, &[first], &[]).await;
    assert_eq!(post.poll(id, 100).await, Ok((vec![], false)));
    let shown = post.shown(id).await;
    assert_eq!((shown.retrying, shown.dead_letters, shown.delivered), (0, 0, 1));
}

#[rstest]
#[tokio::test]
async fn r25_a_poll_after_a_restore_is_refused_until_it_is_confirmed(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let id = post.tokens(EndpointKind::SetPoll, EventProfile::Caep).await;
    post.world.user("ada").await;
    let random = if engine == Postgres { "gen_random_uuid()" } else { "randomblob(16)" };
    post.world.sql(format!("UPDATE tenant_positions SET epoch = {random}")).await;
    for _ in 0..2 {
        assert_eq!(post.poll(id, 100).await, Err(Error::EventEndpointDisabled { stop: "restored" }));
    }
    assert_eq!(post.shown(id).await.stop, Some(Stop::Restored));
    post.world.store.enable_event_endpoint(&post.world.administrator(), id, true).await.unwrap();
    let ada = post.world.user("grace").await;
    let delete = DeleteUser { user: ada.id, expected_version: None };
    post.world.store.delete_user(&post.world.directory(), delete).await.unwrap();
    assert_eq!(post.poll(id, 100).await, Ok((vec![post.head().await], false)));
}

#[rstest]
#[tokio::test]
async fn r05_nobody_polls_another_tenants_endpoint_or_a_webhook(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let store = &post.world.store;
    let id = post.tokens(EndpointKind::SetPoll, EventProfile::Scim).await;
    let other = crate::store::tests::tenant(store, "other").await;
    let none = Error::NotFound("event endpoint");
    assert_eq!(store.poll_events(other, id, 1, Timestamp::now()).await.map(|_| ()), Err(none.clone()));
    let (webhook, _) = post.endpoint(&[]).await;
    assert_eq!(store.poll_events(post.world.tenant, webhook, 1, Timestamp::now()).await.map(|_| ()), Err(none.clone()));
    let stranger = Caller { tenant: other, ..post.world.administrator() };
    let position = store.feed_head(post.world.tenant).await.unwrap().position;
    let poll = Poll { endpoint: id, acknowledged: vec![position], refused: Vec::new(), size: 1 };
    assert_eq!(store.acknowledge_events(&stranger, poll).await, Err(none));
}

#[test]
fn r11_an_audience_is_no_access_tokens() {
    for text in ["", "a b", "a\n", authn::token::AUDIENCE, authn::token::ACCESS_AUDIENCE, &"x".repeat(513)] {
        assert!(Audience::parse(text.to_owned()).is_err(), "{text}");
    }
    assert!(Audience::parse("x".repeat(512)).is_ok());
}
