//! The change feed from outside: what teams follow, on every deployment, and when they must not any more.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures::future::join_all;
use proto::{
    Channel,
    channel::ClientTls,
    identity::v1::{
        AcknowledgeChangesRequest, Change, CreateUserRequest, ListChangesRequest, User, WatchChangesRequest,
        WatchChangesResponse, change_service_client::ChangeServiceClient, user_service_client::UserServiceClient,
    },
};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt;

use crate::{
    harness::{
        Deployment::{self, ServePostgres, UpPostgres, UpSqlite},
        Rollcall, eventually,
    },
    service_identity,
};

/// How soon a revocation is felt (rule R1).
const FELT_WITHIN: Duration = Duration::from_secs(1);
/// How long something may take that has no promise about it. Far more than it needs.
const DEADLINE: Duration = Duration::from_secs(60);

/// A team with a key of its own, at one replica.
pub(crate) struct Team {
    channel: Channel,
    key: String,
}

impl Team {
    pub(crate) fn at(rollcall: &Rollcall, url: &str, key: &str) -> Self {
        let channel = if url.starts_with("https") {
            let config = service_identity::client(&rollcall.certificates(), None);
            Channel::connect_tls(url, ClientTls::new(move || config.clone())).unwrap()
        } else {
            Channel::connect(url).unwrap()
        };
        Self { channel, key: key.to_owned() }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", format!("Bearer {}", self.key).parse().unwrap());
        request
    }

    fn changes(&self) -> ChangeServiceClient<Channel> {
        ChangeServiceClient::new(self.channel.clone())
    }

    async fn watch(&self, after: &str) -> Result<Streaming<WatchChangesResponse>, Status> {
        let watch = WatchChangesRequest { after: after.to_owned(), ..WatchChangesRequest::default() };
        Ok(self.changes().watch_changes(self.request(watch)).await?.into_inner())
    }

    /// As [`Team::watch`], once the replica can check credentials.
    async fn watched(&self, after: &str) -> Streaming<WatchChangesResponse> {
        let mut opened = None;
        eventually("the stream opens", DEADLINE, async || {
            opened = self.watch(after).await.ok();
            opened.is_some()
        })
        .await;
        opened.unwrap()
    }

    /// Makes a user, and answers its id.
    pub(crate) async fn create(&self, name: &str) -> String {
        let user = User { user_name: name.to_owned(), ..User::default() };
        let create = CreateUserRequest { user: Some(user), ..CreateUserRequest::default() };
        UserServiceClient::new(self.channel.clone()).create_user(self.request(create)).await.unwrap().into_inner().id
    }

    /// Every change, page by page, and the head.
    async fn list(&self) -> (Vec<Change>, String) {
        let (mut changes, mut page_token) = (Vec::new(), String::new());
        loop {
            let list = ListChangesRequest { page_size: 7, page_token, ..ListChangesRequest::default() };
            let page = self.changes().list_changes(self.request(list)).await.unwrap().into_inner();
            changes.extend(page.changes);
            if page.next_page_token.is_empty() {
                return (changes, page.head);
            }
            page_token = page.next_page_token;
        }
    }
}

async fn next(stream: &mut Streaming<WatchChangesResponse>) -> Result<WatchChangesResponse, Status> {
    let message = tokio::time::timeout(DEADLINE, stream.message()).await.unwrap();
    message.map(|message| message.unwrap())
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_deprovisioned_user_is_told_to_whoever_watches(
    #[values(UpSqlite, UpPostgres, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, directory)) = Rollcall::provisioned(deployment).await else { return };
    let reader = rollcall.key(&["--name", "team", "--scope", "identity.read"]);
    let team = Team::at(&rollcall, &rollcall.identity_url(), &reader);
    let (_, head) = team.list().await;
    let mut stream = team.watch(&head).await.unwrap();
    let first = next(&mut stream).await.unwrap();
    assert!(first.changes.is_empty() && first.position == head && first.head == head, "{first:?}");

    let user = json!({"userName": "ada@example.com", "active": true});
    let made = rollcall.scim(&directory, Method::POST, "/Users", Some(&user)).await.json();
    let patch = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "Replace", "path": "active", "value": "False"}]});
    let path = format!("/Users/{}", made["id"].as_str().unwrap());
    let ended = rollcall.scim(&directory, Method::PATCH, &path, Some(&patch)).await;
    assert!(ended.status.is_success(), "{ended:?}");
    let mut changes = Vec::new();
    while changes.len() < 3 {
        changes.extend(next(&mut stream).await.unwrap().changes);
    }
    let change = &changes[1];
    assert_eq!((&*change.kind, change.subject_id.as_str()), ("user.changed", made["id"].as_str().unwrap()));
    assert_eq!((&*change.before["active"], &*change.after["active"]), ("true", "false"));
    let directory_id = directory.parse::<authn::KeyText>().unwrap().id();
    assert_eq!(change.actor, format!("key:{directory_id}"));
    // The id under which the façade answered is the one that the feed tells.
    assert_eq!(change.request_id, ended.header("x-request-id"));
    // And so she has no role.
    let role = &changes[2];
    assert_eq!((&*role.kind, &*role.before["role"], role.after.get("role")), ("role.changed", "explorer", None));
    // When nothing happens, a word comes all the same.
    let quiet = next(&mut stream).await.unwrap();
    assert!(quiet.changes.is_empty() && quiet.position == role.position && quiet.head == quiet.position, "{quiet:?}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r01_a_stream_ends_within_a_second_of_its_key(#[values(UpSqlite, ServePostgres)] deployment: Deployment) {
    let Some((rollcall, _)) = Rollcall::provisioned(deployment).await else { return };
    let cases: [(&[&str], Code); 2] =
        [(&["revoke"], Code::Unauthenticated), (&["update", "--scope", "scim"], Code::PermissionDenied)];
    for (act, expected) in cases {
        let key = rollcall.key(&["--name", "team", "--scope", "identity.read"]);
        let id = key.parse::<authn::KeyText>().unwrap().id().to_string();
        let team = Team::at(&rollcall, &rollcall.identity_url(), &key);
        let mut stream = team.watch("").await.unwrap();
        next(&mut stream).await.unwrap();
        let mut arguments = vec!["api-key", act[0], &id];
        arguments.extend(&act[1..]);
        rollcall.succeed(&arguments);
        let changed = Instant::now();
        let ended = loop {
            match next(&mut stream).await {
                Ok(message) => assert!(changed.elapsed() <= FELT_WITHIN * 2, "{message:?}"),
                Err(status) => break status,
            }
        };
        assert_eq!(ended.code(), expected, "{ended:?}");
        assert!(changed.elapsed() <= FELT_WITHIN, "{:?}", changed.elapsed());
    }
}

const WRITERS: usize = 8;
const USERS_EACH: usize = 25;
const KILLS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn d01_a_consumer_that_changes_replicas_20_times_sees_every_change_of_8_writers() {
    let Some((rollcall, _)) = Rollcall::provisioned(ServePostgres).await else { return };
    let second = rollcall.replica_of_identity("identity-2", &rollcall.api_keys_internal_url()).await;
    let key = rollcall.key(&["--name", "team", "--scope", "identity.write", "--scope", "identity.read"]);
    let urls = [rollcall.identity_url(), format!("https://{}", second.public)];
    let teams = urls.map(|url| Team::at(&rollcall, &url, &key));
    for team in &teams {
        drop(team.watched("").await);
    }
    let writers = (0..WRITERS).map(|writer| {
        let (channel, key) = (teams[writer % 2].channel.clone(), key.clone());
        tokio::spawn(async move {
            let team = Team { channel, key };
            for number in 0..USERS_EACH {
                team.create(&format!("user{writer}-{number}")).await;
            }
        })
    });
    let writers = join_all(writers);
    let consumer = async {
        let (mut after, mut seen) = (String::new(), Vec::new());
        for kill in 0..=KILLS {
            let team = &teams[kill % 2];
            let mut stream = team.watch(&after).await.unwrap();
            // The last one goes on until all is there.
            while kill == KILLS && seen.len() < WRITERS * USERS_EACH + 1 || seen.len() < kill * 5 {
                let message = next(&mut stream).await.unwrap();
                seen.extend(message.changes);
                after = message.position;
            }
        }
        (seen, after)
    };
    let (written, (seen, after)) = tokio::join!(writers, consumer);
    for writer in written {
        writer.unwrap();
    }
    let (listed, head) = teams[1].list().await;
    let positions =
        |changes: &[Change]| -> Vec<String> { changes.iter().map(|change| change.position.clone()).collect() };
    assert_eq!(positions(&seen), positions(&listed));
    assert_eq!((seen.len(), after), (WRITERS * USERS_EACH + 1, head.clone()));
    let subjects: BTreeSet<&str> = seen.iter().map(|change| change.subject_id.as_str()).collect();
    assert_eq!(subjects.len(), seen.len());

    // A replica that is asked to end says so to whoever watches, and the other goes on.
    let mut stream = teams[1].watch(&head).await.unwrap();
    next(&mut stream).await.unwrap();
    let (ended, ()) = tokio::join!(
        async {
            loop {
                if let Err(status) = next(&mut stream).await {
                    return status;
                }
            }
        },
        second.terminate()
    );
    assert_eq!(ended.code(), Code::Unavailable, "{ended:?}");
    assert_eq!(ended.get_details_error_info().unwrap().reason, "ERROR_REASON_ENDING");
    let mut stream = teams[0].watch(&head).await.unwrap();
    teams[0].create("late").await;
    while next(&mut stream).await.unwrap().changes.is_empty() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn r05_a_position_of_another_tenant_says_nothing_of_it() {
    let (rollcall, _) = Rollcall::provisioned(UpSqlite).await.unwrap();
    rollcall.succeed(&["tenant", "create", "globex"]);
    let own = rollcall.key(&["--name", "team", "--scope", "identity.read"]);
    let foreign = rollcall.key(&["--name", "team", "--scope", "identity.read", "--tenant", "globex"]);
    let [own, foreign] = [own, foreign].map(|key| Team::at(&rollcall, &rollcall.identity_url(), &key));
    let (changes, head) = own.list().await;
    assert_eq!(changes.len(), 1);
    assert_eq!(foreign.list().await.0, [], "another tenant's feed is its own");
    let refused = foreign.watch(&head).await.unwrap_err();
    let info = refused.get_details_error_info().unwrap();
    assert_eq!((refused.code(), &*info.metadata["cause"]), (Code::OutOfRange, "epoch"), "{refused:?}");
    let refused = foreign.watch("nonsense").await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let acknowledge = AcknowledgeChangesRequest {
        consumer: "billing".into(),
        position: head,
        ..AcknowledgeChangesRequest::default()
    };
    own.changes().acknowledge_changes(own.request(acknowledge.clone())).await.unwrap();
    let refused = foreign.changes().acknowledge_changes(foreign.request(acknowledge)).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    assert_eq!(rollcall.json(&["changes", "consumers", "--tenant", "globex"]), json!([]));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_lists_watches_and_acknowledges(#[values(UpSqlite, UpPostgres)] deployment: Deployment) {
    let Some((mut rollcall, directory)) = Rollcall::provisioned(deployment).await else { return };
    let user = json!({"userName": "ada@example.com"});
    rollcall.scim(&directory, Method::POST, "/Users", Some(&user)).await;
    let listed = rollcall.json(&["changes", "list"]);
    let kinds: Vec<&str> = listed.as_array().unwrap().iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["tenant.changed", "user.created"]);
    assert_eq!(listed[1]["after"]["user_name"], "ada@example.com");
    let position = listed[0]["position"].as_str().unwrap();
    assert_eq!(rollcall.json(&["changes", "list", "--after", position]), json!([listed[1]]));

    let acknowledged = rollcall.json(&["changes", "acknowledge", "billing", position]);
    assert_eq!((&acknowledged["name"], &acknowledged["lagChanges"]), (&json!("billing"), &json!("1")));
    assert_eq!(rollcall.json(&["changes", "consumers"])[0]["lagChanges"], "1");
    let table = rollcall.succeed(&["changes", "consumers"]);
    assert!(table.starts_with("NAME") && table.contains("billing"), "{table}");

    let server = format!("--server={}", rollcall.identity_url());
    let key_file = format!("--operator-key-file={}", rollcall.operator_key_file().display());
    let watch = ["changes", "watch", "--consumer", "billing", "--output", "json", &server, &key_file];
    rollcall.beside("watch", &watch);
    let printed = async |count: usize| {
        let mut lines = Vec::new();
        eventually("the change is printed", DEADLINE, async || {
            lines = rollcall.printed_by("watch").lines().map(str::to_owned).collect();
            lines.len() >= count
        })
        .await;
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    assert_eq!(printed(1).await, [listed[1].clone()]);
    rollcall.scim(&directory, Method::POST, "/Users", Some(&json!({"userName": "grace@example.com"}))).await;
    assert_eq!(printed(2).await[1]["after"]["user_name"], "grace@example.com");

    rollcall.succeed(&["changes", "delete-consumer", "billing"]);
    assert_eq!(rollcall.json(&["changes", "consumers"]), json!([]));
    assert_eq!(rollcall.cli(&["changes", "delete-consumer", "billing"]).status.code(), Some(3));
    // Each use of the operator's credential stands in the log.
    let audited = rollcall.succeed(&["audit", "list"]);
    for action in ["WatchChanges", "AcknowledgeChanges", "DeleteChangeConsumer"] {
        assert!(audited.contains(&format!("ChangeService/{action}")), "{action}: {audited}");
    }
}
