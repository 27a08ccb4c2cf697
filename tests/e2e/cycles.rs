//! The main job: a client that behaves like Entra provisions users and groups, they hold explorer, and a promotion survives the next cycle.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{
    Deployment::{self, ServePostgres, UpPostgres, UpSqlite},
    Rollcall, eventually,
};

fn check(output: &std::process::Output, rollcall: &Rollcall) {
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        rollcall.logs()
    );
}

/// Every active user holds explorer by default, but for one.
fn check_roles(rollcall: &Rollcall, but: Option<(&str, &str)>) -> usize {
    let users = rollcall.json(&["user", "list"]);
    let users = users.as_array().unwrap();
    for user in users {
        let name = user["userName"].as_str().unwrap();
        let expected = match but {
            Some((promoted, role)) if promoted == name => role,
            _ if user["active"] == true => "explorer",
            _ => "",
        };
        assert_eq!(user["role"], expected, "{user}");
    }
    users.len()
}

fn first_active(rollcall: &Rollcall) -> String {
    let users: Value = rollcall.json(&["user", "list"]);
    let user = users.as_array().unwrap().iter().find(|user| user["active"] == true).unwrap();
    user["userName"].as_str().unwrap().to_owned()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn every_dialect_and_mapping_provisions_and_a_promotion_survives(
    #[values(UpSqlite, UpPostgres, ServePostgres)] deployment: Deployment,
    #[values("legacy", "compliant")] dialect: &str,
    #[values("minimal", "default")] mapping: &str,
) {
    let Some((rollcall, key)) = Rollcall::provisioned(deployment).await else { return };
    let play = |cycles: &str| {
        let sizes = ["--users", "30", "--groups", "5"];
        let how = ["--dialect", dialect, "--mapping", mapping, "--cycles", cycles, "--output", "json"];
        let output = rollcall.simulate(&key, &[sizes.as_slice(), how.as_slice()].concat());
        check(&output, &rollcall);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    play("both");
    let count = check_roles(&rollcall, None);
    assert_eq!(count, 30, "the closing cycle takes the incremental one back");
    let promoted = first_active(&rollcall);
    rollcall.succeed(&["user", "set-role", &promoted, "admin"]);
    // A user who is deleted in the directory and made again is another person; anyone else keeps what an administrator gave.
    let again = play("initial");
    assert_eq!((&again["initial"]["users_created"], &again["initial"]["users_matched"]), (&json!(0), &json!(30)));
    check_roles(&rollcall, Some((&promoted, "admin")));
    assert_eq!(rollcall.json(&["user", "show", &promoted])["roleSource"], "ROLE_SOURCE_MANUAL");
    assert_eq!(rollcall.json(&["group", "list"]).as_array().unwrap().len(), 5);
    // Broken off or not, a run can be followed by another.
    play("both");
    assert_eq!(rollcall.json(&["user", "list"]).as_array().unwrap().len(), count);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_provisions_its_sample_says_so_and_keeps_serving(
    #[values(UpSqlite, UpPostgres)] deployment: Deployment,
) {
    let Some(mut rollcall) = Rollcall::start(deployment).await else { return };
    for run in 1..=2 {
        // The second time, everyone is there already.
        rollcall.kill();
        rollcall.run(&["--demo"]).await;
        eventually("the demo ends", Duration::from_secs(60), async || {
            rollcall.printed().contains("now holds sample users")
        })
        .await;
        assert!(check_roles(&rollcall, None) > 0, "run {run}");
    }
    let users = rollcall.json(&["user", "list"]).as_array().unwrap().len();
    let promoted = first_active(&rollcall);
    rollcall.succeed(&["user", "set-role", &promoted, "admin"]);
    let key = rollcall.key(&["--name", "again"]);
    check(&rollcall.simulate(&key, &["--users", "20", "--groups", "3"]), &rollcall);
    check_roles(&rollcall, Some((&promoted, "admin")));
    assert!(rollcall.json(&["user", "list"]).as_array().unwrap().len() >= users);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_meets_a_difference_fails_and_names_it() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    rollcall.succeed(&["scim", "disable"]);
    let output = rollcall.simulate(&key, &["--users", "3", "--groups", "1"]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("403") && said.contains("Restart provisioning") && !said.contains(&key), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_connection_request_is_answered_as_entra_expects() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    for path in [
        "/Users?filter=userName+eq+%227d42b5b0-6a2e-4d5c-9a0e-1b6a6a0c0f6a%22",
        "/Users?filter=externalId+eq+%227d42b5b0-6a2e-4d5c-9a0e-1b6a6a0c0f6a%22",
        "/Users?filter=emails%5Btype+eq+%22work%22%5D.value+eq+%22nobody@example.org%22",
        "/Groups?excludedAttributes=members&filter=displayName+eq+%227d42b5b0%22",
    ] {
        let answer = rollcall.scim(&key, reqwest::Method::GET, path, None).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/scim+json"), "{path}");
        let body = answer.json();
        assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:ListResponse"]));
        assert_eq!((&body["totalResults"], &body["Resources"]), (&json!(0), &json!([])), "{path}");
    }
}
