//! Who loses access is told of until that was dealt with, and a tenant ends with everything of it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ::audit::Content;
use database::testing::Engine::{self, Postgres, Sqlite};
use futures::future::join_all;
use ids::{TenantId, UserId};
use rstest::rstest;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, Statement};
use tokio::sync::Notify;

use super::{World, audit, directory, founder, tenant, user};
use crate::{
    domain::{
        Access, AttributeName, AttributeType, ConsumerName, Departure, Error, Holder, MappedGroup, RoleDraft, RoleId,
        TenantName, Timestamp, UserAttributeDraft, UserDraft,
    },
    store::{
        Acknowledge, CreateRoleMapping, DeleteUser, Doing, ReplaceUser, SetManualRole,
        entity::{tenant as tenant_row, user as user_row},
        tenant_deletion::{BATCH, GOING, STAYING},
        tx::{ChangeKind, Tx},
    },
};

impl World {
    async fn pending(&self) -> Vec<Departure> {
        self.store.pending_departures().await.unwrap()
    }

    /// Whose departures are pending; each is acknowledged.
    async fn departed(&self) -> Vec<Holder> {
        let pending = self.pending().await;
        self.store.acknowledge_departures(pending.clone()).await.unwrap();
        assert_eq!(self.pending().await, []);
        pending.into_iter().map(|departure| departure.holder).collect()
    }

    fn person(&self, id: UserId) -> Holder {
        Holder { tenant: self.tenant, user: Some(id) }
    }

    async fn provision(&self, id: UserId, active: bool) {
        let draft = UserDraft { provisioned_active: Some(active), ..user("ada") };
        let replace = ReplaceUser { user: id, draft, expected_version: None };
        self.store.replace_user(&self.directory(), replace).await.unwrap();
    }

    async fn access_of(&self, holder: Holder) -> Access {
        self.store.access(&[holder]).await.unwrap()[0]
    }

    /// The operator's caller.
    fn operator(&self) -> crate::domain::Caller {
        crate::domain::Caller { actor: "operator:test".to_owned(), operator: true, ..self.administrator() }
    }
}

#[rstest]
#[tokio::test]
async fn each_way_to_lose_access_is_told_once_and_nothing_else_is(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await.id;
    let store = &world.store;
    world.group("Ops", &[ada.to_string()]).await;
    store.set_manual_role(&world.administrator(), SetManualRole { user: ada, role: RoleId::explorer() }).await.unwrap();
    assert_eq!(world.departed().await, []);
    world.provision(ada, false).await;
    assert_eq!(world.departed().await, [world.person(ada)], "by the directory");
    // Who has no access can lose none.
    world.provision(ada, false).await;
    store.suspend_user(&world.administrator(), ada).await.unwrap();
    store.restore_user(&world.administrator(), ada).await.unwrap();
    world.provision(ada, true).await;
    assert_eq!(world.departed().await, []);
    store.suspend_user(&world.administrator(), ada).await.unwrap();
    assert_eq!(world.departed().await, [world.person(ada)], "by an administrator");
    store.restore_user(&world.administrator(), ada).await.unwrap();
    store.delete_user(&world.directory(), DeleteUser { user: ada, expected_version: None }).await.unwrap();
    assert_eq!(world.departed().await, [world.person(ada)], "by a deletion");
    store.restore_user(&world.administrator(), ada).await.unwrap();
    store.erase_user(&world.administrator(), ada).await.unwrap();
    assert_eq!(world.departed().await, [world.person(ada)], "by an erasure");
}

#[rstest]
#[tokio::test]
async fn a_write_that_is_refused_tells_of_nobody(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await.id;
    let delete = DeleteUser { user: ada, expected_version: Some(7) };
    world.store.delete_user(&world.directory(), delete).await.unwrap_err();
    assert_eq!(world.pending().await, []);
}

#[rstest]
#[tokio::test]
async fn who_leaves_again_before_it_was_dealt_with_is_told_of_again(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await.id;
    world.provision(ada, false).await;
    let first = world.pending().await;
    world.provision(ada, true).await;
    world.provision(ada, false).await;
    let second = world.pending().await;
    assert_eq!(second.len(), 1);
    assert_ne!(first[0].id, second[0].id);
    // What is said of the first is not said of the second.
    world.store.acknowledge_departures(first).await.unwrap();
    assert_eq!(world.pending().await, second);
    assert_eq!(world.departed().await, [world.person(ada)]);
}

#[rstest]
#[tokio::test]
async fn a_listener_hears_what_was_and_what_comes_and_again_what_was_not_dealt_with(
    #[values(Sqlite, Postgres)] engine: Engine,
) {
    let Some(world) = World::open(engine).await else { return };
    let (ada, eva) = (world.user("ada").await.id, world.user("eva").await.id);
    world.provision(ada, false).await;
    let mut listener = world.store.departures();
    let heard = listener.next().await.unwrap();
    assert_eq!(heard.iter().map(|one| one.holder).collect::<Vec<_>>(), [world.person(ada)]);
    let (next, ()) = tokio::join!(listener.next(), async {
        world.store.suspend_user(&world.administrator(), eva).await.unwrap();
    });
    assert_eq!(next.unwrap().iter().map(|one| one.holder).collect::<Vec<_>>(), [world.person(eva)]);
    assert_eq!(listener.next().await.unwrap(), [], "a sign of life");
    // Another listener hears of all that is left.
    assert_eq!(world.store.departures().next().await.unwrap().len(), 2);
    world.store.acknowledge_departures(heard).await.unwrap();
    let again = async {
        loop {
            let heard = listener.next().await.unwrap();
            if !heard.is_empty() {
                return heard;
            }
        }
    };
    let again = tokio::time::timeout(Duration::from_secs(30), again).await.unwrap();
    assert_eq!(again.iter().map(|one| one.holder).collect::<Vec<_>>(), [world.person(eva)]);
    world.store.end_followers();
    assert_eq!(listener.next().await.unwrap_err(), Error::Ending);
}

#[rstest]
#[tokio::test]
async fn access_is_granted_lost_or_not_known(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let (ada, eva) = (world.user("ada").await.id, world.user("eva").await.id);
    let nobody = world.person(UserId::generate());
    let whole = Holder { tenant: world.tenant, user: None };
    let elsewhere = Holder { tenant: tenant(&world.store, "globex").await, user: Some(ada) };
    let no_tenant = Holder { tenant: TenantId::generate(), user: None };
    let all = [world.person(ada), nobody, whole, elsewhere, no_tenant, world.person(eva)];
    use Access::{Granted, Lost, Unknown};
    let access = world.store.access(&all).await.unwrap();
    assert_eq!(access, [Granted, Unknown, Granted, Unknown, Unknown, Granted]);
    world.provision(ada, false).await;
    assert_eq!(world.access_of(world.person(ada)).await, Lost);
    world.provision(ada, true).await;
    world.store.suspend_user(&world.administrator(), ada).await.unwrap();
    assert_eq!(world.access_of(world.person(ada)).await, Lost);
    world.store.restore_user(&world.administrator(), ada).await.unwrap();
    assert_eq!(world.access_of(world.person(ada)).await, Granted);
    world.store.delete_user(&world.directory(), DeleteUser { user: ada, expected_version: None }).await.unwrap();
    assert_eq!(world.access_of(world.person(ada)).await, Lost);
    world.store.erase_user(&world.administrator(), ada).await.unwrap();
    assert_eq!(world.access_of(world.person(ada)).await, Lost, "by the ledger");
    world.store.delete_tenant(&world.operator()).await.unwrap();
    let access = world.store.access(&all).await.unwrap();
    assert_eq!(access, [Lost, Lost, Lost, Unknown, Unknown, Lost]);
}

#[rstest]
#[tokio::test]
async fn nothing_of_a_deleted_tenant_answers_and_another_is_as_it_was(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await.id;
    let other = tenant(&world.store, "globex").await;
    let theirs = world.store.create_user(&directory(other), user("ada")).await.unwrap().id;
    world.store.delete_tenant(&world.operator()).await.unwrap();
    let gone = Error::NotFound("tenant");
    let store = &world.store;
    assert_eq!(store.tenant(world.tenant).await.unwrap_err(), gone);
    assert_eq!(store.tenant_by_name(&TenantName::parse("acme").unwrap()).await.unwrap_err(), gone);
    assert_eq!(store.create_user(&world.directory(), user("eva")).await.unwrap_err(), gone);
    assert_eq!(store.suspend_user(&world.administrator(), ada).await.unwrap_err(), gone);
    assert_eq!(store.feed_head(world.tenant).await.unwrap_err(), gone);
    assert_eq!(store.delete_tenant(&world.operator()).await.unwrap_err(), gone);
    let listed = store.list_tenants(None, 10).await.unwrap();
    assert_eq!(listed.into_iter().map(|tenant| tenant.name).collect::<Vec<_>>(), ["globex"]);
    // Its end is told of, and its log tells whose act it was.
    assert_eq!(world.departed().await, [Holder { tenant: world.tenant, user: None }]);
    let log = audit::log(&world).await;
    let last = log.0.last().unwrap();
    assert_eq!((&*last.actor, &*last.content.detail), ("operator:test", "deleted"));
    audit::verify(&world, &log);
    // Who reads it later stands in it too.
    let reads = crate::domain::Caller { action: "test/Read", ..world.operator() };
    store.record_log_read(&reads).await.unwrap();
    let log = audit::log(&world).await;
    assert_eq!(log.0.last().unwrap().action, "test/Read");
    audit::verify(&world, &log);
    let never = crate::domain::Caller { tenant: TenantId::generate(), ..reads };
    assert_eq!(store.record_log_read(&never).await.unwrap_err(), gone);
    // Its name is free, for a tenant that has nothing of it.
    let again = store.create_tenant(founder(), TenantName::parse("acme").unwrap()).await.unwrap();
    assert_ne!(again.id, world.tenant);
    assert_eq!(store.user(again.id, ada).await.unwrap_err(), Error::NotFound("user"));
    assert!(store.user(other, theirs).await.is_ok());
    assert!(store.create_user(&directory(other), user("eva")).await.is_ok());
}

async fn rows(world: &World, table: &str, tenant: TenantId) -> i64 {
    let db = world.store.database.read();
    let (sql, values) = (format!("SELECT COUNT(*) FROM {table} WHERE tenant_id = $1"), [tenant.uuid().into()]);
    let row = db.query_one_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await.unwrap();
    row.unwrap().try_get_by_index(0).unwrap()
}

#[rstest]
#[tokio::test]
async fn every_table_of_tenants_goes_with_them_or_is_known_to_stay(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let sql = match engine {
        Sqlite => {
            "SELECT m.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name = 'tenant_id'"
        }
        Postgres => {
            "SELECT table_name::text FROM information_schema.columns WHERE table_schema = 'identity' AND column_name = 'tenant_id'"
        }
    };
    let db = world.store.database.read();
    let found = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
    let found: BTreeSet<String> = found.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    let known: BTreeSet<String> =
        GOING.iter().map(|(table, _)| *table).chain(STAYING.iter().copied()).map(str::to_owned).collect();
    assert_eq!(found, known, "a table of tenants stands in GOING, or in STAYING with the reason");
}

/// Puts something into every table that goes.
async fn fill(world: &World, tenant: TenantId) {
    let store = &world.store;
    let directory = directory(tenant);
    let administrator = crate::domain::Caller { provisioning: false, administrator: true, ..directory.clone() };
    let profile = crate::domain::Profile {
        emails: vec![crate::domain::ContactPoint { value: Some("ada@example.com".to_owned()), ..Default::default() }],
        roles: vec![crate::domain::ContactPoint { value: Some("developer".to_owned()), ..Default::default() }],
        ..Default::default()
    };
    let ada = store.create_user(&directory, UserDraft { profile, ..user("ada") }).await.unwrap().id;
    let ops = store.create_group(&directory, super::group("Ops", &[ada.to_string()])).await.unwrap().id;
    store.create_role(&administrator, RoleDraft::parse("billing", 1, String::new()).unwrap()).await.unwrap();
    let map = CreateRoleMapping { group: MappedGroup::Id(ops), role: RoleId::explorer() };
    store.create_role_mapping(&administrator, Doing::Act, map).await.unwrap();
    store.set_manual_role(&administrator, SetManualRole { user: ada, role: RoleId::explorer() }).await.unwrap();
    let name = AttributeName::parse("badge".to_owned()).unwrap();
    let draft = UserAttributeDraft { name, kind: AttributeType::Text, description: String::new() };
    store.create_user_attribute(&administrator, draft).await.unwrap();
    let consumer = ConsumerName::parse("consumer", "billing".to_owned()).unwrap();
    let position = store.feed_head(tenant).await.unwrap().position;
    store.acknowledge_changes(&administrator, Acknowledge { consumer, position }).await.unwrap();
    store.append_to_log(tenant, vec![super::provisioning_log::about_user(ada.uuid())]).await.unwrap();
    let erased = store.create_user(&directory, user("eva")).await.unwrap().id;
    store.erase_user(&administrator, erased).await.unwrap();
    super::events::fill(world, &administrator).await;
    for (table, _) in GOING {
        assert!(rows(world, table, tenant).await > 0, "{table} is empty: nothing would be shown");
    }
}

#[rstest]
#[tokio::test]
async fn the_rows_of_a_deleted_tenant_go_but_for_its_audit_log_which_goes_after_its_time(
    #[values(Sqlite, Postgres)] engine: Engine,
) {
    let Some(world) = World::open(engine).await else { return };
    let (store, other) = (&world.store, tenant(&world.store, "globex").await);
    fill(&world, world.tenant).await;
    fill(&world, other).await;
    let now = Timestamp::now();
    assert_eq!(store.purge_tenants(now).await.unwrap(), 0, "nobody was deleted");
    store.delete_tenant(&world.operator()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), store.tenant_deleted()).await.unwrap();
    let (one, there) = tokio::join!(store.purge_tenants(now), store.purge_tenants(now));
    assert!(one.unwrap() + there.unwrap() > 12);
    for (table, _) in GOING {
        assert_eq!(rows(&world, table, world.tenant).await, 0, "{table}");
        assert!(rows(&world, table, other).await > 0, "{table}");
    }
    let log = audit::log(&world).await;
    assert!(log.0.len() > 5);
    audit::verify(&world, &log);
    // It is looked at until whatever was under way at its end must be over, and then no more.
    let looked_at = async || {
        let rows = tenant_row::Entity::find().filter(tenant_row::Column::PurgedAtUs.is_null());
        rows.count(store.database.read()).await.unwrap()
    };
    assert_eq!(store.purge_tenants(Timestamp::now()).await.unwrap(), 0);
    assert_eq!(looked_at().await, 2);
    let later = Timestamp(Timestamp::now().0 + 3_600_000_000);
    assert_eq!(store.purge_tenants(later).await.unwrap(), 0);
    assert_eq!(looked_at().await, 1);
    // As long as there is a log or api-keys was not told, it is remembered.
    assert_eq!(store.forget_tenants(later).await.unwrap(), 0);
    store.purge_audit(later).await.unwrap();
    assert_eq!(store.forget_tenants(later).await.unwrap(), 0);
    world.departed().await;
    assert_eq!(store.forget_tenants(Timestamp(0)).await.unwrap(), 0, "not yet");
    assert_eq!(store.forget_tenants(later).await.unwrap(), 1);
    for table in STAYING {
        assert_eq!(rows(&world, table, world.tenant).await, 0, "{table}");
    }
    assert!(store.tenant(other).await.is_ok());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_while_a_tenant_is_deleted_comes_before_or_is_refused_and_all_of_it_goes(
    #[values(Sqlite, Postgres)] engine: Engine,
) {
    let Some(world) = World::open(engine).await else { return };
    let world = &world;
    let writers = (0..24).map(|number| async move {
        // The twelfth is the deletion.
        if number == 12 {
            return world.store.delete_tenant(&world.operator()).await.map(|()| None);
        }
        let caller = if number % 2 == 0 { world.directory() } else { world.administrator() };
        world.store.create_user(&caller, user(&format!("user{number}"))).await.map(Some)
    });
    let outcomes = join_all(writers).await;
    let made = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Some(_)))).count();
    for outcome in &outcomes {
        assert!(
            outcome.is_ok() || outcome.as_ref().is_err_and(|error| *error == Error::NotFound("tenant")),
            "{outcome:?}"
        );
    }
    let (entries, chain) = audit::log(world).await;
    assert_eq!(entries.last().unwrap().content.detail, "deleted", "nothing was committed after it");
    assert_eq!(entries.last().unwrap().position, chain.head.position);
    assert_eq!(rows(world, "users", world.tenant).await, i64::try_from(made).unwrap());
    world.store.purge_tenants(Timestamp::now()).await.unwrap();
    assert_eq!(rows(world, "users", world.tenant).await, 0);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_more_rows_than_one_transaction_takes_goes(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let world = &world;
    let more = usize::try_from(BATCH).unwrap() + 1;
    let creates = (0..more).map(|number| async move { world.user(&format!("user{number}")).await.id.to_string() });
    let members: Vec<String> =
        futures::StreamExt::collect(futures::StreamExt::buffered(futures::stream::iter(creates), 16)).await;
    world.group("All", &members).await;
    world.store.delete_tenant(&world.operator()).await.unwrap();
    assert!(world.store.purge_tenants(Timestamp::now()).await.unwrap() > 3 * BATCH);
    assert_eq!(user_row::Entity::find().count(world.store.database.read()).await.unwrap(), 0);
}

/// A write of an administrator's that a test holds up: it says that it has begun, and goes on when it is told to.
struct Held {
    written: tokio::task::JoinHandle<Result<(), Error>>,
    go_on: Arc<Notify>,
}

/// Where a held write waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before it takes its positions.
    Beginning,
    /// Before its commit.
    End,
}

/// Begins a write that says that a person lost access. SQLite's writes run one after another, so none is held up there.
async fn held(world: &World, person: UserId, at: At) -> Held {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (store, caller, gate) = (world.store.clone(), world.administrator(), (Arc::clone(&begun), Arc::clone(&go_on)));
    let written = tokio::spawn(async move {
        let written = store.database.write(move |db| {
            let (caller, (begun, go_on)) = (caller.clone(), gate.clone());
            Box::pin(async move {
                let wait = async |here: At| {
                    if here == at {
                        begun.notify_one();
                        go_on.notified().await;
                    }
                };
                let tx = Tx::begin(db, &caller).await?;
                wait(At::Beginning).await;
                tx.changed(ChangeKind::UserDeleted, person.uuid(), 2, Content::default());
                tx.record().await?;
                wait(At::End).await;
                Ok(())
            })
        });
        written.await.map_err(|error| match error {
            database::Error::Refused(error) => error,
            database::Error::Database(error) => panic!("{error}"),
        })
    });
    begun.notified().await;
    Held { written, go_on }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_began_before_its_tenant_was_deleted_is_not_committed_after_it() {
    let Some(world) = World::open(Postgres).await else { return };
    let ada = world.user("ada").await.id;
    let held = held(&world, ada, At::Beginning).await;
    world.store.delete_tenant(&world.operator()).await.unwrap();
    held.go_on.notify_one();
    assert_eq!(held.written.await.unwrap().unwrap_err(), Error::NotFound("tenant"));
    assert_eq!(world.departed().await, [Holder { tenant: world.tenant, user: None }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn d09_a_departure_that_commits_late_is_not_passed_over() {
    let Some(world) = World::open(Postgres).await else { return };
    let (late, other) = (UserId::generate(), tenant(&world.store, "globex").await);
    let held = held(&world, late, At::End).await;
    // Another tenant's departure commits meanwhile, and is dealt with.
    let eva = world.store.create_user(&directory(other), user("eva")).await.unwrap().id;
    let delete = DeleteUser { user: eva, expected_version: None };
    world.store.delete_user(&directory(other), delete).await.unwrap();
    assert_eq!(world.departed().await, [Holder { tenant: other, user: Some(eva) }]);
    held.go_on.notify_one();
    held.written.await.unwrap().unwrap();
    assert_eq!(world.departed().await, [world.person(late)]);
}
