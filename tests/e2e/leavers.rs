//! Who leaves loses what belongs to him: the keys that a person owns (rule R8, D9), and everything of a tenant that is deleted.

use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{
    Deployment::{self, ServePostgres, UpPostgres, UpSqlite},
    Rollcall, eventually,
};

/// How soon a departure is felt where everything runs: far more than it takes, on a machine that is busy.
const FELT_WITHIN: Duration = Duration::from_secs(20);
/// How soon after a start, in which processes find each other first.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(60);

/// A user that a directory made, and the id.
async fn hire(rollcall: &Rollcall, key: &str, name: &str) -> String {
    let created = rollcall.scim(key, Method::POST, "/Users", Some(&json!({"userName": name, "active": true}))).await;
    assert_eq!(created.status, 201, "{created:?}");
    created.json()["id"].as_str().unwrap().to_owned()
}

/// What the directory says when a person leaves, or comes back.
async fn set_active(rollcall: &Rollcall, key: &str, id: &str, active: bool) {
    let patch = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "Replace", "path": "active", "value": if active { "True" } else { "False" }}]});
    let patched = rollcall.scim(key, Method::PATCH, &format!("/Users/{id}"), Some(&patch)).await;
    assert_eq!(patched.status, 200, "{patched:?}");
}

/// A key that a person owns.
fn owned(rollcall: &Rollcall, owner: &str, scope: &str) -> String {
    rollcall.key(&["--name", "personal", "--scope", scope, "--owner", owner])
}

fn id_of(key: &str) -> String {
    key.parse::<authn::KeyText>().unwrap().id().to_string()
}

fn state_of(rollcall: &Rollcall, key: &str) -> String {
    rollcall.json(&["api-key", "show", &id_of(key)])["state"].as_str().unwrap().to_owned()
}

/// Waits until a key opens nothing.
async fn refused(rollcall: &Rollcall, tenant: &str, key: &str, within: Duration) {
    eventually("the key is refused", within, async || {
        let listed = rollcall.cli_as(key, &["user", "list", "--tenant", tenant]);
        // The tenant may be gone before its key is, and a machine may be too busy to check it.
        assert!([0, 3, 4, 5].contains(&listed.status.code().unwrap()), "{listed:?}");
        listed.status.code() == Some(4)
    })
    .await;
}

fn works(rollcall: &Rollcall, key: &str) {
    let listed = rollcall.cli_as(key, &["user", "list"]);
    assert!(listed.status.success(), "{listed:?}\n{}", rollcall.logs());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r08_the_keys_of_a_person_who_leaves_are_refused_and_no_others(
    #[values(UpSqlite, UpPostgres, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, directory)) = Rollcall::provisioned(deployment).await else { return };
    let ada = hire(&rollcall, &directory, "ada@example.com").await;
    let eva = hire(&rollcall, &directory, "eva@example.com").await;
    let (of_ada, of_eva) = (owned(&rollcall, "ada@example.com", "admin"), owned(&rollcall, &eva, "identity.read"));
    let of_nobody = rollcall.key(&["--name", "billing", "--scope", "identity.read"]);
    // Made with a key of hers, for the directory: it outlives her.
    let made = rollcall.cli_as(&of_ada, &["api-key", "create", "--name", "second directory"]);
    assert!(made.status.success(), "{made:?}");
    let second = String::from_utf8(made.stdout).unwrap().trim_end().to_owned();
    let shown = rollcall.json(&["api-key", "show", &id_of(&of_ada)]);
    assert_eq!(shown["ownerUserId"], ada, "{shown}");
    works(&rollcall, &of_ada);

    set_active(&rollcall, &directory, &ada, false).await;
    refused(&rollcall, "default", &of_ada, FELT_WITHIN).await;
    assert_eq!(state_of(&rollcall, &of_ada), "API_KEY_STATE_REVOKED");
    works(&rollcall, &of_eva);
    works(&rollcall, &of_nobody);
    assert_eq!(rollcall.scim(&second, Method::GET, "/Users?count=1", None).await.status, 200);
    eventually("the second key is to be rotated", FELT_WITHIN, async || {
        let listed = rollcall.succeed(&["api-key", "list"]);
        let line = listed.lines().find(|line| line.contains("second directory")).unwrap();
        line.contains("active, rotate: its maker left")
    })
    .await;
    let log = rollcall.json(&["audit", "list"]);
    let is_end = |entry: &&Value| entry["subject"] == json!(id_of(&of_ada)) && entry["actor"] == "service:identity";
    let entry = log.as_array().unwrap().iter().find(is_end).unwrap().clone();
    assert_eq!(entry["detail"], "its owner has left", "{log}");
    rollcall.succeed(&["audit", "verify"]);
    // Who comes back gets no key back, and may have another.
    set_active(&rollcall, &directory, &ada, true).await;
    assert_eq!(state_of(&rollcall, &of_ada), "API_KEY_STATE_REVOKED");
    works(&rollcall, &owned(&rollcall, &ada, "identity.read"));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_for_nobody_who_has_no_access(#[values(UpSqlite, ServePostgres)] deployment: Deployment) {
    let Some((rollcall, directory)) = Rollcall::provisioned(deployment).await else { return };
    let ada = hire(&rollcall, &directory, "ada@example.com").await;
    set_active(&rollcall, &directory, &ada, false).await;
    let create = |owner: &str, scope: &str| {
        let made = rollcall.cli(&["api-key", "create", "--name", "refused", "--scope", scope, "--owner", owner]);
        assert!(!made.status.success() && made.stdout.is_empty(), "{made:?}");
        String::from_utf8(made.stderr).unwrap()
    };
    assert!(create("ada@example.com", "admin").contains("no user of the tenant who has access"));
    // R8: a directory's key is nobody's.
    assert!(create("ada@example.com", "scim").contains("has no owner"));
    assert!(create("nobody@example.com", "admin").contains("there is no user"));
    assert_eq!(rollcall.json(&["api-key", "list"]).as_array().unwrap().len(), 1);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_deleted_tenant_works_its_name_is_free_and_another_is_as_it_was(
    #[values(UpSqlite, UpPostgres, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, directory)) = Rollcall::provisioned(deployment).await else { return };
    let kept = hire(&rollcall, &directory, "ada@example.com").await;
    rollcall.succeed(&["tenant", "create", "globex"]);
    rollcall.succeed(&["scim", "enable", "--tenant", "globex"]);
    let scim = rollcall.key(&["--name", "directory", "--tenant", "globex"]);
    let reader = rollcall.key(&["--name", "reader", "--scope", "identity.read", "--tenant", "globex"]);
    let gone = hire(&rollcall, &scim, "ada@example.com").await;
    let id = rollcall.json(&["tenant", "show", "globex"])["id"].as_str().unwrap().to_owned();

    // Nobody is asked where nobody can answer.
    let unsaid = rollcall.cli(&["tenant", "delete", "globex"]);
    assert_eq!(unsaid.status.code(), Some(4), "{unsaid:?}");
    assert!(String::from_utf8_lossy(&unsaid.stderr).contains("--yes"), "{unsaid:?}");
    assert_eq!(rollcall.cli(&["tenant", "delete", "initech", "--yes"]).status.code(), Some(3));
    let deleted = rollcall.json(&["tenant", "delete", "globex", "--yes"]);
    assert_eq!(deleted, json!({"id": id, "name": "globex"}));

    assert_eq!(rollcall.cli(&["tenant", "show", "globex"]).status.code(), Some(3));
    eventually("its keys are refused", FELT_WITHIN, async || {
        let answer = rollcall.scim(&scim, Method::GET, &format!("/Users/{gone}"), None).await;
        assert_ne!(answer.status, 200, "from the commit on nothing answers");
        answer.status == 401
    })
    .await;
    refused(&rollcall, "globex", &reader, FELT_WITHIN).await;
    // Its log remains, and says who deleted it and what ended.
    let log = rollcall.json(&["audit", "list", "--tenant", &id]);
    let said = |actor: &str, detail: &str| {
        let is_it = |entry: &&Value| entry["actor"].as_str().unwrap().starts_with(actor) && entry["detail"] == detail;
        log.as_array().unwrap().iter().filter(is_it).count()
    };
    assert_eq!((said("operator:", "deleted"), said("service:identity", "the tenant was deleted")), (1, 3), "{log}");
    rollcall.succeed(&["audit", "verify", "--tenant", &id]);
    // A tenant of the same name has nothing of it.
    rollcall.succeed(&["tenant", "create", "globex"]);
    let users = rollcall.json(&["user", "list", "--tenant", "globex"]);
    assert_eq!(users, json!([]));
    assert_eq!(rollcall.scim(&directory, Method::GET, &format!("/Users/{kept}"), None).await.status, 200);
    works(&rollcall, &rollcall.key(&["--name", "reader", "--scope", "identity.read"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn d09_who_leaves_while_nobody_listens_loses_the_keys_when_somebody_does() {
    // An api-keys that reaches no identity is ready and serves all the same; the one that does comes and goes.
    let nowhere = "--identity-internal-url=https://127.0.0.1:1";
    let Some(rollcall) = Rollcall::start_with(ServePostgres, &[nowhere]).await else { return };
    let listening = rollcall.replica_of_api_keys("api-keys-2").await;
    rollcall.succeed(&["scim", "enable"]);
    let directory = rollcall.key(&["--name", "directory"]);
    let ada = hire(&rollcall, &directory, "ada@example.com").await;
    rollcall.succeed(&["tenant", "create", "globex"]);
    let of_globex = rollcall.key(&["--name", "reader", "--scope", "identity.read", "--tenant", "globex"]);
    let create = ["api-key", "create", "--name", "own", "--scope", "identity.read", "--owner", "ada@example.com"];
    let unreached = rollcall.cli(&create);
    assert_eq!(unreached.status.code(), Some(5), "{unreached:?}");
    let server = format!("https://{}", listening.public);
    let made = rollcall.command(&rollcall.identity_url(), &server, &create).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let of_ada = String::from_utf8(made.stdout).unwrap().trim_end().to_owned();
    listening.terminate().await;

    set_active(&rollcall, &directory, &ada, false).await;
    rollcall.succeed(&["tenant", "delete", "globex", "--yes"]);
    // Its owner is gone, and nobody is there to end it.
    works(&rollcall, &of_ada);
    assert_eq!(state_of(&rollcall, &of_ada), "API_KEY_STATE_ACTIVE");

    let _listening = rollcall.replica_of_api_keys("api-keys-3").await;
    for (tenant, key) in [("default", &of_ada), ("globex", &of_globex)] {
        refused(&rollcall, tenant, key, CAUGHT_UP_WITHIN).await;
    }
    works(&rollcall, &rollcall.key(&["--name", "reader", "--scope", "identity.read"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn d09_of_two_replicas_each_ends_what_the_other_made() {
    let Some((rollcall, directory)) = Rollcall::provisioned(ServePostgres).await else { return };
    let second = rollcall.replica_of_api_keys("api-keys-2").await;
    let server = format!("https://{}", second.public);
    let names = ["ada@example.com", "eva@example.com", "lise@example.com", "emmy@example.com"];
    let ids = join_all(names.map(|name| hire(&rollcall, &directory, name))).await;
    let keys: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(number, name)| {
            let at = if number % 2 == 0 { server.clone() } else { rollcall.api_keys_url() };
            let arguments = ["api-key", "create", "--name", "own", "--scope", "identity.read", "--owner", name];
            let made = rollcall.command(&rollcall.identity_url(), &at, &arguments).output().unwrap();
            assert!(made.status.success(), "{made:?}");
            String::from_utf8(made.stdout).unwrap().trim_end().to_owned()
        })
        .collect();
    join_all(ids.iter().map(|id| set_active(&rollcall, &directory, id, false))).await;
    for key in &keys {
        refused(&rollcall, "default", key, FELT_WITHIN).await;
    }
    // However many follow, each key is revoked once.
    let log: Value = rollcall.json(&["audit", "list"]);
    let by_identity = log.as_array().unwrap().iter().filter(|entry| entry["detail"] == "its owner has left").count();
    assert_eq!(by_identity, keys.len(), "{log}");
    rollcall.succeed(&["audit", "verify"]);
}
