//! Trusts.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0004_trusts"
    }
}

const STATEMENTS: &[&str] = &[
    "CREATE TABLE trusts (
        tenant_id UUID NOT NULL,
        id UUID NOT NULL,
        name TEXT NOT NULL,
        issuer TEXT NOT NULL,
        audience TEXT NOT NULL,
        subject TEXT NOT NULL,
        scopes TEXT NOT NULL,
        version BIGINT NOT NULL,
        creator TEXT NOT NULL,
        created_at_us BIGINT NOT NULL,
        updated_at_us BIGINT NOT NULL,
        expires_at_us BIGINT,
        revoked_at_us BIGINT,
        PRIMARY KEY (tenant_id, id)
    )",
    // A client that signs in names no tenant.
    "CREATE UNIQUE INDEX trusts_id ON trusts (id)",
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::execute(manager, STATEMENTS).await
    }
}
