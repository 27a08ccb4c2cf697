//! The ledger of erased people, and what finds the changes and audit entries about one.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

use crate::store::migrations::run;

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0008_erasure"
    }
}

const STATEMENTS: &[&str] = &[
    // Kept for as long as a backup may hold the person: whoever restores one erases them again (rule R26).
    "CREATE TABLE erasures (
        tenant_id UUID NOT NULL REFERENCES tenants (id),
        user_id UUID NOT NULL,
        erased_at_us BIGINT NOT NULL,
        PRIMARY KEY (tenant_id, user_id)
    )",
    "CREATE INDEX audit_entries_subject ON audit_entries (tenant_id, subject, position)",
    "CREATE INDEX changes_subject ON changes (tenant_id, subject_id)",
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, STATEMENTS).await
    }
}
