//! `rules.md` R1: nothing is honoured by a list that may be out of date.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, advance, sleep};

use super::{ANYWHERE, bearer, ready};
use crate::{
    Authenticator, Budget, Error, KeyText,
    testing::{Fake, Link},
};

/// More than a head's age, less than what the stream is given up after.
const LONG_AGO: Duration = Duration::from_millis(800);

async fn known(fake: &Fake) -> (Authenticator, KeyText) {
    let (authenticator, key) = (ready(fake).await, fake.key("scim"));
    authenticator.authenticate_client(&bearer(&key), ANYWHERE).await.unwrap();
    (authenticator, key)
}

async fn answer(authenticator: &Authenticator, key: &KeyText) -> Result<(), Error> {
    authenticator.authenticate_client(&bearer(key), ANYWHERE).await.map(drop)
}

fn is_unavailable(answer: Result<(), Error>) -> bool {
    matches!(answer, Err(Error::Unavailable { .. }))
}

#[tokio::test(start_paused = true)]
async fn r01_a_revoked_key_dies_within_a_second_though_its_token_is_remembered() {
    let fake = Fake::new();
    let (authenticator, key) = known(&fake).await;
    let token = fake.token(&key).unwrap();
    fake.revoke(&key);
    let began = Instant::now();
    while answer(&authenticator, &key).await.is_ok() {
        sleep(Duration::from_millis(10)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(answer(&authenticator, &key).await, Err(Error::Unauthenticated));
    assert_eq!(authenticator.authenticate(&token, ANYWHERE).await.err(), Some(Error::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn r01_while_the_stream_runs_nobody_calls_for_the_head() {
    let fake = Fake::new();
    let (authenticator, key) = known(&fake).await;
    let calls = fake.head_calls();
    for _ in 0..100 {
        sleep(Duration::from_millis(100)).await;
        assert_eq!(answer(&authenticator, &key).await, Ok(()));
    }
    assert_eq!(fake.head_calls(), calls);
}

#[tokio::test(start_paused = true)]
async fn r01_behind_a_partition_no_token_is_honoured_and_the_answer_is_not_401() {
    for link in [Link::Silent, Link::Cut] {
        let fake = Fake::new();
        let (authenticator, key) = known(&fake).await;
        fake.link(link);
        fake.answer_calls(false);
        sleep(LONG_AGO).await;
        let began = Instant::now();
        assert!(is_unavailable(answer(&authenticator, &key).await), "{link:?}");
        assert_eq!(began.elapsed().as_secs(), 5, "{link:?}");
        fake.link(Link::Open);
        fake.answer_calls(true);
        assert_eq!(answer(&authenticator, &key).await, Ok(()), "{link:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn r01_a_key_is_honoured_for_750_ms_after_the_last_head() {
    let fake = Fake::new();
    let (authenticator, key) = known(&fake).await;
    sleep(Duration::from_millis(250)).await;
    fake.link(Link::Silent);
    fake.answer_calls(false);
    // The last head came at most 250 ms ago.
    sleep(Duration::from_millis(490)).await;
    assert_eq!(answer(&authenticator, &key).await, Ok(()));
    sleep(Duration::from_millis(300)).await;
    assert!(is_unavailable(answer(&authenticator, &key).await));
}

#[tokio::test(start_paused = true)]
async fn r01_with_the_stream_silent_one_shared_call_confirms_the_head() {
    let fake = Fake::new();
    let (authenticator, key) = known(&fake).await;
    fake.link(Link::Silent);
    sleep(LONG_AGO).await;
    let calls = fake.head_calls();
    let answers = join_all((0..100).map(|_| answer(&authenticator, &key))).await;
    assert!(answers.into_iter().all(|answer| answer.is_ok()));
    assert_eq!(fake.head_calls() - calls, 1);
}

#[tokio::test(start_paused = true)]
async fn r01_a_head_ahead_of_the_list_is_waited_for() {
    let fake = Fake::new();
    let (authenticator, key) = known(&fake).await;
    let other = fake.key("scim");
    fake.link(Link::Silent);
    fake.revoke(&other);
    fake.revoke(&key);
    sleep(LONG_AGO).await;
    // The head can be read, what it is ahead cannot: no answer is right.
    assert!(is_unavailable(answer(&authenticator, &key).await));
    fake.link(Link::Open);
    assert_eq!(answer(&authenticator, &key).await, Err(Error::Unauthenticated));
    assert_eq!(answer(&authenticator, &fake.key("scim")).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn r01_after_a_pause_of_the_process_an_old_message_proves_nothing() {
    let fake = Fake::new();
    let (authenticator, key) = known(&fake).await;
    fake.answer_calls(false);
    // The clock jumps while nothing runs: what then lies in the stream was written before.
    advance(Duration::from_secs(10)).await;
    sleep(Duration::from_millis(1)).await;
    assert!(is_unavailable(answer(&authenticator, &key).await));
}

#[tokio::test(start_paused = true)]
async fn r01_nothing_is_ready_before_the_list_was_loaded() {
    let fake = Fake::new();
    fake.link(Link::Cut);
    let authenticator = Authenticator::new(fake.channel(), Budget::default());
    let unready = tokio::time::timeout(Duration::from_secs(60), authenticator.ready()).await;
    assert!(unready.is_err());
    let key = fake.key("scim");
    assert!(is_unavailable(answer(&authenticator, &key).await));
    fake.link(Link::Open);
    authenticator.ready().await;
    assert_eq!(answer(&authenticator, &key).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn r01_a_withdrawn_signing_key_kills_its_tokens_but_not_the_key() {
    let fake = Fake::new();
    let (authenticator, key) = known(&fake).await;
    let token = fake.token(&key).unwrap();
    assert!(authenticator.authenticate(&token, ANYWHERE).await.is_ok());
    fake.rotate();
    let exchanges = fake.exchanges();
    while authenticator.authenticate(&token, ANYWHERE).await.is_ok() {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(answer(&authenticator, &key).await, Ok(()));
    assert_eq!(fake.exchanges(), exchanges + 1);
}

#[tokio::test(start_paused = true)]
async fn r25_a_list_that_went_back_is_read_again_and_forgets_no_revocation() {
    let fake = Fake::new();
    let (authenticator, key) = known(&fake).await;
    let token = fake.token(&key).unwrap();
    for _ in 0..3 {
        fake.revoke(&fake.key("scim"));
    }
    fake.revoke(&key);
    while answer(&authenticator, &key).await.is_ok() {
        sleep(Duration::from_millis(10)).await;
    }
    fake.restore(1);
    let late = fake.key("scim");
    assert_eq!(answer(&authenticator, &late).await, Ok(()));
    sleep(Duration::from_secs(1)).await;
    fake.revoke(&late);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(answer(&authenticator, &late).await, Err(Error::Unauthenticated));
    assert_eq!(authenticator.authenticate(&token, ANYWHERE).await.err(), Some(Error::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn r01_a_narrowed_key_is_felt_within_a_second_and_goes_on_with_what_is_left() {
    let fake = Fake::new();
    let (authenticator, key) = (ready(&fake).await, fake.key("scim identity.read"));
    let before = authenticator.authenticate_client(&bearer(&key), ANYWHERE).await.unwrap();
    let token = fake.token(&key).unwrap();
    fake.change(&key, "identity.read");
    let began = Instant::now();
    let narrowed = loop {
        let now = authenticator.authenticate_client(&bearer(&key), ANYWHERE).await.unwrap();
        if now.scopes != before.scopes {
            break now;
        }
        sleep(Duration::from_millis(10)).await;
    };
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(narrowed.scopes.to_string(), "identity.read");
    assert_eq!(authenticator.authenticate(&token, ANYWHERE).await.err(), Some(Error::Unauthenticated));
    assert!(authenticator.authenticate(&fake.token(&key).unwrap(), ANYWHERE).await.is_ok());
    assert_eq!(fake.exchanges(), 2);
}
