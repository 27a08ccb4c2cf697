//! Bodies that are no JSON, no SCIM, or too much of either.

use reqwest::Method;
use rstest::rstest;
use serde_json::Value;

use super::{Case, check_refused};
use crate::harness::{
    Deployment::{self, UpPostgres, UpSqlite},
    Rollcall,
};

/// Method and path, a body, and the status and scimType that it deserves.
type Row = (&'static str, &'static [u8], u16, Option<&'static str>);

const SYNTAX: Option<&str> = Some("invalidSyntax");
const VALUE: Option<&str> = Some("invalidValue");

const STRUCTURE: &[Row] = &[
    ("POST /Users", b"", 400, SYNTAX),
    ("POST /Users", b" \r\n\t ", 400, SYNTAX),
    ("POST /Users", b"\xef\xbb\xbf", 400, SYNTAX),
    ("POST /Users", b"\xef\xbb\xbf\xef\xbb\xbf{\"userName\":\"b\"}", 400, SYNTAX),
    ("POST /Users", b"{\"userName\":", 400, SYNTAX),
    ("POST /Users", b"{\"userName\":\"b\"}}", 400, SYNTAX),
    ("POST /Users", b"{\"userName\":\"b\"}{\"userName\":\"c\"}", 400, SYNTAX),
    ("POST /Users", b"{\"userName\":\"b\",}", 400, SYNTAX),
    ("POST /Users", b"{\"userName\":\"b\"} // a user", 400, SYNTAX),
    ("POST /Users", b"{'userName':'b'}", 400, SYNTAX),
    ("POST /Users", b"userName=b", 400, SYNTAX),
    ("POST /Users", b"[]", 400, SYNTAX),
    ("POST /Users", b"null", 400, SYNTAX),
    ("POST /Users", b"\"b\"", 400, SYNTAX),
    ("POST /Users", b"{}", 400, VALUE),
    ("POST /Groups", b"{}", 400, VALUE),
    ("POST /Users", br#"{"userName":1}"#, 400, VALUE),
    ("POST /Users", br#"{"userName":"b","name":"x"}"#, 400, VALUE),
    ("POST /Users", br#"{"userName":"b","active":[1]}"#, 400, VALUE),
    ("POST /Groups", br#"{"displayName":"g","members":"x"}"#, 400, VALUE),
    ("PUT /Users/{user}", b"", 400, SYNTAX),
    ("PATCH /Users/{user}", b"", 400, SYNTAX),
    ("PATCH /Users/{user}", br#"{"Operations":[{"op":"move","path":"title"}]}"#, 400, SYNTAX),
    ("PATCH /Users/{user}", br#"{"Operations":{}}"#, 400, SYNTAX),
    (
        "PATCH /Users/{user}",
        br#"{"Operations":[{"op":"add","path":"name..x","value":"x"}]}"#,
        400,
        Some("invalidPath"),
    ),
    // RFC 7644 section 3.12: a malformed filter within a path is an invalid filter.
    (
        "PATCH /Users/{user}",
        br#"{"Operations":[{"op":"add","path":"emails[","value":"x"}]}"#,
        400,
        Some("invalidFilter"),
    ),
    // Applied whole or not at all.
    (
        "PATCH /Users/{user}",
        br#"{"Operations":[{"op":"replace","path":"title","value":"changed"},{"op":"replace","path":"active","value":{"a":1}}]}"#,
        400,
        VALUE,
    ),
    (
        "PATCH /Groups/{group}",
        br#"{"Operations":[{"op":"replace","path":"displayName","value":"changed"},{"op":"add","path":"members","value":[{"value":"nobody"}]}]}"#,
        400,
        VALUE,
    ),
    ("POST /Users/.search", b"", 400, SYNTAX),
    ("POST /Users/.search", b"[]", 400, SYNTAX),
];

/// Bytes that are no UTF-8, escapes that are no characters, and the one character that no database takes.
const TEXT: &[Row] = &[
    ("POST /Users", b"{\"userName\":\"\xff\"}", 400, SYNTAX),
    // NUL in two bytes, in the overlong form that some decoders take for it.
    ("POST /Users", b"{\"userName\":\"a\xc0\x80b\"}", 400, SYNTAX),
    ("POST /Users", b"{\"userName\":\"\xe0\x80\xaf\"}", 400, SYNTAX),
    // A surrogate, encoded by itself.
    ("POST /Users", b"{\"userName\":\"\xed\xa0\x80\"}", 400, SYNTAX),
    ("POST /Users", b"{\"userName\":\"\xf5\x80\x80\x80\"}", 400, SYNTAX),
    ("POST /Users", b"\xff\xfe{\0}\0", 400, SYNTAX),
    ("POST /Users", br#"{"userName":"\ud800"}"#, 400, SYNTAX),
    ("POST /Users", br#"{"userName":"\udc00"}"#, 400, SYNTAX),
    ("POST /Users", br#"{"userName":"\udc00\ud800"}"#, 400, SYNTAX),
    ("POST /Users", br#"{"userName":"b","\ud800":"x"}"#, 400, SYNTAX),
    ("POST /Groups", br#"{"displayName":"g","members":[{"value":"\ud800"}]}"#, 400, SYNTAX),
    ("PATCH /Users/{user}", br#"{"Operations":[{"op":"add","path":"\ud800","value":"x"}]}"#, 400, SYNTAX),
    ("PATCH /Users/{user}", br#"{"Operations":[{"op":"add","path":"title","value":"\ud800"}]}"#, 400, SYNTAX),
    ("POST /Users/.search", br#"{"filter":"userName eq \"\ud800\""}"#, 400, SYNTAX),
    ("POST /Users/.search", br#"{"filter":"userName eq \"\\ud800\""}"#, 400, Some("invalidFilter")),
    ("POST /Users", b"{\"userName\":\"a\0b\"}", 400, SYNTAX),
    ("POST /Users", br#"{"userName":"a\u0000b"}"#, 400, VALUE),
    ("POST /Users", br#"{"userName":"b","externalId":"\u0000"}"#, 400, VALUE),
    ("POST /Users", br#"{"userName":"b","name":{"givenName":"a\u0000b"}}"#, 400, VALUE),
    ("POST /Users", br#"{"userName":"b","emails":[{"type":"work","value":"a\u0000b"}]}"#, 400, VALUE),
    ("POST /Users", br#"{"user\u0000Name":"b"}"#, 400, VALUE),
    (
        "POST /Users",
        br#"{"userName":"b","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"\u0000"}}}"#,
        400,
        VALUE,
    ),
    ("POST /Groups", br#"{"displayName":"a\u0000b"}"#, 400, VALUE),
    ("POST /Groups", br#"{"displayName":"g","members":[{"value":"a\u0000b"}]}"#, 400, VALUE),
    ("PUT /Users/{user}", br#"{"userName":"a\u0000b"}"#, 400, VALUE),
    ("PATCH /Users/{user}", br#"{"Operations":[{"op":"replace","path":"title","value":"a\u0000b"}]}"#, 400, VALUE),
    ("PATCH /Users/{user}", br#"{"Operations":[{"op":"a\u0000dd","path":"title","value":"b"}]}"#, 400, SYNTAX),
    (
        "PATCH /Users/{user}",
        br#"{"Operations":[{"op":"add","path":"emails[type eq \"a\u0000b\"].value","value":"b"}]}"#,
        400,
        Some("invalidPath"),
    ),
    (
        "PATCH /Users/{user}",
        br#"{"Operations":[{"op":"add","path":"emails[type eq \"a\\u0000b\"].value","value":"b"}]}"#,
        400,
        Some("invalidFilter"),
    ),
    (
        "PATCH /Users/{user}",
        br#"{"Operations":[{"op":"add","path":"emails[type eq \"a\\ud800b\"].value","value":"b"}]}"#,
        400,
        Some("invalidPath"),
    ),
    ("PATCH /Groups/{group}", br#"{"Operations":[{"op":"replace","path":"displayName","value":"\u0000"}]}"#, 400, VALUE),
    (
        "PATCH /Groups/{group}",
        br#"{"Operations":[{"op":"add","path":"members","value":[{"value":"a\u0000b"}]}]}"#,
        400,
        VALUE,
    ),
];

const NUMBERS: &[Row] = &[
    ("POST /Users", br#"{"userName":1e400}"#, 400, SYNTAX),
    ("POST /Users", br#"{"userName":-1e400}"#, 400, SYNTAX),
    ("POST /Users", br#"{"userName":1e308}"#, 400, VALUE),
    ("POST /Users", br#"{"userName":-0}"#, 400, VALUE),
    ("POST /Users", br#"{"userName":NaN}"#, 400, SYNTAX),
    ("POST /Users", br#"{"userName":Infinity}"#, 400, SYNTAX),
    ("POST /Users", br#"{"userName":01}"#, 400, SYNTAX),
    ("POST /Users", br#"{"userName":0x1}"#, 400, SYNTAX),
    ("POST /Users", br#"{"userName":"b","active":1e300}"#, 400, VALUE),
    ("PATCH /Users/{user}", br#"{"Operations":[{"op":"replace","path":"title","value":1e400}]}"#, 400, SYNTAX),
    ("POST /Users/.search", br#"{"startIndex":1e400}"#, 400, SYNTAX),
    ("POST /Users/.search", br#"{"startIndex":1e300}"#, 400, VALUE),
    ("POST /Users/.search", br#"{"count":1.5}"#, 400, VALUE),
];

fn case((request, body, status, scim_type): &Row) -> Case {
    refused(request, body.to_vec(), *status, *scim_type)
}

fn refused(request: &str, body: Vec<u8>, status: u16, scim_type: Option<&'static str>) -> Case {
    let (method, path) = request.split_once(' ').unwrap();
    let shown = String::from_utf8_lossy(&body[..body.len().min(100)]).into_owned();
    Case {
        name: format!("{request} {shown}"),
        method: method.parse().unwrap(),
        path: path.to_owned(),
        body: Some(body),
        status,
        scim_type,
    }
}

/// Arrays and objects that are `levels` deep with the object around them.
fn nested() -> impl Iterator<Item = Case> {
    let places = [
        ("POST /Users", "{\"userName\":", "}", 1),
        ("POST /Groups", "{\"displayName\":", "}", 1),
        ("PATCH /Groups/{group}", "{\"Operations\":[{\"op\":\"add\",\"path\":\"displayName\",\"value\":", "}]}", 3),
    ];
    let shapes = [("[", "", "]"), ("{\"a\":", "1", "}")];
    let levels = [(100, VALUE), (127, VALUE), (128, SYNTAX), (129, SYNTAX), (1_000, SYNTAX), (100_000, SYNTAX)];
    places.into_iter().flat_map(move |(request, begin, end, around)| {
        shapes.into_iter().flat_map(move |(open, inner, close)| {
            levels.into_iter().map(move |(levels, scim_type)| {
                let (open, close) = (open.repeat(levels - around), close.repeat(levels - around));
                let mut case =
                    refused(request, format!("{begin}{open}{inner}{close}{end}").into_bytes(), 400, scim_type);
                case.name = format!("{request}: {levels} levels of {open:.1}");
                case
            })
        })
    })
}

fn operations(path: &str, count: usize) -> Vec<u8> {
    let operation = format!(r#"{{"op":"replace","path":"{path}","value":"x"}}"#);
    format!("{{\"Operations\":[{}]}}", vec![operation; count].join(",")).into_bytes()
}

fn huge() -> [Case; 4] {
    let literal = format!("{{\"userName\":1{}}}", "0".repeat(400));
    let too_big = format!("{{\"userName\":\"{}\"}}", "x".repeat(5 * 1024 * 1024));
    [
        refused("POST /Users", literal.into_bytes(), 400, SYNTAX),
        refused("POST /Users", too_big.into_bytes(), 413, None),
        refused("PATCH /Users/{user}", operations("title", 10_001), 413, None),
        refused("PATCH /Groups/{group}", operations("displayName", 10_001), 413, None),
    ]
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn bad_bodies_are_refused_and_write_nothing(#[values(UpSqlite, UpPostgres)] deployment: Deployment) {
    let rows = [STRUCTURE, TEXT, NUMBERS].into_iter().flatten().map(case);
    check_refused(deployment, rows.chain(nested()).chain(huge())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_within_the_limits_is_taken() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    let bearer = format!("Bearer {key}");
    let marked = "\u{feff}{\"userName\":\"first\",\"userName\":\"ada\"}".as_bytes().to_vec();
    let created = rollcall.send(Some(&bearer), Method::POST, "/Users", Some(marked)).await;
    assert_eq!((created.status.as_u16(), &created.json()["userName"]), (201, &"ada".into()));
    let path = format!("/Users/{}", created.json()["id"].as_str().unwrap());
    let patched = rollcall.send(Some(&bearer), Method::PATCH, &path, Some(operations("title", 10_000))).await;
    assert_eq!((patched.status.as_u16(), &patched.json()["title"]), (200, &"x".into()));
    // Unknown, and as deep as a body may be.
    let deep = format!("{{\"userName\":\"deep\",\"x\":{}{}}}", "[".repeat(126), "]".repeat(126));
    assert_eq!(rollcall.send(Some(&bearer), Method::POST, "/Users", Some(deep.into_bytes())).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_another_kind_are_415() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    let (encoding, kind) = (("content-encoding", "compressed"), ("content-type", "application/scim+json"));
    for ((name, blamed), value, status) in [
        (encoding, "gzip", 415),
        (encoding, "br, identity", 415),
        (encoding, "identity", 201),
        (kind, "text/plain", 415),
        (kind, "application/xml", 415),
        (kind, "application/json-patch+json", 415),
        (kind, "application/JSON;charset=utf-8", 201),
    ] {
        let request = reqwest::Client::new().post(format!("{}/Users", rollcall.scim_url())).bearer_auth(&key);
        let body = format!("{{\"userName\":\"{name} {value}\"}}");
        let answer = request.header(name, value).body(body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{name}: {value}");
        let detail = answer.json::<Value>().await.unwrap()["detail"].clone();
        assert_eq!(detail.as_str().is_some_and(|detail| detail.contains(blamed)), status == 415, "{value}: {detail}");
    }
}
