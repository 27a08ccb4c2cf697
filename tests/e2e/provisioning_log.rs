//! The provisioning log, as an administrator reads it (rules D16, R12, R19).

use std::time::Duration;

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    changes::Team,
    harness::{
        Deployment::{self, ServePostgres, UpPostgres, UpSqlite},
        Rollcall, eventually,
    },
};

/// How long an entry may take to be seen, on a machine that is busy.
const SEEN_WITHIN: Duration = Duration::from_secs(30);

fn entries(rollcall: &Rollcall, arguments: &[&str]) -> Vec<Value> {
    rollcall.json(&[&["log"], arguments].concat()).as_array().unwrap().clone()
}

/// What was asked, what was answered and what became of it, of each entry.
fn told(entries: &[Value]) -> Vec<String> {
    let text = |entry: &Value, name: &str| {
        entry[name].as_str().map_or_else(|| entry[name].to_string(), |text| text.rsplit('_').next().unwrap().to_owned())
    };
    let words = |entry: &Value| ["operation", "status", "outcome"].map(|name| text(entry, name)).join(" ");
    entries.iter().map(words).collect()
}

async fn create(rollcall: &Rollcall, key: &str, user: Value) -> crate::harness::Answer {
    rollcall.scim(key, Method::POST, "/Users", Some(&user)).await
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_story_of_one_user_is_told_in_order_with_cause_and_fix(
    #[values(UpSqlite, UpPostgres, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, key)) = Rollcall::provisioned(deployment).await else { return };
    let ada = || json!({"userName": "Ada@example.com", "externalId": "a1", "shoeSize": 42});
    let find = "/Users?filter=userName+eq+%22ada%40example.com%22";
    rollcall.scim(&key, Method::GET, find, None).await;
    let id = create(&rollcall, &key, ada()).await.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(create(&rollcall, &key, ada()).await.status, 409);
    assert_eq!(create(&rollcall, &key, json!({"userName": "eva@example.com"})).await.status, 201);
    let group = json!({"displayName": "Staff", "members": [{"value": id}]});
    assert_eq!(rollcall.scim(&key, Method::POST, "/Groups", Some(&group)).await.status, 201);
    let disable = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "Replace", "path": "active", "value": "False"}]});
    assert_eq!(rollcall.scim(&key, Method::PATCH, &format!("/Users/{id}"), Some(&disable)).await.status, 200);
    eventually("the log holds all of it", SEEN_WITHIN, async || entries(&rollcall, &[]).len() == 6).await;

    let story = entries(&rollcall, &["story", "ada@example.com"]);
    let expected = [
        "LIST 200 SUCCEEDED",
        "CREATE 201 SUCCEEDED",
        "CREATE 409 REFUSED",
        "CREATE 201 SUCCEEDED",
        "PATCH 200 SUCCEEDED",
    ];
    assert_eq!(told(&story), expected);
    assert_eq!(story[3]["resourceType"], "PROVISIONED_TYPE_GROUP");
    let change = &story[4]["changes"][0];
    assert_eq!(
        (&change["field"], &change["before"], &change["after"]),
        (&json!("active"), &json!("true"), &json!("false"))
    );
    let words = rollcall.succeed(&["log", "story", "ADA@EXAMPLE.COM"]);
    for word in [
        "userName is taken by the user",
        "match users by userName",
        "shoeSize was dropped",
        "define the attribute",
        "active true → false",
    ] {
        assert!(words.contains(word), "{word}: {words}");
    }

    let refused = entries(&rollcall, &["--outcome", "refused", "--since", "1h"]);
    assert_eq!(told(&refused), ["CREATE 409 REFUSED"]);
    assert_eq!(told(&entries(&rollcall, &["--group", "staff"])), ["CREATE 201 SUCCEEDED"]);
    assert_eq!(entries(&rollcall, &["--until", "1h"]).len(), 0);
    assert_eq!(entries(&rollcall, &["--user", "eva@example.com"]).len(), 1);

    let status = rollcall.json(&["scim", "status"]);
    let cycle = &status["summary"]["cycles"][0];
    assert_eq!(status["provisioningState"], "PROVISIONING_STATE_ON");
    assert_eq!(
        (&cycle["createdCount"], &cycle["disabledCount"], &cycle["failedCount"], &cycle["requestCount"]),
        (&json!("3"), &json!("1"), &json!("1"), &json!("6"))
    );
    assert_eq!(cycle["quarantineForecast"], "QUARANTINE_FORECAST_CLEAR");
    assert!(cycle["driftNotJudged"].as_str().unwrap().contains("90 %"), "{cycle}");
    assert!(status["summary"]["lastSuccessTime"].is_string(), "{status}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn d16_the_end_of_the_process_loses_nothing(#[values(UpSqlite, UpPostgres)] deployment: Deployment) {
    let Some((mut rollcall, key)) = Rollcall::provisioned(deployment).await else { return };
    for number in 0..5 {
        create(&rollcall, &key, json!({"userName": format!("u{number}")})).await;
    }
    rollcall.terminate().await;
    rollcall.run(&[]).await;
    assert_eq!(entries(&rollcall, &[]).len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_and_a_tenant_that_is_off_stand_in_the_log_and_are_forecast() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    rollcall.scim(&key, Method::GET, "/Users", None).await;
    rollcall.succeed(&["scim", "disable"]);
    assert_eq!(rollcall.scim(&key, Method::GET, "/Users", None).await.status, 403);
    let id = rollcall.json(&["api-key", "list"])[0]["id"].as_str().unwrap().to_owned();
    rollcall.succeed(&["api-key", "revoke", &id]);
    eventually("the key is refused", SEEN_WITHIN, async || {
        rollcall.scim(&key, Method::GET, "/Users", None).await.status == 401
    })
    .await;
    eventually("it stands in the log", SEEN_WITHIN, async || {
        told(&entries(&rollcall, &[])).first().is_some_and(|last| last == "LIST 401 REFUSED")
    })
    .await;
    let cycle = rollcall.json(&["scim", "status"])["summary"]["cycles"][0].clone();
    assert_eq!(cycle["quarantineForecast"], "QUARANTINE_FORECAST_EXPECTED", "{cycle}");
    let output = rollcall.cli(&["scim", "status"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("quarantine"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_ends_soon_is_told_of_once_a_day() {
    let (rollcall, _) = Rollcall::provisioned(UpSqlite).await.unwrap();
    let key = rollcall.key(&["--name", "ending", "--expires-in", "10d"]);
    for _ in 0..2 {
        assert_eq!(rollcall.scim(&key, Method::GET, "/Users", None).await.status, 200);
    }
    eventually("the log holds both", SEEN_WITHIN, async || entries(&rollcall, &[]).len() == 2).await;
    let all = entries(&rollcall, &[]);
    let notes: Vec<&Value> = all.iter().flat_map(|entry| entry["notes"].as_array().unwrap()).collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0]["text"].as_str().unwrap().contains("the API key ends in 9 days"), "{notes:?}");
    assert!(notes[0]["fix"].as_str().unwrap().contains("rollcall api-key rotate"), "{notes:?}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn who_was_here_before_or_came_back_is_told_of(#[values(UpSqlite, ServePostgres)] deployment: Deployment) {
    let Some((rollcall, key)) = Rollcall::provisioned(deployment).await else { return };
    let writer = rollcall.key(&["--name", "product", "--scope", "identity.write"]);
    let id = Team::at(&rollcall, &rollcall.identity_url(), &writer).create("ada@example.com").await;

    let emails = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [
        {"op": "Add", "path": "emails[type eq \"work\"].value", "value": "ada@corp.example"},
        {"op": "Add", "path": "externalId", "value": "a1"}]});
    assert_eq!(rollcall.scim(&key, Method::PATCH, &format!("/Users/{id}"), Some(&emails)).await.status, 200);
    assert_eq!(rollcall.scim(&key, Method::DELETE, &format!("/Users/{id}"), None).await.status, 204);
    let again = create(&rollcall, &key, json!({"userName": "ada@example.com", "externalId": "a1"})).await;
    let anew = again.json()["id"].as_str().unwrap().to_owned();
    eventually("the log holds all of it", SEEN_WITHIN, async || entries(&rollcall, &[]).len() == 3).await;
    let notes: Vec<String> = entries(&rollcall, &["story", "ada@example.com"])
        .iter()
        .map(|entry| entry["notes"].as_array().unwrap().iter().map(|note| note["text"].to_string()).collect())
        .collect();
    assert!(notes[0].contains("adopted") && notes[1].is_empty(), "{notes:?}");
    assert!(notes[2].contains(&format!("has the same externalId: {id}")), "{notes:?}");

    // What the log says to do is done.
    let restored = rollcall.json(&["user", "restore", &id, "--instead-of", &anew]);
    assert_eq!((&restored["id"], &restored["active"]), (&json!(id), &json!(true)));
    assert_eq!(rollcall.scim(&key, Method::GET, &format!("/Users/{anew}"), None).await.status, 404);
    let found = rollcall.scim(&key, Method::GET, "/Users?filter=userName+eq+%22ada%40example.com%22", None).await;
    assert_eq!(found.json()["Resources"][0]["id"], json!(id));
}
