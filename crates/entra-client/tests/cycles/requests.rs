//! The requests as they arrive at the endpoint.

use entra_client::{Changes, Dialect, Directory, Mapping, State};
use serde_json::json;

use crate::server::{Fault, KEY, Seen, Server};

/// Every request of an initial and an incremental cycle.
async fn requests(dialect: Dialect, mapping: Mapping, users: usize, groups: usize) -> Vec<Seen> {
    let server = Server::start(Fault::None).await;
    let client = server.client(dialect, mapping);
    let (mut directory, mut state) = (Directory::sample(users, groups), State::default());
    client.initial_cycle(&directory, &mut state, &mut ()).await.unwrap();
    let changes = Changes::sample(&directory, 2);
    client.incremental_cycle(&mut directory, &changes, &mut state, &mut ()).await.unwrap();
    server.take_seen()
}

#[tokio::test]
async fn headers_are_those_of_entra() {
    for seen in requests(Dialect::Legacy, Mapping::Default, 40, 4).await {
        assert_eq!(seen.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
        assert_eq!(seen.header("user-agent"), None);
        assert_eq!(seen.header("accept"), Some("*/*"));
        let content_type = (!seen.body.is_empty()).then_some("application/scim+json; charset=utf-8");
        assert_eq!(seen.header("content-type"), content_type);
        assert_eq!(seen.body.is_empty(), matches!(seen.method.as_str(), "GET" | "DELETE"));
        assert!(!seen.path.contains("aadOptscim062020"));
    }
}

#[tokio::test]
async fn probes_ask_for_random_guids() {
    let server = Server::start(Fault::None).await;
    let client = server.client(Dialect::Legacy, Mapping::Minimal);
    client.test_connection().await.unwrap();
    client.test_connection().await.unwrap();
    let paths: Vec<String> = server.take_seen().into_iter().map(|seen| seen.path).collect();
    let (users, groups) = ("/scim/v2/Users?filter=userName+eq+%22", "/scim/v2/Groups?excludedAttributes=members&");
    assert!(paths[0].starts_with(users) && paths[0].len() == users.len() + 36 + "%22".len());
    assert!(paths[1].starts_with(groups));
    assert_ne!(paths[0], paths[2]);
}

#[tokio::test]
async fn users_come_before_managers_before_groups_before_members() {
    let server = Server::start(Fault::None).await;
    let client = server.client(Dialect::Legacy, Mapping::Default);
    client.initial_cycle(&Directory::sample(20, 3), &mut State::default(), &mut ()).await.unwrap();
    let stage = |seen: &Seen| match (seen.method.as_str(), seen.path.contains("/Users")) {
        ("POST", true) => Some(1),
        ("PATCH", true) => Some(2),
        ("POST", false) => Some(3),
        ("PATCH", false) => Some(4),
        _ => None,
    };
    let stages: Vec<i32> = server.take_seen().iter().filter_map(stage).collect();
    assert!(stages.is_sorted(), "{stages:?}");
    assert_eq!(stages.len(), 20 + 19 + 3 + 3);
}

#[tokio::test]
async fn disabling_and_enabling_take_the_dialects_form() {
    for (dialect, off, on) in [
        (
            Dialect::Legacy,
            json!([{ "op": "Replace", "path": "active", "value": "False" }]),
            json!([{ "op": "Replace", "path": "active", "value": "True" }]),
        ),
        (
            Dialect::Compliant,
            json!([{ "op": "replace", "path": "active", "value": false }]),
            json!([{ "op": "replace", "path": "active", "value": true }]),
        ),
    ] {
        let seen = requests(dialect, Mapping::Minimal, 40, 0).await;
        let patches: Vec<_> = seen.iter().filter(|seen| seen.method == "PATCH").map(Seen::json).collect();
        assert_eq!(patches.iter().filter(|body| body["Operations"] == off).count(), 2);
        assert_eq!(patches.iter().filter(|body| body["Operations"] == on).count(), 1);
    }
}

#[tokio::test]
async fn members_leave_in_the_dialects_form() {
    let removal = |seen: &Seen| {
        let operation = seen.json()["Operations"][0].clone();
        operation["op"].as_str().filter(|op| op.eq_ignore_ascii_case("remove")).map(|_| operation.clone())
    };
    for dialect in [Dialect::Legacy, Dialect::Compliant] {
        let seen = requests(dialect, Mapping::Minimal, 40, 4).await;
        let removals: Vec<_> = seen.iter().filter(|seen| seen.method == "PATCH").filter_map(removal).collect();
        assert!(!removals.is_empty());
        for removal in removals {
            match dialect {
                Dialect::Legacy => {
                    assert_eq!((&removal["op"], &removal["path"]), (&json!("Remove"), &json!("members")));
                    assert!(removal["value"][0].as_object().unwrap().contains_key("$ref"));
                }
                Dialect::Compliant => {
                    assert!(removal["path"].as_str().unwrap().starts_with("members[value eq \"id-"));
                    assert!(removal.get("value").is_none());
                }
            }
        }
    }
}

#[tokio::test]
async fn cached_ids_replace_match_queries_in_an_incremental_cycle() {
    let server = Server::start(Fault::None).await;
    let client = server.client(Dialect::Legacy, Mapping::Default);
    let (mut directory, mut state) = (Directory::sample(10, 2), State::default());
    client.initial_cycle(&directory, &mut state, &mut ()).await.unwrap();
    server.take_seen();
    let changes = Changes { disabled: vec![3], enabled: vec![3], ..Changes::default() };
    client.incremental_cycle(&mut directory, &changes, &mut state, &mut ()).await.unwrap();
    let id = &state.users[&directory.user_object_id(3)].id;
    let requests: Vec<String> =
        server.take_seen().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect();
    let by_id = format!("/scim/v2/Users/{id}");
    assert_eq!(
        requests[2..6],
        [format!("GET {by_id}"), format!("PATCH {by_id}"), format!("GET {by_id}"), format!("PATCH {by_id}"),]
    );
    assert_eq!(requests.len(), 7, "two probes before, one look at the touched user after");
}
