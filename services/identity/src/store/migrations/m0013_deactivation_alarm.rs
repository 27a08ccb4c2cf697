//! When people who lose access at once are too many, and finding those of the last hour.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

use crate::store::migrations::run;

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0013_deactivation_alarm"
    }
}

const STATEMENTS: &[&str] = &[
    "ALTER TABLE tenants ADD COLUMN deactivation_alarm_percent INTEGER NOT NULL DEFAULT 20",
    "ALTER TABLE tenants ADD COLUMN deactivation_alarm_pauses BOOLEAN NOT NULL DEFAULT FALSE",
    "ALTER TABLE tenants ADD COLUMN deactivation_alarm_rang_at_us BIGINT",
    "CREATE INDEX users_access_ended ON users (tenant_id, access_ended_at_us) WHERE access_ended_at_us IS NOT NULL",
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, STATEMENTS).await
    }
}
