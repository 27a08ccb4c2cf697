//! Users: names, versions, deletion, suspension, and the walls between tenants.

use database::testing::Engine::{self, Postgres, Sqlite};
use ids::UserId;
use rstest::rstest;

use super::{
    World, directory,
    filters::{all, element, equals},
    group, no_reason, tenant, user,
};
use crate::{
    domain::{ContactPoint, DisplayName, Error, GroupChange, Profile, ProvisioningState, StateReason, UserDraft},
    store::{ChangeGroup, DeleteUser, ReplaceUser},
};

fn replace(user: UserId, draft: UserDraft) -> ReplaceUser {
    ReplaceUser { user, draft, expected_version: None }
}

#[rstest]
#[tokio::test]
async fn what_is_created_is_read_back(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let mut draft = user("Ada@Example.org");
    draft.profile.emails = vec![ContactPoint { value: Some("ada@example.org".into()), ..ContactPoint::default() }];
    let created = world.store.create_user(&world.directory(), draft.clone()).await.unwrap();
    let read = world.store.user(world.tenant, created.id).await.unwrap();
    assert_eq!(read.provisioned, draft);
    assert_eq!((read.version, read.active(), read.created_at), (1, true, created.created_at));
}

#[rstest]
#[tokio::test]
async fn r15_r17_a_name_in_another_case_is_taken_and_the_holder_named(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let holder = world.user("straße@example.org").await;
    let refused = world.store.create_user(&world.directory(), user("STRAẞE@example.org")).await.unwrap_err();
    assert_eq!(refused, Error::UserNameTaken { holder: Some(holder.id.to_string()) });

    let other = world.user("other").await;
    let refused = world.store.replace_user(&world.directory(), replace(other.id, user("Straße@example.org"))).await;
    assert_eq!(refused.unwrap_err(), Error::UserNameTaken { holder: Some(holder.id.to_string()) });
    assert_eq!(world.store.user(world.tenant, other.id).await.unwrap().version, 1);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r17_of_many_creates_of_one_name_at_once_exactly_one_succeeds(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let caller = world.directory();
    let creates = ["ada", "ADA", "Ada", "aDa", "adA", "ADa", "aDA", "AdA"]
        .map(|name| world.store.create_user(&caller, user(name)));
    let outcomes = futures::future::join_all(creates).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let conflicts = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::UserNameTaken { holder: Some(_) })));
    assert_eq!(conflicts.count(), 7);
}

#[rstest]
#[tokio::test]
async fn r15_a_rename_that_changes_only_case_succeeds(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await;
    let renamed = world.store.replace_user(&world.directory(), replace(ada.id, user("ADA"))).await.unwrap();
    assert_eq!((renamed.provisioned.user_name.as_str(), renamed.version), ("ADA", 2));
}

#[rstest]
#[tokio::test]
async fn d03_a_replacement_that_changes_nothing_raises_no_version(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await;
    let replaced = world.store.replace_user(&world.directory(), replace(ada.id, user("ada"))).await.unwrap();
    assert_eq!((replaced.version, replaced.updated_at), (1, ada.updated_at));
    assert_eq!(world.changes().await, ["tenant.changed", "user.created"]);
}

#[rstest]
#[tokio::test]
async fn a_stale_version_is_refused_and_named(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await;
    let stale = || ReplaceUser { user: ada.id, draft: user("bob"), expected_version: Some(1) };
    world.store.replace_user(&world.directory(), stale()).await.unwrap();
    let refused = world.store.replace_user(&world.directory(), stale()).await.unwrap_err();
    assert_eq!(refused, Error::VersionMismatch { stored: 2 });
    let delete = DeleteUser { user: ada.id, expected_version: Some(1) };
    assert_eq!(world.store.delete_user(&world.directory(), delete).await, Err(Error::VersionMismatch { stored: 2 }));
}

#[rstest]
#[tokio::test]
async fn a_deleted_user_is_gone_and_its_name_free(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await;
    let delete = || DeleteUser { user: ada.id, expected_version: None };
    world.store.delete_user(&world.directory(), delete()).await.unwrap();
    assert_eq!(world.store.user(world.tenant, ada.id).await.unwrap_err(), Error::NotFound("user"));
    assert_eq!(world.store.delete_user(&world.directory(), delete()).await, Err(Error::NotFound("user")));
    let replaced = world.store.replace_user(&world.directory(), replace(ada.id, user("ada"))).await;
    assert_eq!(replaced.unwrap_err(), Error::NotFound("user"));
    assert_ne!(world.user("Ada").await.id, ada.id);
}

#[rstest]
#[tokio::test]
async fn r17_a_restore_onto_a_taken_name_is_refused_and_the_holder_named(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let leaver = world.user("ada").await;
    world.store.delete_user(&world.directory(), DeleteUser { user: leaver.id, expected_version: None }).await.unwrap();
    let newcomer = world.user("ada").await;
    let refused = world.store.restore_user(&world.administrator(), leaver.id).await.unwrap_err();
    assert_eq!(refused, Error::UserNameTaken { holder: Some(newcomer.id.to_string()) });

    world
        .store
        .delete_user(&world.directory(), DeleteUser { user: newcomer.id, expected_version: None })
        .await
        .unwrap();
    let restored = world.store.restore_user(&world.administrator(), leaver.id).await.unwrap();
    assert_eq!((restored.id, restored.active()), (leaver.id, true));
}

#[rstest]
#[tokio::test]
async fn r23_no_sync_lifts_a_suspension(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await;
    let suspended = world.store.suspend_user(&world.administrator(), ada.id).await.unwrap();
    assert!(!suspended.active() && suspended.governing_active && suspended.role.is_none());

    let off = UserDraft { provisioned_active: Some(false), ..user("ada") };
    world.store.replace_user(&world.directory(), replace(ada.id, off)).await.unwrap();
    let on = world.store.replace_user(&world.directory(), replace(ada.id, user("ada"))).await.unwrap();
    assert!(on.suspended && !on.active() && on.governing_active);

    let restored = world.store.restore_user(&world.administrator(), ada.id).await.unwrap();
    assert!(restored.active() && restored.role.is_some());
}

#[rstest]
#[tokio::test]
async fn r13_a_directory_obeys_the_provisioning_state_and_an_administrator_does_not(
    #[values(Sqlite, Postgres)] engine: Engine,
) {
    let Some(world) = World::open(engine).await else { return };
    let reason = StateReason::parse("an audit").unwrap();
    for (state, refusal) in [
        (ProvisioningState::Off, Error::ProvisioningOff { reason: reason.clone() }),
        (ProvisioningState::Paused, Error::ProvisioningPaused { reason: reason.clone() }),
    ] {
        world.store.set_provisioning_state(&world.administrator(), state, reason.clone()).await.unwrap();
        assert_eq!(world.store.create_user(&world.directory(), user("ada")).await.unwrap_err(), refusal);
    }
    assert!(world.store.create_user(&world.administrator(), user("ada")).await.is_ok());
}

#[rstest]
#[tokio::test]
async fn r13_in_preview_each_write_is_tried_told_and_taken_back(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let (ada, ops) = (world.user("ada").await, world.group("Ops", &[]).await);
    world.store.set_provisioning_state(&world.administrator(), ProvisioningState::Preview, no_reason()).await.unwrap();
    let (store, directory, before) = (&world.store, world.directory(), world.changes().await);
    let would = |refused: Error| match refused {
        Error::ProvisioningPreview { would, .. } => would,
        other => panic!("{other:?}"),
    };
    assert_eq!(would(store.create_user(&directory, user("eva")).await.unwrap_err()), "create a user");
    let changed = store.replace_user(&directory, replace(ada.id, user("eva"))).await.unwrap_err();
    assert_eq!(would(changed), format!("change the user {}", ada.id));
    let delete = DeleteUser { user: ada.id, expected_version: None };
    assert_eq!(would(store.delete_user(&directory, delete).await.unwrap_err()), format!("delete the user {}", ada.id));
    let created = store.create_group(&directory, group("Dev", &[ada.id.to_string()])).await.unwrap_err();
    assert_eq!(would(created), "create a group and add 1 member");
    let change = ChangeGroup {
        group: ops.id,
        changes: vec![GroupChange::AddMembers(vec![ada.id.to_string()])],
        expected_version: None,
    };
    let changed = store.change_group(&directory, change).await.unwrap_err();
    assert_eq!(would(changed), format!("add 1 member to the group {}", ops.id));
    // What would be refused is refused, and what would change nothing is answered.
    let taken = store.create_user(&directory, user("ADA")).await.unwrap_err();
    assert_eq!(taken, Error::UserNameTaken { holder: Some(ada.id.to_string()) });
    assert_eq!(store.replace_user(&directory, replace(ada.id, user("ada"))).await.unwrap().version, ada.version);
    // Nothing was left behind, and an administrator writes.
    assert_eq!(world.changes().await, before);
    assert_eq!(store.user(world.tenant, ada.id).await.unwrap().provisioned, ada.provisioned);
    assert!(store.create_user(&world.administrator(), user("eva")).await.is_ok());
}

#[rstest]
#[tokio::test]
async fn r05_nothing_of_one_tenant_is_seen_or_changed_from_another(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await;
    let stranger = tenant(&world.store, "globex").await;
    let caller = directory(stranger);
    let absent = Error::NotFound("user");
    assert_eq!(world.store.user(stranger, ada.id).await.unwrap_err(), absent);
    assert_eq!(world.store.replace_user(&caller, replace(ada.id, user("x"))).await.unwrap_err(), absent);
    assert_eq!(world.store.suspend_user(&caller, ada.id).await.unwrap_err(), absent);
    assert_eq!(world.store.restore_user(&caller, ada.id).await.unwrap_err(), absent);
    assert_eq!(world.store.clear_manual_role(&caller, ada.id).await.unwrap_err(), absent);
    let delete = DeleteUser { user: ada.id, expected_version: None };
    assert_eq!(world.store.delete_user(&caller, delete).await.unwrap_err(), absent);
    // The same name is free there.
    let namesake = world.store.create_user(&caller, user("ada")).await.unwrap();
    assert_ne!(namesake.id, ada.id);
    assert_eq!(world.store.user(world.tenant, ada.id).await.unwrap().provisioned, user("ada"));
}

#[rstest]
#[tokio::test]
async fn a_tenant_that_does_not_exist_takes_no_write(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let nowhere = directory(ids::TenantId::generate());
    assert_eq!(world.store.create_user(&nowhere, user("ada")).await.unwrap_err(), Error::NotFound("tenant"));
}

#[rstest]
#[tokio::test]
async fn a_directory_that_takes_its_word_back_changes_nothing_about_access(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await;
    let said = |word: Option<bool>| replace(ada.id, UserDraft { provisioned_active: word, ..user("ada") });
    let mut seen = Vec::new();
    for word in [None, None, Some(false), None, Some(false), Some(true)] {
        let user = world.store.replace_user(&world.directory(), said(word)).await.unwrap();
        assert_eq!(world.store.user(world.tenant, ada.id).await.unwrap().provisioned, user.provisioned);
        seen.push((user.provisioned.provisioned_active, user.active(), user.version));
    }
    let expected = [
        (None, true, 2),
        (None, true, 2),
        (Some(false), false, 3),
        (None, false, 4),
        (Some(false), false, 5),
        (Some(true), true, 6),
    ];
    assert_eq!(seen, expected);
    let silent = UserDraft { provisioned_active: None, ..user("bob") };
    let bob = world.store.create_user(&world.directory(), silent).await.unwrap();
    assert_eq!((bob.provisioned.provisioned_active, bob.active()), (Some(true), true));
}
#[rstest]
#[tokio::test]
async fn the_addresses_asked_for_follow_the_profile(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let with_email = |value: &str| UserDraft {
        profile: Profile {
            emails: vec![ContactPoint {
                value: Some(value.into()),
                kind: Some("work".into()),
                ..ContactPoint::default()
            }],
            ..Profile::default()
        },
        ..user("ada")
    };
    let ada = world.store.create_user(&world.directory(), with_email("Ada@old.example")).await.unwrap();
    let found = async |value: &str, kind: Option<&str>| {
        let kind = kind.map(|kind| equals("type", kind));
        let address = all(std::iter::once(equals("value", value)).chain(kind).collect());
        world.matching(element("profile.emails", address)).await.len()
    };
    assert_eq!((found("ada@OLD.example", Some("WORK")).await, found("ada@old.example", Some("home")).await), (1, 0));
    world.store.replace_user(&world.directory(), replace(ada.id, with_email("ada@new.example"))).await.unwrap();
    assert_eq!((found("ada@old.example", None).await, found("ada@new.example", None).await), (0, 1));
}

/// The longest name is longer than an entry of PostgreSQL's indexes may be.
#[rstest]
#[tokio::test]
async fn a_user_with_the_longest_display_name_is_kept_and_found(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    // Each character is another, so that nothing is compressed.
    let name = |first: u32| -> String { (0..1024).filter_map(|at| char::from_u32(first + at * 7 % 20_000)).collect() };
    let mut made = Vec::new();
    for (user_name, first) in [("ada", 0x4e00), ("bob", 0x4e01)] {
        let display_name = Some(DisplayName::parse(name(first)).unwrap());
        let draft = UserDraft { display_name, ..user(user_name) };
        made.push(world.store.create_user(&world.directory(), draft).await.unwrap());
    }
    let stored = world.store.user(world.tenant, made[1].id).await.unwrap();
    assert_eq!(stored.provisioned.display_name.unwrap().as_str(), name(0x4e01));
}
