//! The administrator's command line: exit codes that scripts can trust, and output that programs can read.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Deployment::UpSqlite, Rollcall};

async fn create(rollcall: &Rollcall, key: &str, name: &str) -> String {
    let answer =
        rollcall.scim(key, Method::POST, "/Users", Some(&json!({"userName": name, "displayName": name}))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_and_a_suspension_and_their_reversals() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    let id = create(&rollcall, &key, "Ada@example.com").await;
    // Another admin, so that what becomes of ada is not refused (rule R20).
    create(&rollcall, &key, "root@example.com").await;
    rollcall.succeed(&["user", "set-role", "root@example.com", "admin"]);
    // The name is found without case (rule R15).
    rollcall.succeed(&["user", "set-role", "ada@EXAMPLE.com", "admin"]);
    let user = rollcall.json(&["user", "show", "ada@example.com"]);
    assert_eq!(
        (&user["id"], &user["role"], &user["roleSource"]),
        (&json!(id), &json!("admin"), &json!("ROLE_SOURCE_MANUAL"))
    );
    rollcall.succeed(&["user", "deactivate", "ada@example.com"]);
    let user = rollcall.json(&["user", "show", "ada@example.com"]);
    assert_eq!((&user["active"], &user["role"]), (&json!(false), &json!("")));
    // R23: the directory still sees what it said, and what it says lifts nothing.
    let path = format!("/Users/{id}");
    assert_eq!(rollcall.scim(&key, Method::GET, &path, None).await.json()["active"], true);
    let on = json!({"Operations": [{"op": "Replace", "path": "active", "value": "True"}]});
    assert_eq!(rollcall.scim(&key, Method::PATCH, &path, Some(&on)).await.status, 200);
    assert_eq!(rollcall.json(&["user", "show", "ada@example.com"])["active"], false);
    rollcall.succeed(&["user", "restore", "ada@example.com"]);
    rollcall.succeed(&["user", "clear-role", "ada@example.com"]);
    let user = rollcall.json(&["user", "show", "ada@example.com"]);
    assert_eq!((&user["active"], &user["role"]), (&json!(true), &json!("explorer")));
    // A deleted user is restored by its id.
    assert_eq!(rollcall.scim(&key, Method::DELETE, &path, None).await.status, 204);
    assert_eq!(rollcall.cli(&["user", "show", "ada@example.com"]).status.code(), Some(3));
    rollcall.succeed(&["user", "restore", &id]);
    assert_eq!(rollcall.scim(&key, Method::GET, &path, None).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_print_every_row_as_one_json_array() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    // More than one page of any list.
    let names: Vec<String> = (0..230).map(|number| format!("user{number}@example.com")).collect();
    futures::future::join_all(names.iter().map(|name| create(&rollcall, &key, name))).await;
    let users = rollcall.json(&["user", "list"]);
    let users = users.as_array().unwrap();
    assert_eq!(users.len(), names.len());
    for user in users {
        assert_eq!((&user["role"], &user["active"]), (&json!("explorer"), &json!(true)));
        assert!(user["id"].is_string() && names.contains(&user["userName"].as_str().unwrap().to_owned()));
    }
    assert_eq!(rollcall.json(&["group", "list"]), json!([]));
    assert_eq!(rollcall.json(&["tenant", "list"])[0]["name"], "default");
    let table = rollcall.succeed(&["user", "list"]);
    assert!(table.contains("explorer") && table.contains("user7@example.com"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_what_went_wrong() {
    let (rollcall, _) = Rollcall::provisioned(UpSqlite).await.unwrap();
    let code = |arguments: &[&str]| rollcall.cli(arguments).status.code();
    assert_eq!(code(&["user", "list"]), Some(0));
    assert_eq!(code(&["user", "set-role", "nobody@example.com", "admin"]), Some(3));
    assert_eq!(code(&["user", "list", "--tenant", "nowhere"]), Some(3));
    assert_eq!(code(&["user", "lst"]), Some(2));
    let refused = rollcall.cli(&["api-key", "create", "--name", "x", "--scope", "operator"]);
    assert!(!refused.status.success(), "{refused:?}");
    // R5: no credential in clear text beyond loopback.
    let clear = rollcall.cli_at("http://192.0.2.1:8081", &["user", "list"]);
    assert!(!clear.status.success() && String::from_utf8_lossy(&clear.stderr).contains("https"), "{clear:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r05_each_use_of_the_operator_credential_stands_in_the_audit_log() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    create(&rollcall, &key, "ada").await;
    rollcall.succeed(&["user", "set-role", "ada", "admin"]);
    let entries = rollcall.json(&["audit", "list"]);
    let text = entries.to_string();
    for action in [
        "TenantService/SetProvisioningState",
        "ApiKeyService/CreateApiKey",
        "UserService/ListUsers",
        "RoleService/SetManualRole",
    ] {
        assert!(text.contains(action), "{action} is missing: {text}");
    }
    assert!(text.contains("operator:") && text.contains(r#""after":{"manual_role":"admin"}"#), "{text}");
    // Another tenant's log says nothing of it.
    rollcall.succeed(&["tenant", "create", "globex"]);
    assert!(!rollcall.json(&["audit", "list", "--tenant", "globex"]).to_string().contains("SetManualRole"));
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let rollcall = Rollcall::start(UpSqlite).await.unwrap();
    for file in rollcall.data_files() {
        if file.extension().is_some_and(|extension| extension == "key") {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
        }
    }
    assert!(
        !rollcall.printed().contains(&rollcall.operator_key()) && !rollcall.logs().contains(&rollcall.operator_key())
    );
}
