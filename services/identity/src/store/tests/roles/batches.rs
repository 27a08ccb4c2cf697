//! Word to everybody whose role something has changed that concerns many (rule R22).

use std::collections::BTreeMap;

use database::{
    Database,
    testing::Engine::{self, Postgres, Sqlite},
};
use rstest::rstest;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use super::harness::with_roles;
use crate::{
    SERVICE,
    store::{
        Store,
        entity::change,
        tests::{World, plans::FILLED},
    },
};

impl World {
    /// How often each user was told of another role, and that all of it came after `cause`.
    async fn told_after(&self, cause: &str) -> BTreeMap<uuid::Uuid, usize> {
        let rows = change::Entity::find()
            .filter(change::Column::TenantId.eq(self.tenant.uuid()))
            .order_by_asc(change::Column::Position)
            .all(self.store.database.read())
            .await
            .unwrap();
        let mut told = BTreeMap::new();
        let after = rows.iter().rposition(|row| row.kind == cause).unwrap();
        for row in &rows[after..] {
            if row.kind == "role.changed" {
                assert_eq!((&*row.actor, &*row.request_id), ("key:admin", "r1"), "whose act it was");
                *told.entry(row.subject_id).or_default() += 1;
            }
        }
        told
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r22_everybody_is_told_once_by_however_many_replicas(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    // More than a few pages.
    world.run(&[FILLED.of(engine)]).await;
    let ada = world.user("ada").await.id;
    world.set_role(ada, "developer").await.unwrap();
    assert_eq!(world.set_default("viewer").await.unwrap(), Some(1_700));
    let late = world.user("late").await.id;
    let replica = Store::new(Database::open(world.database.location(), SERVICE).await.unwrap());
    let (one, other) = tokio::join!(world.store.work_role_batches(), replica.work_role_batches());
    assert_eq!(one.unwrap() + other.unwrap(), 1_700);
    let told = world.told_after("tenant.changed").await;
    assert_eq!(told.len(), 1_700);
    assert!(told.values().all(|times| *times == 1), "nobody twice");
    assert!(!told.contains_key(&ada.uuid()) && !told.contains_key(&late.uuid()));
    assert_eq!(world.left_over().await, (0, 0));
    assert_eq!(world.store.work_role_batches().await.unwrap(), 0);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r22_a_batch_goes_on_where_a_process_that_died_left_it(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    world.run(&[FILLED.of(engine)]).await;
    world.set_default("viewer").await.unwrap();
    let mut lives = 0;
    while world.left_over().await.0 > 0 {
        // It ends wherever it is: before, between or after its transactions.
        let store = Store::new(Database::open(world.database.location(), SERVICE).await.unwrap());
        let working = tokio::spawn(async move { store.work_role_batches().await });
        let reached = world.told_after("tenant.changed").await.len();
        while world.left_over().await.0 > 0 && world.told_after("tenant.changed").await.len() == reached {
            tokio::task::yield_now().await;
        }
        working.abort();
        // What it had begun is ended.
        let _ = working.await;
        lives += 1;
        assert!(lives < 100);
    }
    let told = world.told_after("tenant.changed").await;
    assert_eq!((told.len(), told.values().max()), (1_700, Some(&1)));
}

#[rstest]
#[tokio::test]
async fn r22_causes_one_after_another_end_at_what_is(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await.id;
    let ops = world.group("Ops", &[ada.to_string()]).await.id;
    world.says(ada, with_roles("ada", true, &["wizard"])).await;
    // Nobody works the batches off meanwhile.
    world.set_default("viewer").await.unwrap();
    world.add_role("wizard", 350).await.unwrap();
    let mapping = world.map(ops, "developer").await.unwrap().value;
    world.store.delete_role(&world.administrator(), super::harness::role("wizard")).await.unwrap();
    world.unmap(mapping).await.unwrap();
    world.map(ops, "developer").await.unwrap();
    assert_eq!(world.role_of(ada).await, "developer by group");
    assert_eq!(world.left_over().await, (6, 1));
    world.store.work_role_batches().await.unwrap();
    assert_eq!(world.told(ada).await.last().unwrap().rsplit(" -> ").next(), Some("developer by group"));
    assert_eq!(world.left_over().await, (0, 0));
    // The role may come again.
    world.add_role("wizard", 350).await.unwrap();
    assert_eq!(world.role_of(ada).await, "wizard by provisioned");
}
