//! Keys, signing keys, revocations and the audit log.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0001_api_keys"
    }
}

/// Signing keys and revocations belong to the installation, not to a tenant.
const STATEMENTS: &[&str] = &[
    "CREATE TABLE api_keys (
        tenant_id UUID NOT NULL,
        id UUID NOT NULL,
        name TEXT NOT NULL,
        scopes TEXT NOT NULL,
        hash TEXT NOT NULL,
        creator TEXT NOT NULL,
        created_at_us BIGINT NOT NULL,
        expires_at_us BIGINT,
        revoked_at_us BIGINT,
        PRIMARY KEY (tenant_id, id)
    )",
    // A key that is shown names no tenant.
    "CREATE UNIQUE INDEX api_keys_id ON api_keys (id)",
    "CREATE TABLE signing_keys (
        kid TEXT NOT NULL PRIMARY KEY,
        generation BIGINT NOT NULL UNIQUE,
        public_key BYTEA NOT NULL,
        sealed_private_key BYTEA NOT NULL,
        created_at_us BIGINT NOT NULL,
        retired_at_us BIGINT
    )",
    "CREATE TABLE revocations (
        position BIGINT NOT NULL PRIMARY KEY,
        subject_kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        expires_at_us BIGINT NOT NULL
    )",
    "CREATE INDEX revocations_expiry ON revocations (expires_at_us)",
    "CREATE TABLE revocation_heads (id BIGINT NOT NULL PRIMARY KEY, position BIGINT NOT NULL)",
    "INSERT INTO revocation_heads (id, position) VALUES (1, 0)",
    "CREATE TABLE audit_positions (tenant_id UUID NOT NULL PRIMARY KEY, position BIGINT NOT NULL)",
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
        super::execute(manager, STATEMENTS).await
    }
}
