//! Since when a directory has written to a user. Of users from before it is not known: those that a directory named by an id of its own came from one.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

use crate::store::migrations::run;

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0012_adoption"
    }
}

const STATEMENTS: &[&str] = &[
    "ALTER TABLE users ADD COLUMN directory_since_us BIGINT",
    "UPDATE users SET directory_since_us = created_at_us WHERE external_id IS NOT NULL",
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, STATEMENTS).await
    }
}
