//! `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas`, and provisioning that is off.

use proto::identity::v1::{ErrorReason, ProvisioningState};
use serde_json::json;
use tonic::Code;

use super::{
    harness::{BASE, Service},
    identity::{Fault, refused},
};

#[tokio::test]
async fn discovery_answers_what_the_engine_works_by() {
    let service = Service::new().await;
    assert_eq!(service.get("/ServiceProviderConfig").await.json(), scim::discovery::service_provider_config(BASE));
    assert_eq!(
        service.get("/ResourceTypes").await.json(),
        scim::discovery::resource_types(scim::Schemas::standard(), BASE)
    );
    assert_eq!(service.get("/ResourceTypes/User").await.json()["endpoint"], "/Users");
    assert_eq!(service.get("/Schemas").await.json(), scim::discovery::schemas(scim::Schemas::standard(), BASE));
    let schema = service.get("/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group").await.json();
    assert_eq!(schema["meta"]["location"], format!("{BASE}/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group"));
}

#[tokio::test]
async fn discovery_cannot_be_filtered() {
    let service = Service::new().await;
    service.get("/Schemas?filter=id+eq+%22x%22").await.refused(403);
}

#[tokio::test]
async fn r13_off_is_403_everywhere_and_says_what_turns_it_on() {
    let service = Service::new().await;
    let id = service.user("ada").await;
    service.identity.directory().state = ProvisioningState::Off;
    let body = json!({"userName": "a", "displayName": "a"});
    let operations = json!([{"op": "replace", "path": "displayName", "value": "b"}]);
    let mut answers = Vec::new();
    for path in ["/ServiceProviderConfig", "/Schemas", "/Schemas/urn:x", "/ResourceTypes", "/ResourceTypes/User"] {
        answers.push(service.get(path).await);
    }
    for kind in ["/Users", "/Groups"] {
        answers.push(service.get(kind).await);
        answers.push(service.post(kind, body.clone()).await);
        let one = format!("{kind}/{id}");
        answers.push(service.get(&one).await);
        answers.push(service.put(&one, body.clone()).await);
        answers.push(service.patch(&one, operations.clone()).await);
        answers.push(service.patch(&one, json!([])).await);
        answers.push(service.delete(&one).await);
    }
    for answer in answers {
        let (_, detail) = answer.refused(403);
        assert!(detail.contains("rollcall scim enable") && detail.contains("Restart provisioning"), "{detail}");
    }
}

#[tokio::test]
async fn r13_paused_answers_reads_and_puts_writes_off() {
    let service = Service::new().await;
    let (user, group) = (service.user("ada").await, service.group("Ops", &[]).await);
    service.identity.directory().state = ProvisioningState::Paused;
    for path in ["/Users", "/Groups", "/Schemas", &format!("/Users/{user}"), &format!("/Groups/{group}")] {
        assert_eq!(service.get(path).await.status, 200, "{path}");
    }
    let operations = json!([{"op": "replace", "path": "displayName", "value": "b"}]);
    for answer in [
        service.post("/Users", json!({"userName": "b"})).await,
        service.put(&format!("/Users/{user}"), json!({"userName": "b"})).await,
        service.patch(&format!("/Users/{user}"), operations.clone()).await,
        service.delete(&format!("/Users/{user}")).await,
        service.post("/Groups", json!({"displayName": "b"})).await,
        service.patch(&format!("/Groups/{group}"), operations).await,
        service.patch(&format!("/Groups/{group}"), json!([])).await,
        service.delete(&format!("/Groups/{group}")).await,
    ] {
        let (_, detail) = answer.refused(503);
        assert!(detail.contains("paused"), "{detail}");
        assert_eq!(answer.header("retry-after"), "300");
    }
}

#[tokio::test]
async fn a_tenant_that_is_gone_has_no_keys() {
    let service = Service::new().await;
    for (method, path) in [("GetTenant", "/Schemas"), ("ListUsers", "/Users"), ("ListGroups", "/Groups")] {
        let gone = refused(Code::NotFound, ErrorReason::NotFound, "no such tenant", &[]);
        service.fault(method, [Fault::Status(gone)]);
        service.get(path).await.refused(401);
    }
}
