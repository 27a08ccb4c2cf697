//! What stands in a tenant's log.

use std::{collections::BTreeMap, net::IpAddr};

use audit::{Broken, Content, Entry, Hash, Link, Log, Stored, Values, Verifier};
use authn::KeyText;
use database::testing::Engine;
use ids::{ApiKeyId, TenantId};
use proto::api_keys::v1::{
    GetApiKeyRequest, KeyAuditChain, KeyAuditEntry, ListApiKeysRequest, ListKeyAuditEntriesRequest, RevokeApiKeyRequest,
};
use rstest::rstest;

use crate::{
    domain::Caller,
    testing::{Replica, World, by},
};

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

fn texts(values: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    values.iter().map(|(name, value)| (&**name, &**value)).collect()
}

/// Verifies a log as it was answered, with the chain that stood beside it.
fn verified(tenant: TenantId, chain: &KeyAuditChain, entries: &[KeyAuditEntry]) -> Result<Verifier, Broken> {
    let link = |position, hash: &[u8]| Link { position, hash: Hash::from_bytes(hash).unwrap_or(Hash::START) };
    let anchor = link(chain.anchor_position, &chain.anchor_hash);
    let mut verifier = Verifier::new(Log::new("api-keys", tenant.to_string()), anchor);
    for entry in entries {
        let time = entry.time.unwrap();
        let content = Content {
            detail: entry.detail.clone(),
            before: Values::stored(entry.before.clone()),
            after: Values::stored(entry.after.clone()),
        };
        verifier.check(&Stored {
            entry: Entry {
                position: entry.position,
                at_us: time.seconds * 1_000_000 + i64::from(time.nanos / 1000),
                actor: &entry.actor,
                address: &entry.address,
                action: &entry.action,
                subject: &entry.subject,
            },
            content: &content,
            salt: &entry.salt,
            values_digest: &entry.values_digest,
            hash: &entry.hash,
        })?;
    }
    verifier.check_head(link(chain.head_position, &chain.head_hash))?;
    Ok(verifier)
}

async fn chain(replica: &Replica, reader: &KeyText, tenant_id: &str) -> KeyAuditChain {
    let message = ListKeyAuditEntriesRequest { tenant_id: tenant_id.to_owned(), page_size: 1, ..Default::default() };
    replica.keys().list_key_audit_entries(by(reader, message)).await.unwrap().into_inner().chain.unwrap()
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
        (1, &*actor, "CreateApiKey", &*id, ""),
        (2, &actor, "GetApiKey", &id, ""),
        (3, &actor, "GetApiKey", &nobody, "not found"),
        (4, &actor, "ListApiKeys", "", ""),
        (5, &actor, "RevokeApiKey", &nobody, "not found"),
    ];
    assert_eq!(entries.iter().map(short).collect::<Vec<_>>(), expected);
    assert!(entries.iter().all(|entry| entry.action.starts_with("rollcall.api_keys.v1.ApiKeyService/")));
    assert_eq!(texts(&entries[0].before), []);
    assert_eq!(texts(&entries[0].after), [("name", "test"), ("scopes", "admin")]);

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
    assert_eq!(short(&entries[2]), (3, &*actor, "RevokeApiKey", &*id, ""));
    assert_eq!(texts(&entries[2].before), [("state", "active")]);
    assert_eq!(texts(&entries[2].after), [("state", "revoked")]);
    assert_eq!(log(&replica, &theirs, "", 0).await.len(), 1, "another tenant's log is its own");
}

#[rstest]
#[tokio::test]
async fn r24_acts_at_once_leave_no_gap_and_no_fork(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let (here, there) = (world.replica().await, world.replica().await);
    let tenant = TenantId::generate();
    let replicas = [&here, &there];
    futures::future::join_all((0..20).map(|at| replicas[at % 2].create(tenant, &[]))).await;
    let entries = log(&here, &here.operator, &tenant.to_string(), 3).await;
    let chain = chain(&here, &here.operator, &tenant.to_string()).await;
    let until = KeyAuditChain { head_position: 21, head_hash: entries[20].hash.clone(), ..chain };
    assert_eq!(verified(tenant, &until, &entries).unwrap().entries(), 21);
    let positions: Vec<i64> = entries.iter().map(|entry| entry.position).collect();
    assert_eq!(positions, (1..=21).collect::<Vec<_>>());
}

#[rstest]
#[tokio::test]
async fn r24_an_entry_says_from_where(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let address: IpAddr = "2001:db8::1".parse().unwrap();
    let mut caller = Caller::installation(replica.operator.id());
    (caller.tenant, caller.address) = (tenant, Some(address));
    replica.api_keys.0.store.list(&caller, None, 1).await.unwrap();
    let entries = log(&replica, &replica.operator, &tenant.to_string(), 0).await;
    assert_eq!(entries.iter().map(|entry| &*entry.address).collect::<Vec<_>>(), ["2001:db8::1", ""]);
}
