//! The schema, step by step. A migration that has been released is never edited.

mod m0001_api_keys;
mod m0002_trusts;

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationTrait, MigratorTrait, SchemaManager, async_trait::async_trait};

pub(crate) struct Migrator;

#[async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_api_keys::Migration), Box::new(m0002_trusts::Migration)]
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
