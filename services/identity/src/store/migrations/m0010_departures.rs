//! Who lost access, for api-keys, and how far the end of a tenant is.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

use crate::store::migrations::run;

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0010_departures"
    }
}

const STATEMENTS: &[&str] = &[
    // A row until it is acknowledged, and one for each person: so it is bounded where nobody listens. The subject is a user's id, or the tenant's
    // own where it was deleted; the tenant's row may be gone by then.
    "CREATE TABLE departures (
        tenant_id UUID NOT NULL,
        subject_id UUID NOT NULL,
        id UUID NOT NULL,
        at_us BIGINT NOT NULL,
        PRIMARY KEY (tenant_id, subject_id)
    )",
    // The oldest of all tenants come first.
    "CREATE INDEX departures_at ON departures (at_us)",
    "ALTER TABLE tenants ADD COLUMN purged_at_us BIGINT",
    "CREATE INDEX tenants_deleted ON tenants (deleted_at_us) WHERE deleted_at_us IS NOT NULL",
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, STATEMENTS).await
    }
}
