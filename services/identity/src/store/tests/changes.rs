//! The change feed: what it says, that nobody who follows it misses anything, and where nobody can go on.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ::audit::{Content, Values};
use database::{
    Database,
    testing::Engine::{self, Postgres, Sqlite},
};
use futures::FutureExt;
use rstest::rstest;
use tokio::{sync::Notify, time::timeout};

use super::{World, no_reason, user};
use crate::{
    SERVICE,
    domain::{
        Caller, Change, ChangeConsumer, ConsumerName, Error, GroupChange, GroupName, OutOfRange, Position,
        ProvisioningState, RoleId, Timestamp, UserDraft,
    },
    store::{
        Acknowledge, ChangeGroup, DeleteGroup, DeleteUser, Follower, Outcome, ReplaceUser, SetManualRole, Store,
        changes::CONSUMERS_MAX,
        feed::FOLLOWERS_MAX,
        tx::{ChangeKind, Tx},
    },
};

/// Far more than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

impl World {
    async fn listed(&self, after: i64) -> Vec<Change> {
        let head = self.store.feed_head(self.tenant).await.unwrap();
        self.store.changes(self.tenant, &head, after, 1000).await.unwrap()
    }

    async fn follow(&self, after: Option<Position>) -> Follower {
        self.store.follow(self.tenant, after).await.unwrap()
    }

    async fn head(&self) -> Position {
        self.store.feed_head(self.tenant).await.unwrap().position
    }

    pub(crate) async fn sql(&self, statement: String) {
        let written = self.store.database.write(move |db| {
            let statement = statement.clone();
            Box::pin(async move {
                sea_orm::ConnectionTrait::execute_unprepared(db, &statement).await?;
                Ok::<_, database::Error<()>>(())
            })
        });
        written.await.unwrap();
    }

    async fn acknowledge(&self, consumer: &str, position: Position) -> Result<ChangeConsumer, Error> {
        let consumer = ConsumerName::parse("consumer", consumer.to_owned()).unwrap();
        self.store.acknowledge_changes(&self.administrator(), Acknowledge { consumer, position }).await
    }
}

/// The numbers of the next changes.
async fn next(follower: &mut Follower) -> Result<Vec<i64>, Error> {
    let news = timeout(DEADLINE, follower.next()).await.unwrap()?;
    Ok(news.changes.iter().map(|change| change.position.number).collect())
}

/// The next changes, whatever heartbeats come before.
async fn next_changes(follower: &mut Follower) -> Result<Vec<i64>, Error> {
    loop {
        let changes = next(follower).await?;
        if !changes.is_empty() {
            return Ok(changes);
        }
    }
}

/// What a change says, shortly.
fn said(change: &Change) -> String {
    let list = |values: &Values| {
        let values: Vec<String> = values.as_map().iter().map(|(name, value)| format!("{name}={value}")).collect();
        values.join(" ")
    };
    format!("{} [{}] [{}]", change.kind, list(&change.before), list(&change.after))
}

#[rstest]
#[tokio::test]
async fn each_change_says_what_was_and_what_is(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let (directory, administrator) = (world.directory(), world.administrator());
    let ada = world.user("ada").await;
    let draft = UserDraft { provisioned_active: Some(false), display_name: None, ..user("Ada") };
    let replace = ReplaceUser { user: ada.id, draft, expected_version: None };
    world.store.replace_user(&directory, replace).await.unwrap();
    let back = ReplaceUser { user: ada.id, draft: user("Ada"), expected_version: None };
    world.store.replace_user(&directory, back).await.unwrap();
    world.store.suspend_user(&administrator, ada.id).await.unwrap();
    world.store.restore_user(&administrator, ada.id).await.unwrap();
    let role = RoleId::parse("admin").unwrap();
    world.store.set_manual_role(&administrator, SetManualRole { user: ada.id, role }).await.unwrap();
    let ops = world.group("Ops", &[ada.id.to_string()]).await;
    let renamed = GroupChange::SetDisplayName(GroupName::parse("Operations".to_owned()).unwrap());
    let changes = vec![renamed, GroupChange::RemoveMembers(vec![ada.id.to_string()])];
    let change = ChangeGroup { group: ops.id, changes, expected_version: None };
    world.store.change_group(&directory, change).await.unwrap();
    world.store.delete_group(&directory, DeleteGroup { group: ops.id, expected_version: None }).await.unwrap();
    world.store.delete_user(&directory, DeleteUser { user: ada.id, expected_version: None }).await.unwrap();
    world.store.set_provisioning_state(&administrator, ProvisioningState::Paused, no_reason()).await.unwrap();

    let changes = world.listed(0).await;
    let expected = [
        "tenant.changed [provisioning=off] [provisioning=on]",
        "user.created [] [active=true display_name=The ada provisioned_active=true user_name=ada]",
        "user.changed [active=true display_name=The ada provisioned_active=true user_name=ada] \
         [active=false provisioned_active=false user_name=Ada]",
        "role.changed [role=explorer role_source=default] []",
        "user.changed [active=false provisioned_active=false] [active=true display_name=The Ada provisioned_active=true]",
        "role.changed [] [role=explorer role_source=default]",
        "user.changed [active=true suspended=false] [active=false suspended=true]",
        "role.changed [role=explorer role_source=default] []",
        "user.restored [] [active=true user_name=Ada]",
        "role.changed [] [role=explorer role_source=default]",
        "role.changed [role=explorer role_source=default] [manual_role=admin role=admin role_source=manual]",
        "group.created [] [display_name=Ops]",
        "member.added [] []",
        "group.changed [display_name=Ops] [display_name=Operations]",
        "member.removed [] []",
        "group.deleted [display_name=Operations] []",
        "user.deleted [active=true user_name=Ada] []",
        "tenant.changed [provisioning=on] [provisioning=paused]",
    ];
    assert_eq!(changes.iter().map(said).collect::<Vec<_>>(), expected);
    assert_eq!((&*changes[1].actor, &*changes[1].request_id), ("key:directory", "r1"));
    assert_eq!((&*changes[10].actor, changes[10].subject, changes[10].version), ("key:admin", ada.id.uuid(), 6));
    assert_eq!((changes[12].subject, changes[12].object), (ops.id.uuid(), Some(ada.id.uuid())));
}

/// What a team keeps: where it stands, and what it has dealt with.
#[derive(Default)]
struct Team {
    position: Option<Position>,
    seen: BTreeMap<i64, Change>,
    last: i64,
}

impl Team {
    /// Takes what came; what came before already is the same again.
    fn take(&mut self, changes: &[Change]) {
        for change in changes {
            let number = change.position.number;
            let again = self.seen.insert(number, change.clone());
            assert!(again.is_none_or(|again| again == *change));
            assert!(number <= self.last + 1, "{number} comes after {}: something was left out", self.last);
            self.last = self.last.max(number);
        }
    }
}

const WRITERS: usize = 8;
const USERS_EACH: usize = 40;
const KILLS: usize = 20;

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn d01_a_consumer_killed_and_resumed_20_times_sees_every_change_of_8_writers_in_order(
    #[values(Sqlite, Postgres)] engine: Engine,
) {
    let Some(world) = World::open(engine).await else { return };
    // Somebody who follows and never reads holds nobody up.
    let _stalled = world.follow(None).await;
    let writers = (0..WRITERS).map(|writer| {
        let (store, caller) = (world.store.clone(), world.directory());
        tokio::spawn(async move {
            for number in 0..USERS_EACH {
                // Every fourth is refused: a name that another writer may have.
                let name = if number % 4 == 0 { format!("shared{number}") } else { format!("user{writer}-{number}") };
                let created = store.create_user(&caller, user(&name)).await;
                assert!(matches!(created, Ok(_) | Err(Error::UserNameTaken { .. })), "{created:?}");
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut team = Team::default();
    for kill in 0..KILLS {
        let mut follower = world.follow(team.position).await;
        for _ in 0..=kill % 3 {
            // A call that is given up before its answer loses nothing.
            let given_up = follower.next().now_or_never();
            assert!(given_up.is_none_or(|news| news.is_ok_and(|news| {
                team.take(&news.changes);
                true
            })));
            let news = timeout(DEADLINE, follower.next()).await.unwrap().unwrap();
            team.take(&news.changes);
            // Every other time it dies before it has noted where it stands.
            if kill % 2 == 0 {
                team.position = Some(news.position);
            }
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let head = world.head().await;
    let mut follower = world.follow(team.position).await;
    while team.last < head.number {
        team.take(&timeout(DEADLINE, follower.next()).await.unwrap().unwrap().changes);
    }
    let numbers: Vec<i64> = team.seen.keys().copied().collect();
    assert_eq!(numbers, (1..=head.number).collect::<Vec<_>>());
    let created = team.seen.values().filter(|change| change.kind == "user.created").count();
    assert_eq!(created, WRITERS * USERS_EACH * 3 / 4 + USERS_EACH / 4);
}

/// A write that has taken its position and waits before its commit.
async fn late(db: &sea_orm::DatabaseTransaction, caller: &Caller, gate: &(Notify, Notify)) -> Outcome<()> {
    let tx = Tx::begin(db, caller).await?;
    tx.changed(ChangeKind::UserChanged, tx.tenant(), 1, Content::default());
    tx.record().await?;
    gate.0.notify_one();
    gate.1.notified().await;
    Ok(())
}

/// SQLite's writes run one after another, so none commits late.
#[tokio::test(flavor = "multi_thread")]
async fn d01_a_change_that_commits_late_is_not_skipped() {
    let Some(world) = World::open(Postgres).await else { return };
    let gate = Arc::new((Notify::new(), Notify::new()));
    let slow = {
        let (store, caller, gate) = (world.store.clone(), world.directory(), Arc::clone(&gate));
        tokio::spawn(async move {
            let written = store.database.write(move |db| {
                let (caller, gate) = (caller.clone(), Arc::clone(&gate));
                Box::pin(async move { late(db, &caller, &gate).await })
            });
            written.await.unwrap();
        })
    };
    gate.0.notified().await;
    let begun = world.head().await;
    let mut follower = world.follow(Some(begun)).await;
    let (store, caller) = (world.store.clone(), world.directory());
    let fast = tokio::spawn(async move { store.create_user(&caller, user("ada")).await.unwrap() });
    // Two heartbeats: heads were read meanwhile, and nothing is to be seen.
    for _ in 0..2 {
        assert_eq!(next(&mut follower).await, Ok(vec![]));
    }
    assert!(!fast.is_finished(), "a later position was committed before an earlier one");
    gate.1.notify_one();
    let mut seen = next_changes(&mut follower).await.unwrap();
    while seen.len() < 2 {
        seen.extend(next_changes(&mut follower).await.unwrap());
    }
    assert_eq!(seen, [begun.number + 1, begun.number + 2]);
    fast.await.unwrap();
    slow.await.unwrap();
    let kinds: Vec<String> = world.listed(begun.number).await.into_iter().map(|change| change.kind).collect();
    assert_eq!(kinds, ["user.changed", "user.created"]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn d01_what_another_process_commits_is_heard_without_being_told(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let other = Store::new(Database::open(world.database.location(), SERVICE).await.unwrap());
    let mut follower = world.follow(Some(world.head().await)).await;
    assert_eq!(next(&mut follower).await, Ok(vec![]), "the first word comes at once");
    other.create_user(&world.directory(), user("ada")).await.unwrap();
    assert_eq!(next_changes(&mut follower).await, Ok(vec![2]));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r25_a_restore_ends_whoever_follows_and_every_position_from_before(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    world.user("ada").await;
    let before = world.head().await;
    let mut follower = world.follow(Some(before)).await;
    let of = |cause| move |outcome: Error| matches!(outcome, Error::PositionOutOfRange { cause: c, .. } if c == cause);
    assert_eq!(next(&mut follower).await, Ok(vec![]));
    let ahead = Position { number: before.number + 1, ..before };
    assert!(world.store.follow(world.tenant, Some(ahead)).await.is_err_and(of(OutOfRange::Ahead)));
    let made = if engine == Postgres { "gen_random_uuid()" } else { "randomblob(16)" };
    world.sql(format!("UPDATE tenant_positions SET epoch = {made}")).await;
    assert!(next_changes(&mut follower).await.is_err_and(of(OutOfRange::Epoch)));
    assert!(world.store.follow(world.tenant, Some(before)).await.is_err_and(of(OutOfRange::Epoch)));
    assert!(world.acknowledge("billing", before).await.is_err_and(of(OutOfRange::Epoch)));
    // The refusal names the head that one can go on after.
    let Err(Error::PositionOutOfRange { head, .. }) = world.store.follow(world.tenant, Some(before)).await else {
        panic!("it goes on");
    };
    world.user("grace").await;
    assert_eq!(next_changes(&mut world.follow(Some(head)).await).await, Ok(vec![head.number + 1]));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r26_changes_go_when_they_have_been_kept_long_enough(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    for name in ["ada", "grace", "joan", "lise"] {
        world.user(name).await;
    }
    // Each as old as its number of seconds after 1970.
    world.sql("UPDATE changes SET at_us = position * 1000000".to_owned()).await;
    let head = world.head().await;
    let at = |number| Some(Position { number, ..head });
    let mut slow = world.follow(at(1)).await;
    let purge = async |second: i64| world.store.purge_changes(Timestamp(second * 1_000_000)).await.unwrap();
    assert_eq!(purge(1).await, 0, "what is exactly as old as that is kept");
    let mut plan = tokio::join!(purge(4), purge(4));
    plan.0 += plan.1;
    assert_eq!(plan.0, 3, "two replicas at once: each goes once");
    let is_gone = |error: &Error| matches!(error, Error::PositionOutOfRange { cause: OutOfRange::Retention, .. });
    assert!(next_changes(&mut slow).await.is_err_and(|error| is_gone(&error)));
    for number in [0, 2] {
        assert!(world.store.follow(world.tenant, at(number)).await.is_err_and(|error| is_gone(&error)), "{number}");
    }
    assert_eq!(next_changes(&mut world.follow(at(3)).await).await, Ok(vec![4, 5]));
    assert_eq!(next_changes(&mut world.follow(None).await).await, Ok(vec![4, 5]));
    // A reader that has read the head before the purge is told too.
    let stale = crate::domain::FeedHead { position: head, floor: 0 };
    assert!(world.store.changes(world.tenant, &stale, 0, 10).await.is_err_and(|error| is_gone(&error)));
    assert_eq!(purge(100).await, 2);
    assert_eq!(world.listed(5).await, []);
    world.user("mary").await;
    assert_eq!(next_changes(&mut world.follow(at(5)).await).await, Ok(vec![6]));
}

#[rstest]
#[tokio::test]
async fn a_consumer_that_acknowledges_shows_how_far_it_is(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    for name in ["ada", "grace", "joan"] {
        world.user(name).await;
    }
    let head = world.head().await;
    let at = |number| Position { number, ..head };
    let first = world.acknowledge("billing", at(2)).await.unwrap();
    let third = &world.listed(2).await[0];
    assert_eq!((first.position, first.behind_since), (at(2), Some(third.at)));
    assert_eq!(first.acknowledged_by, "key:admin");
    // It never goes back, and a position that was never given out is refused.
    assert_eq!(world.acknowledge("billing", at(1)).await.unwrap(), first);
    assert!(world.acknowledge("billing", at(5)).await.is_err());
    assert_eq!(world.acknowledge("billing", head).await.unwrap().behind_since, None);
    world.acknowledge("audit", at(0)).await.unwrap();
    let list = async |after: &str| world.store.list_change_consumers(world.tenant, after, 10).await.unwrap();
    let names = |list: Vec<ChangeConsumer>| -> Vec<String> {
        list.into_iter().map(|consumer| consumer.name.as_str().to_owned()).collect()
    };
    assert_eq!(names(list("").await), ["audit", "billing"]);
    assert_eq!(names(list("audit").await), ["billing"]);
    let billing = || ConsumerName::parse("consumer", "billing".to_owned()).unwrap();
    assert_eq!(world.store.acknowledged(world.tenant, &billing()).await, Ok(Some(head)));
    world.store.delete_change_consumer(&world.administrator(), billing()).await.unwrap();
    let again = world.store.delete_change_consumer(&world.administrator(), billing()).await;
    assert_eq!(again, Err(Error::NotFound("consumer of changes")));
    assert_eq!(world.store.acknowledged(world.tenant, &billing()).await, Ok(None));
    // No write of these stands in the feed itself.
    assert_eq!(world.head().await, head);
}

#[rstest]
#[tokio::test]
async fn a_tenant_has_no_more_consumers_than_it_may(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let head = world.head().await;
    for number in 0..CONSUMERS_MAX {
        world.acknowledge(&format!("consumer{number}"), head).await.unwrap();
    }
    assert_eq!(world.acknowledge("more", head).await, Err(Error::TooManyChangeConsumers));
    assert!(world.acknowledge("consumer0", head).await.is_ok());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_follows_as_often_as_it_may_and_a_place_is_free_again(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let mut followers = Vec::new();
    for _ in 0..FOLLOWERS_MAX {
        followers.push(world.follow(None).await);
    }
    assert!(world.store.follow(world.tenant, None).await.is_err_and(|error| error == Error::TooManyWatches));
    let other = super::tenant(&world.store, "globex").await;
    assert!(world.store.follow(other, None).await.is_ok(), "another tenant has places of its own");
    followers.pop();
    followers.push(world.follow(None).await);
    // All of them hear of one commit.
    for follower in &mut followers {
        assert_eq!(next(follower).await, Ok(vec![1]));
    }
    world.user("ada").await;
    for follower in &mut followers {
        assert_eq!(next_changes(follower).await, Ok(vec![2]));
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_hears_of_the_end_of_the_process_and_of_the_tenant(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let head = world.head().await;
    let mut follower = world.follow(Some(head)).await;
    assert_eq!(next(&mut follower).await, Ok(vec![]));
    world.sql("UPDATE tenants SET deleted_at_us = 1".to_owned()).await;
    assert_eq!(next_changes(&mut follower).await, Err(Error::NotFound("tenant")));
    world.sql("UPDATE tenants SET deleted_at_us = NULL".to_owned()).await;
    let mut follower = world.follow(Some(head)).await;
    assert_eq!(next(&mut follower).await, Ok(vec![]));
    let (ended, ()) = tokio::join!(next_changes(&mut follower), async { world.store.end_followers() });
    assert_eq!(ended, Err(Error::Ending));
    assert_eq!(next(&mut world.follow(None).await).await, Err(Error::Ending), "and none begins");
}

#[rstest]
#[tokio::test]
async fn a_page_is_no_larger_than_a_client_takes(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    for number in 0..300 {
        world.user(&format!("user{number}")).await;
    }
    world.sql(format!(r#"UPDATE changes SET after_values = '{{"profile.title":"{}"}}'"#, "x".repeat(12_000))).await;
    let head = world.store.feed_head(world.tenant).await.unwrap();
    let (mut after, mut pages) = (0, 0);
    while after < head.position.number {
        let page = world.store.changes(world.tenant, &head, after, 1000).await.unwrap();
        let bytes: usize = page.iter().flat_map(|change| change.after.as_map().values()).map(String::len).sum();
        assert!(bytes <= 2 * 1024 * 1024 && page[0].position.number == after + 1);
        (after, pages) = (page.last().unwrap().position.number, pages + 1);
    }
    assert_eq!((after, pages), (301, 2));
}
