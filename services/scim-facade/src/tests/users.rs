//! `/Users`.

use http::Method;
use serde_json::{Value, json};

use super::{
    harness::{BASE, Service},
    identity::Fault,
};

const ENTERPRISE: &str = scim::schema::ENTERPRISE_USER_URN;

fn whole() -> Value {
    json!({
        "userName": "ada@example.org", "externalId": "e1", "displayName": "Ada", "title": "Countess", "active": true,
        "name": {"givenName": "Ada", "familyName": "L"},
        "emails": [{"type": "work", "value": "ada@example.org", "primary": true}],
        "addresses": [{"type": "work", "locality": "London"}],
        ENTERPRISE: {"department": "R", "manager": {"value": "m1"}},
    })
}

#[tokio::test]
async fn a_created_user_is_answered_whole_with_its_address_and_version() {
    let service = Service::new().await;
    let answer = service.post("/Users", whole()).await;
    let body = answer.json();
    let location = format!("{BASE}/Users/{}", body["id"].as_str().unwrap());
    assert_eq!(
        (answer.status.as_u16(), answer.header("location"), answer.header("etag")),
        (201, &*location, "W/\"1\"")
    );
    assert_eq!((&body["meta"]["location"], &body["meta"]["version"]), (&json!(location), &json!("W/\"1\"")));
    for (name, value) in whole().as_object().unwrap() {
        assert_eq!(&body[name], value, "{name}");
    }
    let read = service.get(&format!("/Users/{}", body["id"].as_str().unwrap())).await;
    assert_eq!((read.json(), read.header("etag")), (body, "W/\"1\""));
}

#[tokio::test]
async fn r12_what_is_not_known_is_dropped_and_the_request_succeeds() {
    let service = Service::new().await;
    let body = json!({"userName": "ada", "shoeSize": 42, "password": "secret", "urn:example:2.0:User": {"a": 1},
        "emails": [{"value": "a", "colour": "red"}]});
    let answer = service.post("/Users", body).await;
    assert_eq!(answer.status, 201);
    let body = answer.json();
    assert!(
        body.get("shoeSize").is_none() && body.get("password").is_none() && body["emails"] == json!([{"value": "a"}])
    );
    let operations =
        json!([{"op": "Add", "path": "shoeSize", "value": 43}, {"op": "Replace", "path": "title", "value": "T"}]);
    let patched = service.patch(&format!("/Users/{}", body["id"].as_str().unwrap()), operations).await;
    assert_eq!((patched.status.as_u16(), &patched.json()["title"]), (200, &json!("T")));
}

#[tokio::test]
async fn bad_structure_and_wrong_types_are_400() {
    let service = Service::new().await;
    for (body, scim_type) in [
        (json!([]), "invalidSyntax"),
        (json!({"displayName": "no name"}), "invalidValue"),
        (json!({"userName": ["a", "b"]}), "invalidValue"),
        (json!({"userName": "a", "emails": 5}), "invalidValue"),
        (json!({"userName": "a", "name": 5}), "invalidValue"),
        (json!({"userName": "a".repeat(257)}), "invalidValue"),
    ] {
        assert_eq!(service.post("/Users", body.clone()).await.refused(400).0, scim_type, "{body}");
    }
    let id = service.user("ada").await;
    for operations in [
        json!({}),
        json!(["x"]),
        json!([{"op": "move"}]),
        json!([{"op": "replace", "path": "active", "value": "maybe"}]),
    ] {
        service.patch(&format!("/Users/{id}"), operations).await.refused(400);
    }
    assert!(
        service
            .post("/Users", json!({"userName": "a".repeat(257)}))
            .await
            .refused(400)
            .1
            .starts_with("userName is longer")
    );
}

#[tokio::test]
async fn r17_a_taken_name_is_409_and_names_the_holder() {
    let service = Service::new().await;
    let holder = service.user("ada").await;
    let other = service.user("eva").await;
    let rename = json!([{"op": "replace", "path": "userName", "value": "Ada"}]);
    for answer in [
        service.post("/Users", json!({"userName": "ADA"})).await,
        service.put(&format!("/Users/{other}"), json!({"userName": "ada"})).await,
        service.patch(&format!("/Users/{other}"), rename).await,
    ] {
        let (scim_type, detail) = answer.refused(409);
        assert!(scim_type == "uniqueness" && detail.contains(&holder), "{detail}");
    }
}

#[tokio::test]
async fn a_user_that_is_not_there_is_404() {
    let service = Service::new().await;
    let id = service.user("ada").await;
    assert_eq!(service.delete(&format!("/Users/{id}")).await.status, 204);
    for path in [format!("/Users/{id}"), "/Users/none".to_owned()] {
        service.get(&path).await.refused(404);
        service.put(&path, json!({"userName": "a"})).await.refused(404);
        service.patch(&path, json!([{"op": "replace", "path": "title", "value": "T"}])).await.refused(404);
        service.delete(&path).await.refused(404);
    }
}

#[tokio::test]
async fn a_replacement_unassigns_what_it_does_not_name_but_not_active() {
    let service = Service::new().await;
    let id = service.post("/Users", whole()).await.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/Users/{id}");
    let replaced = service.put(&path, json!({"userName": "ada", "active": false})).await;
    let body = replaced.json();
    assert_eq!((replaced.status.as_u16(), replaced.header("etag")), (200, "W/\"2\""));
    assert!(body.get("title").is_none() && body.get("externalId").is_none() && body["active"] == false);
    let silent = service.put(&path, json!({"userName": "ada", "title": "T"})).await;
    assert_eq!((&silent.json()["active"], &silent.json()["title"]), (&json!(false), &json!("T")));
}

#[tokio::test]
async fn d3_a_user_that_changed_meanwhile_is_computed_again() {
    let service = Service::new().await;
    let id = service.user("ada").await;
    service.fault("ReplaceUser", (0..5).map(|_| Fault::WriteBetween));
    let answer =
        service.patch(&format!("/Users/{id}"), json!([{"op": "replace", "path": "title", "value": "T"}])).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["title"]), (200, &json!("T")));
    assert_eq!((service.calls("GetUser"), service.calls("ReplaceUser")), (6, 6));
}

#[tokio::test]
async fn d3_after_five_retries_the_client_is_asked_to_come_again() {
    let service = Service::new().await;
    let id = service.user("ada").await;
    service.fault("ReplaceUser", (0..6).map(|_| Fault::WriteBetween));
    let answer =
        service.patch(&format!("/Users/{id}"), json!([{"op": "replace", "path": "title", "value": "T"}])).await;
    answer.refused(503);
    assert_eq!((answer.header("retry-after"), service.calls("ReplaceUser")), ("1", 6));
}

#[tokio::test]
async fn r17_many_patches_of_one_user_at_once_all_succeed() {
    let service = Service::new().await;
    let path = format!("/Users/{}", service.user("ada").await);
    let patches = (0..50).map(|number| {
        let (service, path) = (&service, &path);
        async move {
            let operations = json!([{"op": "add", "path": "emails", "value": [{"value": format!("a{number}@x")}]}]);
            service.patch(path, operations).await.status
        }
    });
    let statuses = futures::future::join_all(patches).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(service.get(&path).await.json()["emails"].as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn if_match_names_the_version_to_change() {
    let service = Service::new().await;
    let path = format!("/Users/{}", service.user("ada").await);
    let patch =
        |value: &str| Some(json!({"schemas": [], "Operations": [{"op": "replace", "path": "title", "value": value}]}));
    assert_eq!(service.if_match(Method::PATCH, &path, "W/\"1\"", patch("A")).await.status, 200);
    service.if_match(Method::PATCH, &path, "W/\"1\"", patch("B")).await.refused(412);
    service.if_match(Method::PUT, &path, "\"1\"", Some(json!({"userName": "ada", "active": true}))).await.refused(412);
    service.if_match(Method::PUT, &path, "\"1\"", Some(json!({"userName": "ada"}))).await.refused(412);
    service.if_match(Method::DELETE, &path, "W/\"1\"", None).await.refused(412);
    service.if_match(Method::DELETE, &path, "foreign", None).await.refused(412);
    assert_eq!(
        service
            .if_match(Method::PUT, &path, "W/\"1\", W/\"2\"", Some(json!({"userName": "ada", "active": true})))
            .await
            .status,
        200
    );
    // The version moves between the read and the write: with If-Match that is the client's affair at once.
    service.fault("ReplaceUser", [Fault::WriteBetween]);
    service.if_match(Method::PATCH, &path, "W/\"3\"", patch("C")).await.refused(412);
    assert_eq!(service.if_match(Method::DELETE, &path, "*", None).await.status, 204);
}

#[tokio::test]
async fn what_a_client_has_already_is_not_sent_again() {
    let service = Service::new().await;
    let mut request = service.request(Method::GET, &format!("/Users/{}", service.user("ada").await), None);
    request.headers_mut().insert("if-none-match", "W/\"1\"".parse().unwrap());
    let answer = service.send(request).await;
    assert_eq!((answer.status.as_u16(), answer.bytes.len(), answer.header("etag")), (304, 0, "W/\"1\""));
}

#[tokio::test]
async fn lists_are_paged_by_index_and_by_cursor() {
    let service = Service::new().await;
    for number in 0..12 {
        service.user(&format!("u{number}")).await;
    }
    let page = service.get("/Users?startIndex=6&count=5").await.json();
    let part = |body: &Value, name: &str| body[name].as_u64();
    assert_eq!(
        (part(&page, "totalResults"), part(&page, "startIndex"), part(&page, "itemsPerPage")),
        (Some(12), Some(6), Some(5))
    );
    assert_eq!(service.get("/Users?count=0").await.json()["Resources"], json!([]));
    service.get("/Users?count=many").await.refused(400);

    let (mut cursor, mut seen) = (String::new(), 0);
    for _ in 0..3 {
        let page = service.get(&format!("/Users?cursor={cursor}&count=5")).await.json();
        seen += page["Resources"].as_array().unwrap().len();
        cursor = page["nextCursor"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!((seen, cursor.as_str()), (12, ""));
    assert_eq!(service.get("/Users?cursor=mine").await.refused(400).0, "invalidCursor");
}

#[tokio::test]
async fn filters_that_cannot_be_answered_are_refused_by_name() {
    let service = Service::new().await;
    service.user("ada").await;
    for (filter, name) in [
        ("title+eq+%22x%22", "title"),
        ("shoeSize+eq+%22x%22", "shoeSize"),
        ("meta.location+eq+%22x%22", "meta.location"),
        ("emails.display+eq+%22x%22", "emails.display"),
        ("userName", ""),
        ("userName+eq", ""),
    ] {
        let (scim_type, detail) = service.get(&format!("/Users?filter={filter}")).await.refused(400);
        assert!(scim_type == "invalidFilter" && detail.contains(name), "{filter}: {detail}");
    }
}

#[tokio::test]
async fn the_old_check_of_a_manager_is_answered() {
    let service = Service::new().await;
    let id = service.post("/Users", whole()).await.json()["id"].as_str().unwrap().to_owned();
    let total = |manager: &'static str| {
        let (service, id) = (&service, &id);
        async move {
            let path = format!("/Users?filter=id+eq+%22{id}%22+and+manager+eq+%22{manager}%22&attributes=id");
            service.get(&path).await.json()["totalResults"].clone()
        }
    };
    assert_eq!((total("m1").await, total("m2").await), (json!(1), json!(0)));
    let unquoted = service.get(&format!("/Users?filter=manager+eq+m1+and+id+eq+{id}")).await.json();
    assert_eq!(unquoted["Resources"][0]["id"], json!(id));
}

#[tokio::test]
async fn taking_active_away_gives_a_leaver_no_access() {
    let service = Service::new().await;
    let id = service.post("/Users", json!({"userName": "ada", "active": false})).await.json()["id"].clone();
    let path = format!("/Users/{}", id.as_str().unwrap());
    // Silence keeps what was said.
    assert_eq!(service.put(&path, json!({"userName": "ada"})).await.json()["active"], false);
    let operations =
        [json!([{"op": "remove", "path": "active"}]), json!([{"op": "replace", "path": "active", "value": null}])];
    for operations in operations {
        assert_eq!(service.patch(&path, operations).await.json().get("active"), None);
    }
    // Identity is told that the word was taken back, which gives nobody access.
    assert_eq!(service.identity.directory().users.values().next().unwrap().provisioned_active, None);
    assert_eq!(service.put(&path, json!({"userName": "ada"})).await.json().get("active"), None);
}

#[tokio::test]
async fn a_search_in_a_body_answers_as_the_list_does() {
    let service = Service::new().await;
    for name in ["ada", "bob"] {
        service.post("/Users", json!({"userName": name, "title": "t"})).await;
    }
    let search = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": "userName eq \"BOB\"", "attributes": ["userName"], "startIndex": 1, "count": 5});
    let found = service.post("/Users/.search", search).await;
    let listed = service.get("/Users?filter=userName+eq+%22BOB%22&attributes=userName&startIndex=1&count=5").await;
    assert_eq!((found.status, found.json()), (listed.status, listed.json()));
    assert_eq!(found.json()["totalResults"], 1);
    assert_eq!(service.post("/Groups/.search", json!({})).await.json()["totalResults"], 0);
    for wrong in [
        json!([]),
        json!({"filter": 1}),
        json!({"count": "x"}),
        json!({"attributes": "userName"}),
        json!({"filter": "x"}),
    ] {
        service.post("/Users/.search", wrong).await.refused(400);
    }
}

#[tokio::test]
async fn only_asked_attributes_are_answered() {
    let service = Service::new().await;
    let id = service.post("/Users", whole()).await.json()["id"].as_str().unwrap().to_owned();
    let names = |body: &Value| body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let some = service.get(&format!("/Users/{id}?attributes=userName,emails.value")).await.json();
    assert_eq!(names(&some), ["schemas", "id", "userName", "emails"]);
    let without =
        service.get(&format!("/Users?excludedAttributes=name,meta,emails,{ENTERPRISE},addresses")).await.json();
    assert!(!names(&without["Resources"][0]).contains(&"name".to_owned()));
    let patched =
        service.patch(&format!("/Users/{id}?attributes=title"), json!([{"op": "remove", "path": "title"}])).await;
    assert_eq!(names(&patched.json()), ["schemas", "id"]);
    service.get(&format!("/Users/{id}?attributes=id&excludedAttributes=id")).await.refused(400);
}
