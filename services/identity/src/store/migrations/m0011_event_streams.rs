//! Endpoints that events are sent to, and what they did not take.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

use crate::store::migrations::run;

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0011_event_streams"
    }
}

const STATEMENTS: &[&str] = &[
    "CREATE TABLE event_endpoints (
        tenant_id UUID NOT NULL REFERENCES tenants (id),
        id UUID NOT NULL,
        kind TEXT NOT NULL,
        url TEXT NOT NULL,
        description TEXT NOT NULL,
        kinds TEXT NOT NULL,
        audience TEXT NOT NULL,
        profile TEXT NOT NULL,
        stop TEXT,
        state_since_us BIGINT NOT NULL,
        created_at_us BIGINT NOT NULL,
        created_by TEXT NOT NULL,
        sealed_secret BYTEA NOT NULL,
        sealed_previous_secret BYTEA,
        previous_secret_until_us BIGINT,
        epoch UUID NOT NULL,
        position BIGINT NOT NULL,
        delivered BIGINT NOT NULL,
        last_delivery_us BIGINT,
        failures_in_row BIGINT NOT NULL,
        failing_since_us BIGINT,
        waits_until_us BIGINT NOT NULL,
        last_failure TEXT NOT NULL,
        lease_holder UUID,
        lease_until_us BIGINT NOT NULL,
        PRIMARY KEY (tenant_id, id)
    )",
    // What waits to be tried again, and dead letters: those have no next attempt. They hold no more of an event than its place in the feed, so that
    // an erasure has nothing to look for here (rule R26).
    "CREATE TABLE event_deliveries (
        tenant_id UUID NOT NULL,
        endpoint_id UUID NOT NULL,
        position BIGINT NOT NULL,
        attempts INTEGER NOT NULL,
        next_attempt_us BIGINT,
        last_attempt_us BIGINT NOT NULL,
        last_failure TEXT NOT NULL,
        PRIMARY KEY (tenant_id, endpoint_id, position),
        FOREIGN KEY (tenant_id, endpoint_id) REFERENCES event_endpoints (tenant_id, id) ON DELETE CASCADE
    )",
    // What a poll acknowledged ahead of something that it has not: none is there that the position is past.
    "CREATE TABLE event_acks (
        tenant_id UUID NOT NULL,
        endpoint_id UUID NOT NULL,
        position BIGINT NOT NULL,
        PRIMARY KEY (tenant_id, endpoint_id, position),
        FOREIGN KEY (tenant_id, endpoint_id) REFERENCES event_endpoints (tenant_id, id) ON DELETE CASCADE
    )",
    // The installation's, and no tenant's.
    "CREATE TABLE event_signing_keys (
        kid TEXT PRIMARY KEY,
        public_key BYTEA NOT NULL,
        sealed_private_key BYTEA NOT NULL,
        created_at_us BIGINT NOT NULL
    )",
    "CREATE INDEX event_deliveries_next ON event_deliveries (tenant_id, endpoint_id, next_attempt_us)",
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, STATEMENTS).await
    }
}
