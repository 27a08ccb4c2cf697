//! The provisioning log, and what is counted of it.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

use crate::store::migrations::run;

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0006_provisioning_log"
    }
}

const STATEMENTS: &[&str] = &[
    // Its row orders a tenant's batches: whoever adds to the log holds it until the commit.
    "CREATE TABLE provisioning_heads (
        tenant_id UUID PRIMARY KEY REFERENCES tenants (id),
        position BIGINT NOT NULL,
        last_contact_us BIGINT,
        last_success_us BIGINT,
        lost BIGINT NOT NULL
    )",
    // What may be personal stands in `subjects`, `changes`, `cause` and `notes` alone, and in the keys of provisioning_subjects.
    "CREATE TABLE provisioning_entries (
        tenant_id UUID NOT NULL,
        position BIGINT NOT NULL,
        id UUID NOT NULL,
        at_us BIGINT NOT NULL,
        elapsed_us BIGINT NOT NULL,
        credential TEXT NOT NULL,
        request_id TEXT NOT NULL,
        trace_id TEXT NOT NULL,
        operation TEXT,
        resource_type TEXT,
        resource_id TEXT NOT NULL,
        subjects TEXT NOT NULL,
        status INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        scim_type TEXT NOT NULL,
        reason TEXT NOT NULL,
        cause TEXT NOT NULL,
        fix TEXT NOT NULL,
        changes TEXT NOT NULL,
        notes TEXT NOT NULL,
        item_count BIGINT NOT NULL,
        lost BIGINT NOT NULL,
        PRIMARY KEY (tenant_id, position)
    )",
    "CREATE UNIQUE INDEX provisioning_entries_id ON provisioning_entries (tenant_id, id)",
    "CREATE INDEX provisioning_entries_at ON provisioning_entries (tenant_id, at_us, position)",
    "CREATE INDEX provisioning_entries_outcome ON provisioning_entries (tenant_id, outcome, at_us, position)",
    "CREATE TABLE provisioning_subjects (
        tenant_id UUID NOT NULL,
        subject_key TEXT NOT NULL,
        at_us BIGINT NOT NULL,
        position BIGINT NOT NULL,
        PRIMARY KEY (tenant_id, subject_key, at_us, position)
    )",
    // For what goes with its entry.
    "CREATE INDEX provisioning_subjects_position ON provisioning_subjects (tenant_id, position)",
    "CREATE TABLE provisioning_cycles (
        tenant_id UUID NOT NULL,
        credential TEXT NOT NULL,
        begun_at_us BIGINT NOT NULL,
        last_at_us BIGINT NOT NULL,
        requests BIGINT NOT NULL,
        created BIGINT NOT NULL,
        updated BIGINT NOT NULL,
        disabled BIGINT NOT NULL,
        deleted BIGINT NOT NULL,
        failed BIGINT NOT NULL,
        references_failed BIGINT NOT NULL,
        seen_users BIGINT NOT NULL,
        shut_out INTEGER NOT NULL,
        full_pass_begun_at_us BIGINT,
        full_pass_last_at_us BIGINT,
        PRIMARY KEY (tenant_id, credential)
    )",
    "CREATE INDEX provisioning_cycles_last ON provisioning_cycles (tenant_id, last_at_us)",
    // When a credential's directory last named a user.
    "CREATE TABLE provisioning_sightings (
        tenant_id UUID NOT NULL,
        credential TEXT NOT NULL,
        user_id UUID NOT NULL,
        at_us BIGINT NOT NULL,
        PRIMARY KEY (tenant_id, credential, user_id)
    )",
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, STATEMENTS).await
    }
}
