//! Groups: names, versions, deletion.

use database::testing::Engine::{self, Postgres, Sqlite};
use ids::GroupId;
use rstest::rstest;

use super::{World, directory, group, tenant};
use crate::{
    domain::{Error, ExternalId, GroupChange, GroupName},
    store::{ChangeGroup, DeleteGroup},
};

fn change(group: GroupId, changes: Vec<GroupChange>) -> ChangeGroup {
    ChangeGroup { group, changes, expected_version: None }
}

fn rename(name: &str) -> GroupChange {
    GroupChange::SetDisplayName(GroupName::parse(name.to_owned()).unwrap())
}

#[rstest]
#[tokio::test]
async fn r15_r17_a_name_in_another_case_is_taken_and_the_holder_named(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ops = world.group("Ops", &[]).await;
    let taken = Error::GroupNameTaken { holder: Some(ops.id.to_string()) };
    assert_eq!(world.store.create_group(&world.directory(), group("OPS", &[])).await.unwrap_err(), taken);
    let other = world.group("Other", &[]).await;
    let refused = world.store.change_group(&world.directory(), change(other.id, vec![rename("oPS")])).await;
    assert_eq!(refused.unwrap_err(), taken);
    // Only the last name of a list of changes counts, and its own name in another case is free to it.
    let renamed = world.store.change_group(&world.directory(), change(ops.id, vec![rename("x"), rename("ops")])).await;
    assert_eq!(renamed.unwrap().provisioned.display_name.as_str(), "ops");
}

#[rstest]
#[tokio::test]
async fn changes_are_applied_together_and_raise_one_version(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await.id.to_string();
    let ops = world.group("Ops", &[]).await;
    let external = GroupChange::SetExternalId(Some(ExternalId::parse("e1".into()).unwrap()));
    let changes = vec![rename("Operations"), external, GroupChange::AddMembers(vec![ada])];
    let changed = world.store.change_group(&world.directory(), change(ops.id, changes)).await.unwrap();
    assert_eq!((changed.provisioned.display_name.as_str(), changed.version), ("Operations", 2));
    let read = world.store.group(world.tenant, ops.id).await.unwrap();
    assert_eq!((read.provisioned, read.version), (changed.provisioned, 2));

    let same = vec![rename("Operations"), GroupChange::ClearMembers, GroupChange::ClearMembers];
    assert_eq!(world.store.change_group(&world.directory(), change(ops.id, same)).await.unwrap().version, 3);
    let nothing = vec![rename("Operations"), GroupChange::ClearMembers];
    assert_eq!(world.store.change_group(&world.directory(), change(ops.id, nothing)).await.unwrap().version, 3);
}

#[rstest]
#[tokio::test]
async fn a_stale_version_is_refused(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ops = world.group("Ops", &[]).await;
    let stale = ChangeGroup { group: ops.id, changes: vec![rename("x")], expected_version: Some(7) };
    assert_eq!(
        world.store.change_group(&world.directory(), stale).await.unwrap_err(),
        Error::VersionMismatch { stored: 1 }
    );
}

#[rstest]
#[tokio::test]
async fn a_deleted_group_is_gone_and_its_name_free(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ops = world.group("Ops", &[]).await;
    let delete = || DeleteGroup { group: ops.id, expected_version: None };
    world.store.delete_group(&world.directory(), delete()).await.unwrap();
    assert_eq!(world.store.group(world.tenant, ops.id).await.unwrap_err(), Error::NotFound("group"));
    assert_eq!(world.store.delete_group(&world.directory(), delete()).await, Err(Error::NotFound("group")));
    let changed = world.store.change_group(&world.directory(), change(ops.id, vec![])).await;
    assert_eq!(changed.unwrap_err(), Error::NotFound("group"));
    assert_ne!(world.group("ops", &[]).await.id, ops.id);
}

#[rstest]
#[tokio::test]
async fn r05_no_group_is_seen_or_changed_from_another_tenant(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ops = world.group("Ops", &[]).await;
    let stranger = tenant(&world.store, "globex").await;
    let absent = Error::NotFound("group");
    assert_eq!(world.store.group(stranger, ops.id).await.unwrap_err(), absent);
    let changed = world.store.change_group(&directory(stranger), change(ops.id, vec![rename("x")])).await;
    assert_eq!(changed.unwrap_err(), absent);
    let delete = DeleteGroup { group: ops.id, expected_version: None };
    assert_eq!(world.store.delete_group(&directory(stranger), delete).await.unwrap_err(), absent);
    assert!(world.store.create_group(&directory(stranger), group("Ops", &[])).await.is_ok());
}
