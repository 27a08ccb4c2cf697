//! Keys, tokens, and what is remembered of them.

use std::time::Duration;

use futures::future::join_all;
use secrecy::{ExposeSecret, SecretString};

use super::{bearer, ready};
use crate::{Error, testing::Fake};

#[tokio::test(start_paused = true)]
async fn a_key_is_exchanged_once_and_remembered() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("scim identity.read"));
    let first = authenticator.authenticate_key(&bearer(&key)).await.unwrap();
    let second = authenticator.authenticate(&bearer(&key)).await.unwrap();
    assert_eq!((first.key, first.scopes.to_string()), (key.id(), "scim identity.read".to_owned()));
    assert_eq!(first.token.expose_secret(), second.token.expose_secret());
    assert_eq!(fake.exchanges(), 1);
}

#[tokio::test(start_paused = true)]
async fn many_requests_with_one_cold_key_make_one_exchange() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("scim"));
    let bearer = bearer(&key);
    let answers = join_all((0..100).map(|_| authenticator.authenticate_key(&bearer))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(fake.exchanges(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_mistyped_key_is_refused_without_a_call() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("scim"));
    let mut text = key.expose().to_owned();
    let last = if text.pop() == Some('a') { 'b' } else { 'a' };
    text.push(last);
    let jwks_calls = fake.jwks_calls();
    for text in [&*text, "", "x", "rollcallkey", &key.expose()[1..]] {
        let refused = authenticator.authenticate(&SecretString::from(text)).await.err();
        assert_eq!(refused, Some(Error::Unauthenticated), "{text}");
    }
    assert_eq!((fake.exchanges(), fake.jwks_calls()), (0, jwks_calls));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_remembered() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("scim"));
    let stranger = Fake::new().key("scim");
    for _ in 0..2 {
        let refused = authenticator.authenticate_key(&bearer(&stranger)).await.err();
        assert_eq!(refused, Some(Error::Unauthenticated));
    }
    assert_eq!(fake.exchanges(), 2);
    assert!(authenticator.authenticate_key(&bearer(&key)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn r04_an_exchange_that_is_not_to_be_had_is_unavailable_after_five_seconds() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("scim"));
    fake.answer_calls(false);
    let began = tokio::time::Instant::now();
    let answer = authenticator.authenticate_key(&bearer(&key)).await;
    assert!(matches!(answer, Err(Error::Unavailable { .. })));
    assert_eq!(began.elapsed().as_secs(), 5);
    fake.answer_calls(true);
    assert!(authenticator.authenticate_key(&bearer(&key)).await.is_ok());
}

#[tokio::test]
async fn a_token_that_has_ended_is_exchanged_again() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("scim"));
    fake.token_life(Duration::from_secs(2));
    let first = authenticator.authenticate_key(&bearer(&key)).await.unwrap();
    let renewed = async {
        loop {
            let now = authenticator.authenticate_key(&bearer(&key)).await.unwrap();
            if now.token.expose_secret() != first.token.expose_secret() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), renewed).await.unwrap();
    assert!(fake.exchanges() >= 2);
}

#[tokio::test(start_paused = true)]
async fn r09_a_token_is_taken_by_services_but_not_on_the_scim_path() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("identity.read"));
    let token = fake.token(&key).unwrap();
    assert_eq!(authenticator.authenticate(&token).await.unwrap().key, key.id());
    assert_eq!(authenticator.authenticate_key(&token).await.err(), Some(Error::Unauthenticated));
    assert_eq!(fake.exchanges(), 0);
}

#[tokio::test(start_paused = true)]
async fn tokens_of_an_unknown_signing_key_share_fetches_and_at_most_one_a_second() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("identity.read"));
    assert!(authenticator.authenticate(&fake.token(&key).unwrap()).await.is_ok());
    let known = fake.jwks_calls();
    let foreign = Fake::new();
    let token = foreign.token(&foreign.key("identity.read")).unwrap();
    let began = tokio::time::Instant::now();
    for _ in 0..3 {
        let answers = join_all((0..50).map(|_| authenticator.authenticate(&token))).await;
        assert!(answers.into_iter().all(|answer| answer.err() == Some(Error::Unauthenticated)));
    }
    let fetched = fake.jwks_calls() - known;
    assert!((1..=began.elapsed().as_secs() + 1).contains(&fetched), "{fetched} in {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_new_signing_key_is_found() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("identity.read"));
    assert!(authenticator.authenticate(&fake.token(&key).unwrap()).await.is_ok());
    fake.rotate();
    assert!(authenticator.authenticate(&fake.token(&key).unwrap()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_forged_signature_is_refused() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("identity.read"));
    let token = fake.token(&key).unwrap();
    let (signed, _) = token.expose_secret().rsplit_once('.').unwrap();
    let other = fake.token(&key).unwrap();
    let (_, signature) = other.expose_secret().rsplit_once('.').unwrap();
    let forged = SecretString::from(format!("{signed}.{signature}"));
    assert_eq!(authenticator.authenticate(&forged).await.err(), Some(Error::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn the_follower_ends_with_the_last_handle() {
    let fake = Fake::new();
    let authenticator = ready(&fake).await;
    let clone = authenticator.clone();
    drop(authenticator);
    assert!(clone.authenticate_key(&bearer(&fake.key("scim"))).await.is_ok());
    let follower = clone.follower();
    drop(clone);
    while !follower.is_finished() {
        tokio::task::yield_now().await;
    }
}
