//! `/Groups`.

use http::Method;
use serde_json::{Value, json};
use tonic::Status;

use super::{
    harness::{BASE, Service},
    identity::{Fault, MEMBERS_PAGE},
};

async fn users(service: &Service, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(service.user(&format!("u{number}")).await);
    }
    ids
}

fn member_ids(group: &Value) -> Vec<String> {
    group["members"].as_array().unwrap().iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn d7_members_of_any_number_of_pages_make_one_answer() {
    let service = Service::new().await;
    let ids = users(&service, 2 * MEMBERS_PAGE + 1).await;
    for count in [0, 1, MEMBERS_PAGE, MEMBERS_PAGE + 1, ids.len()] {
        let id = service.group(&format!("g{count}"), &ids[..count]).await;
        let before = service.calls("ListMembers");
        let answer = service.get(&format!("/Groups/{id}")).await;
        let body = answer.json();
        assert_eq!((member_ids(&body), answer.header("etag")), (ids[..count].to_vec(), "W/\"1\""));
        assert_eq!(service.calls("ListMembers") - before, count.div_ceil(MEMBERS_PAGE).max(1));
        assert_eq!(
            (&body["displayName"], &body["meta"]["resourceType"]),
            (&json!(format!("g{count}")), &json!("Group"))
        );
    }
}

#[tokio::test]
async fn a_member_is_shown_with_its_address() {
    let service = Service::new().await;
    let ids = users(&service, 1).await;
    let created =
        service.post("/Groups", json!({"displayName": "Ops", "externalId": "e", "members": [{"value": ids[0]}]})).await;
    let body = created.json();
    assert_eq!(
        (created.status.as_u16(), created.header("location")),
        (201, body["meta"]["location"].as_str().unwrap())
    );
    let member = json!({"value": ids[0], "$ref": format!("{BASE}/Users/{}", ids[0]), "type": "User"});
    assert_eq!((&body["members"], &body["externalId"]), (&json!([member]), &json!("e")));
    let part = service.get(&format!("/Groups/{}?attributes=members.value", body["id"].as_str().unwrap())).await.json();
    assert_eq!(part["members"], json!([{"value": ids[0]}]));
    assert!(part.get("displayName").is_none());
    // A look at every member's name is for those who ask.
    let path = format!("/Groups/{}?attributes=members.display", body["id"].as_str().unwrap());
    assert_eq!(service.get(&path).await.json()["members"], json!([{"display": "u0"}]));
    let less = service
        .get(&format!("/Groups/{}?excludedAttributes=members.$ref,members.type", body["id"].as_str().unwrap()))
        .await;
    assert_eq!(less.json()["members"], json!([{"value": ids[0]}]));
}

#[tokio::test]
async fn d7_members_that_are_excluded_are_never_read() {
    let service = Service::new().await;
    let ids = users(&service, 2).await;
    let id = service.group("Ops", &ids).await;
    let before = service.calls("ListMembers");
    for path in [format!("/Groups/{id}?excludedAttributes=members"), format!("/Groups/{id}?attributes=displayName")] {
        let body = service.get(&path).await.json();
        assert!(body.get("members").is_none() && body["displayName"] == "Ops");
    }
    let list = service.get("/Groups?excludedAttributes=members&filter=displayName+eq+%22OPS%22").await.json();
    assert!(list["totalResults"] == 1 && list["Resources"][0].get("members").is_none());
    assert_eq!(service.calls("ListMembers"), before);
}

#[tokio::test]
async fn a_list_holds_the_members_of_each_group() {
    let service = Service::new().await;
    let ids = users(&service, MEMBERS_PAGE + 1).await;
    for (name, count) in [("a", MEMBERS_PAGE + 1), ("b", 0), ("c", 1)] {
        service.group(name, &ids[..count]).await;
    }
    let body = service.get("/Groups").await.json();
    assert_eq!((&body["totalResults"], &body["itemsPerPage"], &body["startIndex"]), (&json!(3), &json!(3), &json!(1)));
    let counts: Vec<_> = body["Resources"].as_array().unwrap().iter().map(|group| member_ids(group).len()).collect();
    assert_eq!(counts, [MEMBERS_PAGE + 1, 0, 1]);
    let empty = service.get("/Groups?filter=displayName+eq+%22none%22").await.json();
    assert_eq!((&empty["totalResults"], &empty["Resources"]), (&json!(0), &json!([])));
    let page = service.get("/Groups?cursor&count=2").await.json();
    assert_eq!((page["Resources"].as_array().unwrap().len(), &page["nextCursor"]), (2, &json!("2")));
}

#[tokio::test]
async fn a_failure_before_the_first_page_has_its_status_and_a_later_one_cuts_the_answer() {
    let service = Service::new().await;
    let ids = users(&service, MEMBERS_PAGE + 1).await;
    let path = format!("/Groups/{}", service.group("Ops", &ids).await);
    service.fault("ListMembers", [Fault::Status(Status::internal("x"))]);
    service.get(&path).await.refused(500);
    service.fault("ListMembers", [Fault::None, Fault::Status(Status::internal("x"))]);
    assert!(service.answer(service.request(Method::GET, &path, None)).await.is_err());
}

#[tokio::test]
async fn a_patch_is_one_call_without_a_read_or_a_body() {
    let service = Service::new().await;
    let ids = users(&service, 3).await;
    let id = service.group("Ops", &ids[..1]).await;
    let path = format!("/Groups/{id}");
    service.identity.directory().calls.clear();
    let answer = service
        .patch(&path, json!([{"op": "Add", "path": "members", "value": [{"value": ids[1]}, {"value": ids[2]}]}]))
        .await;
    assert_eq!((answer.status.as_u16(), answer.bytes.len(), answer.header("etag")), (204, 0, "W/\"2\""));
    assert_eq!(answer.header("content-type"), "application/scim+json");
    assert_eq!(service.identity.directory().calls.iter().collect::<Vec<_>>(), [(&"ChangeGroup", &1)]);
    assert_eq!(
        service.patch(&path, json!([{"op": "Remove", "path": "members", "value": [{"value": ids[0]}]}])).await.status,
        204
    );
    assert_eq!(member_ids(&service.get(&path).await.json()), ids[1..]);
}

#[tokio::test]
async fn a_patch_without_operations_still_knows_whether_there_is_such_a_group() {
    let service = Service::new().await;
    let id = service.group("Ops", &[]).await;
    assert_eq!(service.patch(&format!("/Groups/{id}"), json!([])).await.status, 204);
    service.patch("/Groups/none", json!([])).await.refused(404);
}

#[tokio::test]
async fn r16_ids_of_nobody_are_refused_by_name_and_groups_cannot_be_members() {
    let service = Service::new().await;
    let ids = users(&service, 1).await;
    let (id, other) = (service.group("Ops", &[]).await, service.group("Dev", &[]).await);
    let path = format!("/Groups/{id}");
    let add = |ids: &[&str]| {
        let values: Vec<_> = ids.iter().map(|id| json!({"value": id})).collect();
        json!([{"op": "add", "path": "members", "value": values}])
    };
    let (scim_type, detail) = service.patch(&path, add(&[&ids[0], "x", "y"])).await.refused(400);
    assert!(scim_type == "invalidValue" && detail.ends_with(": x,y"), "{detail}");
    let (_, detail) = service.patch(&path, add(&[&other])).await.refused(400);
    assert!(detail.contains("nested groups are not supported") && detail.contains(&other), "{detail}");
    service.post("/Groups", json!({"displayName": "New", "members": [{"value": "x"}]})).await.refused(400);
    assert_eq!(member_ids(&service.get(&path).await.json()).len(), 0);
}

#[tokio::test]
async fn a_replacement_sets_names_and_members() {
    let service = Service::new().await;
    let ids = users(&service, 2).await;
    let id = service
        .post("/Groups", json!({"displayName": "Ops", "externalId": "e", "members": [{"value": ids[0]}]}))
        .await
        .json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/Groups/{id}");
    let answer = service.put(&path, json!({"displayName": "Ops2", "members": [{"value": ids[1]}]})).await;
    let body = answer.json();
    assert_eq!(
        (answer.status.as_u16(), member_ids(&body), &body["displayName"]),
        (200, ids[1..].to_vec(), &json!("Ops2"))
    );
    assert!(body.get("externalId").is_none());
    assert_eq!(service.put(&path, json!({"displayName": "Ops2"})).await.json()["members"], json!([]));
    service.put(&path, json!({"externalId": "e"})).await.refused(400);
    service.put("/Groups/none", json!({"displayName": "x"})).await.refused(404);
}

#[tokio::test]
async fn r17_a_taken_name_is_409_and_names_the_holder() {
    let service = Service::new().await;
    let holder = service.group("Ops", &[]).await;
    let other = service.group("Dev", &[]).await;
    let rename = json!([{"op": "replace", "value": {"displayName": "OPS"}}]);
    for answer in [
        service.post("/Groups", json!({"displayName": "ops"})).await,
        service.patch(&format!("/Groups/{other}"), rename).await,
    ] {
        let (scim_type, detail) = answer.refused(409);
        assert!(scim_type == "uniqueness" && detail.contains(&holder), "{detail}");
    }
}

#[tokio::test]
async fn if_match_names_the_version_to_change() {
    let service = Service::new().await;
    let path = format!("/Groups/{}", service.group("Ops", &[]).await);
    let patch = Some(json!({"Operations": [{"op": "replace", "path": "displayName", "value": "Ops2"}]}));
    service.if_match(Method::PATCH, &path, "W/\"9\"", patch.clone()).await.refused(412);
    assert_eq!(service.if_match(Method::PATCH, &path, "W/\"1\"", patch).await.status, 204);
}

#[tokio::test]
async fn a_group_is_deleted_once() {
    let service = Service::new().await;
    let path = format!("/Groups/{}", service.group("Ops", &[]).await);
    let answer = service.delete(&path).await;
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (204, 0));
    service.delete(&path).await.refused(404);
    service.get(&path).await.refused(404);
}

#[tokio::test]
async fn membership_is_asked_by_a_filter() {
    let service = Service::new().await;
    let ids = users(&service, 2).await;
    let id = service.group("Ops", &ids[..1]).await;
    let total = |user: String| {
        let (service, id) = (&service, &id);
        async move {
            let path =
                format!("/Groups?filter=id+eq+%22{id}%22+and+members+eq+%22{user}%22&excludedAttributes=members");
            service.get(&path).await.json()["totalResults"].clone()
        }
    };
    assert_eq!((total(ids[0].clone()).await, total(ids[1].clone()).await), (json!(1), json!(0)));
    service.get("/Groups?filter=members.display+eq+%22x%22").await.refused(400);
}

#[tokio::test]
async fn a_group_that_was_made_is_answered_so_even_where_its_members_cannot_be_read() {
    let service = Service::new().await;
    let id = service.user("ada").await;
    service.fault("ListMembers", [Fault::Status(tonic::Status::internal("broken"))]);
    let created = service.post("/Groups", json!({"displayName": "Ops", "members": [{"value": id}]})).await;
    assert_eq!((created.status.as_u16(), created.json().get("members")), (201, None));
    assert!(!created.header("location").is_empty());
}
