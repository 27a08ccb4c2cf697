//! What a key is from its making to its end, revocations of versions, and signing keys by purpose.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0003_credentials"
    }
}

/// See `m0001_api_keys`.
const STATEMENTS: &[&str] = &[
    "ALTER TABLE api_keys ADD COLUMN description TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE api_keys ADD COLUMN allowed_networks TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE api_keys ADD COLUMN version BIGINT NOT NULL DEFAULT 1",
    "ALTER TABLE api_keys ADD COLUMN replaced_by UUID",
    "ALTER TABLE api_keys ADD COLUMN last_used_at_us BIGINT",
    "ALTER TABLE api_keys ADD COLUMN last_used_from TEXT NOT NULL DEFAULT ''",
    // What is about to end is looked for in all tenants.
    "CREATE INDEX api_keys_expiry ON api_keys (expires_at_us) WHERE revoked_at_us IS NULL",
    "ALTER TABLE revocations ADD COLUMN below_version BIGINT",
    "ALTER TABLE signing_keys ADD COLUMN purpose TEXT NOT NULL DEFAULT 'token'",
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let postgres = connection.get_database_backend() == DbBackend::Postgres;
        for statement in STATEMENTS {
            if postgres {
                connection.execute_unprepared(&statement.replace(" TEXT", " TEXT COLLATE \"C\"")).await?;
            } else {
                connection.execute_unprepared(statement).await?;
            }
        }
        Ok(())
    }
}
