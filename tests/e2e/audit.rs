//! The audit log: every act stands in it, and nobody changes it unseen.

use std::{fs, process::Output};

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{
    Deployment::{self, ServePostgres, UpPostgres, UpSqlite},
    Rollcall,
};

/// The exit code of a log that is not what was written.
const BROKEN: Option<i32> = Some(6);

/// A tenant in which each kind of act was done, by an administrator.
async fn acted(deployment: Deployment) -> Option<Rollcall> {
    let (rollcall, key) = Rollcall::provisioned(deployment).await?;
    let ada = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada@example.com"});
    assert_eq!(rollcall.scim(&key, Method::POST, "/Users", Some(&ada)).await.status, 201);
    for command in [
        &["user", "set-role", "ada@example.com", "explorer"][..],
        &["user", "set-role", "ada@example.com", "developer"],
        &["user", "clear-role", "ada@example.com"],
        &["user", "deactivate", "ada@example.com"],
        &["user", "restore", "ada@example.com"],
        &["user-attribute", "create", "badge", "--type", "string"],
        &["user-attribute", "delete", "badge"],
        &["scim", "pause"],
        &["scim", "enable"],
    ] {
        rollcall.succeed(command);
    }
    let id = rollcall.json(&["api-key", "list"])[0]["id"].as_str().unwrap().to_owned();
    rollcall.succeed(&["api-key", "revoke", &id]);
    Some(rollcall)
}

/// What `audit verify` found of a service's log.
fn verified(rollcall: &Rollcall, service: &str) -> Value {
    let logs = rollcall.json(&["audit", "verify"]);
    logs.as_array().unwrap().iter().find(|log| log["service"] == service).unwrap().clone()
}

#[track_caller]
fn breaks(output: &Output, sentence: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), BROKEN, "{said}");
    assert!(said.contains(sentence), "{said}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r24_each_act_leaves_a_chained_entry_that_says_what_changed(
    #[values(UpSqlite, UpPostgres, ServePostgres)] deployment: Deployment,
) {
    let Some(rollcall) = acted(deployment).await else { return };
    let listed = rollcall.succeed(&["audit", "list"]);
    for change in [
        "provisioning: off -> on",
        "manual_role: none -> explorer",
        "manual_role: explorer -> developer",
        "manual_role: developer -> none",
        "suspended: false -> true",
        "suspended: true -> false",
        "type: none -> string",
        "type: string -> none",
        "provisioning: on -> paused",
        "name: none -> directory",
        "scopes: none -> scim",
        "state: active -> revoked",
    ] {
        assert!(listed.contains(change), "{change} is missing:\n{listed}");
    }
    let table = rollcall.succeed(&["audit", "verify"]);
    assert!(table.starts_with("SERVICE") && table.contains("identity") && table.contains("api-keys"), "{table}");
    for service in ["identity", "api-keys"] {
        let first = verified(&rollcall, service);
        assert_eq!(first["from"], 1, "{first}");
        assert!(first["entries"].as_u64().unwrap() > 3, "{first}");
        let expected = format!("--expect-head={service}={}", first["head"].as_str().unwrap());
        rollcall.succeed(&["audit", "verify", &expected]);
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r24_a_log_that_was_changed_in_the_database_does_not_verify(
    #[values(UpSqlite, UpPostgres)] deployment: Deployment,
    #[values("identity", "api_keys")] service: &'static str,
) {
    let Some(rollcall) = acted(deployment).await else { return };
    // More entries than the test takes.
    for _ in 0..3 {
        rollcall.succeed(&["audit", "verify"]);
    }
    let name = service.replace('_', "-");
    let tenant = "tenant_id IN (SELECT tenant_id FROM audit_entries WHERE position = 5)";
    let change = async |sets: &str, position: i64| {
        rollcall
            .sql(service, &format!("UPDATE audit_entries SET {sets} WHERE position = {position} AND {tenant}"))
            .await;
    };
    let at = |position: i64, why: &str| format!("{name}: the chain breaks at position {position}: {why}");
    // From the end to the beginning, so that each is the first that breaks.
    rollcall.sql(service, &format!("DELETE FROM audit_entries WHERE position = 4 AND {tenant}")).await;
    breaks(&rollcall.cli(&["audit", "verify"]), &at(4, "position 5 stands in its place"));
    change("actor = 'key:somebody'", 3).await;
    breaks(&rollcall.cli(&["audit", "verify"]), &at(3, "the hash differs"));
    change("after_values = '{}', before_values = '{\"x\":\"y\"}'", 2).await;
    breaks(&rollcall.cli(&["audit", "verify"]), &at(2, "the values differ"));
    // Two entries change places.
    for (from, to) in [(1, -1), (2, 1), (-1, 2)] {
        change(&format!("position = {to}"), from).await;
    }
    breaks(&rollcall.cli(&["audit", "verify"]), &at(1, "the hash differs"));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r26_what_an_erasure_blanked_verifies_and_what_nobody_erased_does_not(
    #[values(UpSqlite, UpPostgres)] deployment: Deployment,
) {
    let Some(rollcall) = acted(deployment).await else { return };
    let user = rollcall.json(&["user", "list"])[0].clone();
    rollcall.succeed(&["user", "erase", user["id"].as_str().unwrap()]);
    assert!(!rollcall.json(&["user", "list"]).as_array().unwrap().contains(&user));
    let log = verified(&rollcall, "identity");
    assert!(log["blanked"].as_u64().unwrap() > 0, "{log}");
    let name = user["userName"].as_str().unwrap();
    assert!(!rollcall.succeed(&["audit", "export"]).contains(name), "{name}");

    let blank = "UPDATE audit_entries SET detail = '', before_values = '{}', after_values = '{}', salt = NULL";
    rollcall.sql("identity", &format!("{blank} WHERE position = 2")).await;
    breaks(&rollcall.cli(&["audit", "verify"]), "identity: the chain breaks at position 2: the values are gone");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r24_a_log_that_was_cut_off_is_found_by_a_noted_head(#[values(UpSqlite, UpPostgres)] deployment: Deployment) {
    let Some(rollcall) = acted(deployment).await else { return };
    let head = verified(&rollcall, "identity")["head"].as_str().unwrap().to_owned();
    let position: i64 = head.split_once(':').unwrap().0.parse().unwrap();
    let expected = format!("--expect-head=identity={head}");
    // Everything after the fourth entry goes, and the head with it.
    let tenant = "tenant_id IN (SELECT tenant_id FROM audit_entries WHERE position = 4)";
    let hash = "(SELECT hash FROM audit_entries WHERE position = 4)";
    let cut = format!("UPDATE tenant_positions SET audit_position = 4, audit_hash = {hash} WHERE {tenant}");
    rollcall.sql("identity", &cut).await;
    rollcall.sql("identity", &format!("DELETE FROM audit_entries WHERE position > 4 AND {tenant}")).await;
    rollcall.succeed(&["audit", "verify"]);
    breaks(&rollcall.cli(&["audit", "verify", &expected]), "identity: the chain breaks at position");
    // It grows past the noted position again, with other entries.
    while verified(&rollcall, "identity")["entries"].as_i64().unwrap() <= position {}
    let at = format!("identity: at position {position} stands another entry");
    breaks(&rollcall.cli(&["audit", "verify", &expected]), &at);
}

#[tokio::test(flavor = "multi_thread")]
async fn r24_an_export_verifies_without_a_server() {
    let rollcall = acted(UpSqlite).await.unwrap();
    let export = rollcall.succeed(&["audit", "export"]);
    let lines: Vec<Value> = export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let tenant = rollcall.json(&["tenant", "show", "default"])["id"].clone();
    assert!(lines.iter().all(|line| line["tenant_id"] == tenant && line["service"].is_string()), "{export}");
    assert!(lines.iter().any(|line| line["before"]["manual_role"] == "explorer"), "{export}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let verify = ["audit", "verify", "--file", file.to_str().unwrap()];
    fs::write(&file, &export).unwrap();
    // At an address where nobody answers.
    let offline = |arguments: &[&str]| rollcall.cli_at("http://127.0.0.1:1", arguments);
    let verified = offline(&verify);
    assert!(verified.status.success(), "{verified:?}");
    fs::write(&file, export.replacen("\"manual_role\":\"explorer\"", "\"manual_role\":\"admin\"", 1)).unwrap();
    breaks(&offline(&verify), "identity: the chain breaks at position");
}
