//! Roles, from what a directory sends and an administrator says to what a team reads (rules R18, R20, R21, R22).

use std::time::Duration;

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{
    Deployment::{self, ServePostgres, UpPostgres, UpSqlite},
    Rollcall, eventually,
};

/// How long something may take to be seen, on a machine that is busy.
const SEEN_WITHIN: Duration = Duration::from_secs(30);
/// The type that Entra gives an app role.
const ENTRA_ROLE: &str = "WindowsAzureActiveDirectoryRole";

async fn create(rollcall: &Rollcall, key: &str, path: &str, body: Value) -> String {
    let answer = rollcall.scim(key, Method::POST, path, Some(&body)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn patch(rollcall: &Rollcall, key: &str, path: &str, operation: Value) {
    let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]});
    let answer = rollcall.scim(key, Method::PATCH, path, Some(&body)).await;
    assert!(answer.status.is_success(), "{answer:?}");
}

/// A user's role and where it comes from.
fn role(rollcall: &Rollcall, user: &str) -> (String, String) {
    let user = rollcall.json(&["user", "show", user]);
    let text = |name: &str| user[name].as_str().unwrap().to_owned();
    (text("role"), text("roleSource").trim_start_matches("ROLE_SOURCE_").to_lowercase())
}

fn of(role: &str, source: &str) -> (String, String) {
    (role.to_owned(), source.to_owned())
}

/// All that the log has said beside the requests.
fn notes(rollcall: &Rollcall) -> Vec<String> {
    let entries = rollcall.json(&["log"]);
    let notes = entries.as_array().unwrap().iter().flat_map(|entry| entry["notes"].as_array().unwrap().clone());
    notes.map(|note| note["text"].as_str().unwrap().to_owned()).collect()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r22_app_roles_give_and_lose_a_role_in_each_encoding_of_entra(
    #[values(UpSqlite, UpPostgres, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, key)) = Rollcall::provisioned(deployment).await else { return };
    // SingleAppRoleAssignment: POST, then PATCH of the primary role.
    let one = json!({"userName": "one", "roles": [{"primary": true, "type": ENTRA_ROLE, "value": "Developer"}]});
    let path = format!("/Users/{}", create(&rollcall, &key, "/Users", one).await);
    assert_eq!(role(&rollcall, "one"), of("developer", "provisioned"));
    let value = json!({"op": "Replace", "path": "roles[primary eq \"True\"].value", "value": "Viewer"});
    patch(&rollcall, &key, &path, value).await;
    assert_eq!(role(&rollcall, "one"), of("viewer", "provisioned"));
    patch(&rollcall, &key, &path, json!({"op": "Remove", "path": "roles[primary eq \"True\"]"})).await;
    assert_eq!(role(&rollcall, "one"), of("explorer", "default"));

    // AppRoleAssignmentsComplex: objects in POST, JSON in strings in PATCH, and additions alone.
    let several = json!([{"primary": false, "type": ENTRA_ROLE, "displayName": "Viewer", "value": "viewer"},
        {"primary": false, "type": ENTRA_ROLE, "displayName": "Dev", "value": "DEVELOPER"}]);
    let several = json!({"userName": "several", "roles": several});
    let path = format!("/Users/{}", create(&rollcall, &key, "/Users", several).await);
    assert_eq!(role(&rollcall, "several"), of("developer", "provisioned"));
    let text = r#"{"id":"06b0","value":"Viewer","displayName":"Viewer"}"#;
    patch(&rollcall, &key, &path, json!({"op": "Add", "path": "roles", "value": [{"value": text}]})).await;
    assert_eq!(role(&rollcall, "several"), of("viewer", "provisioned"), "the role that is gone there left here");

    // AssertiveAppRoleAssignmentsComplex: the whole list, and none.
    let path = format!("/Users/{}", create(&rollcall, &key, "/Users", json!({"userName": "whole"})).await);
    let whole = |roles: Value| json!({"op": "replace", "path": "roles", "value": roles});
    let roles = json!([{"primary": false, "type": ENTRA_ROLE, "display": "Dev", "value": "Developer"},
        {"primary": false, "type": ENTRA_ROLE, "display": "Wizard", "value": "Wizard"}]);
    patch(&rollcall, &key, &path, whole(roles)).await;
    assert_eq!(role(&rollcall, "whole"), of("developer", "provisioned"));
    let user = rollcall.json(&["user", "show", "whole"]);
    assert_eq!(user["profile"]["roles"][1]["value"], "Wizard", "kept as data");
    let assignment = &user["roleAssignments"][0];
    assert_eq!(assignment["provisionedValue"], "Developer");
    assert!(assignment["assignedBy"].as_str().unwrap().starts_with("key:"), "{assignment}");
    assert!(assignment["assignTime"].is_string(), "{assignment}");
    patch(&rollcall, &key, &path, whole(json!([]))).await;
    assert_eq!(role(&rollcall, "whole"), of("explorer", "default"));

    // Admin counts where an administrator lets it (rule R21).
    patch(&rollcall, &key, &path, whole(json!([{"type": ENTRA_ROLE, "value": "Admin"}]))).await;
    assert_eq!(role(&rollcall, "whole"), of("explorer", "default"));
    rollcall.succeed(&["tenant", "directory-admin", "on", "--dry-run"]);
    assert_eq!(role(&rollcall, "whole"), of("explorer", "default"));
    rollcall.succeed(&["tenant", "directory-admin", "on"]);
    assert_eq!(role(&rollcall, "whole"), of("admin", "provisioned"));
    for said in ["the role `Wizard` is not in the catalogue", "`admin` of the directory does not count"] {
        eventually("the log says it", SEEN_WITHIN, async || notes(&rollcall).iter().any(|note| note.contains(said)))
            .await;
    }
    let dump = rollcall.succeed(&["user", "show", "whole"]);
    assert!(dump.contains("sent as `Admin` by key:"), "{dump}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r22_groups_and_the_catalogue_give_roles_and_the_feed_tells_of_them(
    #[values(UpSqlite, UpPostgres, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, key)) = Rollcall::provisioned(deployment).await else { return };
    let ada = create(&rollcall, &key, "/Users", json!({"userName": "ada"})).await;
    let members = json!([{"value": ada}]);
    let staff = json!({"displayName": "Staff", "externalId": "g1", "members": members});
    let staff = format!("/Groups/{}", create(&rollcall, &key, "/Groups", staff).await);
    rollcall.succeed(&["role", "create", "billing", "--rank", "250", "--description", "Bills"]);
    let roles = rollcall.json(&["role", "list"]);
    let ids: Vec<_> = roles.as_array().unwrap().iter().map(|role| role["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["admin", "developer", "billing", "explorer", "viewer"]);
    let dry = rollcall.cli(&["group", "map-role", "STAFF", "billing", "--dry-run"]);
    assert!(String::from_utf8_lossy(&dry.stderr).contains("1 person would have"), "{dry:?}");
    assert_eq!(role(&rollcall, "ada"), of("explorer", "default"));
    rollcall.succeed(&["group", "map-role", "STAFF", "billing"]);
    assert_eq!(role(&rollcall, "ada"), of("billing", "group"));
    assert_eq!(rollcall.json(&["user", "list", "--role", "billing"]).as_array().unwrap().len(), 1);
    let remove = json!({"op": "Remove", "path": "members", "value": [{"value": ada}]});
    patch(&rollcall, &key, &staff, remove).await;
    assert_eq!(role(&rollcall, "ada"), of("explorer", "default"));
    let refused = rollcall.cli(&["role", "delete", "billing"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("in use"), "{refused:?}");
    assert_eq!(rollcall.json(&["group", "mappings"])[0]["groupName"], "STAFF");
    rollcall.succeed(&["group", "unmap-role", "staff", "billing"]);
    rollcall.succeed(&["role", "delete", "billing"]);
    let refused = rollcall.cli(&["group", "map-role", "Staff", "admin"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("id"), "{refused:?}");
    rollcall.succeed(&["tenant", "set-default-role", "viewer"]);
    assert_eq!(role(&rollcall, "ada"), of("viewer", "default"));
    assert!(!rollcall.cli(&["tenant", "set-default-role", "admin"]).status.success());
    // After the cause, each person.
    let told = async || -> Vec<String> {
        let changes = rollcall.json(&["changes", "list"]);
        let changes = changes.as_array().unwrap().iter().filter(|change| change["kind"] == "role.changed");
        changes.map(|change| format!("{} {}", change["before"]["role"], change["after"]["role"])).collect()
    };
    let expected = [r#""explorer" "billing""#, r#""billing" "explorer""#, r#""explorer" "viewer""#];
    eventually("the feed tells of ada", SEEN_WITHIN, async || told().await == expected).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r20_the_last_admin_is_an_administrators_to_keep_and_entras_to_take(
    #[values(UpSqlite, UpPostgres)] deployment: Deployment,
) {
    let Some((rollcall, key)) = Rollcall::provisioned(deployment).await else { return };
    let ada = create(&rollcall, &key, "/Users", json!({"userName": "ada"})).await;
    rollcall.succeed(&["user", "set-role", "ada", "admin"]);
    let erase = ["user", "erase", &ada];
    for arguments in [
        &["user", "clear-role", "ada"][..],
        &["user", "set-role", "ada", "viewer"],
        &["user", "deactivate", "ada"],
        &erase,
    ] {
        let refused = rollcall.cli(arguments);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("last active admin"), "{refused:?}");
    }
    let path = format!("/Users/{ada}");
    patch(&rollcall, &key, &path, json!({"op": "Replace", "path": "active", "value": "False"})).await;
    assert_eq!(role(&rollcall, "ada").0, "");
    eventually("the log warns", SEEN_WITHIN, async || {
        notes(&rollcall) == ["the last active admin of the tenant is gone"]
    })
    .await;
    assert!(rollcall.logs().contains("last active admin"), "{}", rollcall.logs());
    // Back under another id, and so possibly another person (rule R18).
    let back = json!({"op": "Replace", "value": {"active": true, "externalId": "another"}});
    patch(&rollcall, &key, &path, back).await;
    assert_eq!(role(&rollcall, "ada"), of("explorer", "default"));
    assert!(rollcall.succeed(&["user", "show", "ada"]).contains("roles held since"));
    rollcall.succeed(&["user", "confirm", "ada"]);
    assert_eq!(role(&rollcall, "ada"), of("admin", "manual"));
    eventually("the log warns", SEEN_WITHIN, async || {
        notes(&rollcall).iter().any(|note| note.contains("possibly another person"))
    })
    .await;
}
