//! Keys for tokens.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use authn::{Error as AuthnError, KeyText, Networks, key::Kind};
use database::testing::Engine;
use futures::future::join_all;
use ids::{ApiKeyId, TenantId};
use proto::api_keys::v1::{ExchangeApiKeyRequest, RevokeApiKeyRequest};
use rstest::rstest;
use secrecy::SecretString;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    domain::{About, ApiKey, Caller, Timestamp},
    testing::{ANYWHERE, Replica, World, by, until},
};

/// A key that ends at `expires_at`, which the API would not make.
async fn ending(replica: &Replica, expires_at: Timestamp) -> KeyText {
    let key = KeyText::mint(Kind::Tenant, ApiKeyId::generate()).unwrap();
    let about = About {
        name: "ending".into(),
        description: String::new(),
        scopes: "scim".parse().unwrap(),
        networks: Networks::default(),
        expires_at: Some(expires_at),
        owner: None,
    };
    let stored = ApiKey::new(key.id(), TenantId::generate(), about, "test".into(), Timestamp::now());
    let hash = replica.api_keys.0.hashing.hash(key.clone()).await.unwrap();
    let caller = Caller { tenant: stored.tenant, ..Caller::installation(key.id()) };
    replica.api_keys.0.store.create(&caller, stored, hash).await.unwrap();
    key
}

async fn revoke(replica: &Replica, tenant: TenantId, key: &KeyText) {
    let message = RevokeApiKeyRequest { tenant_id: tenant.to_string(), api_key_id: key.id().to_string() };
    replica.keys().revoke_api_key(by(&replica.operator, message)).await.unwrap();
}

fn answer(status: &Status) -> (Code, String, Vec<u8>) {
    (status.code(), status.message().to_owned(), status.details().to_vec())
}

#[rstest]
#[tokio::test]
async fn r03_unknown_wrong_revoked_and_expired_keys_cost_and_answer_the_same(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let good = replica.create(tenant, &[]).await;
    let revoked = replica.create(tenant, &[]).await;
    // Once verified, so that it is not by being new that it costs its run.
    replica.exchange(&revoked).await.unwrap();
    revoke(&replica, tenant, &revoked).await;
    let expired = ending(&replica, Timestamp::now()).await;
    let unknown = KeyText::mint(Kind::Tenant, ApiKeyId::generate()).unwrap();
    let wrong = KeyText::mint(Kind::Tenant, good.id()).unwrap();
    let wrong_kind = KeyText::mint(Kind::Operator, good.id()).unwrap();
    let mut answers = Vec::new();
    for key in [&unknown, &wrong, &wrong_kind, &revoked, &expired] {
        let before = replica.runs();
        answers.push(answer(&replica.exchange(key).await.unwrap_err()));
        assert_eq!(replica.runs(), before + 1, "{key}");
    }
    let before = replica.runs();
    let mistyped = ExchangeApiKeyRequest { key: format!("{}x", good.expose()), ..ExchangeApiKeyRequest::default() };
    answers.push(answer(&replica.credentials().exchange_api_key(mistyped).await.unwrap_err()));
    assert_eq!(replica.runs(), before, "a mistyped key costs nothing");
    assert_eq!(answers[0].0, Code::Unauthenticated);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    replica.exchange(&good).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_token_lives_five_minutes_and_never_longer_than_its_key(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let soon = Timestamp::now().after(Duration::from_secs(60));
    let (lasting, ending) = (replica.create(TenantId::generate(), &[]).await, ending(&replica, soon).await);
    let life = async |key: &KeyText| {
        let message = ExchangeApiKeyRequest { key: key.expose().to_owned(), ..ExchangeApiKeyRequest::default() };
        let answer = replica.credentials().exchange_api_key(message).await.unwrap().into_inner();
        let end = answer.expire_time.unwrap();
        assert_eq!(end.nanos, 0);
        end.seconds - i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
    };
    assert!((295..=300).contains(&life(&lasting).await));
    assert!((50..=60).contains(&life(&ending).await));
}

#[rstest]
#[tokio::test]
async fn many_requests_with_one_cold_key_make_one_argon2_run(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let key = replica.create(TenantId::generate(), &["scim"]).await;
    let (bearer, before) = (SecretString::from(key.expose()), replica.runs());
    let answers = join_all((0..50).map(|_| replica.authenticator.authenticate_client(&bearer, ANYWHERE))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(replica.runs(), before + 1);
}

#[rstest]
#[tokio::test]
async fn r04_a_flood_of_wrong_keys_is_turned_away_and_a_verified_key_passes_it(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let verified = replica.create(TenantId::generate(), &[]).await;
    let cold = replica.create(TenantId::generate(), &[]).await;
    replica.exchange(&verified).await.unwrap();
    let hashing = &replica.api_keys.0.hashing;
    let held = hashing.hold();
    let flood: Vec<_> = (0..hashing.places())
        .map(|_| {
            let mut credentials = replica.credentials();
            let unknown = KeyText::mint(Kind::Tenant, ApiKeyId::generate()).unwrap();
            let message =
                ExchangeApiKeyRequest { key: unknown.expose().to_owned(), ..ExchangeApiKeyRequest::default() };
            tokio::spawn(async move { credentials.exchange_api_key(message).await.map(drop) })
        })
        .collect();
    until(async || hashing.places() == 0).await;
    let busy = replica.exchange(&cold).await.unwrap_err();
    assert_eq!(busy.code(), Code::ResourceExhausted, "never refused");
    assert!(busy.get_details_retry_info().is_some());
    replica.exchange(&verified).await.unwrap();
    flood.into_iter().for_each(|one| one.abort());
    drop(held);
    until(async || replica.exchange(&cold).await.is_ok()).await;
}

#[tokio::test]
async fn r04_an_address_is_not_blamed_for_keys_that_could_not_be_checked() {
    let replica = World::new(Engine::Sqlite).await.unwrap().replica().await;
    let key = replica.create(TenantId::generate(), &[]).await;
    let from_one_address = async || {
        let (key, client_address) = (key.expose().to_owned(), "192.0.2.1".to_owned());
        replica.credentials().exchange_api_key(ExchangeApiKeyRequest { key, client_address }).await
    };
    let hashing = &replica.api_keys.0.hashing;
    let held = hashing.hold();
    let line = hashing.take_places();
    // Far more often than an address may send a wrong key.
    for _ in 0..100 {
        assert_eq!(from_one_address().await.unwrap_err().code(), Code::ResourceExhausted);
    }
    drop((held, line));
    from_one_address().await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_key_that_is_revoked_while_argon2_runs_is_refused(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let key = replica.create(tenant, &[]).await;
    replica.exchange(&replica.operator).await.unwrap();
    let hashing = &replica.api_keys.0.hashing;
    let (held, free) = (hashing.hold(), hashing.places());
    let exchange = replica.exchange(&key);
    let revoke = async {
        until(async || hashing.places() < free).await;
        revoke(&replica, tenant, &key).await;
        drop(held);
    };
    let (exchanged, ()) = futures::future::join(exchange, revoke).await;
    assert_eq!(exchanged.unwrap_err().code(), Code::Unauthenticated);
}

#[rstest]
#[tokio::test]
async fn an_operator_credential_is_installed_once_and_dies_like_a_key(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let bearer = SecretString::from(replica.operator.expose());
    let principal = replica.authenticator.authenticate(&bearer, ANYWHERE).await.unwrap();
    assert!(principal.is_operator());
    assert_eq!(principal.actor(), format!("operator:{}", replica.operator.id()));
    let before = replica.runs();
    replica.api_keys.install_operator(&replica.operator).await.unwrap();
    assert_eq!(replica.runs(), before, "it is there already");
    let tenants = KeyText::mint(Kind::Tenant, ApiKeyId::generate()).unwrap();
    assert_eq!(replica.api_keys.install_operator(&tenants).await, Err(crate::InstallError::NotAnOperator));

    revoke(&replica, TenantId::OPERATOR, &replica.operator).await;
    until(async || {
        replica.authenticator.authenticate(&bearer, ANYWHERE).await.err() == Some(AuthnError::Unauthenticated)
    })
    .await;
    replica.api_keys.install_operator(&replica.operator).await.unwrap();
    assert_eq!(replica.authenticator.authenticate(&bearer, ANYWHERE).await.err(), Some(AuthnError::Unauthenticated));
}
