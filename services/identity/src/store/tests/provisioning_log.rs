//! The provisioning log: each entry once, found by whom it is about, counted, and taken away when it is old.

use std::time::Duration;

use database::testing::Engine::{self, Postgres, Sqlite};
use ids::TenantId;
use rstest::rstest;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, Statement};
use uuid::Uuid;

use super::{World, tenant};
use crate::{
    domain::{
        Drift, FieldChange, LogEntry, LogFilter, LogMark, LogOrder, LoggedEntry, NotJudged, Operation, ProvisionedType,
        ProvisioningOutcome, Span, Subject, Summary, Timestamp,
    },
    store::entity::{provisioning_entry, provisioning_sighting, provisioning_subject},
};

const KEY: &str = "key:one";
const MINUTE: i64 = 60_000_000;

/// An entry at a minute.
fn at(minute: i64) -> LogEntry {
    LogEntry {
        id: Uuid::now_v7(),
        at: Timestamp(minute * MINUTE),
        elapsed_us: 5,
        credential: KEY.to_owned(),
        request_id: "r".to_owned(),
        trace_id: String::new(),
        operation: Some(Operation::List),
        resource_type: Some(ProvisionedType::User),
        resource_id: String::new(),
        subjects: Vec::new(),
        status: 200,
        outcome: ProvisioningOutcome::Succeeded,
        scim_type: String::new(),
        reason: String::new(),
        cause: String::new(),
        fix: String::new(),
        changes: Vec::new(),
        notes: Vec::new(),
        count: 0,
        lost: 0,
        seen: Vec::new(),
    }
}

fn about(entry: LogEntry, attribute: &str, value: &str) -> LogEntry {
    let subject = Subject { resource_type: ProvisionedType::User, attribute: attribute.into(), value: value.into() };
    LogEntry { subjects: vec![subject], ..entry }
}

/// An entry about a user, who was seen.
pub(super) fn about_user(user: Uuid) -> LogEntry {
    LogEntry { seen: vec![user], ..about(at(1), "userName", "ada") }
}

fn refused(entry: LogEntry, status: i32) -> LogEntry {
    LogEntry { status, outcome: ProvisioningOutcome::Refused, ..entry }
}

impl World {
    async fn append(&self, entries: &[LogEntry]) -> u64 {
        self.store.append_to_log(self.tenant, entries.to_vec()).await.unwrap()
    }

    async fn log(&self, filter: &LogFilter, order: LogOrder) -> Vec<LoggedEntry> {
        self.store.list_log(self.tenant, (filter, order), None, 1000).await.unwrap()
    }

    /// The minutes of the entries about somebody.
    async fn story(&self, of: ProvisionedType, name: &str) -> Vec<i64> {
        let filter = LogFilter { about: Some((of, name.to_owned())), ..LogFilter::default() };
        let entries = self.log(&filter, LogOrder::OldestFirst).await;
        entries.into_iter().map(|logged| logged.entry.at.0 / MINUTE).collect()
    }

    async fn summary(&self, minute: i64) -> Summary {
        self.store.provisioning_summary(self.tenant, Timestamp(minute * MINUTE)).await.unwrap()
    }
}

#[rstest]
#[tokio::test]
async fn d16_a_batch_that_is_sent_twice_adds_nothing(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let created = LogEntry { operation: Some(Operation::Create), lost: 2, ..about(at(1), "userName", "ada") };
    let batch = [created.clone(), created, at(2)];
    assert_eq!(world.append(&batch).await, 2);
    assert_eq!(world.append(&batch).await, 0);
    assert_eq!(world.append(&[batch[2].clone(), at(3)]).await, 1);
    let entries = world.log(&LogFilter::default(), LogOrder::Arrival).await;
    assert_eq!(entries.iter().map(|logged| logged.position).collect::<Vec<_>>(), [1, 2, 3]);
    let summary = world.summary(3).await;
    assert_eq!((summary.cycles[0].cycle.created, summary.cycles[0].cycle.requests, summary.lost), (1, 3, 2));
    assert_eq!(
        (summary.last_contact, summary.last_success),
        (Some(Timestamp(3 * MINUTE)), Some(Timestamp(3 * MINUTE)))
    );
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn d16_replicas_that_send_the_same_at_once_add_it_once(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let batch: Vec<_> = (0..20).map(at).collect();
    let appends = (0..8).map(|_| world.store.append_to_log(world.tenant, batch.clone()));
    let added: u64 = futures::future::join_all(appends).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(added, 20);
    let positions = world.log(&LogFilter::default(), LogOrder::Arrival).await;
    assert_eq!(positions.iter().map(|logged| logged.position).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
}

#[rstest]
#[tokio::test]
async fn an_entry_comes_back_as_it_went(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let change =
        FieldChange { field: "active".into(), before: "true".into(), after: "false".into(), added: 1, removed: 2 };
    let entry = LogEntry {
        changes: vec![change],
        cause: "\"cause\"".into(),
        fix: "fix".into(),
        outcome: ProvisioningOutcome::Refused,
        resource_id: "7".into(),
        ..about(at(1), "userName", "ädá")
    };
    // Whoever was seen is counted, and not kept with the entry.
    world.append(&[LogEntry { seen: vec![Uuid::now_v7()], ..entry.clone() }]).await;
    assert_eq!(world.log(&LogFilter::default(), LogOrder::NewestFirst).await, [LoggedEntry { position: 1, entry }]);
}

#[rstest]
#[tokio::test]
async fn conditions_and_orders_find_what_they_say(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    // The later request arrives first.
    world.append(&[at(5)]).await;
    world.append(&[refused(at(1), 400), at(2), at(2)]).await;
    let minutes = async |filter: &LogFilter, order| {
        let entries = world.log(filter, order).await;
        entries.into_iter().map(|logged| logged.entry.at.0 / MINUTE).collect::<Vec<_>>()
    };
    let all = LogFilter::default();
    assert_eq!(minutes(&all, LogOrder::NewestFirst).await, [5, 2, 2, 1]);
    assert_eq!(minutes(&all, LogOrder::OldestFirst).await, [1, 2, 2, 5]);
    assert_eq!(minutes(&all, LogOrder::Arrival).await, [5, 1, 2, 2]);
    let refused = LogFilter { outcome: Some(ProvisioningOutcome::Refused), ..LogFilter::default() };
    assert_eq!(minutes(&refused, LogOrder::NewestFirst).await, [1]);
    let within =
        LogFilter { from: Some(Timestamp(2 * MINUTE)), until: Some(Timestamp(5 * MINUTE)), ..LogFilter::default() };
    assert_eq!(minutes(&within, LogOrder::NewestFirst).await, [2, 2]);
    // Page by page each once, in every order.
    for order in [LogOrder::NewestFirst, LogOrder::OldestFirst, LogOrder::Arrival] {
        let (mut after, mut walked) = (None, Vec::new());
        while let [logged] = &*world.store.list_log(world.tenant, (&all, order), after, 1).await.unwrap() {
            after = Some(LogMark { at: logged.entry.at, position: logged.position });
            walked.push(logged.clone());
        }
        assert_eq!(walked, world.log(&all, order).await);
    }
}

#[rstest]
#[tokio::test]
async fn the_story_of_a_person_is_in_order_and_begins_before_there_was_one(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada@example.org").await.id.to_string();
    let with_id = |entry: LogEntry| LogEntry { resource_id: ada.clone(), ..entry };
    world
        .append(&[
            with_id(about(at(4), "userName", "ada.king@example.org")),
            about(at(1), "userName", "ADA@example.org"),
            with_id(about(at(2), "userName", "ada@example.org")),
            about(at(3), "userName", "eva@example.org"),
            // Among the members of a group.
            LogEntry {
                resource_type: Some(ProvisionedType::Group),
                resource_id: "g".into(),
                ..about(at(5), "id", &ada)
            },
        ])
        .await;
    for name in ["ada@example.org", "ADA@EXAMPLE.ORG", &ada] {
        assert_eq!(world.story(ProvisionedType::User, name).await, [1, 2, 4, 5], "{name}");
    }
    // By a name that the log alone knows: the person has another here.
    assert_eq!(world.story(ProvisionedType::User, "ada.king@example.org").await, [2, 4, 5]);
    assert_eq!(world.story(ProvisionedType::User, "nobody").await, [0_i64; 0]);
    assert_eq!(world.story(ProvisionedType::Group, "g").await, [5]);
}

#[rstest]
#[tokio::test]
async fn r05_nothing_of_one_tenants_log_is_in_anothers(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let other = tenant(&world.store, "globex").await;
    let entry = about(at(1), "userName", "ada");
    world.append(std::slice::from_ref(&entry)).await;
    // The same id again, of another tenant.
    assert_eq!(world.store.append_to_log(other, vec![about(at(2), "userName", "ada")]).await.unwrap(), 1);
    assert_eq!(world.store.append_to_log(other, vec![entry]).await.unwrap(), 1);
    assert_eq!(world.story(ProvisionedType::User, "ada").await, [1]);
    assert_eq!(world.summary(1).await.cycles[0].cycle.requests, 1);
    // Of a tenant that is not there nothing is kept, and nothing fails.
    assert_eq!(world.store.append_to_log(TenantId::generate(), vec![at(1)]).await.unwrap(), 0);
}

#[rstest]
#[tokio::test]
async fn r19_the_first_request_after_ten_quiet_minutes_begins_a_cycle(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let of = |operation| LogEntry { operation: Some(operation), ..at(1) };
    let disabling = FieldChange { field: "active".into(), after: "false".into(), ..FieldChange::default() };
    world
        .append(&[
            at(1),
            LogEntry { at: Timestamp(2 * MINUTE), ..of(Operation::Create) },
            LogEntry { at: Timestamp(11 * MINUTE), ..of(Operation::Patch) },
            LogEntry { at: Timestamp(12 * MINUTE), changes: vec![disabling], ..of(Operation::Patch) },
            LogEntry { operation: Some(Operation::Get), ..refused(at(13), 404) },
            refused(at(14), 409),
            LogEntry { reason: "ERROR_REASON_UNKNOWN_MEMBER".into(), ..refused(at(15), 400) },
            LogEntry { credential: "key:two".into(), ..at(16) },
        ])
        .await;
    let summary = world.summary(24).await;
    let first = summary.cycles.iter().find(|judged| judged.credential == KEY).unwrap();
    let cycle = &first.cycle;
    assert_eq!(cycle.span, Span { begun: Timestamp(MINUTE), last: Timestamp(15 * MINUTE) });
    assert_eq!(
        (cycle.requests, cycle.created, cycle.updated, cycle.disabled, cycle.failed, cycle.references_failed),
        (7, 1, 1, 1, 1, 1)
    );
    assert_eq!((summary.cycles.len(), first.ended, world.summary(25).await.cycles[1].ended), (2, false, true));
    // Another batch, and another cycle.
    world.append(&[LogEntry { operation: Some(Operation::Delete), ..at(25) }]).await;
    let cycle = &world.summary(25).await.cycles[0].cycle;
    assert_eq!((cycle.span.begun, cycle.requests, cycle.deleted, cycle.created), (Timestamp(25 * MINUTE), 1, 1, 0));
}

#[rstest]
#[tokio::test]
async fn r19_drift_is_judged_by_a_full_pass_alone(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let mut users = Vec::new();
    for number in 0..10 {
        users.push(world.user(&format!("u{number}")).await.id.uuid());
    }
    let seeing = |minute, users: &[Uuid]| LogEntry { seen: users.to_vec(), ..at(minute) };
    let drift = async |minute| world.summary(minute).await.cycles[0].drift;
    // Eight of ten, and somebody who is not here, are no full pass.
    world.append(&[seeing(1, &users[..8]), seeing(2, &[users[0], Uuid::now_v7()])]).await;
    assert_eq!(world.summary(2).await.cycles[0].cycle.seen_users, 9);
    assert_eq!(drift(12).await, Err(NotJudged::NoFullPass));
    // Nine are, once the cycle is over; that one may be found out only when the next has begun.
    world.append(&[seeing(20, &users[..5]), seeing(21, &users[3..9])]).await;
    assert_eq!(drift(30).await, Err(NotJudged::NoFullPass));
    let pass = Span { begun: Timestamp(20 * MINUTE), last: Timestamp(21 * MINUTE) };
    let judged = Drift { pass, active: 10, unseen: 1 };
    assert_eq!(drift(31).await, Ok(judged));
    world.append(&[seeing(40, &users[..1])]).await;
    assert_eq!(drift(40).await, Ok(judged));
    assert_eq!(drift(60).await, Ok(judged));
    // Whom a later cycle names is no longer unknown.
    world.append(&[seeing(61, &users[9..])]).await;
    assert_eq!(drift(61).await, Ok(Drift { unseen: 0, ..judged }));
}

#[rstest]
#[tokio::test]
async fn what_is_too_old_is_taken_away_with_all_that_is_known_of_it(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let db = world.store.database.read();
    let many: Vec<_> = (0..1500).map(|_| about(at(1), "userName", "ada")).collect();
    world.append(&many).await;
    let other =
        LogEntry { credential: "key:two".into(), seen: vec![Uuid::now_v7()], ..about(at(2), "userName", "ada") };
    world.append(&[other, about(at(100), "userName", "ada")]).await;
    let (first, second) = (world.store.clone(), world.store.clone());
    let before = Timestamp(50 * MINUTE);
    // On every replica, and again.
    let purged = futures::future::join(first.purge_log(before), second.purge_log(before)).await;
    assert!(purged.0.is_ok() && purged.1.is_ok(), "{purged:?}");
    assert_eq!(world.story(ProvisionedType::User, "ada").await, [100]);
    world.store.purge_log(before).await.unwrap();
    assert_eq!(provisioning_entry::Entity::find().count(db).await.unwrap(), 1);
    assert_eq!(provisioning_subject::Entity::find().count(db).await.unwrap(), 1);
    assert_eq!(provisioning_sighting::Entity::find().count(db).await.unwrap(), 0);
    let left: Vec<_> = world.summary(100).await.cycles.into_iter().map(|judged| judged.credential).collect();
    assert_eq!(left, [KEY]);
    assert_eq!(world.store.purge_log(before).await, Ok(0));
}

#[rstest]
#[tokio::test]
async fn the_log_is_read_by_indexes(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    for hour in 0..20 {
        let entries: Vec<_> = (0..500)
            .map(|number| {
                let entry = about(at(hour * 60 + number / 10), "userName", &format!("u{number}"));
                if number == 7 { refused(entry, 400) } else { entry }
            })
            .collect();
        world.append(&entries).await;
    }
    let db = world.store.database.read();
    let is_postgres = db.get_database_backend() == DbBackend::Postgres;
    if is_postgres {
        world.run(&["ANALYZE provisioning_entries", "ANALYZE provisioning_subjects"]).await;
    }
    let of_tenant = if is_postgres {
        format!("tenant_id = '{}'", world.tenant)
    } else {
        format!("tenant_id = x'{}'", world.tenant.uuid().simple())
    };
    let explain = if is_postgres { "EXPLAIN" } else { "EXPLAIN QUERY PLAN" };
    for (what, index) in [
        ("ORDER BY at_us DESC, position DESC LIMIT 100", "provisioning_entries_at"),
        ("AND outcome = 'refused' ORDER BY at_us DESC, position DESC LIMIT 100", "provisioning_entries_outcome"),
        ("AND at_us >= 60000000 AND at_us < 120000000 ORDER BY at_us, position LIMIT 100", "provisioning_entries_at"),
        (
            "AND position IN (SELECT position FROM provisioning_subjects s WHERE s.tenant_id = provisioning_entries.tenant_id AND \
             s.subject_key IN ('user:u1', 'user:x')) ORDER BY at_us, position LIMIT 100",
            "provisioning_subjects",
        ),
    ] {
        let sql = format!("{explain} SELECT * FROM provisioning_entries WHERE {of_tenant} {what}");
        let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
        let line = |row: &sea_orm::QueryResult| {
            if is_postgres { row.try_get_by_index(0) } else { row.try_get("", "detail") }
        };
        let plan: String = rows.iter().map(|row| line(row).unwrap()).collect::<Vec<String>>().join("\n");
        assert!(plan.contains(index), "{what}\n{plan}");
        assert!(!plan.contains("Seq Scan") && !plan.contains("SCAN provisioning"), "{what}\n{plan}");
    }
    let begun = std::time::Instant::now();
    assert_eq!(world.story(ProvisionedType::User, "u7").await.len(), 20);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[rstest]
#[tokio::test]
async fn r26_an_erased_persons_entries_say_nothing_of_them_and_others_stay(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await;
    let id = ada.id.to_string();
    let (of, subject) = (ProvisionedType::User, |value: &str| Subject {
        resource_type: ProvisionedType::User,
        attribute: "x".into(),
        value: value.into(),
    });
    let renamed = LogEntry {
        resource_id: id.clone(),
        cause: "userName ada.old is odd".to_owned(),
        changes: vec![FieldChange { field: "userName".into(), before: "ada.old".into(), ..FieldChange::default() }],
        ..about(at(2), "userName", "ada.old")
    };
    let joined = LogEntry {
        resource_type: Some(ProvisionedType::Group),
        resource_id: "g".to_owned(),
        subjects: vec![subject(&id), subject("ada"), subject("eva")],
        ..at(3)
    };
    // Somebody else who has the name by now.
    let namesake = LogEntry { resource_id: "other".to_owned(), ..about(at(4), "userName", "ada") };
    let entries = [about(at(1), "userName", "ADA"), renamed, joined, namesake, about(at(5), "userName", "ada.old")];
    world.append(&entries).await;
    world.store.erase_user(&world.administrator(), ada.id).await.unwrap();

    let all = world.log(&LogFilter::default(), LogOrder::Arrival).await;
    let said: Vec<String> = all
        .iter()
        .map(|LoggedEntry { entry, .. }| format!("{:?} {:?} {}", entry.subjects, entry.changes, entry.cause))
        .collect();
    assert_eq!(said.iter().map(|said| said.contains("ada")).collect::<Vec<_>>(), [false, false, false, true, false]);
    assert!(said[2].contains("eva"), "{said:#?}");
    let names: Vec<&str> = all[2].entry.subjects.iter().map(|subject| &*subject.value).collect();
    assert_eq!(names, [&*id, "eva"]);
    assert_eq!(all.len(), 5, "that something was asked remains");
    assert_eq!(world.story(of, "ada").await, [4]);
    assert_eq!(world.story(of, "ada.old").await, [] as [i64; 0]);
    assert_eq!(world.story(of, "eva").await, [3]);
}

#[rstest]
#[tokio::test]
async fn r26_what_arrives_after_an_erasure_names_nobody(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let (ada, eva) = (world.user("ada").await, world.user("eva").await);
    world.store.erase_user(&world.administrator(), ada.id).await.unwrap();
    let of = |id: String, name: &str| LogEntry {
        resource_id: id,
        cause: format!("{name} is odd"),
        ..about(at(1), "userName", name)
    };
    world.append(&[of(ada.id.to_string(), "ada"), of(eva.id.to_string(), "eva")]).await;
    let said: Vec<(bool, String)> = world
        .log(&LogFilter::default(), LogOrder::Arrival)
        .await
        .into_iter()
        .map(|LoggedEntry { entry, .. }| (entry.subjects.is_empty(), entry.cause))
        .collect();
    assert_eq!(said.len(), 2);
    assert!(said.contains(&(true, String::new())) && said.contains(&(false, "eva is odd".to_owned())), "{said:?}");
}
