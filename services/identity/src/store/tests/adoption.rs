//! Users who were here before a directory, and those who come back under a new id.

use database::testing::Engine::{self, Postgres, Sqlite};
use rstest::rstest;

use super::{World, no_reason, user};
use crate::{
    domain::{Error, ExternalId, InvalidField, ProvisioningState, UserDraft, WriteNote},
    store::{DeleteUser, ReplaceUser, RestoreUser},
};

fn known_as(name: &str, external_id: &str) -> UserDraft {
    UserDraft { external_id: Some(ExternalId::parse(external_id.to_owned()).unwrap()), ..user(name) }
}

#[rstest]
#[tokio::test]
async fn a_directorys_first_write_to_a_user_whom_others_made_is_an_adoption(
    #[values(Sqlite, Postgres)] engine: Engine,
    #[values(false, true)] changes: bool,
) {
    let Some(world) = World::open(engine).await else { return };
    let (admin, directory) = (world.administrator(), world.directory());
    let ada = world.store.create_user(&admin, user("ada")).await.unwrap();
    assert_eq!(ada.directory_since, None);
    let draft = if changes { known_as("ada", "e1") } else { user("ada") };
    let replace = || ReplaceUser { user: ada.id, draft: draft.clone(), expected_version: None };
    let adopted = world.store.replace_user(&directory, replace()).await.unwrap();
    assert_eq!(directory.notes.take(), [WriteNote::Adopted]);
    assert!(adopted.directory_since.is_some());
    assert_eq!(adopted.version, 1 + i64::from(changes), "that it is the directory's now is no change of the user");

    let again = world.store.replace_user(&directory, replace()).await.unwrap();
    assert_eq!((directory.notes.take(), again.directory_since), (vec![], adopted.directory_since));
    // An administrator adopts nobody, and a directory's own are no adoption.
    let other = world.store.create_user(&directory, user("eva")).await.unwrap();
    assert!(other.directory_since.is_some());
    assert_eq!(directory.notes.take(), []);
}

#[rstest]
#[tokio::test]
async fn what_is_only_previewed_or_refused_adopts_nobody(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let directory = world.directory();
    let ada = world.store.create_user(&world.administrator(), user("ada")).await.unwrap();
    let draft = known_as("ada", "e1");
    let refused = ReplaceUser { user: ada.id, draft: draft.clone(), expected_version: Some(7) };
    assert!(world.store.replace_user(&directory, refused).await.is_err());
    let state = async |state| {
        world.store.set_provisioning_state(&world.administrator(), state, no_reason()).await.unwrap();
    };
    state(ProvisioningState::Preview).await;
    let same = ReplaceUser { user: ada.id, draft: user("ada"), expected_version: None };
    world.store.replace_user(&directory, same).await.unwrap();
    assert_eq!(directory.notes.take(), []);
    state(ProvisioningState::On).await;
    assert_eq!(world.store.user(world.tenant, ada.id).await.unwrap().directory_since, None);
    world.store.replace_user(&directory, ReplaceUser { user: ada.id, draft, expected_version: Some(1) }).await.unwrap();
    assert_eq!(directory.notes.take(), [WriteNote::Adopted]);
}

#[rstest]
#[tokio::test]
async fn r17_who_is_made_with_the_external_id_of_another_is_remarked_on(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let directory = world.directory();
    let create = async |name: &str| world.store.create_user(&directory, known_as(name, "e1")).await.unwrap().id;
    let leaver = create("ada").await;
    assert_eq!(directory.notes.take(), []);
    world.store.delete_user(&directory, DeleteUser { user: leaver, expected_version: None }).await.unwrap();
    let anew = create("ada").await;
    assert_eq!(directory.notes.take(), [WriteNote::DeletedNamesake(leaver)]);
    create("ada.second").await;
    let both = directory.notes.take();
    assert_eq!(both, [WriteNote::ExternalIdShared(anew), WriteNote::DeletedNamesake(leaver)]);
    // Of no external id there are many.
    world.user("x").await;
    world.store.create_user(&directory, user("y")).await.unwrap();
    assert_eq!(directory.notes.take(), []);
}

#[rstest]
#[tokio::test]
async fn who_came_back_is_restored_in_the_place_of_the_one_made_anew(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let (admin, directory) = (world.administrator(), world.directory());
    let leaver = world.user("ada").await.id;
    let group = world.group("staff", &[leaver.to_string()]).await;
    world.store.delete_user(&directory, DeleteUser { user: leaver, expected_version: None }).await.unwrap();
    let anew = world.user("Ada").await.id;
    let taken = world.store.restore_user(&admin, leaver).await.unwrap_err();
    assert_eq!(taken, Error::UserNameTaken { holder: Some(anew.to_string()) });

    let restore = |instead_of| RestoreUser { user: leaver, instead_of: Some(instead_of) };
    let restored = world.store.restore_user(&admin, restore(anew)).await.unwrap();
    assert_eq!((restored.id, restored.active()), (leaver, true));
    assert_eq!(world.store.user(world.tenant, anew).await.unwrap_err(), Error::NotFound("user"));
    let groups = world.store.groups_of(world.tenant, &[leaver]).await.unwrap();
    assert_eq!(groups[&leaver][0].group, group.id);
    let changes = world.changes().await;
    assert_eq!(changes[changes.len() - 2..], ["user.deleted", "user.restored"]);
    // Nothing is done for who needs no restoring, and in the place of nobody.
    let eva = world.user("eva").await.id;
    let live = world.store.restore_user(&admin, restore(eva)).await.unwrap_err();
    let problem = "cannot be set for a user who is not deleted";
    assert_eq!(live, Error::from(InvalidField::new("instead_of_user_id", problem)));
    assert!(world.store.user(world.tenant, eva).await.is_ok());
    let changes = world.changes().await;
    world.store.delete_user(&directory, DeleteUser { user: leaver, expected_version: None }).await.unwrap();
    assert_eq!(world.store.restore_user(&admin, restore(anew)).await.unwrap_err(), Error::NotFound("user"));
    assert_eq!(world.changes().await.len(), changes.len() + 1);
}
