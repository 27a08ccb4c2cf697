//! What reading the change feed needs: what was and what is, who asked, the epoch of positions, the beginning of what is kept, and how far
//! consumers are.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

use crate::store::migrations::run;

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0005_change_feed"
    }
}

const STATEMENTS: &[&str] = &[
    "ALTER TABLE changes ADD COLUMN request_id TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE changes ADD COLUMN before_values TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE changes ADD COLUMN after_values TEXT NOT NULL DEFAULT '{}'",
    // Neither engine adds a column that has another value in each row, so it may be null; each row has its value all the same.
    "ALTER TABLE tenant_positions ADD COLUMN epoch UUID",
    "ALTER TABLE tenant_positions ADD COLUMN change_floor BIGINT NOT NULL DEFAULT 0",
    "CREATE TABLE change_consumers (
        tenant_id UUID NOT NULL REFERENCES tenants (id),
        name TEXT NOT NULL,
        epoch UUID NOT NULL,
        position BIGINT NOT NULL,
        acknowledged_at_us BIGINT NOT NULL,
        acknowledged_by TEXT NOT NULL,
        PRIMARY KEY (tenant_id, name)
    )",
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, STATEMENTS).await?;
        let connection = manager.get_connection();
        let random = if connection.get_database_backend() == DbBackend::Postgres {
            "gen_random_uuid()"
        } else {
            "randomblob(16)"
        };
        connection.execute_unprepared(&format!("UPDATE tenant_positions SET epoch = {random}")).await?;
        Ok(())
    }
}
