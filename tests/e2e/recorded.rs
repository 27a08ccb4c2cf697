//! The recorded cases of `tests/recorded`, played against the whole system: what directories send, what validators ask and what the RFCs say.
//!
//! Each case has a tenant of its own, so that one running system serves all of them.

mod case;
mod matching;
mod play;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use rstest::rstest;
use tokio::{sync::Semaphore, task::JoinSet};

use self::case::Recorded;
use crate::harness::{
    Deployment::{self, UpPostgres, UpSqlite},
    Rollcall,
};

/// How many cases are played at once.
const CASES_AT_ONCE: usize = 4;
const FOLDERS: [&str; 5] = ["entra", "entra-flag", "okta", "rfc", "validator"];
/// A folder that is asked for a report: which case passed on which deployment.
const REPORT: &str = "ROLLCALL_TEST_RECORDED_REPORT";
/// Part of a path: only cases whose file has it are played.
const ONLY: &str = "ROLLCALL_TEST_RECORDED_ONLY";

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_case_is_answered_as_it_says(#[values(UpSqlite, UpPostgres)] deployment: Deployment) {
    let Some(rollcall) = Rollcall::start(deployment).await else { return };
    let rollcall = Arc::new(rollcall);
    let outcomes = play_all(&rollcall).await;
    if let Some(folder) = std::env::var_os(REPORT) {
        report(&PathBuf::from(folder), deployment, &outcomes);
    }
    let failed: Vec<String> = outcomes
        .iter()
        .filter_map(|(file, outcome)| outcome.as_ref().err().map(|error| format!("{file}\n  {error}")))
        .collect();
    assert!(failed.is_empty(), "{} of {} cases failed\n{}", failed.len(), outcomes.len(), failed.join("\n"));
}

async fn play_all(rollcall: &Arc<Rollcall>) -> BTreeMap<String, Result<(), String>> {
    let only = std::env::var(ONLY).unwrap_or_default();
    let cases = case::all().into_iter().filter(|Recorded { file, .. }| file.contains(&only));
    let turns = Arc::new(Semaphore::new(CASES_AT_ONCE));
    let mut plays = JoinSet::new();
    for (number, Recorded { file, case }) in (1..).zip(cases) {
        let (rollcall, turns) = (Arc::clone(rollcall), Arc::clone(&turns));
        plays.spawn(async move {
            let _turn = turns.acquire_owned().await.unwrap();
            let outcome = play::play(rollcall, format!("case-{number}"), &case).await;
            (file, outcome)
        });
    }
    plays.join_all().await.into_iter().collect()
}

fn report(folder: &Path, deployment: Deployment, outcomes: &BTreeMap<String, Result<(), String>>) {
    let passed: BTreeMap<&str, bool> = outcomes.iter().map(|(file, outcome)| (&**file, outcome.is_ok())).collect();
    std::fs::create_dir_all(folder).unwrap();
    let text = serde_json::to_string_pretty(&passed).unwrap();
    std::fs::write(folder.join(format!("{deployment:?}.json")), text).unwrap();
}

#[test]
fn every_case_is_named_after_its_file_and_says_where_it_comes_from() {
    for Recorded { file, case } in case::all() {
        let path = Path::new(&file);
        assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(&*case.name));
        assert!(!case.source.is_empty() && !case.exchange.is_empty(), "{file}");
        assert!(case.about.as_ref().is_none_or(|about| !about.is_empty()), "{file}");
        let folder = path.parent().unwrap().display().to_string();
        assert!(FOLDERS.contains(&&*folder), "{file}: tests/recorded/README.md has no such folder");
    }
}
