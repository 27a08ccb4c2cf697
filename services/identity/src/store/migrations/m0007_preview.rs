//! Why a tenant's provisioning state is what it is.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

use crate::store::migrations::run;

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0007_preview"
    }
}

const STATEMENTS: &[&str] = &["ALTER TABLE tenants ADD COLUMN provisioning_state_reason TEXT NOT NULL DEFAULT ''"];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, STATEMENTS).await
    }
}
