//! Access tokens: what an OAuth client gets, and what it is good for.

use authn::{Error as AuthnError, KeyText, Scope, Source, key::Kind};
use database::testing::Engine;
use ids::{ApiKeyId, TenantId};
use proto::api_keys::v1::{
    ApiKey, ExchangeAccessTokenRequest, IssueAccessTokenRequest, ListKeyAuditEntriesRequest, RevokeApiKeyRequest,
    RotateSigningKeysRequest, issue_access_token_request::Proof, signing_key_service_client::SigningKeyServiceClient,
};
use rstest::rstest;
use secrecy::{ExposeSecret, SecretString};
use tonic::{Code, Status};

use crate::{
    domain::Timestamp,
    testing::{ANYWHERE, Replica, World, by, until},
};

async fn issue(replica: &Replica, client_id: &str, secret: &str, address: &str) -> Result<(SecretString, i64), Status> {
    let message = IssueAccessTokenRequest {
        client_id: client_id.to_owned(),
        proof: Some(Proof::ClientSecret(secret.to_owned())),
        client_address: address.to_owned(),
    };
    let issued = replica.credentials().issue_access_token(message).await?.into_inner();
    Ok((issued.access_token.into(), issued.expire_time.unwrap().seconds - Timestamp::now().second()))
}

async fn issued(replica: &Replica, key: &KeyText) -> SecretString {
    issue(replica, &key.id().to_string(), key.expose(), "").await.unwrap().0
}

async fn revoke(replica: &Replica, tenant: TenantId, key: &KeyText) {
    let message = RevokeApiKeyRequest { tenant_id: tenant.to_string(), api_key_id: key.id().to_string() };
    replica.keys().revoke_api_key(by(&replica.operator, message)).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn r02_an_access_token_opens_the_scim_path_alone(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let key = replica.create(tenant, &["scim", "identity.read", "admin"]).await;
    let (token, life) = issue(&replica, &key.id().to_string(), key.expose(), "192.0.2.1").await.unwrap();
    assert!((3595..=3600).contains(&life), "{life}");
    let principal = replica.authenticator.authenticate_client(&token, ANYWHERE).await.unwrap();
    assert_eq!((principal.tenant, principal.scopes.to_string()), (tenant, Scope::Scim.to_string()), "and no more");
    assert_eq!(principal.actor(), format!("key:{}", key.id()));
    // A listener of clients over gRPC takes keys and tokens of services, and this is neither.
    let refused = replica.authenticator.authenticate(&token, ANYWHERE).await.err();
    assert_eq!(refused, Some(AuthnError::Unauthenticated));
    // What it is exchanged for is no access token in turn.
    let refused = replica.authenticator.authenticate_client(&principal.token, ANYWHERE).await.err();
    assert_eq!(refused, Some(AuthnError::Unauthenticated));
}

#[rstest]
#[tokio::test]
async fn r03_a_client_that_proves_nothing_is_refused_alike(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let (good, other) = (replica.create(tenant, &[]).await, replica.create(tenant, &[]).await);
    let revoked = replica.create(tenant, &[]).await;
    revoke(&replica, tenant, &revoked).await;
    let wrong = KeyText::mint(Kind::Tenant, good.id()).unwrap();
    let unknown = KeyText::mint(Kind::Tenant, ApiKeyId::generate()).unwrap();
    let id = |key: &KeyText| key.id().to_string();
    for (case, client_id, secret) in [
        ("wrong", id(&good), wrong.expose()),
        ("unknown", id(&unknown), unknown.expose()),
        ("revoked", id(&revoked), revoked.expose()),
        ("another's id", id(&other), good.expose()),
        ("no id", String::new(), good.expose()),
        ("no secret", id(&good), ""),
        ("no key", id(&good), "hunter2"),
    ] {
        let status = issue(&replica, &client_id, secret, "").await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "the credential is not valid"), "{case}");
    }
    let message = IssueAccessTokenRequest { client_id: id(&good), ..IssueAccessTokenRequest::default() };
    let status = replica.credentials().issue_access_token(message).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[rstest]
#[tokio::test]
async fn a_client_needs_the_scope_and_the_address_that_it_may_have(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let reader = replica.create(tenant, &["identity.read"]).await;
    let status = issue(&replica, &reader.id().to_string(), reader.expose(), "").await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "the client lacks the scope scim"));
    let bound = replica.create(tenant, &[]).await;
    let networks =
        ApiKey { id: bound.id().to_string(), allowed_networks: vec!["192.0.2.0/24".into()], ..ApiKey::default() };
    replica.update(tenant, networks, &["allowed_networks"]).await.unwrap();
    let from = async |address: &str| issue(&replica, &bound.id().to_string(), bound.expose(), address).await;
    assert_eq!(from("198.51.100.1").await.unwrap_err().code(), Code::PermissionDenied);
    let (token, _) = from("192.0.2.1").await.unwrap();
    // R7: the list goes with the token, on every request.
    let source = |address: &str| Source::Client(Some(address.parse().unwrap()));
    assert!(replica.authenticator.authenticate_client(&token, source("192.0.2.1")).await.is_ok());
    let refused = replica.authenticator.authenticate_client(&token, source("198.51.100.1")).await.err();
    assert_eq!(refused, Some(AuthnError::AddressRefused));
}

#[rstest]
#[tokio::test]
async fn r09_an_access_token_dies_with_the_client_it_was_issued_to(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let (here, there) = (world.replica().await, world.replica().await);
    let tenant = TenantId::generate();
    let key = here.create(tenant, &["scim"]).await;
    let token = issued(&here, &key).await;
    for replica in [&here, &there] {
        replica.authenticator.authenticate_client(&token, ANYWHERE).await.unwrap();
    }
    revoke(&here, tenant, &key).await;
    let began = std::time::Instant::now();
    for replica in [&here, &there] {
        until(async || replica.authenticator.authenticate_client(&token, ANYWHERE).await.is_err()).await;
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(1), "{:?}", began.elapsed());

    let lost = here.create(tenant, &["scim", "identity.read"]).await;
    let token = issued(&here, &lost).await;
    here.authenticator.authenticate_client(&token, ANYWHERE).await.unwrap();
    let narrowed = ApiKey { id: lost.id().to_string(), scopes: vec!["identity.read".into()], ..ApiKey::default() };
    here.update(tenant, narrowed, &["scopes"]).await.unwrap();
    until(async || here.authenticator.authenticate_client(&token, ANYWHERE).await.is_err()).await;

    let ending = here.create(tenant, &["scim"]).await;
    let end = Some(pbjson_types::Timestamp { seconds: Timestamp::now().second() + 60, nanos: 0 });
    let changed = ApiKey { id: ending.id().to_string(), expire_time: end, ..ApiKey::default() };
    here.update(tenant, changed, &["expire_time"]).await.unwrap();
    let (_, life) = issue(&here, &ending.id().to_string(), ending.expose(), "").await.unwrap();
    assert!((50..=60).contains(&life), "no token outlives its key: {life}");
}

#[rstest]
#[tokio::test]
async fn r09_a_forged_or_foreign_token_is_none(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let key = replica.create(TenantId::generate(), &["scim"]).await;
    let (token, other) = (issued(&replica, &key).await, issued(&replica, &key).await);
    let (signed, _) = token.expose_secret().rsplit_once('.').unwrap();
    let (_, signature) = other.expose_secret().rsplit_once('.').unwrap();
    let other_world = World::new(engine).await.unwrap();
    let elsewhere = other_world.replica().await;
    let stranger = elsewhere.create(TenantId::generate(), &["scim"]).await;
    let foreign = issued(&elsewhere, &stranger).await;
    for text in [format!("{signed}.{signature}"), foreign.expose_secret().to_owned(), format!("{signed}.")] {
        let refused = replica.authenticator.authenticate_client(&SecretString::from(text), ANYWHERE).await.err();
        assert_eq!(refused, Some(AuthnError::Unauthenticated));
    }
}

#[rstest]
#[tokio::test]
async fn withdrawn_signing_keys_end_access_tokens_and_rotated_ones_do_not(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let key = replica.create(TenantId::generate(), &["scim"]).await;
    let token = issued(&replica, &key).await;
    let rotate = async |withdraw| {
        let message = RotateSigningKeysRequest { withdraw, ..RotateSigningKeysRequest::default() };
        let mut client = SigningKeyServiceClient::new(replica.public.clone());
        client.rotate_signing_keys(by(&replica.operator, message)).await.unwrap();
    };
    rotate(false).await;
    replica.authenticator.authenticate_client(&token, ANYWHERE).await.unwrap();
    replica.authenticator.authenticate_client(&issued(&replica, &key).await, ANYWHERE).await.unwrap();
    rotate(true).await;
    until(async || replica.authenticator.authenticate_client(&token, ANYWHERE).await.is_err()).await;
    replica.authenticator.authenticate_client(&issued(&replica, &key).await, ANYWHERE).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn r09_an_access_token_ends_with_its_key_that_was_given_an_end_since(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let key = replica.create(tenant, &["scim"]).await;
    let token = issued(&replica, &key).await;
    let end = pbjson_types::Timestamp { seconds: Timestamp::now().second() + 3, nanos: 0 };
    let changed = ApiKey { id: key.id().to_string(), expire_time: Some(end), ..ApiKey::default() };
    replica.update(tenant, changed, &["expire_time"]).await.unwrap();
    let message = ExchangeAccessTokenRequest { access_token: token.expose_secret().to_owned() };
    let exchanged = replica.credentials().exchange_access_token(message).await.unwrap().into_inner();
    assert!(exchanged.expire_time.unwrap().seconds <= end.seconds, "no token outlives its key");
    until(async || replica.authenticator.authenticate_client(&token, ANYWHERE).await.is_err()).await;
    let late = Timestamp::now().second() - end.seconds;
    assert!((0..=1).contains(&late), "{late} s after its end");
}

#[rstest]
#[tokio::test]
async fn an_access_token_of_a_new_signing_key_is_good_at_every_replica_at_once(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let (here, there) = (world.replica().await, world.replica().await);
    let key = here.create(TenantId::generate(), &["scim"]).await;
    for withdraw in [false, true] {
        // The other replica has read the keys of before a moment ago.
        issued(&there, &key).await;
        let message = RotateSigningKeysRequest { withdraw, ..RotateSigningKeysRequest::default() };
        let mut client = SigningKeyServiceClient::new(here.public.clone());
        client.rotate_signing_keys(by(&here.operator, message)).await.unwrap();
        for issuer in [&here, &there] {
            let token = issued(issuer, &key).await;
            for verifier in [&there, &here] {
                verifier.authenticator.authenticate_client(&token, ANYWHERE).await.unwrap();
            }
        }
    }
}

#[rstest]
#[tokio::test]
async fn r24_each_sign_in_of_a_client_stands_in_its_tenants_log(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let (admin, key) = (replica.create(tenant, &["admin"]).await, replica.create(tenant, &["scim"]).await);
    issue(&replica, &key.id().to_string(), key.expose(), "192.0.2.1").await.unwrap();
    let request = by(&admin, ListKeyAuditEntriesRequest::default());
    let entries = replica.keys().list_key_audit_entries(request).await.unwrap().into_inner().entries;
    let last = entries.last().unwrap();
    assert_eq!((last.actor.clone(), last.address.as_str()), (format!("key:{}", key.id()), "192.0.2.1"));
    assert!(last.action.ends_with("/IssueAccessToken"), "{last:?}");
}
