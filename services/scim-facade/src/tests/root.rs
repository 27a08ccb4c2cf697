//! Searching users and groups at once.

use serde_json::{Value, json};

use super::{harness::Service, identity::Fault};

async fn filled() -> Service {
    let service = Service::new().await;
    for name in ["u1", "u2", "u3"] {
        service.user(name).await;
    }
    for name in ["g1", "g2"] {
        service.group(name, &[]).await;
    }
    service
}

fn names(list: &Value) -> Vec<&str> {
    list["Resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|resource| resource.get("userName").or_else(|| resource.get("displayName")).unwrap().as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn users_come_first_then_groups() {
    let service = filled().await;
    for path in ["", "/", "?count=100"] {
        let list = service.get(path).await.json();
        assert_eq!((names(&list), &list["totalResults"]), (vec!["u1", "u2", "u3", "g1", "g2"], &json!(5)), "{path}");
    }
    let search =
        json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "attributes": ["displayName"]});
    let found = service.post("/.search", search).await.json();
    assert_eq!((&found["totalResults"], found["Resources"][3].get("members")), (&json!(5), None));
}

#[tokio::test]
async fn a_walk_by_index_and_one_by_cursor_see_everything() {
    let service = filled().await;
    let (mut seen, mut index) = (Vec::new(), 1);
    while seen.len() < 5 {
        let list = service.get(&format!("?startIndex={index}&count=2")).await.json();
        assert_eq!((&list["totalResults"], &list["startIndex"]), (&json!(5), &json!(index)));
        let page = names(&list).into_iter().map(str::to_owned).collect::<Vec<_>>();
        index += page.len();
        seen.extend(page);
    }
    assert_eq!(seen, ["u1", "u2", "u3", "g1", "g2"]);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let list = service.get(&format!("?cursor={cursor}&count=2")).await.json();
        seen.extend(names(&list).into_iter().map(str::to_owned));
        match list["nextCursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, ["u1", "u2", "u3", "g1", "g2"]);
    let (scim_type, _) = service.get("?cursor=x1").await.refused(400);
    assert_eq!(scim_type, "invalidCursor");
}

#[tokio::test]
async fn a_filter_over_both_leaves_out_what_cannot_match() {
    let service = filled().await;
    let found = async |filter: &str| {
        let list = service.get(&format!("?filter={filter}")).await.json();
        names(&list).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(found("userName+eq+%22u2%22").await, ["u2"]);
    assert_eq!(found("userName+eq+%22u2%22+or+displayName+eq+%22g1%22").await, ["u2", "g1"]);
    assert_eq!(found("meta.resourceType+eq+%22Group%22").await, ["g1", "g2"]);
    assert_eq!(found("userName+ne+%22u1%22").await, ["u2", "u3", "g1", "g2"]);
    assert_eq!(found("userName+pr+and+members+pr").await, [""; 0]);
    for filter in ["shoeSize+pr", "", "userName+eq"] {
        let (scim_type, _) = service.get(&format!("?filter={filter}")).await.refused(400);
        assert_eq!(scim_type, "invalidFilter", "{filter}");
    }
    service.get("?sortBy=displayName").await.refused(400);
}

#[tokio::test]
async fn d12_a_page_that_identity_cut_short_is_not_filled_with_groups() {
    let service = filled().await;
    service.fault("ListUsers", [Fault::Status(tonic::Status::out_of_range("too large"))]);
    let first = service.get("?count=3").await.json();
    assert_eq!(names(&first), ["u1"]);
    assert_eq!(names(&service.get("?startIndex=2&count=5").await.json()), ["u2", "u3", "g1", "g2"]);
}
