//! What lies in the database.

use std::{sync::LazyLock, time::Duration};

use database::{
    Location,
    testing::{Engine, TestDatabase},
};
use ids::TenantId;
use rstest::rstest;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, Statement, sea_query::Expr,
};

use super::{
    Outcome, Running,
    audit::PURGE_MAX,
    entity::{audit_entry, audit_position},
};
use crate::{
    SERVICE,
    domain::{AuditChain, AuditCursor, AuditEntry, Caller, Timestamp},
    testing::{Replica, World},
};

/// A database with the service's schema.
pub(crate) async fn prepared(engine: Engine) -> Option<TestDatabase> {
    let migrate =
        async |location: &Location| crate::migrate(location).await.map_err(|error| DbErr::Custom(format!("{error:?}")));
    TestDatabase::prepared(engine, SERVICE, migrate).await.unwrap()
}

/// Everything that the database holds, as bytes.
async fn contents(world: &World, replica: &Replica) -> Vec<u8> {
    if let Location::Sqlite(path) = world.database.location() {
        let mut bytes = std::fs::read(path).unwrap();
        bytes.extend(std::fs::read(path.with_extension("db-wal")).unwrap());
        return bytes;
    }
    let db = replica.api_keys.0.store.database.read();
    let mut text = String::new();
    for table in ["api_keys", "signing_keys", "revocations", "trusts", "audit_entries"] {
        let rows = Statement::from_string(db.get_database_backend(), format!("SELECT t::text FROM {table} t"));
        for row in db.query_all_raw(rows).await.unwrap() {
            text.push_str(&row.try_get_by_index::<String>(0).unwrap());
        }
    }
    text.into_bytes()
}

#[rstest]
#[tokio::test]
async fn of_a_key_only_the_hash_is_stored(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let key = replica.create(TenantId::generate(), &["scim"]).await;
    replica.exchange(&key).await.unwrap();
    let contents = contents(&world, &replica).await;
    let holds = |text: &str| contents.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    assert!(holds("$argon2id$v=19$m=19456,t=2,p=1$"), "it is the right place");
    for credential in [&key, &replica.operator] {
        // The prefix and the id are no secret; of the rest not even a part is there.
        let secret = &credential.expose()[33..];
        for at in 0..secret.len() - 12 {
            assert!(!holds(&secret[at..at + 12]), "{at}");
        }
    }
}

/// A second of yesterday: long enough ago for a test's purge, and not for the one that every process runs by itself.
fn second(number: i64) -> Timestamp {
    static YESTERDAY: LazyLock<Timestamp> =
        LazyLock::new(|| Timestamp::now().before(Duration::from_secs(24 * 60 * 60)));
    Timestamp(YESTERDAY.0 + number * 1_000_000)
}

/// A log of a tenant: `acts` entries, one a second.
async fn aged(replica: &Replica, acts: i64) -> Caller {
    let caller =
        Caller { is_operator: false, tenant: TenantId::generate(), ..Caller::installation(replica.operator.id()) };
    let store = &replica.api_keys.0.store;
    for number in 1..=acts {
        let operator = Caller { is_operator: true, ..caller.clone() };
        store.list(&operator, None, 1).await.unwrap();
        let at = (caller.tenant, number, second(number).0);
        store.write(at, set_time).await.unwrap();
    }
    caller
}

fn set_time<'a>(tx: &'a DatabaseTransaction, (tenant, position, at_us): &'a (TenantId, i64, i64)) -> Running<'a, ()> {
    Box::pin(async move {
        audit_entry::Entity::update_many()
            .col_expr(audit_entry::Column::AtUs, Expr::value(*at_us))
            .filter(audit_entry::Column::TenantId.eq(tenant.uuid()))
            .filter(audit_entry::Column::Position.eq(*position))
            .exec(tx)
            .await?;
        Ok(())
    })
}

async fn read(replica: &Replica, caller: &Caller) -> (Vec<AuditEntry>, AuditChain) {
    let store = &replica.api_keys.0.store;
    let (entries, chain, _) = store.audit_entries(caller, AuditCursor::START, 100).await.unwrap();
    (entries, chain)
}

fn positions(entries: &[AuditEntry]) -> Vec<i64> {
    entries.iter().map(|entry| entry.position).collect()
}

#[rstest]
#[tokio::test]
async fn r24_a_purge_takes_the_oldest_and_moves_the_anchor(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let (here, there) = (world.replica().await, world.replica().await);
    let caller = aged(&here, 6).await;
    let (before, start) = read(&here, &caller).await;
    assert_eq!(start.anchor, ::audit::Link::START);
    let purge = |replica: &Replica, number: i64| {
        let store = replica.api_keys.0.store.clone();
        async move { store.purge_audit(second(number)).await.unwrap() }
    };
    assert_eq!(purge(&here, 1).await, 0, "what is exactly as old as that is kept");
    // On two replicas at once: each entry goes once.
    let (one, other) = futures::future::join(purge(&here, 4), purge(&there, 4)).await;
    assert_eq!(one + other, 3);
    let (after, chain) = read(&here, &caller).await;
    assert_eq!(positions(&after), [4, 5, 6]);
    assert_eq!(chain.anchor.position, 3);
    assert_eq!(chain.anchor.hash.as_bytes(), before[2].hash);
    assert_eq!(chain.head, start.head);
    // All of them: the log goes on from there.
    assert_eq!(purge(&here, 100).await, 3);
    let (nothing, chain) = read(&here, &caller).await;
    assert_eq!((nothing.len(), chain.anchor, chain.head), (0, start.head, start.head));
    here.api_keys.0.store.list(&Caller { is_operator: true, ..caller.clone() }, None, 1).await.unwrap();
    assert_eq!(positions(&read(&here, &caller).await.0), [7]);
}

#[rstest]
#[tokio::test]
async fn r24_a_purge_stops_at_an_entry_that_is_kept(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let caller = aged(&replica, 4).await;
    let store = &replica.api_keys.0.store;
    store.write((caller.tenant, 2, i64::MAX), set_time).await.unwrap();
    assert_eq!(store.purge_audit(second(100)).await.unwrap(), 1);
    assert_eq!(store.purge_audit(second(100)).await.unwrap(), 0);
    assert_eq!(positions(&read(&replica, &caller).await.0), [2, 3, 4]);
}

fn fill<'a>(tx: &'a DatabaseTransaction, (tenant, entries): &'a (TenantId, i64)) -> Running<'a, ()> {
    Box::pin(async move {
        let numbers = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $2) ";
        let sql = format!(
            "{numbers} INSERT INTO audit_entries (tenant_id, position, at_us, actor, action, subject, detail)
             SELECT $1, n, CAST($3 AS BIGINT) + n, '', '', '', '' FROM numbers"
        );
        let values = [tenant.uuid().into(), (*entries).into(), second(0).0.into()];
        tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await?;
        let head = audit_position::ActiveModel {
            tenant_id: sea_orm::ActiveValue::Set(tenant.uuid()),
            position: sea_orm::ActiveValue::Set(*entries),
            audit_hash: sea_orm::ActiveValue::Set(None),
            anchor_position: sea_orm::ActiveValue::Set(*entries),
            anchor_hash: sea_orm::ActiveValue::Set(None),
        };
        let inserted: Outcome<u64> = Ok(audit_position::Entity::insert(head).exec_without_returning(tx).await?);
        inserted.map(drop)
    })
}

#[rstest]
#[tokio::test]
async fn a_purge_takes_10_000_entries_at_most_and_goes_on_where_it_stopped(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let caller =
        Caller { is_operator: false, tenant: TenantId::generate(), ..Caller::installation(replica.operator.id()) };
    let store = &replica.api_keys.0.store;
    let entries = i64::try_from(PURGE_MAX).unwrap() + 5;
    store.write((caller.tenant, entries), fill).await.unwrap();
    let all = second(1);
    assert_eq!(store.purge_audit(all).await.unwrap(), PURGE_MAX);
    assert_eq!(store.purge_audit(all).await.unwrap(), 5);
    // They were from before the chain: its beginning stays where it was.
    let (_, chain) = read(&replica, &caller).await;
    assert_eq!(chain.anchor, ::audit::Link { position: entries, hash: ::audit::Hash::START });
}
