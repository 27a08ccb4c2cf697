//! Keys, tokens, and what is remembered of them.

use std::time::Duration;

use futures::future::join_all;
use secrecy::{ExposeSecret, SecretString};

use super::{ANYWHERE, bearer, ready};
use crate::{
    Authenticator, Budget, CredentialId, Error, Source,
    authenticator::LATER_PAUSE,
    testing::{Fake, Link},
};

#[tokio::test(start_paused = true)]
async fn a_key_is_exchanged_once_and_remembered() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("scim identity.read"));
    let first = authenticator.authenticate_client(&bearer(&key), ANYWHERE).await.unwrap();
    let second = authenticator.authenticate(&bearer(&key), ANYWHERE).await.unwrap();
    assert_eq!(
        (first.credential, first.scopes.to_string()),
        (CredentialId::ApiKey(key.id()), "scim identity.read".to_owned())
    );
    assert_eq!(first.token.expose_secret(), second.token.expose_secret());
    assert_eq!(fake.exchanges(), 1);
}

#[tokio::test(start_paused = true)]
async fn many_requests_with_one_cold_key_make_one_exchange() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("scim"));
    let bearer = bearer(&key);
    let answers = join_all((0..100).map(|_| authenticator.authenticate_client(&bearer, ANYWHERE))).await;
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
        let refused = authenticator.authenticate(&SecretString::from(text), ANYWHERE).await.err();
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
        let refused = authenticator.authenticate_client(&bearer(&stranger), ANYWHERE).await.err();
        assert_eq!(refused, Some(Error::Unauthenticated));
    }
    assert_eq!(fake.exchanges(), 2);
    assert!(authenticator.authenticate_client(&bearer(&key), ANYWHERE).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn r04_an_exchange_that_is_not_to_be_had_is_unavailable_after_five_seconds() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("scim"));
    fake.answer_calls(false);
    let began = tokio::time::Instant::now();
    let answer = authenticator.authenticate_client(&bearer(&key), ANYWHERE).await;
    assert!(matches!(answer, Err(Error::Unavailable { .. })));
    assert_eq!(began.elapsed().as_secs(), 5);
    fake.answer_calls(true);
    assert!(authenticator.authenticate_client(&bearer(&key), ANYWHERE).await.is_ok());
}

#[tokio::test]
async fn a_token_that_has_ended_is_exchanged_again() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("scim"));
    fake.token_life(Duration::from_secs(2));
    let first = authenticator.authenticate_client(&bearer(&key), ANYWHERE).await.unwrap();
    let renewed = async {
        loop {
            let now = authenticator.authenticate_client(&bearer(&key), ANYWHERE).await.unwrap();
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
    assert_eq!(authenticator.authenticate(&token, ANYWHERE).await.unwrap().credential, CredentialId::ApiKey(key.id()));
    assert_eq!(authenticator.authenticate_client(&token, ANYWHERE).await.err(), Some(Error::Unauthenticated));
    assert_eq!(fake.exchanges(), 0);
}

#[tokio::test(start_paused = true)]
async fn tokens_of_an_unknown_signing_key_share_fetches_and_at_most_one_a_second() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("identity.read"));
    assert!(authenticator.authenticate(&fake.token(&key).unwrap(), ANYWHERE).await.is_ok());
    let known = fake.jwks_calls();
    let foreign = Fake::new();
    let token = foreign.token(&foreign.key("identity.read")).unwrap();
    let began = tokio::time::Instant::now();
    for _ in 0..3 {
        let answers = join_all((0..50).map(|_| authenticator.authenticate(&token, ANYWHERE))).await;
        assert!(answers.into_iter().all(|answer| answer.err() == Some(Error::Unauthenticated)));
    }
    let fetched = fake.jwks_calls() - known;
    assert!((1..=began.elapsed().as_secs() + 1).contains(&fetched), "{fetched} in {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_new_signing_key_is_found() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("identity.read"));
    assert!(authenticator.authenticate(&fake.token(&key).unwrap(), ANYWHERE).await.is_ok());
    fake.rotate();
    assert!(authenticator.authenticate(&fake.token(&key).unwrap(), ANYWHERE).await.is_ok());
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
    assert_eq!(authenticator.authenticate(&forged, ANYWHERE).await.err(), Some(Error::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn the_follower_ends_with_the_last_handle() {
    let fake = Fake::new();
    let authenticator = ready(&fake).await;
    let clone = authenticator.clone();
    drop(authenticator);
    assert!(clone.authenticate_client(&bearer(&fake.key("scim")), ANYWHERE).await.is_ok());
    let follower = clone.follower();
    drop(clone);
    while !follower.is_finished() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn r07_a_key_with_networks_opens_only_from_there_on_every_request() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key_from("scim identity.read", "192.0.2.0/24"));
    let from = |address: &str| Source::Client(Some(address.parse().unwrap()));
    let text = bearer(&key);
    assert!(authenticator.authenticate_client(&text, from("192.0.2.9")).await.is_ok());
    // It is remembered, and still not good from elsewhere.
    for source in [from("198.51.100.9"), Source::Client(None)] {
        assert_eq!(authenticator.authenticate_client(&text, source).await.err(), Some(Error::AddressRefused));
        assert_eq!(authenticator.authenticate(&text, source).await.err(), Some(Error::AddressRefused));
        let token = fake.token(&key).unwrap();
        assert_eq!(authenticator.authenticate(&token, source).await.err(), Some(Error::AddressRefused));
    }
    // A service has asked that before it passes a request on.
    assert!(authenticator.authenticate(&fake.token(&key).unwrap(), Source::Service).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn uses_are_told_beside_the_requests_once_for_each_credential() {
    let fake = Fake::new();
    let authenticator = ready(&fake).await;
    let (one, other) = (fake.key("scim"), fake.key("scim"));
    let from = |address: &str| Source::Client(Some(address.parse().unwrap()));
    for address in ["192.0.2.1", "192.0.2.2"] {
        authenticator.authenticate_client(&bearer(&one), from(address)).await.unwrap();
    }
    authenticator.authenticate_client(&bearer(&other), Source::Service).await.unwrap();
    assert!(fake.uses().is_empty(), "no request waits for it");
    fake.answer_calls(false);
    authenticator.tell_uses().await;
    fake.answer_calls(true);
    authenticator.tell_uses().await;
    authenticator.tell_uses().await;
    let told = fake.uses();
    assert_eq!(told.len(), 1, "what could not be told is told later, and what a service relays was told by it");
    assert_eq!(told[0].address, "192.0.2.2");
}

#[tokio::test(start_paused = true)]
async fn r04_more_exchanges_than_there_is_room_for_are_told_to_come_later_and_known_keys_are_not() {
    let fake = Fake::new();
    let (authenticator, known) = (ready(&fake).await, fake.key("scim"));
    authenticator.authenticate_client(&bearer(&known), ANYWHERE).await.unwrap();
    fake.answer_calls(false);
    let strangers: Vec<_> = (0..600).map(|_| Fake::new().key("scim")).collect();
    let waiting = join_all(strangers.iter().map(|key| {
        let authenticator = authenticator.clone();
        async move {
            let began = tokio::time::Instant::now();
            let answer = authenticator.authenticate_client(&bearer(key), ANYWHERE).await;
            (matches!(answer, Err(Error::Unavailable { .. })), began.elapsed())
        }
    }));
    let known_meanwhile = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let began = tokio::time::Instant::now();
        assert!(authenticator.authenticate_client(&bearer(&known), ANYWHERE).await.is_ok());
        assert_eq!(began.elapsed(), Duration::ZERO);
    };
    let (answers, ()) = tokio::join!(waiting, known_meanwhile);
    assert!(answers.iter().all(|(unavailable, _)| *unavailable));
    let at_once = answers.iter().filter(|(_, after)| (LATER_PAUSE..LATER_PAUSE * 2).contains(after)).count();
    assert_eq!(at_once, 600 - 512, "but for the pause that keeps a flood from being sent as fast as it is refused");
}

#[tokio::test(start_paused = true)]
async fn r14_a_tenant_over_its_budget_is_told_so_after_a_pause_and_within_it_at_once() {
    let fake = Fake::new();
    let authenticator = Authenticator::new(fake.channel(), Budget::new(25).unwrap());
    authenticator.ready().await;
    let key = bearer(&fake.key("scim"));
    for _ in 0..200 {
        let began = tokio::time::Instant::now();
        match authenticator.authenticate_client(&key, ANYWHERE).await {
            Ok(_) => assert!(began.elapsed() < LATER_PAUSE),
            Err(error) => {
                assert!(matches!(error, Error::OverBudget { .. }), "{error:?}");
                assert_eq!(began.elapsed(), LATER_PAUSE);
                return;
            }
        }
    }
    panic!("never over the budget");
}

#[tokio::test(start_paused = true)]
async fn r01_what_another_service_has_refused_is_exchanged_anew_though_nothing_was_heard_of_it_here() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("scim identity.read"));
    let before = authenticator.authenticate_client(&bearer(&key), ANYWHERE).await.unwrap();
    fake.link(Link::Silent);
    fake.change(&key, "scim");
    let remembered = authenticator.authenticate_client(&bearer(&key), ANYWHERE).await.unwrap();
    assert_eq!(remembered.scopes, before.scopes);
    let renewed = authenticator.renew(&bearer(&key), &before).await.unwrap();
    assert_eq!(renewed.scopes.to_string(), "scim");
    // A second one who was refused for the same token finds the new one there.
    authenticator.renew(&bearer(&key), &before).await.unwrap();
    assert_eq!(fake.exchanges(), 2);
    fake.revoke(&key);
    assert_eq!(authenticator.renew(&bearer(&key), &renewed).await.err(), Some(Error::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn r01_a_withdrawn_signing_key_is_believed_by_nobody_once_its_entry_is_forgotten() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("identity.read"));
    let token = fake.token(&key).unwrap();
    assert!(authenticator.authenticate(&token, ANYWHERE).await.is_ok());
    // The entry is gone at once, and no unknown key is ever shown.
    fake.rotate();
    fake.restore(0);
    tokio::time::advance(Duration::from_secs(241)).await;
    assert_eq!(authenticator.authenticate(&token, ANYWHERE).await.err(), Some(Error::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn r04_a_flood_of_wrong_keys_does_not_keep_a_right_one_from_being_renewed() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("scim"));
    let known = authenticator.authenticate_client(&bearer(&key), ANYWHERE).await.unwrap();
    fake.answer_calls(false);
    let strangers: Vec<_> = (0..512).map(|_| Fake::new().key("scim")).collect();
    let flood = join_all(strangers.iter().map(|key| {
        let authenticator = authenticator.clone();
        async move { authenticator.authenticate_client(&bearer(key), ANYWHERE).await.is_err() }
    }));
    let renewal = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let bearer = bearer(&key);
        let renewal = authenticator.renew(&bearer, &known);
        let (renewed, ()) = tokio::join!(renewal, async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            fake.answer_calls(true);
        });
        renewed.unwrap();
    };
    let (refused, ()) = tokio::join!(flood, renewal);
    assert!(refused.into_iter().all(|refused| refused));
}
