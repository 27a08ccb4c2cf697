//! What each request leaves in the provisioning log (rule D16).

use std::collections::BTreeSet;

use authn::Scope;
use axum::body::{Body, Bytes};
use futures::stream;
use http::{Method, header};
use proto::identity::v1::{
    ErrorReason, ProvisionedType, ProvisioningEntry, ProvisioningOperation as Operation,
    ProvisioningOutcome as Outcome, ProvisioningState,
};
use serde_json::json;
use tonic::{Code, Status};
use tower::ServiceExt as _;

use super::{
    credentials::unknown_key,
    harness::Service,
    identity::{Fault, refused},
};
use crate::routes::endpoints;

/// The entries as a few words each.
fn told(entries: &[ProvisioningEntry]) -> Vec<String> {
    entries
        .iter()
        .map(|entry| {
            let operation = entry.operation().as_str_name().trim_start_matches("PROVISIONING_OPERATION_");
            let outcome = entry.outcome().as_str_name().trim_start_matches("PROVISIONING_OUTCOME_");
            format!("{operation} {} {outcome}", entry.status)
        })
        .collect()
}

fn changes(entry: &ProvisioningEntry) -> Vec<String> {
    let change = |change: &proto::identity::v1::ProvisionedChange| {
        format!("{}: {} -> {} +{} -{}", change.field, change.before, change.after, change.added, change.removed)
    };
    entry.changes.iter().map(change).collect()
}

fn subjects(entry: &ProvisioningEntry) -> Vec<String> {
    entry.subjects.iter().map(|subject| format!("{}={}", subject.attribute, subject.value)).collect()
}

#[tokio::test]
async fn d16_every_request_leaves_one_entry_whatever_becomes_of_it() {
    let service = Service::new().await;
    let paths = endpoints().map(|(endpoint, _)| endpoint.replace("{id}", "x").replace("{name}", "User"));
    let paths: Vec<String> = paths.chain(["//Users", "/Nothing", "/Users/x/y"].map(str::to_owned)).collect();
    let mut sent = 0;
    for path in &paths {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer = service.send(service.request(method.clone(), path, Some(&json!({"a": 1})))).await;
            sent += 1;
            let entries = service.entries().await;
            assert_eq!(entries.len(), sent, "{method} {path}");
            let entry = entries.last().unwrap();
            assert_eq!(entry.status, i32::from(answer.status.as_u16()), "{method} {path}");
            assert_eq!(entry.tenant_id, service.tenant.to_string());
            assert!(entry.credential.starts_with("key:") && entry.time.is_some() && entry.elapsed_us >= 0);
            let is_refused = answer.status.as_u16() >= 400;
            assert_eq!(!entry.cause.is_empty(), is_refused, "{method} {path}: {entry:?}");
        }
    }
    let ids: BTreeSet<String> = service.entries().await.into_iter().map(|entry| entry.id).collect();
    assert_eq!(ids.len(), sent);
}

#[tokio::test]
async fn d16_what_fails_falls_over_and_loses_its_client_leaves_an_entry_too() {
    let service = Service::new().await;
    service.fault(
        "ListUsers",
        [Fault::Panic, Fault::Status(Status::internal("x")), Fault::Status(Status::resource_exhausted("x"))],
    );
    for status in [500, 500, 503] {
        service.get("/Users").await.refused(status);
    }
    let endless = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let request = service.request(Method::POST, "/Users", None).map(|_| endless);
    // Long enough to be let in, and the body never ends.
    let hung = tokio::time::timeout(std::time::Duration::from_millis(200), service.router.clone().oneshot(request));
    assert!(hung.await.is_err());
    service.identity.directory().state = ProvisioningState::Off;
    service.get("/Groups").await.refused(403);
    let expected =
        ["LIST 500 FAILED", "LIST 500 FAILED", "LIST 503 POSTPONED", "CREATE 0 ABANDONED", "LIST 403 REFUSED"];
    let entries = service.entries().await;
    assert_eq!(told(&entries), expected);
    assert!(entries[4].fix.contains("Restart provisioning"), "{:?}", entries[4]);
}

#[tokio::test]
async fn d16_a_refused_sign_in_stands_in_the_log_of_the_tenant_whose_key_it_names() {
    let service = Service::new().await;
    service.get("/Users").await;
    let wrong = service.credentials.with_another_secret(&service.key);
    let with = async |key: &str| {
        let mut request = service.request(Method::GET, "/Users", None);
        request.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {key}").parse().unwrap());
        service.send(request).await.status.as_u16()
    };
    assert_eq!(with(&wrong).await, 401);
    assert_eq!(with(&unknown_key()).await, 401);
    assert_eq!(with("nonsense").await, 401);
    let reader = service.credentials.make(service.tenant, Scope::IdentityRead);
    assert_eq!(with(&reader).await, 403);
    let entries = service.entries().await;
    assert_eq!(told(&entries), ["LIST 200 SUCCEEDED", "LIST 401 REFUSED", "LIST 403 REFUSED"]);
    assert_eq!(entries[1].credential, entries[0].credential);
    assert!(entries[1].fix.contains("rollcall api-key create"));
}

#[tokio::test]
async fn a_flood_of_wrong_secrets_under_a_keys_id_does_not_fill_the_log() {
    let service = Service::new().await;
    service.get("/Users").await;
    let wrong = service.credentials.with_another_secret(&service.key);
    for _ in 0..40 {
        let mut request = service.request(Method::GET, "/Users", None);
        request.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {wrong}").parse().unwrap());
        service.send(request).await.refused(401);
    }
    let entries = service.entries().await;
    assert_eq!(entries.iter().filter(|entry| entry.status == 401).count(), 30);
    let lost: i64 = entries.iter().map(|entry| entry.lost_count).sum();
    assert_eq!(lost, 10, "{:?}", told(&entries));
}

#[tokio::test]
async fn an_entry_says_what_was_looked_for_and_who_was_found() {
    let service = Service::new().await;
    service.get("/Users?filter=userName+eq+%22Ada%22").await;
    let id = service.user("ada").await;
    service.get("/Users?filter=emails%5Btype+eq+%22work%22%5D.value+eq+%22a%40x%22+or+userName+eq+%22ADA%22").await;
    let entries = service.entries().await;
    assert_eq!(subjects(&entries[0]), ["userName=Ada"]);
    assert_eq!((entries[0].count, entries[0].resource_id.as_str()), (0, ""));
    assert_eq!(subjects(&entries[1]), ["userName=ada"]);
    assert_eq!((entries[1].resource_id.as_str(), entries[1].resource_type()), (id.as_str(), ProvisionedType::User));
    assert_eq!(subjects(&entries[2]), ["emails.value=a@x", "userName=ADA"]);
    assert_eq!((entries[2].count, entries[2].resource_id.as_str()), (1, id.as_str()));
    assert_eq!(entries[2].seen_user_ids.len(), 1);
}

#[tokio::test]
async fn an_entry_says_what_changed_by_name_and_values_only_where_a_story_needs_them() {
    let service = Service::new().await;
    let id = service.user("ada").await;
    service
        .patch(
            &format!("/Users/{id}"),
            json!([
                {"op": "Replace", "path": "active", "value": "False"},
                {"op": "Add", "path": "title", "value": "secret"},
                {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "secret"},
            ]),
        )
        .await;
    service.patch(&format!("/Users/{id}"), json!([{"op": "Replace", "path": "userName", "value": "ada.king"}])).await;
    service.put(&format!("/Users/{id}"), json!({"userName": "ada.king", "password": "secret"})).await;
    let entries = service.entries().await;
    assert_eq!(changes(&entries[1]), ["active: true -> false +0 -0", "title:  ->  +0 -0", "department:  ->  +0 -0"]);
    assert_eq!(changes(&entries[2]), ["userName: ada -> ada.king +0 -0"]);
    assert_eq!(subjects(&entries[2]), ["userName=ada", "userName=ada.king"]);
    assert!(!format!("{entries:?}").contains("secret"), "{entries:?}");
}

#[tokio::test]
async fn a_groups_entry_counts_members_and_is_found_by_the_first_of_them() {
    let service = Service::new().await;
    let (ada, group) = (service.user("ada").await, service.group("Ops", &[]).await);
    service
        .patch(
            &format!("/Groups/{group}"),
            json!([
                {"op": "Add", "path": "members", "value": [{"value": ada}]},
                {"op": "Replace", "path": "displayName", "value": "Staff"},
            ]),
        )
        .await;
    let many: Vec<_> = (0..100).map(|_| json!({"value": ids::UserId::generate().to_string()})).collect();
    service
        .patch(&format!("/Groups/{group}"), json!([{"op": "Add", "path": "members", "value": many}]))
        .await
        .refused(400);
    let entries = service.entries().await;
    assert_eq!(changes(&entries[2]), ["members:  ->  +1 -0", "displayName:  -> Staff +0 -0"]);
    assert_eq!(subjects(&entries[2]), [format!("id={ada}"), "displayName=Staff".to_owned()]);
    assert_eq!((entries[3].subjects.len(), changes(&entries[3])), (64, vec!["members:  ->  +100 -0".to_owned()]));
    assert_eq!(entries[3].reason, "ERROR_REASON_UNKNOWN_MEMBER");
    assert!(entries[3].fix.contains("assign these users"), "{:?}", entries[3]);
}

#[tokio::test]
async fn a_refusal_has_its_cause_and_its_fix() {
    let service = Service::new().await;
    let holder = service.user("ada").await;
    service.post("/Users", json!({"userName": "ADA"})).await.refused(409);
    service.fault(
        "ListGroups",
        [Fault::Status(refused(Code::FailedPrecondition, ErrorReason::ProvisioningPaused, "paused", &[]))],
    );
    service.get("/Groups").await;
    let entries = service.entries().await;
    let taken = &entries[1];
    assert_eq!((taken.scim_type.as_str(), taken.reason.as_str()), ("uniqueness", "ERROR_REASON_USER_NAME_TAKEN"));
    assert!(taken.cause.contains(&holder) && taken.fix.contains("rollcall user show"), "{taken:?}");
    assert_eq!(entries[2].outcome(), Outcome::Postponed);
    assert!(entries[2].fix.contains("rollcall scim enable"));
}

#[tokio::test]
async fn r12_a_dropped_attribute_stands_in_the_log_once_with_its_fix() {
    let service = Service::new().await;
    for name in ["ada", "eva"] {
        service.post("/Users", json!({"userName": name, "shoeSize": 42})).await;
    }
    let entries = service.entries().await;
    let notes: Vec<_> = entries.iter().map(|entry| entry.notes.len()).collect();
    assert_eq!(notes, [1, 0]);
    assert!(entries[0].notes[0].text.contains("shoeSize") && entries[0].notes[0].fix.contains("define the attribute"));
}

#[tokio::test]
async fn a_bulk_request_leaves_an_entry_and_each_of_its_operations_another() {
    let service = Service::new().await;
    let operations = json!([
        {"method": "POST", "path": "/Users", "bulkId": "a", "data": {"userName": "ada"}},
        {"method": "POST", "path": "/Users", "bulkId": "b", "data": {"userName": "ada"}},
        {"method": "POST", "path": "/Groups", "bulkId": "c", "data": {"displayName": "Ops", "members": [{"value": "bulkId:z"}]}},
        {"method": "DELETE", "path": "/Users/bulkId:a"},
    ]);
    let schemas = ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"];
    let request = service.request(Method::POST, "/Bulk", Some(&json!({"schemas": schemas, "Operations": operations})));
    assert_eq!(service.send(request).await.status, 200);
    let entries = service.entries().await;
    let expected = [
        "CREATE 201 SUCCEEDED",
        "CREATE 409 REFUSED",
        "CREATE 409 REFUSED",
        "DELETE 204 SUCCEEDED",
        "BULK 200 SUCCEEDED",
    ];
    assert_eq!(told(&entries), expected);
    let requests: BTreeSet<_> =
        entries.iter().map(|entry| (&entry.request_id, &entry.credential, &entry.tenant_id)).collect();
    assert_eq!((requests.len(), entries[4].count), (1, 4));
    assert_eq!(entries[3].resource_id, entries[0].resource_id);
    assert_eq!(entries[4].operation(), Operation::Bulk);
}

#[tokio::test]
async fn a_request_of_the_token_endpoint_and_of_nobody_leaves_none() {
    let service = Service::new().await;
    service.fault("AppendProvisioningEntries", []);
    service
        .router
        .clone()
        .oneshot(http::Request::get("/api/scim/v2/Users").body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(service.entries().await, []);
}

#[tokio::test]
async fn what_identity_notes_of_a_write_stands_in_its_entry() {
    use proto::identity::v1::{DirectoryAdminOff, LastAdminGone, RolesHeld, write_note::Kind};
    let service = Service::new().await;
    let ada = service.user("ada").await;
    let notes = vec![
        Kind::LastAdminGone(LastAdminGone {}),
        Kind::UnknownRole("Wizard".into()),
        Kind::DirectoryAdminOff(DirectoryAdminOff {}),
        Kind::HeldMappingRole("admin".into()),
        Kind::RolesHeld(RolesHeld {}),
    ];
    service.identity.directory().notes = notes;
    service.delete(&format!("/Users/{ada}")).await;
    let entries = service.entries().await;
    assert!(entries[0].notes.is_empty());
    let texts: Vec<&str> = entries[1].notes.iter().map(|note| note.text.as_str()).collect();
    let parts =
        ["last active admin", "`Wizard` is not in the catalogue", "`admin` of the directory", "held", "another person"];
    assert!(texts.len() == parts.len() && texts.iter().zip(parts).all(|(text, part)| text.contains(part)), "{texts:?}");
    assert!(entries[1].notes.iter().all(|note| !note.fix.is_empty()));
}
