//! What a person may ask for: a copy of all that is kept of them, and that it goes (rule R26).

use std::time::Duration;

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{
    Deployment::{self, ServePostgres, UpSqlite},
    Rollcall, eventually,
};

const SEEN_WITHIN: Duration = Duration::from_secs(30);

fn list<'a>(export: &'a Value, name: &str) -> &'a Vec<Value> {
    export[name].as_array().unwrap_or_else(|| panic!("{name}: {export:#}"))
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r26_all_that_is_kept_of_a_person_is_exported_and_nothing_of_others(
    #[values(UpSqlite, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, key)) = Rollcall::provisioned(deployment).await else { return };
    let create = async |path: &str, body: Value| {
        let created = rollcall.scim(&key, Method::POST, path, Some(&body)).await;
        created.json()["id"].as_str().unwrap().to_owned()
    };
    let ada = create("/Users", json!({"userName": "ada@example.com", "title": "Countess"})).await;
    let eva = create("/Users", json!({"userName": "eva@example.com"})).await;
    let members = json!([{"value": ada}, {"value": eva}]);
    create("/Groups", json!({"displayName": "Staff", "members": members})).await;
    rollcall.succeed(&["user", "set-role", "ada@example.com", "developer"]);
    // More than a page of it.
    for number in 0..60 {
        let patch = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "Replace", "path": "title", "value": format!("Countess {number}")}]});
        assert_eq!(rollcall.scim(&key, Method::PATCH, &format!("/Users/{ada}"), Some(&patch)).await.status, 200);
    }
    eventually("the log holds all of it", SEEN_WITHIN, async || {
        rollcall.json(&["log", "story", "ada@example.com"]).as_array().unwrap().len() == 62
    })
    .await;

    let export = rollcall.json(&["user", "export", "ADA@example.com"]);
    assert_eq!(export["user"]["id"], json!(ada));
    assert_eq!(export["user"]["role"], "developer");
    assert_eq!(export["user"]["groups"][0]["displayName"], "Staff");
    let kinds: Vec<&str> = list(&export, "changes").iter().map(|change| change["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds[..3], ["user.created", "member.added", "role.changed"]);
    assert_eq!(kinds.len(), 63);
    let actions: Vec<&str> =
        list(&export, "auditEntries").iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert!(actions.iter().any(|action| action.ends_with("SetManualRole")), "{actions:?}");
    assert!(actions.last().unwrap().ends_with("PersonalDataService/ExportUser"), "the export itself: {actions:?}");
    assert_eq!(list(&export, "provisioningEntries").len(), 62);
    for others in [eva.as_str(), "eva@example.com"] {
        assert!(!export.to_string().contains(others), "{others} is somebody else");
    }

    // Deleted, a person is kept for a while and may ask.
    assert_eq!(rollcall.scim(&key, Method::DELETE, &format!("/Users/{ada}"), None).await.status, 204);
    let deleted = rollcall.json(&["user", "export", &ada]);
    assert_eq!((&deleted["user"]["active"], &deleted["user"]["role"]), (&json!(false), &json!("")));
    assert!(deleted["user"]["deleteTime"].is_string());
    rollcall.succeed(&["user", "erase", &ada]);
    assert!(!rollcall.cli(&["user", "export", &ada]).status.success());
    assert!(!rollcall.cli(&["user", "export", "nobody@example.com"]).status.success());
}
