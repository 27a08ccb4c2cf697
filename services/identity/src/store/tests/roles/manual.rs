//! Manual roles, and that no directory touches them.

use database::testing::Engine::{self, Postgres, Sqlite};
use rstest::rstest;

use crate::{
    domain::{EffectiveRole, RoleId, RoleSource, UserDraft},
    store::{
        DeleteUser, ReplaceUser, SetManualRole,
        tests::{World, user},
    },
};

fn role(id: &str, source: RoleSource) -> Option<EffectiveRole> {
    Some(EffectiveRole { role: RoleId::parse(id).unwrap(), source })
}

#[rstest]
#[tokio::test]
async fn a_user_who_arrives_holds_explorer(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    assert_eq!(world.user("ada").await.role, role("explorer", RoleSource::Default));
}

#[rstest]
#[tokio::test]
async fn no_sync_takes_a_manual_role_back(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await;
    let set = || SetManualRole { user: ada.id, role: RoleId::parse("admin").unwrap() };
    let promoted = world.store.set_manual_role(&world.administrator(), set()).await.unwrap();
    assert_eq!((promoted.role, promoted.version), (role("admin", RoleSource::Manual), 2));
    // Setting what is set changes nothing.
    assert_eq!(world.store.set_manual_role(&world.administrator(), set()).await.unwrap().version, 2);

    for active in [false, true] {
        let draft = UserDraft { provisioned_active: Some(active), ..user("ada") };
        let replace = ReplaceUser { user: ada.id, draft, expected_version: None };
        let replaced = world.store.replace_user(&world.directory(), replace).await.unwrap();
        assert_eq!(replaced.role, if active { role("admin", RoleSource::Manual) } else { None });
    }
    world.store.delete_user(&world.directory(), DeleteUser { user: ada.id, expected_version: None }).await.unwrap();
    // Created again under the old name, it is a new person.
    assert_eq!(world.user("ada").await.role, role("explorer", RoleSource::Default));
}

#[rstest]
#[tokio::test]
async fn clearing_a_manual_role_lets_the_default_decide(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await;
    let set = SetManualRole { user: ada.id, role: RoleId::parse("viewer").unwrap() };
    world.store.set_manual_role(&world.administrator(), set).await.unwrap();
    let cleared = world.store.clear_manual_role(&world.administrator(), ada.id).await.unwrap();
    assert_eq!(cleared.role, role("explorer", RoleSource::Default));
    assert_eq!(world.store.clear_manual_role(&world.administrator(), ada.id).await.unwrap().version, cleared.version);
}
