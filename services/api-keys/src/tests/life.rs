//! What happens to a key between its making and its end.

use std::time::Duration;

use authn::{KeyText, Source, key::Kind};
use database::testing::Engine;
use ids::{ApiKeyId, TenantId};
use pbjson_types::{Duration as ProtoDuration, Timestamp as ProtoTimestamp};
use proto::api_keys::v1::{
    ApiKey, ApiKeyState, CreateApiKeyRequest, GetApiKeyRequest, RecordUsesRequest, RevokeApiKeyRequest,
    RotateApiKeyRequest, RotateApiKeyResponse, Use, r#use::Credential,
};
use rstest::rstest;
use secrecy::SecretString;
use tonic::{Code, Status};

use crate::{
    ApiKeys, Config, HashWork,
    domain::{Caller, Rotation, Timestamp},
    store::Successor,
    testing::{ANYWHERE, Replica, World, by, until},
};

fn bearer(key: &KeyText) -> SecretString {
    SecretString::from(key.expose())
}

fn seconds(time: Option<ProtoTimestamp>) -> i64 {
    time.unwrap().seconds
}

async fn get(replica: &Replica, tenant: TenantId, id: ApiKeyId) -> ApiKey {
    let message = GetApiKeyRequest { tenant_id: tenant.to_string(), api_key_id: id.to_string() };
    replica.keys().get_api_key(by(&replica.operator, message)).await.unwrap().into_inner()
}

async fn rotate(
    replica: &Replica,
    by_whom: &KeyText,
    tenant_id: &str,
    id: ApiKeyId,
    overlap: Option<i64>,
) -> Result<RotateApiKeyResponse, Status> {
    let overlap = overlap.map(|seconds| ProtoDuration { seconds, nanos: 0 });
    let message =
        RotateApiKeyRequest { tenant_id: tenant_id.into(), api_key_id: id.to_string(), overlap, expire_time: None };
    Ok(replica.keys().rotate_api_key(by(by_whom, message)).await?.into_inner())
}

#[rstest]
#[tokio::test]
async fn a_key_has_all_that_it_was_made_with(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let asked = ApiKey {
        name: "Entra SCIM".into(),
        description: "For the enterprise application\nof the head office".into(),
        allowed_networks: vec!["20.190.128.0/18".into(), "192.0.2.7".into()],
        ..ApiKey::default()
    };
    let message = CreateApiKeyRequest { tenant_id: tenant.to_string(), api_key: Some(asked.clone()) };
    let made = replica.keys().create_api_key(by(&replica.operator, message)).await.unwrap().into_inner();
    let made = made.api_key.unwrap();
    assert_eq!(made.description, asked.description);
    assert_eq!(made.allowed_networks, ["20.190.128.0/18", "192.0.2.7/32"]);
    assert_eq!((made.last_use_time, made.replaced_by.as_str(), made.expires_soon), (None, "", false));
    assert_eq!(get(&replica, tenant, made.id.parse().unwrap()).await, made);
}

#[rstest]
#[tokio::test]
async fn r01_a_narrowed_key_is_felt_by_the_verifiers_of_every_replica_within_a_second(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let (here, there) = (world.replica().await, world.replica().await);
    let tenant = TenantId::generate();
    let key = here.create(tenant, &["scim", "identity.read"]).await;
    let text = bearer(&key);
    for replica in [&here, &there] {
        replica.authenticator.authenticate(&text, ANYWHERE).await.unwrap();
    }
    let narrower = ApiKey {
        id: key.id().to_string(),
        scopes: vec!["identity.read".into()],
        allowed_networks: vec!["192.0.2.0/24".into()],
        ..ApiKey::default()
    };
    let changed = here.update(tenant, narrower, &["scopes", "allowed_networks"]).await.unwrap();
    assert_eq!((changed.name.as_str(), &*changed.scopes), ("test", &["identity.read".to_owned()][..]));
    let began = std::time::Instant::now();
    let inside = Source::Client(Some("192.0.2.9".parse().unwrap()));
    for replica in [&here, &there] {
        until(async || replica.authenticator.authenticate(&text, ANYWHERE).await.is_err()).await;
        let principal = replica.authenticator.authenticate(&text, inside).await.unwrap();
        assert_eq!(principal.scopes.to_string(), "identity.read");
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let runs = here.runs() + there.runs();
    here.exchange(&key).await.unwrap();
    assert_eq!(here.runs() + there.runs(), runs, "a change asks for no argon2 run");
}

#[rstest]
#[tokio::test]
async fn a_change_that_says_nothing_or_what_cannot_be_is_refused(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let key = replica.create(tenant, &[]).await;
    let changed = || ApiKey { id: key.id().to_string(), name: "new".into(), ..ApiKey::default() };
    let code = async |fields: &[&str]| replica.update(tenant, changed(), fields).await.unwrap_err().code();
    assert_eq!(code(&[]).await, Code::InvalidArgument);
    assert_eq!(code(&["name", "state"]).await, Code::InvalidArgument);
    assert_eq!(replica.update(tenant, changed(), &["name"]).await.unwrap().name, "new");
    let head = replica.api_keys.0.store.head().await.unwrap();
    assert_eq!(head, 0, "a name ends no token");
    let message = RevokeApiKeyRequest { tenant_id: tenant.to_string(), api_key_id: key.id().to_string() };
    replica.keys().revoke_api_key(by(&replica.operator, message)).await.unwrap();
    assert_eq!(code(&["name"]).await, Code::FailedPrecondition);
    let unknown = ApiKey { id: ApiKeyId::generate().to_string(), ..changed() };
    assert_eq!(replica.update(tenant, unknown, &["name"]).await.unwrap_err().code(), Code::NotFound);
}

#[rstest]
#[tokio::test]
async fn both_keys_of_a_rotation_work_until_the_overlap_ends(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let old = replica.create(tenant, &["scim"]).await;
    let token = SecretString::from(replica.exchange(&old).await.unwrap());
    replica.authenticator.authenticate(&token, ANYWHERE).await.unwrap();
    let rotated = rotate(&replica, &replica.operator, &tenant.to_string(), old.id(), Some(2)).await.unwrap();
    let (new, previous): (KeyText, _) = (rotated.key.parse().unwrap(), rotated.previous.unwrap());
    assert_eq!(previous.replaced_by, new.id().to_string());
    assert_eq!(rotated.api_key.unwrap().name, "test");
    for key in [&old, &new] {
        replica.authenticator.authenticate_client(&bearer(key), ANYWHERE).await.unwrap();
    }
    // A token of before, which would have outlived the overlap, has ended; the key itself has not.
    until(async || replica.authenticator.authenticate(&token, ANYWHERE).await.is_err()).await;
    until(async || replica.authenticator.authenticate_client(&bearer(&old), ANYWHERE).await.is_err()).await;
    let late = Timestamp::now().second() - seconds(previous.expire_time);
    assert!((0..=1).contains(&late), "{late} s after its end");
    replica.authenticator.authenticate_client(&bearer(&new), ANYWHERE).await.unwrap();
    let ended = rotate(&replica, &replica.operator, &tenant.to_string(), old.id(), None).await.unwrap_err();
    assert_eq!(ended.code(), Code::FailedPrecondition);
}

#[rstest]
#[tokio::test]
async fn r05_the_operator_credential_is_rotated_like_a_key(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let (old, tenant) = (&replica.operator, TenantId::OPERATOR.to_string());
    let rotated = rotate(&replica, old, &tenant, old.id(), Some(0)).await.unwrap();
    let new: KeyText = rotated.key.parse().unwrap();
    assert_eq!(new.kind(), Kind::Operator);
    until(async || replica.authenticator.authenticate(&bearer(old), ANYWHERE).await.is_err()).await;
    assert!(replica.authenticator.authenticate(&bearer(&new), ANYWHERE).await.unwrap().is_operator());
    // The file of before is installed at each start, and opens nothing.
    replica.api_keys.install_operator(old).await.unwrap();
    assert!(replica.authenticator.authenticate(&bearer(old), ANYWHERE).await.is_err());
}

#[rstest]
#[tokio::test]
async fn d08_the_operator_credential_is_a_key_of_the_reserved_tenant(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let stored = get(&replica, TenantId::OPERATOR, replica.operator.id()).await;
    assert_eq!((stored.tenant_id, stored.scopes), (TenantId::OPERATOR.to_string(), vec!["operator".to_owned()]));
    // Nobody makes one but the installation.
    let message = CreateApiKeyRequest {
        tenant_id: TenantId::OPERATOR.to_string(),
        api_key: Some(ApiKey { name: "x".into(), ..ApiKey::default() }),
    };
    let refused = replica.keys().create_api_key(by(&replica.operator, message)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let tenants = KeyText::mint(Kind::Tenant, ApiKeyId::generate()).unwrap();
    assert!(replica.api_keys.install_operator(&tenants).await.is_err());
}

#[rstest]
#[tokio::test]
async fn r06_nobody_rotates_or_changes_a_key_with_more_than_they_hold(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let admin = replica.create(tenant, &["admin"]).await;
    let operator = &replica.operator;
    let refused = rotate(&replica, &admin, "", operator.id(), None).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound, "the operator's is no key of the tenant");
    let message = CreateApiKeyRequest {
        tenant_id: String::new(),
        api_key: Some(ApiKey { name: "x".into(), scopes: vec!["operator".into()], ..ApiKey::default() }),
    };
    let refused = replica.keys().create_api_key(by(&admin, message)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let changed = ApiKey { id: admin.id().to_string(), scopes: vec!["operator".into()], ..ApiKey::default() };
    let refused = replica.update(tenant, changed, &["scopes"]).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    rotate(&replica, &admin, "", admin.id(), None).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn r08_a_provisioning_key_outlives_the_key_that_made_it(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let creator = replica.create(tenant, &["admin"]).await;
    let message = CreateApiKeyRequest {
        tenant_id: String::new(),
        api_key: Some(ApiKey { name: "Entra".into(), ..ApiKey::default() }),
    };
    let made = replica.keys().create_api_key(by(&creator, message)).await.unwrap().into_inner();
    let key: KeyText = made.key.parse().unwrap();
    let revoke = RevokeApiKeyRequest { tenant_id: tenant.to_string(), api_key_id: creator.id().to_string() };
    replica.keys().revoke_api_key(by(&replica.operator, revoke)).await.unwrap();
    until(async || replica.authenticator.authenticate(&bearer(&creator), ANYWHERE).await.is_err()).await;
    replica.authenticator.authenticate_client(&bearer(&key), ANYWHERE).await.unwrap();
    assert_eq!(get(&replica, tenant, key.id()).await.creator, format!("key:{}", creator.id()));
}

#[rstest]
#[tokio::test]
async fn the_latest_use_counts_whoever_tells_of_it_first(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let key = replica.create(tenant, &[]).await;
    let used = |seconds, address: &str| Use {
        credential: Some(Credential::ApiKeyId(key.id().to_string())),
        time: Some(ProtoTimestamp { seconds, nanos: 0 }),
        address: address.to_owned(),
    };
    let tell = async |uses: Vec<Use>| replica.credentials().record_uses(RecordUsesRequest { uses }).await;
    tell(vec![used(1_700_000_100, "192.0.2.2")]).await.unwrap();
    tell(vec![used(1_700_000_000, "192.0.2.1")]).await.unwrap();
    let stored = get(&replica, tenant, key.id()).await;
    assert_eq!((seconds(stored.last_use_time), stored.last_use_address.as_str()), (1_700_000_100, "192.0.2.2"));
    tell(vec![used(i64::from(u32::MAX) * 2, "")]).await.unwrap();
    let stored = get(&replica, tenant, key.id()).await;
    assert!(seconds(stored.last_use_time) <= Timestamp::now().second(), "no use lies ahead");
    let stranger = Use { credential: Some(Credential::TrustId(ApiKeyId::generate().to_string())), ..used(1, "") };
    tell(vec![stranger]).await.unwrap();
    assert_eq!(tell(vec![used(1, "nowhere")]).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(tell(vec![used(1, ""); 10_001]).await.unwrap_err().code(), Code::InvalidArgument);
}

#[rstest]
#[tokio::test]
async fn what_verifiers_see_is_told_and_stored(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let key = replica.create(tenant, &[]).await;
    let from = Source::Client(Some("::ffff:192.0.2.9".parse().unwrap()));
    replica.authenticator.authenticate_client(&bearer(&key), from).await.unwrap();
    replica.authenticator.tell_uses().await;
    let stored = get(&replica, tenant, key.id()).await;
    assert_eq!(stored.last_use_address, "192.0.2.9");
    assert!(Timestamp::now().second() - seconds(stored.last_use_time) <= 5);
}

#[rstest]
#[tokio::test]
async fn a_key_that_was_hashed_with_less_work_is_hashed_again_when_it_is_used(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let key = replica.create(TenantId::generate(), &[]).await;
    let hash = async || replica.api_keys.0.store.credential(key.id()).await.unwrap().unwrap().hash;
    let before = hash().await;
    assert!(before.contains("m=19456,t=2"), "{before}");
    let harder = Config { hash_work: HashWork::new(19_456, 3).unwrap(), ..world.config() };
    let harder = ApiKeys::open(harder).await.unwrap();
    let text = bearer(&key);
    harder.0.exchange.exchange_key(&text, None).await.unwrap();
    let after = hash().await;
    assert!(after.contains("m=19456,t=3"), "{after}");
    let runs = harder.0.hashing.runs();
    harder.0.exchange.exchange_key(&text, None).await.unwrap();
    assert_eq!((hash().await, harder.0.hashing.runs()), (after.clone(), runs), "once");
    // A replica that asks for less leaves it, and verifies by it.
    replica.exchange(&key).await.unwrap();
    assert_eq!(hash().await, after);
}

#[rstest]
#[tokio::test]
async fn keys_that_end_soon_are_found_in_all_tenants(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let now = Timestamp::now();
    let mut expected = Vec::new();
    for days in [29, 10, 31] {
        let tenant = TenantId::generate();
        let key = replica.create(tenant, &[]).await;
        let end = ProtoTimestamp { seconds: now.second() + days * 24 * 3600, nanos: 0 };
        let changed = ApiKey { id: key.id().to_string(), expire_time: Some(end), ..ApiKey::default() };
        let changed = replica.update(tenant, changed, &["expire_time"]).await.unwrap();
        assert_eq!(changed.expires_soon, days < 30);
        if days < 30 {
            expected.insert(0, key.id());
        }
    }
    replica.create(TenantId::generate(), &[]).await;
    let found = replica.api_keys.0.store.expiring(now, 10).await.unwrap();
    assert_eq!(found.iter().map(|key| key.id).collect::<Vec<_>>(), expected, "those that end first come first");
    assert_eq!(replica.api_keys.0.store.expiring(now, 1).await.unwrap().len(), 1);
    assert_eq!(get(&replica, found[0].tenant, found[0].id).await.state(), ApiKeyState::Active);
}

#[rstest]
#[tokio::test]
async fn r06_a_successor_is_what_its_key_is_when_it_takes_its_place(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let key = replica.create(tenant, &["admin", "scim"]).await;
    let now = Timestamp::now();
    // Asked for before the key was narrowed, and done afterwards.
    let rotation = Rotation::new(None, None, now).unwrap();
    let end = ProtoTimestamp { seconds: now.second() + 3600, nanos: 0 };
    let narrowed = ApiKey {
        id: key.id().to_string(),
        scopes: vec!["scim".into()],
        allowed_networks: vec!["192.0.2.0/24".into()],
        expire_time: Some(end),
        ..ApiKey::default()
    };
    replica.update(tenant, narrowed, &["scopes", "allowed_networks", "expire_time"]).await.unwrap();
    let successor = Successor { id: ApiKeyId::generate(), hash: "$argon2id$".into(), previous: key.id(), rotation };
    let caller = Caller { tenant, ..Caller::installation(replica.operator.id()) };
    let (new, previous) = replica.api_keys.0.store.rotate(&caller, successor).await.unwrap().unwrap();
    assert_eq!((new.about.scopes.to_string(), new.about.networks.to_string()), ("scim".into(), "192.0.2.0/24".into()));
    assert_eq!(previous.about.expires_at.unwrap().second(), end.seconds, "its end is not put off");
}

#[rstest]
#[tokio::test]
async fn many_uses_told_at_once_by_several_verifiers_are_all_stored(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let mut keys = Vec::new();
    for _ in 0..8 {
        keys.push(replica.create(tenant, &[]).await.id());
    }
    let told = |rotated: usize| {
        let mut uses: Vec<Use> = (0..400)
            .map(|at| Use {
                credential: Some(Credential::ApiKeyId(keys[(at + rotated) % keys.len()].to_string())),
                time: Some(ProtoTimestamp { seconds: 1_700_000_000, nanos: 0 }),
                address: String::new(),
            })
            .collect();
        uses.rotate_left(rotated);
        RecordUsesRequest { uses }
    };
    let all = (0..6).map(|verifier| {
        let (mut credentials, request) = (replica.credentials(), told(verifier));
        async move { credentials.record_uses(request).await.unwrap() }
    });
    futures::future::join_all(all).await;
    for id in keys {
        assert_eq!(seconds(get(&replica, tenant, id).await.last_use_time), 1_700_000_000);
    }
}
