//! The last admin (rule R20).

use database::testing::Engine::{self, Postgres, Sqlite};
use rstest::rstest;

use super::harness::{noted, with_roles};
use crate::{
    domain::{Error, ExternalId, GroupChange, WriteNote},
    store::{Doing, tests::World},
};

/// How often two admins demote each other at once.
const DUELS: usize = 1_000;

#[rstest]
#[tokio::test]
async fn r20_no_act_of_an_administrator_takes_the_last_admin(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let admin = world.administrator();
    let ada = world.user("ada").await.id;
    world.set_role(ada, "admin").await.unwrap();
    let before = world.changes().await;
    assert_eq!(world.set_role(ada, "developer").await, Err(Error::LastAdmin));
    assert_eq!(world.clear_role(ada).await, Err(Error::LastAdmin));
    assert_eq!(world.store.suspend_user(&admin, ada).await.unwrap_err(), Error::LastAdmin);
    assert_eq!(world.delete_as(&admin, ada).await, Err(Error::LastAdmin));
    assert_eq!(world.store.erase_user(&admin, ada).await, Err(Error::LastAdmin));
    assert_eq!(world.replace_as(&admin, ada, with_roles("ada", false, &[])).await, Err(Error::LastAdmin));
    assert_eq!(world.changes().await, before, "nothing was done");
    // Nor from a group, a mapping, the directory or a role of the catalogue.
    let ops = world.group("Ops", &[ada.to_string()]).await.id;
    let mapping = world.map(ops, "admin").await.unwrap().value;
    world.clear_role(ada).await.unwrap();
    assert_eq!(world.role_of(ada).await, "admin by group");
    for change in [
        GroupChange::RemoveMembers(vec![ada.to_string()]),
        GroupChange::ClearMembers,
        GroupChange::ReplaceMembers(Vec::new()),
        GroupChange::SetExternalId(Some(ExternalId::parse("e2".to_owned()).unwrap())),
    ] {
        assert_eq!(world.change_as(&admin, ops, change).await, Err(Error::LastAdmin));
    }
    assert_eq!(world.delete_group_as(&admin, ops).await, Err(Error::LastAdmin));
    assert_eq!(world.unmap(mapping).await, Err(Error::LastAdmin));
    let validated = world.store.delete_role_mapping(&admin, Doing::Validate, mapping).await;
    assert_eq!(validated.unwrap_err(), Error::LastAdmin);
    assert_eq!(world.replace_as(&admin, ada, with_roles("ada", true, &["viewer"])).await, Err(Error::LastAdmin));
    world.says(ada, with_roles("ada", true, &["Billing"])).await;
    assert_eq!(world.add_role("billing", 50).await, Err(Error::LastAdmin));
    world.directory_admin(true).await.unwrap();
    world.says(ada, with_roles("ada", true, &["Admin"])).await;
    world.unmap(mapping).await.unwrap();
    assert_eq!(world.directory_admin(false).await, Err(Error::LastAdmin));
    assert_eq!(world.role_of(ada).await, "admin by provisioned");
    // With another one all of it is let.
    let eva = world.user("eva").await.id;
    world.set_role(eva, "admin").await.unwrap();
    world.directory_admin(false).await.unwrap();
    world.delete_as(&admin, ada).await.unwrap();
    assert_eq!(world.clear_role(eva).await, Err(Error::LastAdmin));
}

#[rstest]
#[tokio::test]
async fn r20_an_admin_without_access_keeps_nothing_and_who_has_none_is_refused_nothing(
    #[values(Sqlite, Postgres)] engine: Engine,
) {
    let Some(world) = World::open(engine).await else { return };
    let admin = world.administrator();
    let (ada, eva) = (world.user("ada").await.id, world.user("eva").await.id);
    for user in [ada, eva] {
        world.set_role(user, "admin").await.unwrap();
    }
    world.store.suspend_user(&admin, ada).await.unwrap();
    assert_eq!(world.clear_role(eva).await, Err(Error::LastAdmin), "ada is none");
    world.clear_role(ada).await.unwrap();
    assert_eq!(world.clear_role(eva).await, Err(Error::LastAdmin));
    world.says(eva, with_roles("eva", false, &[])).await;
    world.clear_role(eva).await.unwrap();
    world.delete_as(&admin, eva).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn r20_a_directory_is_never_refused_and_is_told(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let directory = world.directory();
    let (ada, eva) = (world.user("ada").await.id, world.user("eva").await.id);
    for user in [ada, eva] {
        world.set_role(user, "admin").await.unwrap();
    }
    world.replace_as(&directory, ada, with_roles("ada", false, &[])).await.unwrap();
    assert_eq!(noted(&directory), []);
    world.replace_as(&directory, eva, with_roles("eva", false, &[])).await.unwrap();
    assert_eq!(noted(&directory), [WriteNote::LastAdmin]);
    // It is told once, when it happens.
    world.replace_as(&directory, eva, with_roles("Eva", false, &[])).await.unwrap();
    assert_eq!(noted(&directory), []);
    world.replace_as(&directory, eva, with_roles("Eva", true, &[])).await.unwrap();
    world.delete_as(&directory, eva).await.unwrap();
    assert_eq!(noted(&directory), [WriteNote::LastAdmin]);
    // By a group.
    let lise = world.user("lise").await.id;
    let ops = world.group("Ops", &[lise.to_string()]).await.id;
    world.map(ops, "admin").await.unwrap();
    let moved = GroupChange::SetExternalId(Some(ExternalId::parse("e2".to_owned()).unwrap()));
    world.change_as(&directory, ops, moved).await.unwrap();
    let held = WriteNote::MappingHeld(super::harness::role("admin"));
    assert_eq!(noted(&directory), [WriteNote::LastAdmin, held]);
    world.change_as(&directory, ops, GroupChange::SetExternalId(None)).await.unwrap();
    assert_eq!(world.role_of(lise).await, "admin by group");
    world.delete_group_as(&directory, ops).await.unwrap();
    assert_eq!(noted(&directory), [WriteNote::LastAdmin]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r20_two_admins_who_demote_each_other_at_once_leave_one(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let (ada, eva) = (world.user("ada").await.id, world.user("eva").await.id);
    for user in [ada, eva] {
        world.set_role(user, "admin").await.unwrap();
    }
    for duel in 0..DUELS {
        let (one, other) = tokio::join!(world.clear_role(ada), world.clear_role(eva));
        assert!(one.is_ok() != other.is_ok(), "{duel}: {one:?} {other:?}");
        let (lost, kept) = if one.is_ok() { (ada, eva) } else { (eva, ada) };
        assert_eq!(one.and(other), Err(Error::LastAdmin), "{duel}");
        if duel % 100 == 0 {
            assert_eq!(world.role_of(kept).await, "admin by manual", "{duel}");
        }
        world.set_role(lost, "admin").await.unwrap();
    }
}

/// Whatever takes the role away, and whatever gave it.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r20_acts_of_different_kinds_at_once_leave_one(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let admin = world.administrator();
    let (ada, eva) = (world.user("ada").await.id, world.user("eva").await.id);
    let ops = world.group("Ops", &[]).await.id;
    world.map(ops, "admin").await.unwrap();
    world.set_role(ada, "admin").await.unwrap();
    for duel in 0..100 {
        world.joins(eva, ops).await;
        let leave = GroupChange::RemoveMembers(vec![eva.to_string()]);
        let (suspended, left) =
            tokio::join!(world.store.suspend_user(&admin, ada), world.change_as(&admin, ops, leave));
        let suspended = suspended.map(drop);
        assert!(suspended.is_ok() != left.is_ok(), "{duel}: {suspended:?} {left:?}");
        assert_eq!(suspended.and(left), Err(Error::LastAdmin), "{duel}");
        world.store.restore_user(&admin, ada).await.unwrap();
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_group_that_is_mapped_and_changed_at_once_is_both(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await.id;
    let ops = world.group("Ops", &[]).await.id;
    world.map(ops, "viewer").await.unwrap();
    for round in 0..30 {
        let change = if round % 2 == 0 { GroupChange::AddMembers } else { GroupChange::RemoveMembers };
        let directory = world.directory();
        let (mapped, changed) =
            tokio::join!(world.map(ops, "developer"), world.change_as(&directory, ops, change(vec![ada.to_string()])),);
        changed.unwrap();
        let expected = if round % 2 == 0 { "developer by group" } else { "explorer by default" };
        assert_eq!(world.role_of(ada).await, expected, "{round}");
        world.unmap(mapped.unwrap().value).await.unwrap();
    }
}
