//! Several processes that send.

use std::{collections::BTreeSet, time::Duration};

use database::testing::Engine::{self, Postgres, Sqlite};
use rstest::rstest;
use uuid::Uuid;

use super::Post;
use crate::delivery::Deliveries;

/// Far more than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_the_work_and_send_each_event_once(#[values(Sqlite, Postgres)] engine: Engine) {
    const USERS: usize = 120;
    let Some(post) = Post::open(engine).await else { return };
    let (id, _) = post.endpoint(&[]).await;
    let replicas = [Deliveries::start(post.replica()), Deliveries::start(post.replica())];
    for number in 0..USERS {
        post.world.user(&format!("user{number}")).await;
    }
    let all = async {
        while post.receiver.posted.lock().unwrap().len() < USERS {
            post.receiver.heard.notified().await;
        }
    };
    tokio::time::timeout(DEADLINE, all).await.unwrap();
    for replica in &replicas {
        replica.end().await;
    }
    let ids: Vec<String> = post.receiver.take().iter().map(|request| request.header("webhook-id").to_owned()).collect();
    let distinct: BTreeSet<&String> = ids.iter().collect();
    assert_eq!((ids.len(), distinct.len()), (USERS, USERS));
    let shown = post.shown(id).await;
    assert_eq!((shown.delivered, shown.retrying), (i64::try_from(USERS).unwrap(), 0));
    // Who ends gives back what it had.
    post.world.user("last").await;
    post.send().await;
    assert_eq!(post.receiver.take().len(), 1);
}

#[rstest]
#[tokio::test]
async fn what_a_process_sent_that_died_is_sent_again_by_another(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(post) = Post::open(engine).await else { return };
    let (id, _) = post.endpoint(&[]).await;
    post.world.user("ada").await;
    // It takes the endpoint, and is heard of no more.
    let place = (post.world.tenant, id);
    let dead = post.world.store.lease_event_endpoint(place, Uuid::new_v4(), post.courier.now()).await.unwrap().unwrap();
    assert_eq!(post.send_once().await, 0, "as long as its lease lasts, it may be at work");
    let work = post.world.store.event_work(&dead, post.courier.now()).await.unwrap().unwrap();
    post.pass(Duration::from_secs(80));
    post.send().await;
    assert_eq!(post.receiver.kinds(), ["user.created"]);
    // It comes back, and changes nothing any more.
    assert!(post.world.store.record_sent(&dead, (&work, Vec::new()), post.courier.now()).await.unwrap().is_none());
    assert_eq!(post.shown(id).await.delivered, 1);
}
