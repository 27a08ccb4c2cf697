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
    domain::{Caller, GroupChange},
    store::{
        Doing, Store,
        entity::change,
        tests::{
            World,
            plans::{FILLED, Filled},
            tenant, user,
        },
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

/// What happens between something that concerns many and its batch.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Leaves,
    GroupRenamed,
    GroupDeleted,
}

#[rstest]
#[tokio::test]
async fn r22_who_leaves_a_group_before_the_end_of_its_mapping_is_told_is_told(
    #[values(Sqlite, Postgres)] engine: Engine,
    #[values(Meanwhile::Leaves, Meanwhile::GroupRenamed, Meanwhile::GroupDeleted)] meanwhile: Meanwhile,
    #[values(false, true)] by_name: bool,
) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await.id;
    let ops = world.group("Ops", &[ada.to_string()]).await.id;
    let mapped = if by_name { world.map_name("Ops", "developer").await } else { world.map(ops, "developer").await };
    world.store.work_role_batches().await.unwrap();
    world.unmap(mapped.unwrap().value).await.unwrap();
    match meanwhile {
        Meanwhile::Leaves => world.leaves(ada, ops).await,
        Meanwhile::GroupRenamed => world.is_renamed(ops, "Dev").await,
        Meanwhile::GroupDeleted => world.delete_group_as(&world.directory(), ops).await.unwrap(),
    }
    world.store.work_role_batches().await.unwrap();
    let told = world.told(ada).await;
    assert_eq!(told.first().unwrap(), "explorer by default -> developer by group");
    assert!(
        told.len() > 1 && told[1..].iter().all(|told| told == "developer by group -> explorer by default"),
        "{told:?}"
    );
    assert_eq!(world.left_over().await, (0, 0));
}

#[rstest]
#[tokio::test]
async fn r22_who_loses_what_a_batch_would_know_them_by_is_told(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let root = world.user("root").await.id;
    world.set_role(root, "admin").await.unwrap();
    let (ada, eva) = (world.user("ada").await.id, world.user("eva").await.id);
    world.says(ada, with_roles("ada", true, &["admin"])).await;
    world.says(eva, with_roles("eva", true, &["admin"])).await;
    world.directory_admin(true).await.unwrap();
    world.store.work_role_batches().await.unwrap();
    world.directory_admin(false).await.unwrap();
    world.says(ada, with_roles("ada", true, &[])).await;
    // By hand to the very role that she has, and was never told of.
    world.set_role(eva, "explorer").await.unwrap();
    let ends = ["explorer by default -> admin by provisioned", "admin by provisioned -> explorer by default"];
    assert_eq!(world.told(ada).await, ends);
    assert_eq!(world.told(eva).await, [ends[0], "admin by provisioned -> explorer by manual"]);
    world.store.work_role_batches().await.unwrap();
    assert_eq!((world.told(ada).await.len(), world.told(eva).await.len()), (2, 2), "once is enough");
}

#[rstest]
#[tokio::test]
async fn r22_who_is_given_the_new_default_by_another_source_is_told(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await.id;
    let ops = world.group("Ops", &[]).await.id;
    world.map(ops, "viewer").await.unwrap();
    world.store.work_role_batches().await.unwrap();
    world.set_default("viewer").await.unwrap();
    let late = world.user("late").await.id;
    world.joins(ada, ops).await;
    world.joins(late, ops).await;
    world.store.work_role_batches().await.unwrap();
    assert_eq!(world.told(ada).await, ["explorer by default -> viewer by group"]);
    assert!(world.told(late).await.is_empty(), "who came with the new default has it still");
}

#[rstest]
#[tokio::test]
async fn r22_who_was_told_before_the_batch_is_told_of_the_way_back(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await.id;
    world.set_default("viewer").await.unwrap();
    // It changes nothing, but tells her.
    world.says(ada, with_roles("ada", true, &["wizard"])).await;
    assert_eq!(world.told(ada).await, ["explorer by default -> viewer by default"]);
    // What she had before the cause, and again.
    world.says(ada, with_roles("ada", true, &["explorer"])).await;
    world.store.work_role_batches().await.unwrap();
    let told = ["explorer by default -> viewer by default", "viewer by default -> explorer by provisioned"];
    assert_eq!(world.told(ada).await, told);
}

#[rstest]
#[tokio::test]
async fn r22_who_was_told_between_two_causes_is_told_of_the_second(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await.id;
    world.set_default("viewer").await.unwrap();
    world.says(ada, with_roles("ada", true, &["wizard"])).await;
    world.set_default("explorer").await.unwrap();
    // Before both causes it was explorer, and it is: only what she was told of between them is another.
    world.says(ada, with_roles("ada", true, &["explorer"])).await;
    world.store.work_role_batches().await.unwrap();
    let told = ["explorer by default -> viewer by default", "viewer by default -> explorer by provisioned"];
    assert_eq!(world.told(ada).await, told);
}

#[rstest]
#[tokio::test]
async fn r22_a_role_that_goes_after_its_mapping_hides_nobody(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await.id;
    let ops = world.group("Ops", &[ada.to_string()]).await.id;
    world.add_role("wizard", 350).await.unwrap();
    let mapping = world.map(ops, "wizard").await.unwrap().value;
    world.store.work_role_batches().await.unwrap();
    world.unmap(mapping).await.unwrap();
    world.store.delete_role(&world.administrator(), super::harness::role("wizard")).await.unwrap();
    world.store.work_role_batches().await.unwrap();
    let told = ["explorer by default -> wizard by group", "wizard by group -> explorer by default"];
    assert_eq!(world.told(ada).await, told);
    assert_eq!(world.left_over().await, (0, 0));
}

#[rstest]
#[tokio::test]
async fn r06_a_group_that_was_mapped_to_admin_is_anybodys_at_once(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let (root, ada) = (world.user("root").await.id, world.user("ada").await.id);
    world.set_role(root, "admin").await.unwrap();
    let ops = world.group("Ops", &[ada.to_string()]).await.id;
    let mapping = world.map(ops, "admin").await.unwrap().value;
    world.unmap(mapping).await.unwrap();
    let writer = Caller { administrator: false, ..world.administrator() };
    world.change_as(&writer, ops, GroupChange::ClearMembers).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn r22_as_many_causes_as_there_may_be_are_looked_through(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await.id;
    let ops = world.group("Ops", &[ada.to_string()]).await.id;
    let mapping = world.map(ops, "developer").await.unwrap().value;
    world.store.work_role_batches().await.unwrap();
    world.unmap(mapping).await.unwrap();
    let before = world.left_over().await;
    // More than an expression may be deep in SQLite.
    world.run(&[MANY_CAUSES.of(engine)]).await;
    assert_eq!(world.left_over().await.0, before.0 + 1_200);
    world.leaves(ada, ops).await;
    let told = world.told(ada).await;
    assert_eq!(told.last().map(String::as_str), Some("developer by group -> explorer by default"));
}

/// Many mappings that were made and are no more.
const MANY_CAUSES: Filled = Filled {
    postgres: "INSERT INTO role_batches (tenant_id, id, cause, actor, request_id, after_user_id, created_at_us)
        SELECT $1, CAST('ffffffff-0000-7000-8000-' || lpad(CAST(n AS TEXT), 12, '0') AS UUID),
            '{\"mapping_created\":{\"mapping\":\"ffffffff-0000-7000-8000-' || lpad(CAST(n AS TEXT), 12, '0') || '\"}}',
            'key:admin', 'r1', CAST('00000000-0000-0000-0000-000000000000' AS UUID), 9000000000000000
        FROM generate_series(1, 1200) AS n",
    sqlite: "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 1200)
        INSERT INTO role_batches (tenant_id, id, cause, actor, request_id, after_user_id, created_at_us)
        SELECT $1, CAST('zzzzzzzzzzzz' || printf('%04d', n) AS BLOB),
            '{\"mapping_created\":{\"mapping\":\"ffffffff-0000-7000-8000-' || printf('%012d', n) || '\"}}',
            'key:admin', 'r1', zeroblob(16), 9000000000000000 FROM s",
};

/// Another tenant, one person in it, and the default changed: one to tell.
async fn another_tenant(world: &World) -> ids::TenantId {
    let other = tenant(&world.store, "globex").await;
    let directory = Caller { tenant: other, ..world.directory() };
    world.store.create_user(&directory, user("lise")).await.unwrap();
    let admin = Caller { tenant: other, ..world.administrator() };
    world.store.set_default_role(&admin, Doing::Act, super::harness::role("viewer")).await.unwrap();
    other
}

/// When people of a tenant were told of another role.
async fn told_at(world: &World, tenant: ids::TenantId) -> Vec<i64> {
    let rows = change::Entity::find()
        .filter(change::Column::TenantId.eq(tenant.uuid()))
        .filter(change::Column::Kind.eq("role.changed"))
        .order_by_asc(change::Column::Position)
        .all(world.store.database.read())
        .await
        .unwrap();
    rows.into_iter().map(|row| row.at_us).collect()
}

#[rstest]
#[tokio::test]
async fn r22_a_batch_that_fails_holds_up_no_other_tenant(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    world.user("ada").await;
    world.set_default("viewer").await.unwrap();
    world.run(&["UPDATE role_batches SET cause = 'unreadable' WHERE tenant_id = $1"]).await;
    let other = another_tenant(&world).await;
    assert!(world.store.work_role_batches().await.is_err(), "one is left");
    assert_eq!(told_at(&world, other).await.len(), 1);
    assert_eq!(world.left_over().await, (1, 0));
    // Neither does it hold up what else is done in its own.
    let ada = world.user("eva").await.id;
    world.set_role(ada, "developer").await.unwrap();
}

#[rstest]
#[tokio::test]
async fn r22_many_people_of_one_tenant_keep_no_other_waiting(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    world.run(&[FILLED.of(engine)]).await;
    world.set_default("viewer").await.unwrap();
    let other = another_tenant(&world).await;
    assert_eq!(world.store.work_role_batches().await.unwrap(), 1_701);
    let (many, one) = (told_at(&world, world.tenant).await, told_at(&world, other).await);
    assert_eq!((many.len(), one.len()), (1_700, 1));
    // Its turn comes after a page of theirs at the latest, however much older their batch is.
    assert!(many.iter().filter(|at| **at < one[0]).count() <= 500);
}
