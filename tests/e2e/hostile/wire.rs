//! What no client library sends: lies about lengths, requests without an end, heads without one.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::everything;
use crate::harness::{Deployment::UpSqlite, Rollcall};

/// How long an answer may take. Far more than it needs.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// Headers and body, and the statuses of the answers, in order; the connection then ends.
type Row = (&'static str, &'static str, &'static [u16]);

/// `POST /Users` with a valid key. A body that is whole is `{"userName":1}`: it is refused.
const BODIES: &[Row] = &[
    ("content-length: 14\r\nconnection: close", "{\"userName\":1}", &[400]),
    // Shorter than it is: the rest is taken for a request, and is none.
    ("content-length: 5", "{\"userName\":1}\r\n\r\n", &[400, 400]),
    // Two lengths, or none that is a number.
    ("content-length: 14\r\ncontent-length: 15", "{\"userName\":1}", &[400]),
    ("content-length: -1", "{\"userName\":1}", &[400]),
    ("content-length: 14, 14\r\nconnection: close", "{\"userName\":1}", &[400]),
    ("content-length: 99999999999999999999", "{\"userName\":1}", &[400]),
    // More than is ever read: refused at once.
    ("content-length: 99999999999", "{\"userName\":1}", &[413]),
    ("transfer-encoding: chunked\r\nconnection: close", "e\r\n{\"userName\":1}\r\n0\r\n\r\n", &[400]),
    ("transfer-encoding: chunked\r\nconnection: close", "7\r\n{\"userN\r\n7\r\name\":1}\r\n0\r\n\r\n", &[400]),
    ("transfer-encoding: chunked", "xyz\r\n{\"userName\":1}\r\n0\r\n\r\n", &[400]),
    ("transfer-encoding: chunked", "ffffffffffffffffff\r\n{\"userName\":1}\r\n0\r\n\r\n", &[400]),
    // Two ways to tell the length: the second counts, and nothing after it is taken for a request.
    (
        "content-length: 5\r\ntransfer-encoding: chunked",
        "e\r\n{\"userName\":1}\r\n0\r\n\r\nGET /api/scim/v2/Users HTTP/1.1\r\nhost: h\r\n\r\n",
        &[400],
    ),
    ("transfer-encoding: gzip", "{\"userName\":1}", &[400]),
    ("content-encoding: gzip\r\ncontent-length: 3\r\nconnection: close", "\u{1f}\u{2}\u{3}", &[415]),
];

async fn connect(rollcall: &Rollcall) -> TcpStream {
    let url = rollcall.scim_url();
    let address = url.trim_start_matches("http://").split('/').next().unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// All that comes back until the connection ends.
async fn answers(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(ANSWERED_WITHIN, stream.read_to_end(&mut text)).await;
    // A reset after the answer is an end too; only no end is none.
    let _ = read.unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

async fn sent(rollcall: &Rollcall, request: &str) -> String {
    let mut stream = connect(rollcall).await;
    // The server may refuse and close before all of it is written.
    let _ = stream.write_all(request.as_bytes()).await;
    answers(&mut stream).await
}

fn statuses(answers: &str) -> Vec<u16> {
    answers.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().unwrap()).collect()
}

fn head(key: &str) -> String {
    format!("POST /api/scim/v2/Users HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {key}\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_about_a_body_are_refused_and_the_connection_ends() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    let before = everything(&rollcall, &key).await;
    for (headers, body, expect) in BODIES {
        let answers = sent(&rollcall, &format!("{}{headers}\r\n\r\n{body}", head(&key))).await;
        assert_eq!(statuses(&answers), *expect, "{headers} {body}: {answers}");
    }
    assert_eq!(everything(&rollcall, &key).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_early_writes_nothing() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    let before = everything(&rollcall, &key).await;
    for headers in ["content-length: 100", "transfer-encoding: chunked"] {
        let mut stream = connect(&rollcall).await;
        let whole = "10\r\n{\"userName\":\"b\"}\r\n";
        stream.write_all(format!("{}{headers}\r\n\r\n{whole}", head(&key)).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answers = answers(&mut stream).await;
        assert!(answers.is_empty() || statuses(&answers) == [400], "{answers}");
    }
    assert_eq!(everything(&rollcall, &key).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_first_is_told_to_go_on_only_when_it_is_let_in() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    let expect = "expect: 100-continue\r\ncontent-length: 14\r\nconnection: close\r\n\r\n";
    let mut stream = connect(&rollcall).await;
    stream.write_all(format!("{}{expect}", head(&key)).as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    tokio::time::timeout(ANSWERED_WITHIN, stream.read_exact(&mut go_on)).await.unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&go_on), "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{\"userName\":1}").await.unwrap();
    let answer = answers(&mut stream).await;
    assert_eq!(statuses(&answer), [400], "{answer}");
    let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body["scimType"], "invalidValue");
    assert_eq!(statuses(&sent(&rollcall, &format!("{}{expect}", head("nobody"))).await), [401]);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_of_a_group_leaves_no_body_on_the_connection() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    let user =
        rollcall.scim(&key, Method::POST, "/Users", Some(&json!({"userName": "ada"}))).await.json()["id"].clone();
    let group = json!({"displayName": "Ops", "members": [{"value": user}]});
    let group = rollcall.scim(&key, Method::POST, "/Groups", Some(&group)).await.json();
    let path = format!("/api/scim/v2/Groups/{}", group["id"].as_str().unwrap());
    let rest = format!("{path} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {key}\r\n");
    let answers = sent(&rollcall, &format!("HEAD {rest}\r\nGET {rest}connection: close\r\n\r\n")).await;
    assert_eq!(statuses(&answers), [200, 200], "{answers}");
    let (head, get) = answers.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/scim+json"), "{head}");
    assert!(get.starts_with("HTTP/1.1 200 OK") && get.contains("\"members\""), "{get}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_without_bounds_is_refused_by_the_server_itself() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    let many = (0..200).map(|number| format!("x-{number}: y\r\n")).collect::<String>();
    for (name, request, status) in [
        ("a long target", format!("GET /api/scim/v2/Users/{} HTTP/1.1\r\nhost: h\r\n\r\n", "x".repeat(70_000)), 414),
        ("a long header", format!("{}x: {}\r\n\r\n", head(&key), "y".repeat(1_000_000)), 431),
        ("many headers", format!("{}{many}\r\n", head(&key)), 431),
        ("no version", "GET /api/scim/v2/Users\r\n\r\n".to_owned(), 400),
        ("no HTTP", "\u{16}\u{3}\u{1}\u{2}hello\r\n\r\n".to_owned(), 400),
        ("a broken header", format!("{}no colon\r\n\r\n", head(&key)), 400),
        ("a quote in the target", "GET /api/scim/v2/Users?filter=a\"b HTTP/1.1\r\nhost: h\r\n\r\n".to_owned(), 400),
    ] {
        let answers = sent(&rollcall, &request).await;
        assert_eq!(statuses(&answers), [status], "{name}: {answers}");
    }
    assert_eq!(everything(&rollcall, &key).await[0]["totalResults"], 0);
}
