//! Off, on, paused and preview, as a directory meets them (rule R13).

use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use crate::harness::{
    Deployment::{self, ServePostgres, UpSqlite},
    Rollcall,
};

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r13_off_refuses_everything_and_says_where_to_turn_it_on(
    #[values(UpSqlite, ServePostgres)] deployment: Deployment,
) {
    let Some(rollcall) = Rollcall::start(deployment).await else { return };
    // A new tenant starts with it off.
    let key = rollcall.key(&["--name", "directory"]);
    let user = json!({"userName": "ada"});
    for (method, path, body) in [
        (Method::GET, "/Users", None),
        (Method::GET, "/Users?filter=userName+eq+%22x%22", None),
        (Method::POST, "/Users", Some(&user)),
        (Method::GET, "/Groups", None),
        (Method::GET, "/ServiceProviderConfig", None),
        (Method::GET, "/Schemas", None),
        (Method::GET, "/ResourceTypes", None),
    ] {
        let answer = rollcall.scim(&key, method.clone(), path, body).await;
        assert_eq!(answer.status, 403, "{method} {path}: {answer:?}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("rollcall scim enable") && detail.contains("Restart provisioning"), "{detail}");
    }
    rollcall.succeed(&["scim", "disable", "--reason", "not yet"]);
    let detail = rollcall.scim(&key, Method::GET, "/Users", None).await.json()["detail"].to_string();
    assert!(detail.contains("The reason given: not yet"), "{detail}");
    // Whether it is off is told only to those who have a key.
    assert_eq!(rollcall.send(None, Method::GET, "/Users", None).await.status, 401);
    rollcall.succeed(&["scim", "enable"]);
    assert_eq!(rollcall.scim(&key, Method::GET, "/Users", None).await.json()["totalResults"], 0);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r13_paused_answers_reads_and_asks_writes_to_come_back(
    #[values(UpSqlite, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, key)) = Rollcall::provisioned(deployment).await else { return };
    let user = rollcall.scim(&key, Method::POST, "/Users", Some(&json!({"userName": "ada"}))).await.json();
    let path = format!("/Users/{}", user["id"].as_str().unwrap());
    rollcall.succeed(&["scim", "pause", "--reason", "an audit"]);
    assert_eq!(rollcall.scim(&key, Method::GET, &path, None).await.status, 200);
    assert_eq!(rollcall.scim(&key, Method::GET, "/Users?filter=userName+eq+%22x%22", None).await.status, 200);
    let replacement = json!({"userName": "bob"});
    let patch = json!({"Operations": [{"op": "Replace", "path": "displayName", "value": "x"}]});
    for (method, path, body) in [
        (Method::POST, "/Users", Some(&replacement)),
        (Method::PUT, &*path, Some(&replacement)),
        (Method::PATCH, &*path, Some(&patch)),
        (Method::DELETE, &*path, None),
    ] {
        let answer = rollcall.scim(&key, method.clone(), path, body).await;
        assert_eq!(answer.status, 503, "{method} {path}: {answer:?}");
        assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{answer:?}");
        assert!(answer.json()["detail"].as_str().unwrap().ends_with("The reason given: an audit"), "{answer:?}");
    }
    let status = rollcall.succeed(&["scim", "status"]);
    assert!(status.contains("paused"), "{status}");
    rollcall.succeed(&["scim", "enable"]);
    let read = rollcall.scim(&key, Method::GET, &path, None).await.json();
    assert_eq!((&read["userName"], &read["meta"]["version"]), (&json!("ada"), &user["meta"]["version"]));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r13_preview_answers_reads_and_tells_what_each_write_would_do(
    #[values(UpSqlite, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, key)) = Rollcall::provisioned(deployment).await else { return };
    let user = rollcall.scim(&key, Method::POST, "/Users", Some(&json!({"userName": "ada"}))).await.json();
    let path = format!("/Users/{}", user["id"].as_str().unwrap());
    let shown = rollcall.json(&["scim", "preview", "--reason", "before the first sync"]);
    assert_eq!(
        (&shown["provisioningState"], &shown["provisioningStateReason"]),
        (&json!("PROVISIONING_STATE_PREVIEW"), &json!("before the first sync"))
    );
    assert_eq!(rollcall.scim(&key, Method::GET, &path, None).await.status, 200);
    let (eva, rename) =
        (json!({"userName": "eva"}), json!({"Operations": [{"op": "Replace", "path": "displayName", "value": "Ada"}]}));
    for (method, path, body, would) in [
        (Method::POST, "/Users", Some(&eva), "this would create a user"),
        (Method::PUT, &*path, Some(&eva), "this would change the user"),
        (Method::PATCH, &*path, Some(&rename), "this would change the user"),
        (Method::DELETE, &*path, None, "this would delete the user"),
        (Method::POST, "/Groups", Some(&json!({"displayName": "Ops"})), "this would create a group"),
    ] {
        let answer = rollcall.scim(&key, method.clone(), path, body).await;
        assert_eq!(answer.status, 503, "{method} {path}: {answer:?}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(would), "{method} {path}: {answer:?}");
        assert_eq!(answer.header("retry-after"), "300", "{method} {path}");
    }
    rollcall.succeed(&["scim", "enable"]);
    assert_eq!(rollcall.scim(&key, Method::GET, "/Users", None).await.json()["totalResults"], 1);
    assert_eq!(rollcall.scim(&key, Method::GET, &path, None).await.json()["meta"], user["meta"]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn r19_a_directory_that_takes_access_from_many_is_stopped_where_that_was_chosen(
    #[values(UpSqlite, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, key)) = Rollcall::provisioned(deployment).await else { return };
    let alarm = rollcall.json(&["scim", "alarm", "--percent", "30", "--pause"]);
    assert_eq!(alarm["deactivationAlarm"]["pauses"], true);
    let mut paths = Vec::new();
    for number in 0..12 {
        let user = rollcall.scim(&key, Method::POST, "/Users", Some(&json!({"userName": format!("u{number}")}))).await;
        paths.push(format!("/Users/{}", user.json()["id"].as_str().unwrap()));
    }
    let disable = json!({"Operations": [{"op": "Replace", "path": "active", "value": "False"}]});
    for path in &paths[..10] {
        assert_eq!(rollcall.scim(&key, Method::PATCH, path, Some(&disable)).await.status, 200);
    }
    let waits = rollcall.scim(&key, Method::PATCH, &paths[10], Some(&disable)).await;
    assert_eq!(waits.status, 503);
    let detail = waits.json()["detail"].to_string();
    assert!(detail.contains("10 of 12 people lost access within an hour"), "{detail}");
    let status = rollcall.cli(&["scim", "status"]);
    assert!(String::from_utf8_lossy(&status.stdout).contains("paused"), "{status:?}");
    assert!(String::from_utf8_lossy(&status.stderr).contains("took access from many people"), "{status:?}");
    rollcall.succeed(&["scim", "enable"]);
    assert_eq!(rollcall.scim(&key, Method::PATCH, &paths[10], Some(&disable)).await.status, 200);
    rollcall.succeed(&["audit", "verify"]);
}
