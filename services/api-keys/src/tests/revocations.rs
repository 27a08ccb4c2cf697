//! The list that verifiers follow.

use std::time::{Duration, Instant};

use authn::Error as AuthnError;
use database::testing::Engine;
use futures::{StreamExt, future::join_all};
use ids::TenantId;
use proto::api_keys::v1::{
    GetRevocationHeadRequest, Revocation, RevokeApiKeyRequest, WatchRevocationsRequest, revocation::Subject,
};
use rstest::rstest;
use secrecy::SecretString;

use crate::testing::{ANYWHERE, PATIENCE, Replica, World, by, until};

async fn revoke(replica: &Replica, tenant: TenantId, id: String) {
    let message = RevokeApiKeyRequest { tenant_id: tenant.to_string(), api_key_id: id };
    replica.keys().revoke_api_key(by(&replica.operator, message)).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn r01_a_revocation_reaches_the_verifiers_of_every_replica_within_a_second(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let (here, there) = (world.replica().await, world.replica().await);
    let tenant = TenantId::generate();
    let key = here.create(tenant, &["identity.read"]).await;
    let (text, token) = (SecretString::from(key.expose()), SecretString::from(there.exchange(&key).await.unwrap()));
    for (replica, bearer) in [(&here, &text), (&here, &token), (&there, &text), (&there, &token)] {
        replica.authenticator.authenticate(bearer, ANYWHERE).await.unwrap();
    }
    revoke(&here, tenant, key.id().to_string()).await;
    let revoked = Instant::now();
    let refused = async |replica: &Replica, bearer| {
        until(async || {
            replica.authenticator.authenticate(bearer, ANYWHERE).await.err() == Some(AuthnError::Unauthenticated)
        })
        .await;
    };
    refused(&here, &token).await;
    refused(&there, &token).await;
    assert!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
    // The remembered token of the key is dead too; the refusal itself costs an argon2 run, which is not to be measured here.
    refused(&here, &text).await;
    refused(&there, &text).await;
}

#[rstest]
#[tokio::test]
async fn revocations_at_once_are_listed_in_order_without_a_gap(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let (here, there) = (world.replica().await, world.replica().await);
    let tenants = [TenantId::generate(), TenantId::generate()];
    let mut keys = Vec::new();
    for at in 0..12 {
        let tenant = tenants[at % 2];
        keys.push((tenant, here.create(tenant, &[]).await.id().to_string()));
    }
    let message = WatchRevocationsRequest { after: 0 };
    let mut stream = there.credentials().watch_revocations(message).await.unwrap().into_inner();
    let revoking = join_all(keys.iter().enumerate().map(|(at, (tenant, id))| {
        let replica = if at % 3 == 0 { &here } else { &there };
        revoke(replica, *tenant, id.clone())
    }));
    let reading = async {
        let mut heard: Vec<Revocation> = Vec::new();
        while heard.len() < keys.len() {
            let message = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap().unwrap().unwrap();
            heard.extend(message.revocations);
            assert_eq!(message.head, i64::try_from(heard.len()).unwrap());
        }
        heard
    };
    let (_, heard) = futures::future::join(revoking, reading).await;
    let positions: Vec<i64> = heard.iter().map(|revocation| revocation.position).collect();
    assert_eq!(positions, (1..=12).collect::<Vec<_>>());
    let mut ids: Vec<_> = heard.into_iter().map(|revocation| revocation.subject.unwrap()).collect();
    for (_, id) in &keys {
        ids.retain(|subject| *subject != Subject::ApiKeyId(id.clone()));
    }
    assert!(ids.is_empty(), "{ids:?}");

    // From the middle: the rest at once, then heads.
    let message = WatchRevocationsRequest { after: 7 };
    let mut stream = here.credentials().watch_revocations(message).await.unwrap().into_inner();
    let rest = stream.next().await.unwrap().unwrap();
    assert_eq!((rest.revocations.len(), rest.head), (5, 12));
    let head = here.credentials().get_revocation_head(GetRevocationHeadRequest {}).await.unwrap().into_inner().head;
    assert_eq!(head, 12);
}

#[rstest]
#[tokio::test]
async fn a_quiet_list_sends_its_head_all_the_time(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let mut stream =
        replica.credentials().watch_revocations(WatchRevocationsRequest { after: 0 }).await.unwrap().into_inner();
    stream.next().await.unwrap().unwrap();
    let began = Instant::now();
    for _ in 0..8 {
        let message = stream.next().await.unwrap().unwrap();
        assert_eq!((message.revocations.len(), message.head), (0, 0));
    }
    // 250 ms each; a loaded machine may owe a few.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[rstest]
#[tokio::test]
async fn a_revocation_outlives_every_token_that_it_matches(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let key = replica.create(tenant, &[]).await;
    replica.exchange(&key).await.unwrap();
    revoke(&replica, tenant, key.id().to_string()).await;
    let message = WatchRevocationsRequest { after: 0 };
    let mut stream = replica.credentials().watch_revocations(message).await.unwrap().into_inner();
    let message = stream.next().await.unwrap().unwrap();
    let end = message.revocations[0].expire_time.unwrap().seconds;
    let now = crate::domain::Timestamp::now().second();
    assert!((355..=360).contains(&(end - now)), "{}", end - now);
}

#[rstest]
#[tokio::test]
async fn a_service_that_ends_ends_its_streams(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let mut stream =
        replica.credentials().watch_revocations(WatchRevocationsRequest { after: 0 }).await.unwrap().into_inner();
    stream.next().await.unwrap().unwrap();
    replica.api_keys.end_watches();
    while let Some(message) = stream.next().await {
        message.unwrap();
    }
}
