//! The schema, step by step. A migration that has been released is never edited.

mod m0001_api_keys;
mod m0002_audit_chain;
mod m0003_credentials;
mod m0004_trusts;
mod m0005_owners;

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationTrait, MigratorTrait, SchemaManager, async_trait::async_trait};

pub(crate) struct Migrator;

#[async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_api_keys::Migration),
            Box::new(m0002_audit_chain::Migration),
            Box::new(m0003_credentials::Migration),
            Box::new(m0004_trusts::Migration),
            Box::new(m0005_owners::Migration),
        ]
    }
}

/// Executes statements that are written for both engines. `UUID`, `BIGINT` and `BYTEA` mean the right thing on PostgreSQL, and SQLite takes any
/// name; `TEXT` is exchanged for PostgreSQL so that it compares bytewise there as on SQLite (rule D5).
async fn execute(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let postgres = connection.get_database_backend() == DbBackend::Postgres;
    for statement in statements {
        if postgres {
            connection.execute_unprepared(&statement.replace(" TEXT", " TEXT COLLATE \"C\"")).await?;
        } else {
            connection.execute_unprepared(statement).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use database::{
        Database,
        testing::{Engine, TestDatabase},
    };
    use rstest::rstest;
    use sea_orm::{ConnectionTrait, EntityTrait};

    use super::*;
    use crate::{
        SERVICE,
        store::entity::{audit_entry, audit_position},
    };

    /// The schema as the first release had it.
    struct First;

    #[async_trait]
    impl MigratorTrait for First {
        fn migrations() -> Vec<Box<dyn MigrationTrait>> {
            vec![Box::new(m0001_api_keys::Migration)]
        }
    }

    #[rstest]
    #[tokio::test]
    async fn r24_the_chain_begins_after_the_entries_that_were_there(
        #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    ) {
        const TENANT: &str = "'00000000-0000-0000-0000-000000000001'";
        let Some(place) = TestDatabase::empty(engine).await.unwrap() else { return };
        let database = Database::open(place.location(), SERVICE).await.unwrap();
        database.migrate::<First>(SERVICE).await.unwrap();
        let tenant = if engine == Engine::Sqlite { "X'00000000000000000000000000000001'" } else { TENANT };
        let statements = [
            format!("INSERT INTO audit_positions (tenant_id, position) VALUES ({tenant}, 7)"),
            format!(
                "INSERT INTO audit_entries (tenant_id, position, at_us, actor, action, subject, detail)
                 VALUES ({tenant}, 7, 1, 'key:x', 'a', 's', 'd')"
            ),
        ];
        for statement in statements {
            let written = database.write(move |tx| {
                let statement = statement.clone();
                Box::pin(async move {
                    tx.execute_unprepared(&statement).await?;
                    Ok::<_, database::Error<()>>(())
                })
            });
            written.await.unwrap();
        }
        database.migrate::<Migrator>(SERVICE).await.unwrap();
        let head = audit_position::Entity::find().one(database.read()).await.unwrap().unwrap();
        assert_eq!((head.position, head.audit_hash), (7, None));
        assert_eq!((head.anchor_position, head.anchor_hash), (7, None));
        let entry = audit_entry::Entity::find().one(database.read()).await.unwrap().unwrap();
        assert_eq!((entry.hash, entry.values_digest, entry.salt), (None, None, None));
        assert_eq!((&*entry.address, &*entry.before_values, &*entry.after_values), ("", "{}", "{}"));
    }
}
