//! Making, reading and revoking keys.

use authn::KeyText;
use database::testing::Engine;
use ids::{ApiKeyId, TenantId};
use proto::api_keys::v1::{
    ApiKey, ApiKeyState, CreateApiKeyRequest, GetApiKeyRequest, ListApiKeysRequest, ListApiKeysResponse,
    RevokeApiKeyRequest,
};
use rstest::rstest;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::testing::{Replica, World, by};

fn named(name: &str, scopes: &[&str]) -> Option<ApiKey> {
    let scopes = scopes.iter().map(ToString::to_string).collect();
    Some(ApiKey { name: name.into(), scopes, ..ApiKey::default() })
}

async fn create(replica: &Replica, issuer: &KeyText, tenant_id: &str, scopes: &[&str]) -> Result<ApiKey, Status> {
    let message = CreateApiKeyRequest { tenant_id: tenant_id.into(), api_key: named("Entra SCIM", scopes) };
    Ok(replica.keys().create_api_key(by(issuer, message)).await?.into_inner().api_key.unwrap())
}

async fn get(replica: &Replica, reader: &KeyText, id: &str) -> Result<ApiKey, Status> {
    let message = GetApiKeyRequest { tenant_id: String::new(), api_key_id: id.into() };
    Ok(replica.keys().get_api_key(by(reader, message)).await?.into_inner())
}

async fn revoke(replica: &Replica, by_whom: &KeyText, id: &str) -> Result<ApiKey, Status> {
    let message = RevokeApiKeyRequest { tenant_id: String::new(), api_key_id: id.into() };
    Ok(replica.keys().revoke_api_key(by(by_whom, message)).await?.into_inner())
}

#[rstest]
#[tokio::test]
async fn a_key_is_created_read_and_revoked(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let admin = replica.create(tenant, &["admin"]).await;

    let created = create(&replica, &admin, "", &[]).await.unwrap();
    assert_eq!((&*created.name, &*created.scopes), ("Entra SCIM", &["scim".to_owned()][..]));
    assert_eq!(created.tenant_id, tenant.to_string());
    assert_eq!(created.creator, format!("key:{}", admin.id()));
    assert_eq!(created.state(), ApiKeyState::Active);
    assert_eq!(get(&replica, &admin, &created.id).await.unwrap(), created);

    let revoked = revoke(&replica, &admin, &created.id).await.unwrap();
    assert_eq!(revoked.state(), ApiKeyState::Revoked);
    assert_eq!(revoke(&replica, &admin, &created.id).await.unwrap(), revoked, "again changes nothing");
    assert_eq!(get(&replica, &admin, &created.id).await.unwrap(), revoked);
    let head = replica.api_keys.0.store.head().await.unwrap();
    assert_eq!(head, 1);
}

#[rstest]
#[tokio::test]
async fn another_tenants_key_looks_like_none(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let admin = replica.create(TenantId::generate(), &["admin"]).await;
    let theirs = replica.create(TenantId::generate(), &["scim"]).await;
    let mut answers = Vec::new();
    for id in [theirs.id().to_string(), ApiKeyId::generate().to_string(), "nonsense".to_owned()] {
        answers.push(get(&replica, &admin, &id).await.unwrap_err());
        answers.push(revoke(&replica, &admin, &id).await.unwrap_err());
    }
    for status in &answers {
        assert_eq!((status.code(), status.message()), (Code::NotFound, "not found"));
        assert_eq!(status.details(), answers[0].details());
    }
    replica.exchange(&theirs).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn r06_nobody_gives_what_they_lack(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let admin = replica.create(tenant, &["admin"]).await;
    for (issuer, named) in [(&admin, String::new()), (&replica.operator, tenant.to_string())] {
        let status = create(&replica, issuer, &named, &["scim", "operator"]).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
        assert_eq!(status.get_details_error_info().unwrap().reason, "SCOPE_DENIED");
        let all =
            create(&replica, issuer, &named, &["admin", "identity.write", "identity.read", "scim"]).await.unwrap();
        assert_eq!(all.scopes, ["scim", "identity.read", "identity.write", "admin"]);
    }
    let operators = TenantId::OPERATOR.to_string();
    let status = create(&replica, &replica.operator, &operators, &["scim"]).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[rstest]
#[tokio::test]
async fn what_a_key_may_not_be_is_named(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let admin = replica.create(TenantId::generate(), &["admin"]).await;
    let past =
        ApiKey { expire_time: Some(pbjson_types::Timestamp { seconds: 1, nanos: 0 }), ..named("n", &[]).unwrap() };
    let skewed = ApiKey { expire_time: Some(pbjson_types::Timestamp { seconds: i64::MAX, nanos: -1 }), ..past.clone() };
    for (api_key, field) in [
        (None, "api_key.name"),
        (named("", &[]), "api_key.name"),
        (named("n", &["root"]), "api_key.scopes"),
        (Some(past), "api_key.expire_time"),
        (Some(skewed), "api_key.expire_time"),
    ] {
        let message = CreateApiKeyRequest { tenant_id: String::new(), api_key };
        let status = replica.keys().create_api_key(by(&admin, message)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, field);
    }
}

#[rstest]
#[tokio::test]
async fn keys_are_listed_page_by_page(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let (tenant, other) = (TenantId::generate(), TenantId::generate());
    let mut made = vec![replica.create(tenant, &["admin"]).await];
    replica.create(other, &["admin"]).await;
    for _ in 0..4 {
        made.push(replica.create(tenant, &[]).await);
    }
    let list = async |page_size: i32, page_token: String| -> Result<ListApiKeysResponse, Status> {
        let message = ListApiKeysRequest { tenant_id: String::new(), page_size, page_token };
        Ok(replica.keys().list_api_keys(by(&made[0], message)).await?.into_inner())
    };
    let expected: Vec<String> = made.iter().map(|key| key.id().to_string()).collect();
    for size in [0, 1, 2, 5, 1000] {
        let (mut listed, mut token) = (Vec::new(), String::new());
        loop {
            let page = list(size, token).await.unwrap();
            assert!(!page.api_keys.is_empty());
            listed.extend(page.api_keys.into_iter().map(|key| key.id));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(listed, expected, "{size}");
    }
    assert_eq!(list(-1, String::new()).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(list(1, "nonsense".into()).await.unwrap_err().code(), Code::InvalidArgument);
}
