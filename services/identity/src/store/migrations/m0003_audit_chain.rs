//! The audit log's chain. Entries from before it are not chained: the anchor stands after them.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

use crate::store::migrations::run;

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0003_audit_chain"
    }
}

const STATEMENTS: &[&str] = &[
    "ALTER TABLE audit_entries ADD COLUMN address TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE audit_entries ADD COLUMN before_values TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE audit_entries ADD COLUMN after_values TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE audit_entries ADD COLUMN salt BYTEA",
    "ALTER TABLE audit_entries ADD COLUMN values_digest BYTEA",
    "ALTER TABLE audit_entries ADD COLUMN hash BYTEA",
    // For what is older than it is kept.
    "CREATE INDEX audit_entries_at ON audit_entries (at_us)",
    "ALTER TABLE tenant_positions ADD COLUMN audit_hash BYTEA",
    "ALTER TABLE tenant_positions ADD COLUMN anchor_position BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE tenant_positions ADD COLUMN anchor_hash BYTEA",
    "UPDATE tenant_positions SET anchor_position = audit_position",
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, STATEMENTS).await
    }
}
