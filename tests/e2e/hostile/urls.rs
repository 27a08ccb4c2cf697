//! Ids and parameters that name nothing, or not even text.

use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use super::{Case, check_refused};
use crate::harness::Deployment::{self, UpPostgres, UpSqlite};

/// Ids as they stand in a URL. Each is nobody's.
const IDS: [&str; 10] = [
    "nobody",
    "a%2Fb",
    "%2F",
    "{user}%2F",
    "{user}%00",
    "a%00b",
    // A surrogate, NUL in two bytes, and no UTF-8 at all.
    "%ED%A0%80",
    "%C0%80",
    "%FF",
    "%F0%9F%98%80%27%22%3B--",
];

const LENGTHS: [usize; 3] = [257, 10_000, 60_000];

/// Parameters of a list, and the scimType that they deserve.
const PARAMETERS: &[(&str, &str)] = &[
    ("filter=userName+eq+%22%ED%A0%80%22", "invalidValue"),
    ("filter=userName+eq+%22%C0%80%22", "invalidValue"),
    ("filter=userName+eq+%22%FF%22", "invalidValue"),
    ("filter=userName+eq+%22%5Cud800%22", "invalidFilter"),
    ("filter=userName%00+eq+%22a%22", "invalidFilter"),
    ("filter=%00", "invalidFilter"),
    ("filter=userName+eq+%22a%00b%22", "invalidFilter"),
    ("filter=userName+eq+%22a%5Cu0000b%22", "invalidFilter"),
    ("filter=emails.value+eq+%22a%5Cu0000b%22", "invalidFilter"),
    ("filter=id+eq+%22a%5Cu0000b%22", "invalidFilter"),
    ("filter=title+co+%22a%5Cu0000b%22", "invalidFilter"),
    ("startIndex=1e400", "invalidValue"),
    ("startIndex=%00", "invalidValue"),
    ("count=1.5", "invalidValue"),
    ("count=%2B%2B1", "invalidValue"),
    ("cursor=%00", "invalidCursor"),
    ("cursor=%ED%A0%80", "invalidValue"),
];

fn requests(kind: &str, id: &str) -> impl Iterator<Item = Case> {
    let body = json!({"userName": "b", "displayName": "b", "Operations": [
        {"op": "replace", "path": "displayName", "value": "b"}
    ]});
    let body = body.to_string().into_bytes();
    let bodies =
        [(Method::GET, None), (Method::PUT, Some(body.clone())), (Method::PATCH, Some(body)), (Method::DELETE, None)];
    let path = format!("{kind}/{id}");
    bodies.into_iter().map(move |(method, body)| Case {
        name: format!("{method} {path:.80}"),
        method,
        path: path.clone(),
        body,
        status: 404,
        scim_type: None,
    })
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_nobodys_is_404_whatever_it_is(#[values(UpSqlite, UpPostgres)] deployment: Deployment) {
    let long = LENGTHS.map(|length| "x".repeat(length));
    let ids = IDS.into_iter().chain(long.iter().map(String::as_str));
    let cases = ids.flat_map(|id| ["/Users", "/Groups"].into_iter().flat_map(move |kind| requests(kind, id)));
    check_refused(deployment, cases).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn bad_parameters_are_refused_by_name(#[values(UpSqlite, UpPostgres)] deployment: Deployment) {
    let cases = PARAMETERS.iter().map(|(parameters, scim_type)| Case {
        name: (*parameters).to_owned(),
        method: Method::GET,
        path: format!("/Users?{parameters}"),
        body: None,
        status: 400,
        scim_type: Some(scim_type),
    });
    check_refused(deployment, cases).await;
}
