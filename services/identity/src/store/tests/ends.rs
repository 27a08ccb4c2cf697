//! How users and groups end for good: purged after their time, or erased.

use database::testing::Engine::{self, Postgres, Sqlite};
use futures::StreamExt;
use ids::UserId;
use rstest::rstest;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

use super::{
    World,
    audit::{log, verify},
    directory, group, tenant, user,
};
use crate::{
    domain::{Caller, Error, RoleId, Timestamp},
    store::{
        DeleteGroup, DeleteUser, ERASE_USER, ReplaceUser, SetManualRole,
        entity::{change, membership, role_assignment, user as user_row, user_email},
    },
};

async fn delete(world: &World, id: UserId) {
    world.store.delete_user(&world.directory(), DeleteUser { user: id, expected_version: None }).await.unwrap();
}

async fn rows_of(world: &World, id: UserId) -> u64 {
    let db = world.store.database.read();
    let id = id.uuid();
    let users = user_row::Entity::find().filter(user_row::Column::Id.eq(id)).count(db).await.unwrap();
    let emails = user_email::Entity::find().filter(user_email::Column::UserId.eq(id)).count(db).await.unwrap();
    let roles = role_assignment::Entity::find().filter(role_assignment::Column::UserId.eq(id)).count(db).await.unwrap();
    let members = membership::Entity::find().filter(membership::Column::UserId.eq(id)).count(db).await.unwrap();
    users + emails + roles + members
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_long_enough_ago_is_purged_once_and_nothing_else(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let (ada, eva, lise) = (world.user("ada").await, world.user("eva").await, world.user("lise").await);
    let members: Vec<String> = [&ada, &eva].map(|user| user.id.to_string()).into();
    let (ops, dev) = (world.group("Ops", &members).await, world.group("Dev", &members).await);
    delete(&world, ada.id).await;
    delete(&world, lise.id).await;
    let delete_dev = DeleteGroup { group: dev.id, expected_version: None };
    world.store.delete_group(&world.directory(), delete_dev).await.unwrap();
    let purge = |before: Timestamp| world.store.purge_deleted(before);
    assert_eq!(purge(Timestamp(0)).await.unwrap(), 0, "nothing is old enough");
    // Restored in time.
    world.store.restore_user(&world.administrator(), lise.id).await.unwrap();
    let later = Timestamp(Timestamp::now().0 + 1);
    let (one, other) = futures::future::join(purge(later), purge(later)).await;
    assert_eq!(one.unwrap() + other.unwrap(), 2, "ada and Dev, each by one replica");
    assert_eq!(rows_of(&world, ada.id).await, 0);
    assert_eq!(world.store.restore_user(&world.administrator(), ada.id).await.unwrap_err(), Error::NotFound("user"));
    for live in [eva.id, lise.id] {
        assert!(world.store.user(world.tenant, live).await.is_ok());
    }
    assert!(world.store.group(world.tenant, ops.id).await.is_ok());
    // An id that was purged is known no more (rule R16).
    let unknown = world.store.create_group(&world.directory(), group("New", &[ada.id.to_string()])).await.unwrap_err();
    assert_eq!(unknown, Error::UnknownMembers { ids: vec![ada.id.to_string()] });
    assert_eq!(purge(later).await.unwrap(), 0);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_group_with_more_members_than_one_transaction_takes_is_purged(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let world = &world;
    let creates = (0..1001).map(|number| async move { world.user(&format!("user{number}")).await.id.to_string() });
    let members: Vec<String> = futures::stream::iter(creates).buffered(16).collect().await;
    let all = world.group("All", &members).await;
    world.store.delete_group(&world.directory(), DeleteGroup { group: all.id, expected_version: None }).await.unwrap();
    assert_eq!(world.store.purge_deleted(Timestamp(Timestamp::now().0 + 1)).await.unwrap(), 1);
    assert_eq!(membership::Entity::find().count(world.store.database.read()).await.unwrap(), 0);
}

/// How many entries of the audit log are blanked, and each of them told of.
async fn blanked(world: &World) -> u64 {
    let verifier = verify(world, &log(world).await);
    verifier.check_erasures().unwrap();
    verifier.blanked()
}

#[rstest]
#[tokio::test]
async fn r26_an_erased_person_is_gone_and_the_audit_log_says_no_values_of_them(
    #[values(Sqlite, Postgres)] engine: Engine,
    #[values(false, true)] deleted: bool,
) {
    let Some(world) = World::open(engine).await else { return };
    let admin = world.administrator();
    let eraser = Caller { action: ERASE_USER.trim_start_matches('/'), ..admin.clone() };
    let ada = world.store.create_user(&admin, user("ada")).await.unwrap();
    world.group("Ops", &[ada.id.to_string()]).await;
    let eva = world.store.create_user(&admin, user("eva")).await.unwrap();
    let role = RoleId::parse("developer").unwrap();
    world.store.set_manual_role(&admin, SetManualRole { user: ada.id, role }).await.unwrap();
    let replace = ReplaceUser { user: ada.id, draft: user("ada.lovelace"), expected_version: None };
    world.store.replace_user(&admin, replace).await.unwrap();
    if deleted {
        delete(&world, ada.id).await;
    }
    world.store.erase_user(&eraser, ada.id).await.unwrap();

    assert_eq!(rows_of(&world, ada.id).await, 0);
    assert_eq!(world.store.user(world.tenant, ada.id).await.unwrap_err(), Error::NotFound("user"));
    assert_eq!(world.store.restore_user(&admin, ada.id).await.unwrap_err(), Error::NotFound("user"));
    assert_eq!(world.changes().await.last().unwrap(), "user.erased");
    let (entries, _) = log(&world).await;
    assert!(entries.iter().all(|entry| !format!("{:?}", entry.content).contains("ada")), "{entries:#?}");
    assert!(entries.iter().any(|entry| format!("{:?}", entry.content).contains("eva")), "others stay");
    assert_eq!(blanked(&world).await, 3, "created, given a role, renamed");
    for change in change::Entity::find().all(world.store.database.read()).await.unwrap() {
        assert!(!format!("{} {}", change.before_values, change.after_values).contains("ada"), "{change:?}");
    }
    // The name is free, for another person.
    let other = world.store.create_user(&admin, user("ada")).await.unwrap();
    assert_ne!(other.id, ada.id);
    // Again: nothing is left to do, and the log still verifies.
    world.store.erase_user(&eraser, ada.id).await.unwrap();
    assert_eq!(blanked(&world).await, 3);
    assert!(world.store.user(world.tenant, eva.id).await.is_ok());
}

#[rstest]
#[tokio::test]
async fn r05_nobody_is_erased_from_another_tenant(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await;
    let stranger = directory(tenant(&world.store, "globex").await);
    assert_eq!(world.store.erase_user(&stranger, ada.id).await.unwrap_err(), Error::NotFound("user"));
    assert!(world.store.user(world.tenant, ada.id).await.is_ok());
}
