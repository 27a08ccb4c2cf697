//! Starting: schemas, signing keys, replicas.

use authn::CredentialId;
use database::testing::{Engine, TestDatabase};
use futures::future::join_all;
use ids::TenantId;
use proto::api_keys::v1::GetJwksRequest;
use rstest::rstest;
use secrecy::SecretString;

use crate::{
    AccessTokenLife, ApiKeys, Config, EncryptionKey, HashWork, Migrate, OpenError,
    testing::{ANYWHERE, World},
};

#[rstest]
#[tokio::test]
async fn replicas_that_start_at_once_share_one_signing_key(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replicas = join_all((0..4).map(|_| world.replica())).await;
    let mut published = Vec::new();
    for replica in &replicas {
        published.push(replica.credentials().get_jwks(GetJwksRequest {}).await.unwrap().into_inner());
    }
    assert_eq!(published[0].keys.len(), 1);
    assert!(published.iter().all(|jwks| *jwks == published[0]));
    let key = replicas[0].create(TenantId::generate(), &["identity.read"]).await;
    for issuer in &replicas {
        let token = SecretString::from(issuer.exchange(&key).await.unwrap());
        for verifier in &replicas {
            assert_eq!(
                verifier.authenticator.authenticate(&token, ANYWHERE).await.unwrap().credential,
                CredentialId::ApiKey(key.id())
            );
        }
    }
}

#[rstest]
#[tokio::test]
async fn another_encryption_key_does_not_open(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    drop(world.replica().await);
    let config = Config { encryption_key: EncryptionKey::generate().unwrap(), ..world.config() };
    assert!(matches!(ApiKeys::open(config).await, Err(OpenError::WrongEncryptionKey)));
    assert!(ApiKeys::open(world.config()).await.unwrap().ready().await);
}

#[rstest]
#[tokio::test]
async fn an_old_schema_is_refused_and_a_migrated_one_is_not(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(database) = TestDatabase::empty(engine).await.unwrap() else { return };
    let config = |migrate| Config {
        location: database.location().clone(),
        encryption_key: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".parse().unwrap(),
        migrate,
        hash_work: HashWork::default(),
        access_token_life: AccessTokenLife::default(),
        outbound: outbound::Settings::default(),
    };
    assert!(matches!(ApiKeys::open(config(Migrate::Check)).await, Err(OpenError::Schema(_))));
    ApiKeys::open(config(Migrate::Run)).await.unwrap();
    crate::migrate(database.location()).await.unwrap();
    ApiKeys::open(config(Migrate::Check)).await.unwrap();
}
