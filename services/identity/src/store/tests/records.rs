//! What a write leaves behind: the change feed and the audit log, in its own transaction.

use std::sync::Arc;

use ::audit::Content;
use database::testing::Engine::{self, Postgres, Sqlite};
use rstest::rstest;
use tokio::sync::Notify;

use super::{World, founder, no_reason, user};
use crate::{
    domain::{Caller, Error, ProvisioningState, RoleId, TenantName},
    store::{
        Running, SetManualRole,
        tx::{ChangeKind, Tx},
    },
};

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn d01_positions_have_no_gap_under_concurrent_and_refused_writes(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let caller = world.directory();
    // Each name twice: half of the writes are refused after they began.
    let creates = (0..60).map(|number| world.store.create_user(&caller, user(&format!("user{}", number / 2))));
    let outcomes = futures::future::join_all(creates).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 30);
    let changes = world.changes().await;
    assert_eq!(changes.iter().filter(|kind| *kind == "user.created").count(), 30);
}

#[rstest]
#[tokio::test]
async fn an_administrators_act_is_audited_and_a_directorys_is_not(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await;
    let set = SetManualRole { user: ada.id, role: RoleId::parse("admin").unwrap() };
    world.store.set_manual_role(&world.administrator(), set).await.unwrap();
    let (entries, _) = world.store.list_audit_entries(world.tenant, 0, 100).await.unwrap();
    let seen: Vec<(i64, &str)> = entries.iter().map(|entry| (entry.position, &*entry.actor)).collect();
    assert_eq!(seen, [(1, "operator:test"), (2, "key:directory"), (3, "key:admin")]);
}

#[rstest]
#[tokio::test]
async fn r05_an_operators_read_is_recorded(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let operator = Caller { operator: true, actor: "operator:o".into(), ..world.administrator() };
    world.store.record_read(&operator, "subject".into()).await.unwrap();
    let (entries, _) = world.store.list_audit_entries(world.tenant, 2, 100).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (&*entries[0].actor, &*entries[0].subject, &*entries[0].content.detail),
        ("operator:o", "subject", "read")
    );
}

#[rstest]
#[tokio::test]
async fn a_refused_write_leaves_no_record(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    world.user("ada").await;
    let before = (world.changes().await, world.store.list_audit_entries(world.tenant, 0, 100).await.unwrap().0.len());
    assert!(world.store.create_user(&world.administrator(), user("ADA")).await.is_err());
    let after = (world.changes().await, world.store.list_audit_entries(world.tenant, 0, 100).await.unwrap().0.len());
    assert_eq!(before, after);
}

#[rstest]
#[tokio::test]
async fn a_tenants_name_is_unique_and_its_provisioning_begins_off(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let create = |name: &str| world.store.create_tenant(founder(), TenantName::parse(name).unwrap());
    let globex = create("globex").await.unwrap();
    assert_eq!(globex.provisioning_state, ProvisioningState::Off);
    assert_eq!(create("globex").await.unwrap_err(), Error::TenantNameTaken);
    assert_eq!(world.store.tenant_by_name(&TenantName::parse("globex").unwrap()).await.unwrap().id, globex.id);
    let listed = world.store.list_tenants(Some(&TenantName::parse("acme").unwrap()), 10).await.unwrap();
    assert_eq!(listed.iter().map(|tenant| tenant.name.as_str()).collect::<Vec<_>>(), ["globex"]);
}

/// A directory's write that has begun and waits for a word to go on.
#[derive(Default)]
struct Gate {
    begun: Notify,
    go_on: Notify,
}

fn wait_and_change<'a>(tx: &'a Tx<'a>, gate: &'a Arc<Gate>) -> Running<'a, ()> {
    Box::pin(async move {
        gate.begun.notify_one();
        gate.go_on.notified().await;
        tx.changed(ChangeKind::UserChanged, tx.tenant(), 1, Content::default());
        Ok(())
    })
}

/// SQLite's writes run one after another, so there is nothing to be between.
#[tokio::test(flavor = "multi_thread")]
async fn r02_a_directorys_write_that_has_begun_is_refused_once_provisioning_is_off() {
    let Some(world) = World::open(Postgres).await else { return };
    let (directory, gate) = (world.directory(), Arc::new(Gate::default()));
    let write = world.store.write(&directory, Arc::clone(&gate), wait_and_change);
    let turn_off = async {
        gate.begun.notified().await;
        world.store.set_provisioning_state(&world.administrator(), ProvisioningState::Off, no_reason()).await.unwrap();
        gate.go_on.notify_one();
    };
    let (written, ()) = futures::future::join(write, turn_off).await;
    assert_eq!(written, Err(Error::ProvisioningOff { reason: no_reason() }));
    assert_eq!(world.changes().await, ["tenant.changed", "tenant.changed"]);
}
