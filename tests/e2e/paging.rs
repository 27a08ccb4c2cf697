//! Walks over a large directory while it changes (rule D12).

use std::collections::BTreeSet;

use futures::future::join_all;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{
    Deployment::{self, UpPostgres, UpSqlite},
    Rollcall,
};

const USERS: usize = 20_000;
/// How many users are deleted during a walk.
const DELETED: usize = 50;
/// How many users are made by one request, and how many such requests run at once.
const BULK: usize = 500;
const CLIENTS: usize = 4;
const PAGE: usize = 250;

/// Makes the users and answers their ids, in the order of the list.
async fn fill(rollcall: &Rollcall, key: &str) -> Vec<String> {
    let batch = async |first: usize| {
        let user = |at: usize| {
            let data = json!({"userName": format!("user{at:05}@example.org"), "displayName": format!("User {at}")});
            json!({"method": "POST", "path": "/Users", "bulkId": at.to_string(), "data": data})
        };
        let operations: Vec<Value> = (first..first + BULK).map(user).collect();
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations});
        let answer = rollcall.scim(key, Method::POST, "/Bulk", Some(&body)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let results = answer.json()["Operations"].as_array().unwrap().clone();
        assert!(results.iter().all(|result| result["status"] == "201"), "{:?}", results.first());
    };
    for first in (0..USERS).step_by(BULK * CLIENTS) {
        join_all((0..CLIENTS).map(|client| batch(first + client * BULK))).await;
    }
    let mut ids: Vec<String> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = page(rollcall, key, &format!("cursor={cursor}&count=1000")).await;
        ids.extend(page.ids);
        match page.next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert_eq!(ids.len(), USERS);
    ids
}

struct Page {
    ids: Vec<String>,
    total: Option<usize>,
    next: Option<String>,
}

async fn page(rollcall: &Rollcall, key: &str, query: &str) -> Page {
    let answer = rollcall.scim(key, Method::GET, &format!("/Users?attributes=id&{query}"), None).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let ids = body["Resources"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap().to_owned());
    Page {
        ids: ids.collect(),
        total: body["totalResults"].as_u64().and_then(|total| total.try_into().ok()),
        next: body["nextCursor"].as_str().map(str::to_owned),
    }
}

async fn delete(rollcall: &Rollcall, key: &str, id: &str) {
    let answer = rollcall.scim(key, Method::DELETE, &format!("/Users/{id}"), None).await;
    assert_eq!(answer.status, 204, "{answer:?}");
}

/// Which users are deleted while a walk goes on: from all parts of the list, before and behind where the walk is.
fn victims(ids: &[String], offset: usize) -> BTreeSet<String> {
    ids.iter().skip(offset).step_by(ids.len() / DELETED).take(DELETED).cloned().collect()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn d12_walks_over_20_000_users_miss_no_live_one_while_50_are_deleted(
    #[values(UpSqlite, UpPostgres)] deployment: Deployment,
) {
    let Some((rollcall, key)) = Rollcall::provisioned(deployment).await else { return };
    let ids = fill(&rollcall, &key).await;

    let doomed = victims(&ids, 3);
    let mut left: Vec<&String> = doomed.iter().collect();
    let (mut seen, mut start) = (BTreeSet::new(), 1);
    loop {
        let page = page(&rollcall, &key, &format!("startIndex={start}&count={PAGE}")).await;
        start += page.ids.len();
        let is_last = page.ids.is_empty() || start > page.total.unwrap();
        seen.extend(page.ids);
        if let Some(id) = left.pop() {
            delete(&rollcall, &key, id).await;
        }
        if is_last {
            break;
        }
    }
    assert!(left.is_empty(), "the walk ended before all deletions");
    let live: BTreeSet<String> = ids.iter().filter(|id| !doomed.contains(*id)).cloned().collect();
    assert_eq!(live.difference(&seen).count(), 0, "missed by index");

    let ids: Vec<String> = live.into_iter().collect();
    let doomed = victims(&ids, 7);
    let mut left: Vec<&String> = doomed.iter().rev().collect();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = page(&rollcall, &key, &format!("cursor={cursor}&count={PAGE}")).await;
        seen.extend(page.ids);
        if let Some(id) = left.pop() {
            delete(&rollcall, &key, id).await;
        }
        match page.next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert!(left.is_empty(), "the walk ended before all deletions");
    let once: BTreeSet<&String> = seen.iter().collect();
    assert_eq!(once.len(), seen.len(), "a walk by cursor sees nobody twice");
    let missed = ids.iter().filter(|id| !doomed.contains(*id) && !once.contains(id)).count();
    assert_eq!(missed, 0, "missed by cursor");
}
