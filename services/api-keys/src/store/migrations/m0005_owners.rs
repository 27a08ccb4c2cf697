//! Whose a key is, who made it, and who has departed.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0005_owners"
    }
}

const STATEMENTS: &[&str] = &[
    "ALTER TABLE api_keys ADD COLUMN owner UUID",
    "ALTER TABLE api_keys ADD COLUMN creator_user UUID",
    "ALTER TABLE api_keys ADD COLUMN creator_departed_at_us BIGINT",
    "CREATE INDEX api_keys_owner ON api_keys (tenant_id, owner) WHERE owner IS NOT NULL",
    "CREATE INDEX api_keys_creator_user ON api_keys (tenant_id, creator_user) WHERE creator_user IS NOT NULL",
    // The subject is a user's id while the person's keys are being ended, and the tenant's own for good.
    "CREATE TABLE departed (
        tenant_id UUID NOT NULL,
        subject_id UUID NOT NULL,
        at_us BIGINT NOT NULL,
        PRIMARY KEY (tenant_id, subject_id)
    )",
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::execute(manager, STATEMENTS).await
    }
}
