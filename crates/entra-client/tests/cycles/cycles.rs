//! Cycles that succeed, in both dialects and mappings.

use std::{collections::BTreeMap, sync::Arc};

use entra_client::{Acknowledged, Changes, Dialect, Directory, Error, Mapping, Observer, State};
use rstest::rstest;

use crate::server::{Fault, Server};

/// Counts what it is told.
#[derive(Default)]
struct Count {
    phases: Vec<(&'static str, usize)>,
    steps: usize,
    writes: BTreeMap<&'static str, usize>,
    created: Vec<(String, String)>,
}

impl Observer for Count {
    fn phase(&mut self, name: &'static str, total: usize) {
        self.phases.push((name, total));
    }

    fn step(&mut self) {
        self.steps += 1;
    }

    fn acknowledged(&mut self, write: Acknowledged<'_>) {
        let (name, count) = match write {
            Acknowledged::UserCreated { user_name, id } => {
                self.created.push((user_name.to_owned(), id.to_owned()));
                ("user created", 1)
            }
            Acknowledged::UserUpdated { .. } => ("user updated", 1),
            Acknowledged::UserDisabled { .. } => ("user disabled", 1),
            Acknowledged::UserEnabled { .. } => ("user enabled", 1),
            Acknowledged::ManagerSet { .. } => ("manager set", 1),
            Acknowledged::UserDeleted { .. } => ("user deleted", 1),
            Acknowledged::GroupCreated { .. } => ("group created", 1),
            Acknowledged::GroupUpdated { .. } => ("group updated", 1),
            Acknowledged::MembersAdded { members, .. } => ("members added", members.len()),
            Acknowledged::MembersRemoved { members, .. } => ("members removed", members.len()),
            Acknowledged::GroupDeleted { .. } => ("group deleted", 1),
        };
        *self.writes.entry(name).or_default() += count;
    }
}

fn memberships(directory: &Directory) -> usize {
    directory.groups().map(|group| directory.members(group).len()).sum()
}

#[rstest]
#[case(Dialect::Legacy, Mapping::Minimal)]
#[case(Dialect::Legacy, Mapping::Default)]
#[case(Dialect::Compliant, Mapping::Minimal)]
#[case(Dialect::Compliant, Mapping::Default)]
#[tokio::test]
async fn initial_and_incremental_cycle_leave_the_directory_at_the_endpoint(
    #[case] dialect: Dialect,
    #[case] mapping: Mapping,
) {
    let server = Server::start(Fault::None).await;
    let client = server.client(dialect, mapping);
    let mut directory = Directory::sample(130, 12);
    let (mut state, mut count) = (State::default(), Count::default());

    let summary = client.initial_cycle(&directory, &mut state, &mut count).await.unwrap();
    assert_eq!((summary.users_created, summary.users_matched, summary.users_updated), (130, 0, 0));
    assert_eq!((summary.groups_created, summary.members_added), (12, memberships(&directory)));
    assert_eq!(summary.managers_set, if mapping == Mapping::Default { 129 } else { 0 });
    assert_eq!(count.steps, count.phases.iter().map(|(_, total)| total).sum::<usize>());
    assert_eq!((count.writes["user created"], count.created.len()), (130, 130));
    assert_eq!((state.users.len(), state.groups.len()), (130, 12));
    assert!(summary.latency_ms.p50 > 0.0 && summary.latency_ms.max >= summary.latency_ms.p95);
    client.verify(&directory, &state, &mut ()).await.unwrap();
    client.verify_members(&directory, &state, &mut ()).await.unwrap();

    let changes = Changes::sample(&directory, 5);
    let mut count = Count::default();
    let summary = client.incremental_cycle(&mut directory, &changes, &mut state, &mut count).await.unwrap();
    assert_eq!((summary.users_created, summary.users_deleted), (3, 3));
    assert_eq!((summary.users_updated, summary.users_disabled, summary.users_enabled), (6, 6, 3));
    assert_eq!((summary.groups_updated, summary.groups_deleted), (1, 1));
    assert_eq!(count.writes["members added"], summary.members_added);
    assert_eq!(count.writes["members removed"], summary.members_removed);
    assert_eq!(count.steps, count.phases.iter().map(|(_, total)| total).sum::<usize>());
    let verified = client.verify(&directory, &state, &mut ()).await.unwrap();
    assert_eq!((verified.users_matched, verified.groups_matched), (130, 11));
    client.verify_members(&directory, &state, &mut ()).await.unwrap();
    let store = server.store.lock().unwrap();
    assert_eq!((store.users.len(), store.groups.len()), (130, 11));
    assert_eq!(store.users.values().filter(|user| user["active"] == false).count(), 3);
}

#[tokio::test]
async fn second_initial_cycle_matches_all_and_writes_only_memberships() {
    let server = Server::start(Fault::None).await;
    let client = server.client(Dialect::Legacy, Mapping::Default);
    let directory = Directory::sample(60, 5);
    client.initial_cycle(&directory, &mut State::default(), &mut ()).await.unwrap();
    server.take_seen();
    let mut state = State::default();
    let summary = client.initial_cycle(&directory, &mut state, &mut ()).await.unwrap();
    assert_eq!((summary.users_matched, summary.users_created, summary.users_updated), (60, 0, 0));
    assert_eq!((summary.groups_matched, summary.groups_created, summary.groups_updated), (5, 0, 0));
    assert_eq!(summary.managers_set, 0);
    let writes: Vec<_> = server.take_seen().into_iter().filter(|seen| seen.method != "GET").collect();
    assert!(writes.iter().all(|seen| seen.method == "PATCH" && seen.path.starts_with("/scim/v2/Groups/")));
    client.verify_members(&directory, &state, &mut ()).await.unwrap();
}

#[rstest]
#[case(Dialect::Legacy)]
#[case(Dialect::Compliant)]
#[tokio::test]
async fn matched_user_is_brought_up_to_date(#[case] dialect: Dialect) {
    let server = Server::start(Fault::None).await;
    let directory = Directory::sample(3, 1);
    let (user, group) = (directory.user(1), directory.group(0));
    {
        let mut store = server.store.lock().unwrap();
        let meta = serde_json::json!({ "resourceType": "User" });
        let schemas = serde_json::json!(["urn:ietf:params:scim:schemas:core:2.0:User"]);
        let name = user.user_principal_name.to_uppercase();
        let held = serde_json::json!({ "schemas": schemas, "userName": name, "active": false, "meta": meta });
        store.create("Users", held).unwrap();
        let schemas = serde_json::json!(["urn:ietf:params:scim:schemas:core:2.0:Group"]);
        let meta = serde_json::json!({ "resourceType": "Group" });
        let name = group.display_name.to_uppercase();
        store.create("Groups", serde_json::json!({ "schemas": schemas, "displayName": name, "meta": meta })).unwrap();
    }
    let client = server.client(dialect, Mapping::Default);
    let mut state = State::default();
    let summary = client.initial_cycle(&directory, &mut state, &mut ()).await.unwrap();
    assert_eq!((summary.users_matched, summary.users_created), (1, 2));
    assert_eq!((summary.users_updated, summary.users_enabled, summary.users_disabled), (1, 1, 0));
    assert_eq!((summary.groups_matched, summary.groups_created, summary.groups_updated), (1, 0, 1));
    client.verify(&directory, &state, &mut ()).await.unwrap();
}

#[tokio::test]
async fn disabled_user_is_never_created_but_a_matched_one_is_disabled() {
    let server = Server::start(Fault::None).await;
    let client = server.client(Dialect::Legacy, Mapping::Minimal);
    let mut directory = Directory::sample(2, 0);
    let mut alone = Directory::sample(1, 0);
    client.initial_cycle(&alone, &mut State::default(), &mut ()).await.unwrap();
    for index in 0..2 {
        let disabled = entra_client::User { account_enabled: false, ..directory.user(index) };
        directory.put_user(index, disabled);
    }
    let mut state = State::default();
    let summary = client.initial_cycle(&directory, &mut state, &mut ()).await.unwrap();
    assert_eq!((summary.users_skipped, summary.users_disabled, summary.users_created), (1, 1, 0));
    alone.put_user(0, directory.user(0));
    client.verify(&directory, &state, &mut ()).await.unwrap();
    client.verify(&alone, &state, &mut ()).await.unwrap();
}

#[tokio::test]
async fn failed_cycle_resumes_from_its_stored_state() {
    let server = Server::start(Fault::None).await;
    let client = server.client(Dialect::Legacy, Mapping::Default);
    let mut state = State::default();
    client.initial_cycle(&Directory::sample(20, 0), &mut state, &mut ()).await.unwrap();
    let stored = serde_json::to_string(&state).unwrap();
    let mut state: State = serde_json::from_str(&stored).unwrap();
    let directory = Directory::sample(30, 2);
    server.take_seen();
    let summary = client.initial_cycle(&directory, &mut state, &mut ()).await.unwrap();
    assert_eq!((summary.users_created, summary.users_matched, summary.managers_set), (10, 0, 10));
    let queries = server.take_seen().into_iter().filter(|seen| seen.path.contains("/Users?filter")).count();
    assert_eq!(queries, 11, "ten new users and the probe");
    client.verify(&directory, &state, &mut ()).await.unwrap();
}

/// Breaks the server after a few users, as if it died in the middle of a cycle.
struct Breaks {
    server: Arc<Server>,
    acknowledged: BTreeMap<String, String>,
}

impl Observer for Breaks {
    fn acknowledged(&mut self, write: Acknowledged<'_>) {
        if let Acknowledged::UserCreated { user_name, id } = write {
            self.acknowledged.insert(user_name.to_owned(), id.to_owned());
        }
        if self.acknowledged.len() == 7 {
            self.server.be(Fault::Redirect);
        }
    }
}

#[tokio::test]
async fn state_of_a_failed_cycle_holds_exactly_what_was_acknowledged() {
    let server = Server::start(Fault::None).await;
    let client = server.client(Dialect::Legacy, Mapping::Minimal);
    let directory = Directory::sample(200, 2);
    let mut state = State::default();
    let mut observer = Breaks { server: server.clone(), acknowledged: BTreeMap::new() };
    client.initial_cycle(&directory, &mut state, &mut observer).await.unwrap_err();
    let kept: BTreeMap<String, String> =
        state.users.values().map(|link| (link.user_name.clone(), link.id.clone())).collect();
    assert_eq!(kept, observer.acknowledged);
    assert!(kept.len() >= 7);
    server.be(Fault::None);
    client.verify(&directory, &state, &mut ()).await.unwrap();
    let summary = client.initial_cycle(&directory, &mut state, &mut ()).await.unwrap();
    assert_eq!(summary.users_created + summary.users_matched + kept.len(), 200);
}

#[tokio::test]
async fn many_members_go_in_bounded_requests_at_once() {
    let server = Server::start(Fault::None).await;
    let client = server.client(Dialect::Legacy, Mapping::Minimal);
    let directory = Directory::sample(250, 1);
    let mut state = State::default();
    client.initial_cycle(&directory, &mut state, &mut ()).await.unwrap();
    let patches = server.take_seen().into_iter().filter(|seen| seen.method == "PATCH");
    let mut sizes: Vec<usize> =
        patches.map(|seen| seen.json()["Operations"][0]["value"].as_array().unwrap().len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [50, 100, 100]);
    client.verify_members(&directory, &state, &mut ()).await.unwrap();
}

#[tokio::test]
async fn change_of_an_object_that_was_not_provisioned_is_an_error() {
    let server = Server::start(Fault::None).await;
    let client = server.client(Dialect::Legacy, Mapping::Minimal);
    let mut directory = Directory::sample(3, 0);
    let changes = Changes { disabled: vec![1], ..Changes::default() };
    let result = client.incremental_cycle(&mut directory, &changes, &mut State::default(), &mut ()).await;
    assert!(matches!(result, Err(Error::NotProvisioned(name)) if name == directory.user(1).user_principal_name));
}

#[tokio::test]
async fn cycles_run_on_a_spawned_task() {
    let server = Server::start(Fault::None).await;
    let client = server.client(Dialect::Legacy, Mapping::Default);
    let task = tokio::spawn(async move {
        let (mut directory, mut state) = (Directory::sample(10, 2), State::default());
        client.initial_cycle(&directory, &mut state, &mut ()).await?;
        let changes = Changes::sample(&directory, 1);
        client.incremental_cycle(&mut directory, &changes, &mut state, &mut ()).await?;
        client.verify(&directory, &state, &mut ()).await
    });
    task.await.unwrap().unwrap();
}
