//! When an endpoint is sent nothing any more, and what it takes to go on.

use std::time::Duration;

use database::testing::Engine::{self, Postgres, Sqlite};
use rstest::rstest;

use super::Post;
use crate::domain::{Error, OutOfRange, Stop, Timestamp};

#[rstest]
#[tokio::test]
async fn an_endpoint_that_wants_no_more_is_sent_none(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let (store, administrator) = (&post.world.store, post.world.administrator());
    let (id, _) = post.endpoint(&[]).await;
    post.receiver.answers("410 Gone");
    post.world.user("ada").await;
    post.send().await;
    assert_eq!(post.shown(id).await.stop, Some(Stop::Gone));
    post.receiver.take();
    post.world.user("grace").await;
    post.pass(Duration::from_secs(60 * 60));
    assert_eq!(post.send_once().await, 0);
    post.receiver.answers("200 OK");
    let enabled = store.enable_event_endpoint(&administrator, id, false).await.unwrap();
    assert_eq!(enabled.stop, None);
    post.send().await;
    assert_eq!(post.receiver.kinds(), ["user.created", "user.created"], "what it refused, and what came meanwhile");
}

#[rstest]
#[tokio::test]
async fn an_endpoint_that_takes_nothing_for_five_days_is_disabled(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let (id, _) = post.endpoint(&[]).await;
    post.receiver.answers("500 Internal Server Error");
    post.world.user("ada").await;
    post.send().await;
    assert_eq!(post.shown(id).await.stop, None);
    post.pass(Duration::from_secs(5 * 24 * 60 * 60 + 60));
    post.send().await;
    assert_eq!(post.shown(id).await.stop, Some(Stop::Failing));
}

#[rstest]
#[tokio::test]
async fn a_disabled_endpoint_goes_on_where_it_stopped(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let (store, administrator) = (&post.world.store, post.world.administrator());
    let (id, _) = post.endpoint(&[]).await;
    assert_eq!(store.disable_event_endpoint(&administrator, id).await.unwrap().stop, Some(Stop::Administrator));
    post.world.user("ada").await;
    assert_eq!(post.send_once().await, 0);
    store.enable_event_endpoint(&administrator, id, true).await.unwrap();
    post.send().await;
    assert_eq!(post.receiver.kinds(), ["user.created"], "nothing was missed that could be skipped");
}

#[rstest]
#[tokio::test]
async fn r25_after_a_restore_nothing_is_sent_until_it_is_confirmed(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let (store, administrator) = (&post.world.store, post.world.administrator());
    let (id, _) = post.endpoint(&[]).await;
    post.receiver.answers("500 Internal Server Error");
    post.world.user("ada").await;
    post.send().await;
    post.receiver.answers("200 OK");
    post.receiver.take();
    let random = if engine == Postgres { "gen_random_uuid()" } else { "randomblob(16)" };
    post.world.sql(format!("UPDATE tenant_positions SET epoch = {random}")).await;
    post.world.user("grace").await;
    post.pass(Duration::from_secs(60));
    post.send().await;
    assert_eq!((post.receiver.take().len(), post.shown(id).await.stop), (0, Some(Stop::Restored)));
    let refused = store.enable_event_endpoint(&administrator, id, false).await;
    assert_eq!(refused.unwrap_err(), Error::EventsMissed { cause: OutOfRange::Epoch });
    let confirmed = store.enable_event_endpoint(&administrator, id, true).await.unwrap();
    assert_eq!((confirmed.stop, confirmed.retrying), (None, 0), "what waited is of another history");
    post.send().await;
    assert_eq!(post.receiver.take().len(), 0);
    post.world.user("edsger").await;
    post.send().await;
    assert_eq!(post.receiver.kinds(), ["user.created"]);
}

#[rstest]
#[tokio::test]
async fn r25_an_endpoint_that_the_feed_has_left_behind_stops(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let (store, administrator) = (&post.world.store, post.world.administrator());
    let (id, _) = post.endpoint(&[]).await;
    post.receiver.answers("500 Internal Server Error");
    post.world.user("ada").await;
    post.send().await;
    store.disable_event_endpoint(&administrator, id).await.unwrap();
    post.world.user("grace").await;
    store.purge_changes(Timestamp::now().after(Duration::from_secs(1))).await.unwrap();
    assert_eq!(store.purge_event_deliveries().await, Ok(1), "what cannot be sent any more is forgotten");
    let refused = store.enable_event_endpoint(&administrator, id, false).await;
    assert_eq!(refused.unwrap_err(), Error::EventsMissed { cause: OutOfRange::Retention });
    store.enable_event_endpoint(&administrator, id, true).await.unwrap();
    post.receiver.answers("200 OK");
    post.receiver.take();
    post.world.user("edsger").await;
    post.send().await;
    assert_eq!(post.receiver.kinds(), ["user.created"]);
}
