//! The audit log's chain. Entries from before it are not chained: the anchor stands after them.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0002_audit_chain"
    }
}

/// As those of the first migration.
const STATEMENTS: &[&str] = &[
    "ALTER TABLE audit_entries ADD COLUMN address TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE audit_entries ADD COLUMN before_values TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE audit_entries ADD COLUMN after_values TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE audit_entries ADD COLUMN salt BYTEA",
    "ALTER TABLE audit_entries ADD COLUMN values_digest BYTEA",
    "ALTER TABLE audit_entries ADD COLUMN hash BYTEA",
    // For what is older than it is kept.
    "CREATE INDEX audit_entries_at ON audit_entries (at_us)",
    "ALTER TABLE audit_positions ADD COLUMN audit_hash BYTEA",
    "ALTER TABLE audit_positions ADD COLUMN anchor_position BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE audit_positions ADD COLUMN anchor_hash BYTEA",
    "UPDATE audit_positions SET anchor_position = position",
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
