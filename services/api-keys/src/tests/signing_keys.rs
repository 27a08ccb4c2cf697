//! Signing keys rotate while they are in use.

use std::time::Duration;

use authn::Error as AuthnError;
use database::testing::Engine;
use ids::TenantId;
use proto::api_keys::v1::{
    GetJwksRequest, ListSigningKeysRequest, RotateSigningKeysRequest, SigningKey,
    signing_key_service_client::SigningKeyServiceClient,
};
use rstest::rstest;
use secrecy::SecretString;
use tonic::Code;

use crate::{
    domain::Timestamp,
    testing::{ANYWHERE, Replica, World, by, until},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn rotate(replica: &Replica, withdraw: bool) -> Vec<SigningKey> {
    let message = RotateSigningKeysRequest { withdraw, ..RotateSigningKeysRequest::default() };
    let mut client = SigningKeyServiceClient::new(replica.public.clone());
    client.rotate_signing_keys(by(&replica.operator, message)).await.unwrap().into_inner().signing_keys
}

async fn published(replica: &Replica) -> usize {
    replica.credentials().get_jwks(GetJwksRequest {}).await.unwrap().into_inner().keys.len()
}

#[rstest]
#[tokio::test]
async fn keys_rotate_under_traffic_without_one_refused_request(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let (here, there) = (world.replica().await, world.replica().await);
    let key = here.create(TenantId::generate(), &["identity.read"]).await;
    let mut earlier = Vec::new();
    for withdraw in [false, true, true, false] {
        for verifier in [&here, &there] {
            // The other replica may sign with a key that was withdrawn a moment ago: nobody who calls sees that.
            let text = SecretString::from(key.expose());
            let principal = verifier.authenticator.authenticate(&text, ANYWHERE).await.unwrap();
            earlier.push(principal.token.clone());
            here.authenticator.authenticate(&principal.token, ANYWHERE).await.unwrap();
        }
        let keys = rotate(&here, withdraw).await;
        assert_eq!(keys.iter().filter(|key| key.signs).count(), 2, "one for each purpose");
        if withdraw {
            // What they have signed is dead everywhere; the key goes on with a new token.
            for token in earlier.drain(..) {
                for verifier in [&here, &there] {
                    let dead = async || {
                        verifier.authenticator.authenticate(&token, ANYWHERE).await.err()
                            == Some(AuthnError::Unauthenticated)
                    };
                    until(dead).await;
                }
            }
        }
    }
    assert_eq!(published(&here).await, published(&there).await);
}

#[rstest]
#[tokio::test]
async fn keys_rotate_by_themselves_and_are_published_as_long_as_something_they_signed_may_live(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let keys = &replica.api_keys.0.signing_keys;
    let now = Timestamp::now();
    keys.maintain(now.after(29 * DAY)).await.unwrap();
    assert_eq!(published(&replica).await, 1);
    let month = now.after(31 * DAY);
    // Two replicas that do it at once make one.
    let (one, other) = tokio::join!(keys.maintain(month), keys.maintain(month));
    one.and(other).unwrap();
    assert_eq!(published(&replica).await, 2);
    keys.maintain(month.after(Duration::from_secs(60))).await.unwrap();
    assert_eq!(published(&replica).await, 2, "tokens of five minutes may live");
    keys.maintain(month.after(Duration::from_secs(600))).await.unwrap();
    assert_eq!(published(&replica).await, 1);
    let access = || async { replica.api_keys.0.store.signing_keys().await.unwrap().len() - 1 };
    assert!(access().await >= 2, "access tokens of six hours may live");
    keys.maintain(month.after(Duration::from_secs(7 * 3600))).await.unwrap();
    assert_eq!(access().await, 1);
}

#[rstest]
#[tokio::test]
async fn only_the_operator_sees_and_rotates_them(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let admin = replica.create(TenantId::generate(), &["admin"]).await;
    let mut client = SigningKeyServiceClient::new(replica.public.clone());
    let refused = client.rotate_signing_keys(by(&admin, RotateSigningKeysRequest::default())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = client.list_signing_keys(by(&admin, ListSigningKeysRequest::default())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let named = ListSigningKeysRequest { tenant_id: TenantId::generate().to_string() };
    let refused = client.list_signing_keys(by(&replica.operator, named)).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    let listed = client.list_signing_keys(by(&replica.operator, ListSigningKeysRequest::default())).await.unwrap();
    let mut purposes: Vec<_> = listed.into_inner().signing_keys.into_iter().map(|key| key.purpose).collect();
    purposes.sort();
    assert_eq!(purposes, ["access_token", "token"]);
}
