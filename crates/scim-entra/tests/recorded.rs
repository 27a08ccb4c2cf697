//! Plays the recorded requests under `tests/recorded/entra` through the dialect and the engine. Whole exchanges, which
//! stand there too, are played by the end-to-end tests; `tests/recorded/README.md` tells the two kinds apart.
//!
//! A case is `{name, source, resource_type, kind, body}` with `before` for the PATCH of a user, and either `after` or
//! `error` (`{status, scimType}`); `dropped` lists the names that are reported, where there are any. What `after`
//! holds is the user or group, or the changes for the PATCH of a group.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a recorded case that cannot be read fails the test"
)]

use std::path::{Path, PathBuf};

use scim::patch::{GroupChange, apply, group_changes};
use scim::{Error, Resource, ResourceType};
use scim_entra::Dropped;
use serde_json::{Value, json};

const CASES_MIN: usize = 40;

fn cases() -> Vec<(PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recorded/entra");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let read = |path: PathBuf| {
        let case = serde_json::from_str::<Value>(&std::fs::read_to_string(&path).unwrap());
        let case = case.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, case)
    };
    paths.into_iter().map(read).filter(|(_, case)| case.get("exchange").is_none()).collect()
}

fn resource_type(case: &Value) -> ResourceType {
    match case["resource_type"].as_str() {
        Some("User") => ResourceType::User,
        Some("Group") => ResourceType::Group,
        other => panic!("resource_type is {other:?}"),
    }
}

fn resource(case: &Value) -> Result<(Value, Vec<Dropped>), Error> {
    let (normalised, dropped) = scim_entra::resource(resource_type(case), case["body"].clone())?;
    let resource = Resource::from_json(resource_type(case), normalised)?;
    Ok((Value::Object(resource.into_object()), dropped))
}

fn patch(case: &Value) -> Result<(Value, Vec<Dropped>), Error> {
    let (operations, dropped) = scim_entra::patch(resource_type(case), case["body"].clone())?;
    if resource_type(case) == ResourceType::Group {
        let changes = group_changes(&operations)?;
        return Ok((changes.iter().map(change).collect(), dropped));
    }
    let before = Resource::from_json(ResourceType::User, case["before"].clone()).expect("before is a user");
    let after = apply(&before, &operations)?;
    let again = apply(&after, &operations)?;
    assert_eq!(again, after, "the same request a second time changes nothing");
    Ok((Value::Object(after.into_object()), dropped))
}

fn change(change: &GroupChange) -> Value {
    match change {
        GroupChange::AddMembers(ids) => json!({"add_members": ids}),
        GroupChange::RemoveMembers(ids) => json!({"remove_members": ids}),
        GroupChange::ReplaceMembers(ids) => json!({"replace_members": ids}),
        GroupChange::ClearMembers => json!("clear_members"),
        GroupChange::SetDisplayName(name) => json!({"display_name": name}),
        GroupChange::SetExternalId(id) => json!({"external_id": id}),
    }
}

fn play(case: &Value) -> Value {
    let outcome = match case["kind"].as_str() {
        Some("resource") => resource(case),
        Some("patch") => patch(case),
        other => panic!("kind is {other:?}"),
    };
    match outcome {
        Ok((after, dropped)) => {
            let names: Vec<Value> = dropped.into_iter().map(|dropped| Value::String(dropped.attribute)).collect();
            json!({"after": after, "dropped": names})
        }
        Err(error) => {
            let scim_type = error.scim_type.map(scim::ScimType::as_str);
            json!({"error": {"status": error.status, "scimType": scim_type}})
        }
    }
}

fn expected(case: &Value) -> Value {
    match case.get("error") {
        Some(error) => json!({"error": error}),
        None => json!({"after": case["after"], "dropped": case.get("dropped").cloned().unwrap_or_else(|| json!([]))}),
    }
}

#[test]
fn every_recorded_request_is_understood() {
    let mut wrong = Vec::new();
    for (path, case) in cases() {
        let (got, expect) = (play(&case), expected(&case));
        if got != expect {
            wrong.push(format!("{}\n  expected {expect}\n  got      {got}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_case_is_named_after_its_file_and_says_where_it_comes_from() {
    let cases = cases();
    assert!(cases.len() >= CASES_MIN);
    for (path, case) in cases {
        assert_eq!(case["name"].as_str(), path.file_stem().and_then(|stem| stem.to_str()));
        assert!(case["source"].as_str().is_some_and(|source| !source.is_empty()), "{}", path.display());
    }
}
