//! Making, reading, changing and revoking trusts.

use std::collections::{BTreeMap, BTreeSet};

use authn::KeyText;
use database::testing::Engine;
use ids::{TenantId, TrustId};
use pbjson_types::FieldMask;
use proto::api_keys::v1::{
    CreateTrustRequest, GetTrustRequest, ListKeyAuditEntriesRequest, ListTrustsRequest, RevokeTrustRequest, Trust,
    TrustState, UpdateTrustRequest,
};
use rstest::rstest;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    domain::Timestamp,
    testing::{Replica, World, by},
};

const ISSUER: &str = "https://login.microsoftonline.com/11111111-2222-4333-8444-555555555555/v2.0";

fn asked() -> Trust {
    Trust {
        name: "Entra SCIM".into(),
        issuer: ISSUER.into(),
        audience: "api://rollcall".into(),
        subject: "an enterprise application".into(),
        ..Trust::default()
    }
}

async fn create(replica: &Replica, issuer: &KeyText, tenant_id: &str, trust: Trust) -> Result<Trust, Status> {
    let message = CreateTrustRequest { tenant_id: tenant_id.into(), trust: Some(trust) };
    Ok(replica.trusts().create_trust(by(issuer, message)).await?.into_inner())
}

async fn get(replica: &Replica, reader: &KeyText, id: &str) -> Result<Trust, Status> {
    let message = GetTrustRequest { tenant_id: String::new(), trust_id: id.into() };
    Ok(replica.trusts().get_trust(by(reader, message)).await?.into_inner())
}

async fn update(replica: &Replica, key: &KeyText, id: &str, trust: Trust, paths: &[&str]) -> Result<Trust, Status> {
    let update_mask = Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() });
    let (tenant_id, trust_id) = (String::new(), id.to_owned());
    let message = UpdateTrustRequest { tenant_id, trust_id, trust: Some(trust), update_mask };
    Ok(replica.trusts().update_trust(by(key, message)).await?.into_inner())
}

async fn revoke(replica: &Replica, key: &KeyText, id: &str) -> Result<Trust, Status> {
    let message = RevokeTrustRequest { tenant_id: String::new(), trust_id: id.into() };
    Ok(replica.trusts().revoke_trust(by(key, message)).await?.into_inner())
}

/// What of a tenant's log is about trusts: actor, RPC, subject and detail.
async fn log(replica: &Replica, reader: &KeyText) -> Vec<[String; 4]> {
    let message = ListKeyAuditEntriesRequest::default();
    let page = replica.keys().list_key_audit_entries(by(reader, message)).await.unwrap().into_inner();
    let about_trusts = page.entries.into_iter().filter_map(|entry| {
        let action = entry.action.strip_prefix("rollcall.api_keys.v1.TrustService/")?.to_owned();
        let changed: Vec<_> =
            entry.before.keys().chain(entry.after.keys()).collect::<BTreeSet<_>>().into_iter().collect();
        let of = |values: &BTreeMap<String, String>, name: &String| values.get(name).cloned().unwrap_or_default();
        let changed = changed
            .into_iter()
            .map(|name| format!("{name}: {} -> {}", of(&entry.before, name), of(&entry.after, name)));
        let said = changed.chain(Some(entry.detail.clone()).filter(|detail| !detail.is_empty()));
        Some([entry.actor, action, entry.subject, said.collect::<Vec<_>>().join(", ")])
    });
    about_trusts.collect()
}

#[rstest]
#[tokio::test]
async fn a_trust_is_created_read_changed_and_revoked(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let admin = replica.create(tenant, &["admin"]).await;

    let created = create(&replica, &admin, "", asked()).await.unwrap();
    let expected = Trust {
        id: created.id.parse::<TrustId>().unwrap().to_string(),
        tenant_id: tenant.to_string(),
        scopes: vec!["scim".to_owned()],
        creator: format!("key:{}", admin.id()),
        create_time: created.create_time,
        update_time: created.create_time,
        state: TrustState::Active.into(),
        ..asked()
    };
    assert_eq!(created, expected);
    assert_eq!(get(&replica, &admin, &created.id).await.unwrap(), created);

    let subject = Trust { subject: "another".into(), name: "not named".into(), ..Trust::default() };
    let changed = update(&replica, &admin, &created.id, subject, &["subject"]).await.unwrap();
    assert_ne!(changed.update_time, created.update_time);
    let expected = Trust { subject: "another".into(), update_time: changed.update_time, ..created.clone() };
    assert_eq!(changed, expected);

    let revoked = revoke(&replica, &admin, &created.id).await.unwrap();
    assert_eq!((revoked.state(), revoked.update_time), (TrustState::Revoked, revoked.revoke_time));
    assert_eq!(revoke(&replica, &admin, &created.id).await.unwrap(), revoked, "again changes nothing");
    let status = update(&replica, &admin, &created.id, asked(), &["subject"]).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.get_details_error_info().unwrap().reason, "TRUST_REVOKED");
    assert_eq!(get(&replica, &admin, &created.id).await.unwrap(), revoked);
}

#[rstest]
#[tokio::test]
async fn r09_a_trust_is_found_by_its_client_id_alone(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let admin = replica.create(tenant, &["admin"]).await;
    let store = &replica.api_keys.0.store;
    let created = create(&replica, &admin, "", asked()).await.unwrap();
    let id = created.id.parse::<TrustId>().unwrap();
    let found = store.trust_of_client(id).await.unwrap().unwrap();
    assert_eq!((found.tenant, found.version, found.terms.issuer.as_str()), (tenant, 1, ISSUER));
    assert_eq!(store.trust_of_client(TrustId::generate()).await.unwrap(), None);

    let renamed = Trust { name: "renamed".into(), ..asked() };
    update(&replica, &admin, &created.id, renamed, &["name", "issuer"]).await.unwrap();
    assert_eq!(store.trust_of_client(id).await.unwrap().unwrap().version, 1);
    let other = Trust { audience: "other".into(), ..Trust::default() };
    update(&replica, &admin, &created.id, other, &["audience"]).await.unwrap();
    let found = store.trust_of_client(id).await.unwrap().unwrap();
    assert_eq!((found.version, found.terms.audience.as_str()), (2, "other"));
    revoke(&replica, &admin, &created.id).await.unwrap();
    assert!(store.trust_of_client(id).await.unwrap().unwrap().revoked_at.is_some());
}

#[rstest]
#[tokio::test]
async fn r09_changes_at_once_each_raise_the_version(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let admin = replica.create(TenantId::generate(), &["admin"]).await;
    let created = create(&replica, &admin, "", asked()).await.unwrap();
    let changes = (0..8).map(|at| {
        let trust = Trust { subject: format!("subject {at}"), ..Trust::default() };
        update(&replica, &admin, &created.id, trust, &["subject"])
    });
    for changed in futures::future::join_all(changes).await {
        changed.unwrap();
    }
    let found = replica.api_keys.0.store.trust_of_client(created.id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(found.version, 9);
}

#[rstest]
#[tokio::test]
async fn another_tenants_trust_looks_like_none(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let admin = replica.create(TenantId::generate(), &["admin"]).await;
    let other = TenantId::generate();
    let theirs = create(&replica, &replica.operator, &other.to_string(), asked()).await.unwrap();
    for id in [theirs.id.clone(), TrustId::generate().to_string(), "nonsense".to_owned()] {
        for status in [
            get(&replica, &admin, &id).await.unwrap_err(),
            update(&replica, &admin, &id, asked(), &["name"]).await.unwrap_err(),
            revoke(&replica, &admin, &id).await.unwrap_err(),
        ] {
            assert_eq!((status.code(), status.message()), (Code::NotFound, "not found"));
        }
    }
    let found = replica.api_keys.0.store.trust_of_client(theirs.id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((found.tenant, found.version, found.revoked_at), (other, 1, None));
}

#[rstest]
#[tokio::test]
async fn what_a_trust_may_not_be_is_named(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let admin = replica.create(TenantId::generate(), &["admin"]).await;
    let created = create(&replica, &admin, "", asked()).await.unwrap();
    let past = pbjson_types::Timestamp { seconds: 1, nanos: 0 };
    let field = |status: Status| {
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        status.get_details_bad_request().unwrap().field_violations[0].field.clone()
    };
    for (trust, path) in [
        (Trust { name: String::new(), ..asked() }, "name"),
        (Trust { issuer: "https://login.microsoftonline.com/common/v2.0".into(), ..asked() }, "issuer"),
        (Trust { audience: String::new(), ..asked() }, "audience"),
        (Trust { subject: String::new(), ..asked() }, "subject"),
        (Trust { scopes: vec!["admin".into()], ..asked() }, "scopes"),
        (Trust { expire_time: Some(past), ..asked() }, "expire_time"),
    ] {
        let refused = create(&replica, &admin, "", trust.clone()).await.unwrap_err();
        assert_eq!(field(refused), format!("trust.{path}"));
        let refused = update(&replica, &admin, &created.id, trust, &[path]).await.unwrap_err();
        assert_eq!(field(refused), format!("trust.{path}"));
    }
    assert_eq!(field(update(&replica, &admin, &created.id, asked(), &[]).await.unwrap_err()), "update_mask");
    assert_eq!(field(update(&replica, &admin, &created.id, asked(), &["creator"]).await.unwrap_err()), "update_mask");
    let operators = TenantId::OPERATOR.to_string();
    assert_eq!(field(create(&replica, &replica.operator, &operators, asked()).await.unwrap_err()), "tenant_id");
    assert_eq!(get(&replica, &admin, &created.id).await.unwrap(), created);
}

#[rstest]
#[tokio::test]
async fn trusts_are_listed_page_by_page(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let admin = replica.create(TenantId::generate(), &["admin"]).await;
    let other = replica.create(TenantId::generate(), &["admin"]).await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.push(create(&replica, &admin, "", asked()).await.unwrap().id);
        create(&replica, &other, "", asked()).await.unwrap();
    }
    for page_size in [0, 1, 2, 5, 1000] {
        let (mut listed, mut page_token) = (Vec::new(), String::new());
        loop {
            let message = ListTrustsRequest { tenant_id: String::new(), page_size, page_token };
            let page = replica.trusts().list_trusts(by(&admin, message)).await.unwrap().into_inner();
            listed.extend(page.trusts.into_iter().map(|trust| trust.id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(listed, expected, "{page_size}");
    }
    let message = ListTrustsRequest { page_token: "?".into(), ..ListTrustsRequest::default() };
    let status = replica.trusts().list_trusts(by(&admin, message)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[rstest]
#[tokio::test]
async fn each_act_upon_a_trust_stands_in_the_log(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let tenant = TenantId::generate();
    let admin = replica.create(tenant, &["admin"]).await;
    let id = create(&replica, &admin, "", asked()).await.unwrap().id;
    get(&replica, &admin, &id).await.unwrap();
    let end = pbjson_types::Timestamp { seconds: Timestamp::now().second() + 3600, nanos: 0 };
    let other = Trust { subject: "b".into(), name: "n".into(), expire_time: Some(end), ..asked() };
    for _ in 0..2 {
        update(&replica, &admin, &id, other.clone(), &["subject", "audience", "name", "expire_time"]).await.unwrap();
    }
    for _ in 0..2 {
        revoke(&replica, &admin, &id).await.unwrap();
    }
    let (named, operator) = (tenant.to_string(), &replica.operator);
    let message = GetTrustRequest { tenant_id: named.clone(), trust_id: id.clone() };
    replica.trusts().get_trust(by(operator, message)).await.unwrap();
    let message = ListTrustsRequest { tenant_id: named.clone(), ..ListTrustsRequest::default() };
    replica.trusts().list_trusts(by(operator, message)).await.unwrap();
    let message = RevokeTrustRequest { tenant_id: named, trust_id: id.clone() };
    replica.trusts().revoke_trust(by(operator, message)).await.unwrap();

    let created = format!(
        "audience:  -> api://rollcall, issuer:  -> {ISSUER}, name:  -> Entra SCIM, scopes:  -> scim, \
         subject:  -> an enterprise application"
    );
    let end = Timestamp(end.seconds * 1_000_000).to_rfc3339();
    let changed = format!("expires:  -> {end}, name: Entra SCIM -> n, subject: an enterprise application -> b");
    let (key, operator) = (format!("key:{}", admin.id()), format!("operator:{}", operator.id()));
    let expected = [
        [&*key, "CreateTrust", &id, &created],
        [&key, "UpdateTrust", &id, &changed],
        [&key, "RevokeTrust", &id, "state: active -> revoked"],
        [&operator, "GetTrust", &id, ""],
        [&operator, "ListTrusts", "", ""],
        [&operator, "RevokeTrust", &id, "already revoked"],
    ];
    assert_eq!(log(&replica, &admin).await, expected.map(|entry| entry.map(ToOwned::to_owned)));
}
