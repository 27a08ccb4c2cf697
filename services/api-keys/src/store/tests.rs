//! What lies in the database.

use database::{
    Location,
    testing::{Engine, TestDatabase},
};
use ids::TenantId;
use rstest::rstest;
use sea_orm::{ConnectionTrait, DbErr, Statement};

use crate::{
    SERVICE,
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
