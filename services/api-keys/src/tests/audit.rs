//! What stands in a tenant's log.

use authn::KeyText;
use database::testing::Engine;
use ids::{ApiKeyId, TenantId};
use proto::api_keys::v1::{
    GetApiKeyRequest, KeyAuditEntry, ListApiKeysRequest, ListKeyAuditEntriesRequest, RevokeApiKeyRequest,
};
use rstest::rstest;

use crate::testing::{Replica, World, by};

/// The log, read page by page.
async fn log(replica: &Replica, reader: &KeyText, tenant_id: &str, page_size: i32) -> Vec<KeyAuditEntry> {
    let (mut entries, mut page_token) = (Vec::new(), String::new());
    loop {
        let message = ListKeyAuditEntriesRequest { tenant_id: tenant_id.to_owned(), page_size, page_token };
        let page = replica.keys().list_key_audit_entries(by(reader, message)).await.unwrap().into_inner();
        entries.extend(page.entries);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return entries;
        }
    }
}

/// An entry in short.
fn short(entry: &KeyAuditEntry) -> (i64, &str, &str, &str, &str) {
    let action = entry.action.rsplit('/').next().unwrap_or_default();
    (entry.position, &entry.actor, action, &entry.subject, &entry.detail)
}

#[rstest]
#[tokio::test]
async fn r05_each_use_of_the_operator_credential_stands_in_the_tenants_log(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let (named, operator) = (tenant.to_string(), &replica.operator);
    let admin = replica.create(tenant, &["admin"]).await;
    let (id, nobody) = (admin.id().to_string(), ApiKeyId::generate().to_string());
    for id in [&id, &nobody] {
        let get = GetApiKeyRequest { tenant_id: named.clone(), api_key_id: id.clone() };
        assert_eq!(replica.keys().get_api_key(by(operator, get)).await.is_ok(), *id != nobody);
    }
    let list = ListApiKeysRequest { tenant_id: named.clone(), ..ListApiKeysRequest::default() };
    replica.keys().list_api_keys(by(operator, list)).await.unwrap();
    let revoke = RevokeApiKeyRequest { tenant_id: named.clone(), api_key_id: nobody.clone() };
    replica.keys().revoke_api_key(by(operator, revoke)).await.unwrap_err();

    let entries = log(&replica, &admin, "", 0).await;
    let actor = format!("operator:{}", operator.id());
    let expected = [
        (1, &*actor, "CreateApiKey", &*id, "scopes admin"),
        (2, &actor, "GetApiKey", &id, ""),
        (3, &actor, "GetApiKey", &nobody, "not found"),
        (4, &actor, "ListApiKeys", "", ""),
        (5, &actor, "RevokeApiKey", &nobody, "not found"),
    ];
    assert_eq!(entries.iter().map(short).collect::<Vec<_>>(), expected);
    assert!(entries.iter().all(|entry| entry.action.starts_with("rollcall.api_keys.v1.ApiKeyService/")));

    // Reading the log is a use too; it ends the log that is read, however small the pages are.
    let read = log(&replica, operator, &named, 1).await;
    assert_eq!(read.len(), 6);
    assert_eq!(short(&read[5]), (6, &*actor, "ListKeyAuditEntries", "", ""));
    assert!(log(&replica, &admin, "", 2).await.len() > 6);
}

#[rstest]
#[tokio::test]
async fn a_tenants_own_keys_leave_what_they_change(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let (tenant, other) = (TenantId::generate(), TenantId::generate());
    let admin = replica.create(tenant, &["admin"]).await;
    let scim = replica.create(tenant, &[]).await;
    let theirs = replica.create(other, &["admin"]).await;
    let id = scim.id().to_string();
    let get = GetApiKeyRequest { tenant_id: String::new(), api_key_id: id.clone() };
    replica.keys().get_api_key(by(&admin, get)).await.unwrap();
    for _ in 0..2 {
        let revoke = RevokeApiKeyRequest { tenant_id: String::new(), api_key_id: id.clone() };
        replica.keys().revoke_api_key(by(&admin, revoke)).await.unwrap();
    }
    let entries = log(&replica, &admin, "", 0).await;
    let actor = format!("key:{}", admin.id());
    assert_eq!(entries.len(), 3);
    assert_eq!(short(&entries[2]), (3, &*actor, "RevokeApiKey", &*id, "revoked"));
    assert_eq!(log(&replica, &theirs, "", 0).await.len(), 1, "another tenant's log is its own");
}

#[rstest]
#[tokio::test]
async fn acts_at_once_leave_no_gap(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let (here, there) = (world.replica().await, world.replica().await);
    let tenant = TenantId::generate();
    let replicas = [&here, &there];
    futures::future::join_all((0..10).map(|at| replicas[at % 2].create(tenant, &[]))).await;
    let entries = log(&here, &here.operator, &tenant.to_string(), 3).await;
    let positions: Vec<i64> = entries.iter().map(|entry| entry.position).collect();
    assert_eq!(positions, (1..=11).collect::<Vec<_>>());
}
