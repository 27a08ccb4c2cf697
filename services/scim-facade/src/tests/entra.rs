//! Entra's requests, letter by letter (entra-wire 1 to 3).

use serde_json::{Value, json};

use super::harness::Service;

const ENTERPRISE: &str = scim::schema::ENTERPRISE_USER_URN;

fn default_mapping() -> Value {
    json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "externalId": "ada", "userName": "ada@example.org", "active": true, "displayName": "Ada L",
        "emails": [{"primary": true, "type": "work", "value": "ada@example.org"}],
        "name": {"formatted": "Ada L", "familyName": "L", "givenName": "Ada"},
        "addresses": [{"type": "work", "primary": true, "country": "GB", "locality": "London"}],
        "phoneNumbers": [{"type": "mobile", "value": "5550100"}],
        "roles": [],
        ENTERPRISE: {"employeeNumber": "7", "department": "R"},
        "meta": {"resourceType": "User"}})
}

#[tokio::test]
async fn the_probe_of_test_connection_is_an_empty_list() {
    let service = Service::new().await;
    let expected = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": 0, "startIndex": 1, "itemsPerPage": 0, "Resources": []});
    for path in [
        "/Users?filter=userName+eq+%227d42c1a0-0000-4000-8000-0000000000f6%22",
        "/Users?filter=externalId+eq+%227d42c1a0-0000-4000-8000-0000000000f6%22",
        "/Users/?filter=userName%20eq%20%22x%22&aadOptscim062020",
        "/Groups?excludedAttributes=members&filter=displayName+eq+%22EDU+All+personal%22",
        "/Groups?filter=displayName+eq+%22x%22",
    ] {
        let answer = service.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, expected.clone()), "{path}");
    }
}

#[tokio::test]
async fn a_user_is_created_matched_compared_and_renamed() {
    let service = Service::new().await;
    let created = service.post("/Users", default_mapping()).await;
    assert_eq!(created.status, 201);
    let body = created.json();
    assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE]));
    for name in ["externalId", "emails", "name", "addresses", "phoneNumbers", ENTERPRISE] {
        assert_eq!(body[name], default_mapping()[name], "{name}");
    }
    assert!(body.get("roles").is_none());
    for filter in [
        "userName+eq+%22ADA%40example.org%22",
        "externalId+eq+%22ada%22",
        "emails%5Btype+eq+%22work%22%5D.value+eq+%22ada%40example.org%22",
    ] {
        let list = service.get(&format!("/Users?filter={filter}")).await.json();
        assert_eq!((&list["totalResults"], &list["Resources"][0]), (&json!(1), &body), "{filter}");
    }
    let path = format!("/Users/{}", body["id"].as_str().unwrap());
    let patched = service
        .patch(
            &path,
            json!([
                {"op": "Replace", "path": "displayName", "value": "Ada B"},
                {"op": "Replace", "path": "name.givenName", "value": "Augusta"},
                {"op": "Add", "path": "emails[type eq \"work\"].value", "value": "ada@new.example"},
                {"op": "Add", "path": "phoneNumbers[type eq \"work\"].value", "value": "5550101"},
                {"op": "Replace", "path": "externalId", "value": "ada2"},
                {"op": "Replace", "path": "active", "value": "False"},
                {"op": "Add", "path": format!("{ENTERPRISE}:department"), "value": "S"},
                {"op": "Add", "path": format!("{ENTERPRISE}:manager"), "value": "271"},
            ]),
        )
        .await;
    let body = patched.json();
    assert_eq!(patched.status, 200);
    assert_eq!(
        (&body["displayName"], &body["name"]["givenName"], &body["active"]),
        (&json!("Ada B"), &json!("Augusta"), &json!(false))
    );
    assert_eq!(body["emails"], json!([{"primary": true, "type": "work", "value": "ada@new.example"}]));
    assert_eq!(body["phoneNumbers"][1], json!({"type": "work", "value": "5550101"}));
    assert_eq!(body[ENTERPRISE], json!({"department": "S", "employeeNumber": "7", "manager": {"value": "271"}}));
    assert_eq!(service.get(&path).await.json(), body);
}

#[tokio::test]
async fn the_compliant_form_of_a_patch_is_understood_too() {
    let service = Service::new().await;
    let id = service.post("/Users", default_mapping()).await.json()["id"].as_str().unwrap().to_owned();
    let operations = json!([
        {"op": "replace", "path": "emails[type eq \"work\"].value", "value": "ada@new.example"},
        {"op": "replace", "value": {"displayName": "Ada B", "name.givenName": "Ada", "name.familyName": "B",
            format!("{ENTERPRISE}:employeeNumber"): "8", format!("{ENTERPRISE}:manager"): ""}}]);
    let body = service.patch(&format!("/Users/{id}"), operations).await.json();
    assert_eq!((&body["name"]["familyName"], &body["displayName"]), (&json!("B"), &json!("Ada B")));
    assert_eq!(body[ENTERPRISE], json!({"department": "R", "employeeNumber": "8"}));
}

#[tokio::test]
async fn the_smallest_mapping_makes_an_active_user() {
    let service = Service::new().await;
    let body = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "ada@example.org", "displayName": "Ada L", "meta": {"resourceType": "User"}});
    let answer = service.post("/Users", body).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["active"]), (201, &json!(true)));
}

#[tokio::test]
async fn a_user_is_disabled_found_and_enabled_again() {
    let service = Service::new().await;
    let path = format!("/Users/{}", service.user("ada").await);
    for (value, active) in [(json!("False"), false), (json!(true), true), (json!(false), false), (json!("True"), true)]
    {
        let body = service.patch(&path, json!([{"op": "Replace", "path": "active", "value": value}])).await.json();
        assert_eq!(body["active"], json!(active));
        assert_eq!(service.get("/Users?filter=userName+eq+%22ada%22").await.json()["totalResults"], 1);
    }
}

#[tokio::test]
async fn a_group_is_created_empty_renamed_filled_and_emptied() {
    let service = Service::new().await;
    let users = [service.user("a").await, service.user("b").await];
    let body = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group",
            "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
        "externalId": "8aa1", "displayName": "Ops", "members": [], "meta": {"resourceType": "Group"}});
    let created = service.post("/Groups", body).await;
    assert_eq!((created.status.as_u16(), &created.json()["members"]), (201, &json!([])));
    assert_eq!(service.calls("ListMembers"), 0);
    let path = format!("/Groups/{}", created.json()["id"].as_str().unwrap());
    let steps = [
        (json!([{"op": "Replace", "path": "displayName", "value": "Ops2"}]), 0),
        (json!([{"op": "replace", "value": {"externalId": "8aa2"}}]), 0),
        (
            json!([{"op": "Add", "path": "members", "value": [{"$ref": null, "value": users[0]}, {"$ref": null, "value": users[1]}]}]),
            2,
        ),
        (json!([{"op": "Remove", "path": "members", "value": [{"$ref": null, "value": users[0]}]}]), 1),
        (json!([{"op": "Add", "path": "members", "value": [{"$ref": null, "value": users[1]}]}]), 1),
        (json!([{"op": "remove", "path": format!("members[value eq \"{}\"]", users[1])}]), 0),
        (json!([{"op": "replace", "path": "members", "value": [{"value": users[0]}, {"value": users[1]}]}]), 2),
        (json!([{"op": "remove", "path": "members"}]), 0),
    ];
    for (operations, members) in steps {
        let answer = service.patch(&path, operations.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.bytes.len()), (204, 0), "{operations}");
        assert_eq!(service.get(&path).await.json()["members"].as_array().unwrap().len(), members, "{operations}");
    }
    let body = service.get(&format!("{path}?excludedAttributes=members")).await.json();
    assert_eq!((&body["displayName"], &body["externalId"]), (&json!("Ops2"), &json!("8aa2")));
}

#[tokio::test]
async fn a_resource_is_deleted_once_and_its_name_is_free() {
    let service = Service::new().await;
    let id = service.user("ada").await;
    let answer = service.delete(&format!("/Users/{id}")).await;
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (204, 0));
    service.delete(&format!("/Users/{id}")).await.refused(404);
    assert_ne!(service.user("ada").await, id);
}
