//! The audit log: what it says of each act, its chain, and how long it is kept.

use audit::{Content, Entry, Link, Log, Stored, Values, Verifier};
use database::testing::Engine::{self, Postgres, Sqlite};
use rstest::rstest;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

use super::{World, group, no_reason, user};
use crate::{
    domain::{
        AttributeName, AttributeType, Caller, GroupChange, GroupName, ProvisioningState, RoleId, Timestamp,
        UserAttributeDraft,
    },
    store::{
        AuditChain, AuditEntry, ChangeGroup, DeleteGroup, DeleteUser, ReplaceUser, Running, SetManualRole,
        entity::audit_entry, tx::Tx,
    },
};

pub(super) async fn log(world: &World) -> (Vec<AuditEntry>, AuditChain) {
    world.store.list_audit_entries(world.tenant, 0, 1000).await.unwrap()
}

/// Verifies a whole log from its anchor to its head.
pub(super) fn verify(world: &World, (entries, chain): &(Vec<AuditEntry>, AuditChain)) -> Verifier {
    let mut verifier = Verifier::new(Log::new("identity", world.tenant.to_string()), chain.anchor);
    for entry in entries {
        let stored = Stored {
            entry: Entry {
                position: entry.position,
                at_us: entry.at.0,
                actor: &entry.actor,
                address: &entry.address,
                action: &entry.action,
                subject: &entry.subject,
            },
            content: &entry.content,
            salt: &entry.salt,
            values_digest: &entry.values_digest,
            hash: &entry.hash,
        };
        verifier.check(&stored).unwrap();
    }
    verifier.check_head(chain.head).unwrap();
    verifier
}

/// What an entry says of the act.
fn said(entry: &AuditEntry) -> String {
    let Content { detail, before, after } = &entry.content;
    let list = |values: &Values| {
        let values: Vec<String> = values.as_map().iter().map(|(name, value)| format!("{name}={value}")).collect();
        values.join(" ")
    };
    format!("{detail} [{}] [{}]", list(before), list(after))
}

#[rstest]
#[tokio::test]
async fn r24_each_act_says_what_was_and_what_is(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let (store, admin) = (&world.store, world.administrator());
    let ada = store.create_user(&admin, user("ada")).await.unwrap();
    let mut draft = user("grace");
    draft.profile.title = Some("Admiral".to_owned());
    let replace = ReplaceUser { user: ada.id, draft, expected_version: None };
    store.replace_user(&admin, replace).await.unwrap();
    for role in ["explorer", "developer"] {
        let set = SetManualRole { user: ada.id, role: RoleId::parse(role).unwrap() };
        store.set_manual_role(&admin, set).await.unwrap();
    }
    store.clear_manual_role(&admin, ada.id).await.unwrap();
    store.suspend_user(&admin, ada.id).await.unwrap();
    store.restore_user(&admin, ada.id).await.unwrap();
    let staff = store.create_group(&admin, group("Staff", &[ada.id.to_string()])).await.unwrap();
    let changes = vec![
        GroupChange::SetDisplayName(GroupName::parse("Crew".to_owned()).unwrap()),
        GroupChange::RemoveMembers(vec![ada.id.to_string()]),
    ];
    store.change_group(&admin, ChangeGroup { group: staff.id, changes, expected_version: None }).await.unwrap();
    store.delete_group(&admin, DeleteGroup { group: staff.id, expected_version: None }).await.unwrap();
    let attribute = UserAttributeDraft {
        name: AttributeName::parse("badge".to_owned()).unwrap(),
        kind: AttributeType::Text,
        description: "The badge".to_owned(),
    };
    store.create_user_attribute(&admin, attribute).await.unwrap();
    store.delete_user_attribute(&admin, AttributeName::parse("badge".to_owned()).unwrap()).await.unwrap();
    store.set_provisioning_state(&admin, ProvisioningState::Paused, no_reason()).await.unwrap();
    store.delete_user(&admin, DeleteUser { user: ada.id, expected_version: None }).await.unwrap();

    let log = log(&world).await;
    let id = ada.id;
    let expected = [
        " [] [name=acme]".to_owned(),
        " [provisioning=off] [provisioning=on]".to_owned(),
        "created [] [display_name=The ada provisioned_active=true user_name=ada]".to_owned(),
        " [display_name=The ada user_name=ada] [display_name=The grace profile.title=Admiral user_name=grace]"
            .to_owned(),
        " [] [manual_role=explorer]".to_owned(),
        " [manual_role=explorer] [manual_role=developer]".to_owned(),
        " [manual_role=developer] []".to_owned(),
        " [suspended=false] [suspended=true]".to_owned(),
        "restored [suspended=true] [suspended=false]".to_owned(),
        format!("created [] [display_name=Staff members_added={id}]"),
        format!(" [display_name=Staff] [display_name=Crew members_removed={id}]"),
        "deleted [display_name=Crew] []".to_owned(),
        " [] [description=The badge type=string]".to_owned(),
        " [description=The badge type=string] []".to_owned(),
        " [provisioning=on] [provisioning=paused]".to_owned(),
        "deleted [user_name=grace] []".to_owned(),
    ];
    assert_eq!(log.0.iter().map(said).collect::<Vec<_>>(), expected);
    assert_eq!(verify(&world, &log).entries(), 16);
    // What may be personal stands nowhere else.
    for entry in &log.0 {
        assert!(!format!("{} {}", entry.subject, entry.content.detail).contains("grace"), "{entry:?}");
    }
}

#[rstest]
#[tokio::test]
async fn r24_an_entry_says_from_where(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let caller = Caller { address: Some("192.0.2.7".parse().unwrap()), ..world.administrator() };
    world.store.create_user(&caller, user("ada")).await.unwrap();
    let log = log(&world).await;
    assert_eq!(log.0.iter().map(|entry| &*entry.address).collect::<Vec<_>>(), ["", "", "192.0.2.7"]);
    verify(&world, &log);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r24_acts_at_once_make_one_chain(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let caller = world.administrator();
    // Each name twice: half of the acts are refused after they began.
    let creates = (0..120).map(|number| world.store.create_user(&caller, user(&format!("user{}", number / 2))));
    let outcomes = futures::future::join_all(creates).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 60);
    assert_eq!(verify(&world, &log(&world).await).entries(), 62);
}

#[rstest]
#[tokio::test]
async fn r26_an_entry_that_was_blanked_verifies(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    world.store.create_user(&world.administrator(), user("ada")).await.unwrap();
    world.store.write(&world.directory(), (), blank).await.unwrap();
    let log = log(&world).await;
    assert_eq!(said(&log.0[2]), " [] []");
    assert_eq!(verify(&world, &log).blanked(), 1);
}

fn blank<'a>(tx: &'a Tx<'a>, (): &'a ()) -> Running<'a, ()> {
    Box::pin(async move {
        audit_entry::Entity::update_many()
            .col_expr(audit_entry::Column::Detail, Expr::value(""))
            .col_expr(audit_entry::Column::BeforeValues, Expr::value("{}"))
            .col_expr(audit_entry::Column::AfterValues, Expr::value("{}"))
            .col_expr(audit_entry::Column::Salt, Expr::value(Option::<Vec<u8>>::None))
            .filter(audit_entry::Column::Position.eq(3))
            .exec(tx.db)
            .await?;
        Ok(())
    })
}

/// Gives each entry the time of its position, in seconds.
fn age<'a>(tx: &'a Tx<'a>, (): &'a ()) -> Running<'a, ()> {
    Box::pin(async move {
        audit_entry::Entity::update_many()
            .col_expr(audit_entry::Column::AtUs, Expr::cust("position * 1000000"))
            .exec(tx.db)
            .await?;
        Ok(())
    })
}

#[rstest]
#[tokio::test]
async fn r24_a_purge_takes_the_oldest_and_moves_the_anchor(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    for name in ["ada", "grace", "joan"] {
        world.store.create_user(&world.administrator(), user(name)).await.unwrap();
    }
    world.store.write(&world.directory(), (), age).await.unwrap();
    let (before, start) = log(&world).await;
    assert_eq!((before.len(), start.anchor), (5, Link::START));
    let purge = async |second: i64| world.store.purge_audit(Timestamp(second * 1_000_000)).await.unwrap();
    assert_eq!(purge(1).await, 0, "what is exactly as old as that is kept");
    // Two replicas at once: each entry goes once.
    let (one, other) = futures::future::join(purge(4), purge(4)).await;
    assert_eq!(one + other, 3);
    let (after, chain) = log(&world).await;
    assert_eq!(after.iter().map(|entry| entry.position).collect::<Vec<_>>(), [4, 5]);
    assert_eq!((chain.anchor.position, chain.head), (3, start.head));
    assert_eq!(chain.anchor.hash.as_bytes(), before[2].hash);
    // All of them: the log goes on from there.
    assert_eq!(purge(100).await, 2);
    assert_eq!(log(&world).await.1.anchor, start.head);
    world.store.create_user(&world.administrator(), user("lise")).await.unwrap();
    let log = log(&world).await;
    assert_eq!((log.0[0].position, verify(&world, &log).entries()), (6, 1));
}
