//! Servers that are wrong in one way each must be found out, at the first answer that shows it.

use std::time::Duration;

use entra_client::{Changes, Client, Dialect, Directory, Error, Mapping, Options, State};
use rstest::rstest;
use secrecy::SecretString;

use crate::server::{Fault, KEY, Server};

/// All that a caller can do against a server with a fault: both cycles and both looks afterwards.
async fn play(fault: Fault) -> Result<(), Error> {
    let server = Server::start(fault).await;
    let client = server.client(Dialect::Legacy, Mapping::Default);
    let (mut directory, mut state) = (Directory::sample(120, 6), State::default());
    client.initial_cycle(&directory, &mut state, &mut ()).await?;
    client.verify(&directory, &state, &mut ()).await?;
    client.verify_members(&directory, &state, &mut ()).await?;
    let changes = Changes::sample(&directory, 4);
    client.incremental_cycle(&mut directory, &changes, &mut state, &mut ()).await?;
    client.verify(&directory, &state, &mut ()).await?;
    client.verify_members(&directory, &state, &mut ()).await?;
    Ok(())
}

#[rstest]
#[case(Fault::ProbeIs404, "GET", "status 200")]
#[case(Fault::CreatedIs200, "POST", "status 201")]
#[case(Fault::PlainJson, "GET", "content type application/scim+json")]
#[case(Fault::HtmlPage, "GET", "content type application/scim+json")]
#[case(Fault::Redirect, "GET", "status 200")]
#[case(Fault::NoLocation, "POST", "a Location")]
#[case(Fault::FilterIgnored, "GET", "only resources with userName")]
#[case(Fault::FilterAlwaysEmpty, "GET", "totalResults 1")]
#[case(Fault::IdsChange, "PATCH", "the id id-")]
#[case(Fault::CreatedTwice, "GET", "at most one match")]
#[case(Fault::NamesFolded, "POST", "userName to be")]
#[case(Fault::ValuesDropped, "POST", "externalId to be")]
#[case(Fault::ActiveMissing, "POST", "active to be present")]
#[case(Fault::ActiveAsText, "PATCH", "active to be a boolean")]
#[case(Fault::ManagerAsText, "PATCH", "manager to be an object")]
#[case(Fault::MembersShown, "GET", "no members")]
#[case(Fault::PatchIgnored, "GET", "the manager")]
#[case(Fault::PatchIs409, "PATCH", "status 200 or 204")]
#[case(Fault::RenameEmptiesGroup, "GET", "members")]
#[case(Fault::RemoveEmptiesGroup, "GET", "members")]
#[case(Fault::RemoveIgnored, "GET", "members")]
#[case(Fault::LastMembersWin, "GET", "members")]
#[case(Fault::InactiveHidden, "GET", "totalResults 1")]
#[case(Fault::DeleteIgnored, "GET", "status 404")]
#[case(Fault::GoneIsPlainJson, "GET", "schemas to list urn:ietf:params:scim:api:messages:2.0:Error")]
#[case(Fault::DeleteIs200, "DELETE", "status 204")]
#[tokio::test]
async fn wrong_server_is_found_out(#[case] fault: Fault, #[case] method: &str, #[case] expected: &str) {
    let error = play(fault).await.unwrap_err();
    let Error::Difference(difference) = error else { panic!("{error}") };
    assert!(difference.method.contains(method), "{difference}");
    assert!(difference.expected.contains(expected), "{difference}");
    assert!(!difference.to_string().contains(KEY), "{difference}");
}

#[tokio::test]
async fn right_server_is_not_found_out() {
    play(Fault::None).await.unwrap();
}

#[tokio::test]
async fn lost_update_is_found_before_the_next_change() {
    let server = Server::start(Fault::None).await;
    let client = server.client(Dialect::Legacy, Mapping::Minimal);
    let (mut directory, mut state) = (Directory::sample(3, 0), State::default());
    client.initial_cycle(&directory, &mut state, &mut ()).await.unwrap();
    server.be(Fault::PatchIgnored);
    let changes = Changes { disabled: vec![1], enabled: vec![1], ..Changes::default() };
    let error = client.incremental_cycle(&mut directory, &changes, &mut state, &mut ()).await.unwrap_err();
    assert!(error.to_string().contains("expected active to be false, found true"), "{error}");
}

#[tokio::test]
async fn throttled_requests_are_repeated_and_counted() {
    let server = Server::start(Fault::ThrottlesFirst(4, 0)).await;
    let client = server.client(Dialect::Legacy, Mapping::Minimal);
    let summary = client.initial_cycle(&Directory::sample(10, 0), &mut State::default(), &mut ()).await.unwrap();
    assert_eq!((summary.users_created, summary.retried), (10, 4));
    assert_eq!(summary.requests, 2 + 10 + 10 + 4);
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let server = Server::start(Fault::ThrottlesFirst(1, 1)).await;
    let client = server.client(Dialect::Legacy, Mapping::Minimal);
    let summary = client.initial_cycle(&Directory::sample(2, 0), &mut State::default(), &mut ()).await.unwrap();
    assert_eq!((summary.users_created, summary.retried), (2, 1));
    assert!(summary.elapsed_ms >= 1_000, "{}", summary.elapsed_ms);
}

#[rstest]
#[case(0, 6)]
#[case(86_400, 1)]
#[tokio::test]
async fn throttling_without_end_or_for_too_long_ends_the_run(#[case] wait: u64, #[case] expected: u32) {
    let server = Server::start(Fault::Unavailable(wait)).await;
    let client = server.client(Dialect::Legacy, Mapping::Minimal);
    let result = client.initial_cycle(&Directory::sample(1, 0), &mut State::default(), &mut ()).await;
    let Err(Error::Throttled { attempts, retry_after_s, status: 503, .. }) = result else { panic!("{result:?}") };
    assert_eq!((attempts, retry_after_s), (expected, wait));
}

#[tokio::test]
async fn key_is_in_no_error_although_the_server_echoes_it() {
    let server = Server::start(Fault::EchoesKey).await;
    let error = server.client(Dialect::Legacy, Mapping::Minimal).test_connection().await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("Bearer [key]") && !text.contains(KEY), "{text}");
}

#[tokio::test]
async fn wrong_key_is_a_difference() {
    let server = Server::start(Fault::None).await;
    let client = Client::new(&server.url, SecretString::from("another"), Options::default()).unwrap();
    let error = client.test_connection().await.unwrap_err();
    assert!(matches!(error, Error::Difference(difference) if difference.status == 401));
}

#[tokio::test]
async fn closed_port_and_silence_are_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/scim", listener.local_addr().unwrap());
    let options = Options { request_timeout: Duration::from_millis(100), ..Options::default() };
    let client = Client::new(&url, SecretString::from(KEY), options).unwrap();
    assert!(matches!(client.test_connection().await, Err(Error::Unreachable { .. })), "no answer in time");
    drop(listener);
    let error = client.test_connection().await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable { method, .. } if method == "GET"));
    assert!(error.to_string().contains("/scim/Users?filter="), "{error}");
}
