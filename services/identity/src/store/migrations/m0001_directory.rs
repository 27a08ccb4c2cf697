//! Tenants, users, groups, memberships, roles, the change feed and the audit log.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0001_directory"
    }
}

/// One statement each, for both engines. `UUID`, `BIGINT` and `BOOLEAN` mean the right thing on both; `TEXT` is exchanged for PostgreSQL so
/// that it compares bytewise there as on SQLite (rule D5).
const STATEMENTS: &[&str] = &[
    "CREATE TABLE tenants (
        id UUID PRIMARY KEY,
        name TEXT NOT NULL,
        provisioning_state TEXT NOT NULL,
        provisioning_state_since_us BIGINT NOT NULL,
        default_role TEXT NOT NULL,
        created_at_us BIGINT NOT NULL,
        deleted_at_us BIGINT
    )",
    "CREATE UNIQUE INDEX tenants_live_name ON tenants (name) WHERE deleted_at_us IS NULL",
    "CREATE TABLE tenant_positions (
        tenant_id UUID PRIMARY KEY REFERENCES tenants (id),
        change_position BIGINT NOT NULL,
        audit_position BIGINT NOT NULL
    )",
    "CREATE TABLE users (
        tenant_id UUID NOT NULL REFERENCES tenants (id),
        id UUID NOT NULL,
        user_name TEXT NOT NULL,
        user_name_key TEXT NOT NULL,
        external_id TEXT,
        display_name TEXT,
        display_name_key TEXT,
        provisioned_active BOOLEAN NOT NULL,
        suspended_at_us BIGINT,
        profile TEXT NOT NULL,
        version BIGINT NOT NULL,
        created_at_us BIGINT NOT NULL,
        updated_at_us BIGINT NOT NULL,
        deleted_at_us BIGINT,
        PRIMARY KEY (tenant_id, id)
    )",
    "CREATE UNIQUE INDEX users_live_user_name ON users (tenant_id, user_name_key) WHERE deleted_at_us IS NULL",
    // With the id behind it the index serves the order too; else the planner prefers a walk of the primary key.
    "CREATE INDEX users_external_id ON users (tenant_id, external_id, id)",
    "CREATE INDEX users_deleted ON users (tenant_id, deleted_at_us) WHERE deleted_at_us IS NOT NULL",
    "CREATE TABLE user_emails (
        tenant_id UUID NOT NULL,
        user_id UUID NOT NULL,
        ordinal INTEGER NOT NULL,
        value_key TEXT NOT NULL,
        kind_key TEXT,
        PRIMARY KEY (tenant_id, user_id, ordinal),
        FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
    )",
    "CREATE INDEX user_emails_value ON user_emails (tenant_id, value_key)",
    "CREATE TABLE groups (
        tenant_id UUID NOT NULL REFERENCES tenants (id),
        id UUID NOT NULL,
        display_name TEXT NOT NULL,
        display_name_key TEXT NOT NULL,
        external_id TEXT,
        version BIGINT NOT NULL,
        created_at_us BIGINT NOT NULL,
        updated_at_us BIGINT NOT NULL,
        deleted_at_us BIGINT,
        PRIMARY KEY (tenant_id, id)
    )",
    "CREATE UNIQUE INDEX groups_live_display_name ON groups (tenant_id, display_name_key) WHERE deleted_at_us IS NULL",
    "CREATE INDEX groups_external_id ON groups (tenant_id, external_id, id)",
    "CREATE INDEX groups_deleted ON groups (tenant_id, deleted_at_us) WHERE deleted_at_us IS NOT NULL",
    "CREATE TABLE memberships (
        tenant_id UUID NOT NULL,
        group_id UUID NOT NULL,
        user_id UUID NOT NULL,
        PRIMARY KEY (tenant_id, group_id, user_id),
        FOREIGN KEY (tenant_id, group_id) REFERENCES groups (tenant_id, id) ON DELETE CASCADE,
        FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
    )",
    "CREATE INDEX memberships_user ON memberships (tenant_id, user_id, group_id)",
    "CREATE TABLE role_assignments (
        tenant_id UUID NOT NULL,
        user_id UUID NOT NULL,
        source TEXT NOT NULL,
        role TEXT NOT NULL,
        assigned_by TEXT NOT NULL,
        assigned_at_us BIGINT NOT NULL,
        PRIMARY KEY (tenant_id, user_id, source),
        FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
    )",
    "CREATE TABLE changes (
        tenant_id UUID NOT NULL,
        position BIGINT NOT NULL,
        at_us BIGINT NOT NULL,
        kind TEXT NOT NULL,
        subject_id UUID NOT NULL,
        object_id UUID,
        version BIGINT NOT NULL,
        actor TEXT NOT NULL,
        PRIMARY KEY (tenant_id, position)
    )",
    "CREATE TABLE audit_entries (
        tenant_id UUID NOT NULL,
        position BIGINT NOT NULL,
        at_us BIGINT NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        detail TEXT NOT NULL,
        PRIMARY KEY (tenant_id, position)
    )",
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
