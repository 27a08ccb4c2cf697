//! The client against a server of this machine.

use std::time::{Duration, Instant};

use crate::{
    Client, Error, Post, Settings, SettingsError,
    client::Timeouts,
    testing::{Answer, Server},
};

/// Longer than any test runs.
const NEVER: Duration = Duration::from_secs(600);

async fn server() -> Server {
    let answer = |path: &str| match path {
        "/" => Answer::ok("hello"),
        "/moved" => Answer { status: "302 Found", header: "location: /".to_owned(), ..Answer::default() },
        "/endless" => Answer { is_endless: true, ..Answer::ok(vec![b'x'; 100_000]) },
        "/slow" => Answer { pause: NEVER, ..Answer::ok("hello") },
        "/broken" => Answer { header: "content-length: 100".to_owned(), is_endless: true, ..Answer::ok("hello") },
        _ => Answer::failure("404 Not Found"),
    };
    Server::start(answer).await.unwrap()
}

async fn get(settings: &Settings, url: &str) -> Result<Vec<u8>, Error> {
    Client::new(settings).unwrap().get(url, 1000).await.map(Vec::from)
}

#[tokio::test]
async fn what_stands_at_an_address_is_read() {
    let server = server().await;
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{}/", server.port());
        assert_eq!(get(&server.settings(), &url).await.unwrap(), b"hello");
    }
}

#[tokio::test]
async fn r11_a_host_of_a_private_network_is_refused_by_name_and_by_number() {
    let server = server().await;
    let settings = Settings { allowed: Vec::new(), ..server.settings() };
    for host in ["localhost", "LOCALHOST", "127.0.0.1", "2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]", "[::1]"]
    {
        let refused = get(&settings, &format!("https://{host}:{}/", server.port())).await;
        assert!(matches!(refused, Err(Error::Forbidden)), "{host} {refused:?}");
    }
    let other = Settings { allowed: vec!["10.0.0.0/8".parse().unwrap()], ..settings };
    assert!(matches!(get(&other, &server.url()).await, Err(Error::Forbidden)));
}

#[tokio::test]
async fn r11_only_https_without_credentials_is_called() {
    let server = server().await;
    let port = server.port();
    for url in [
        &format!("http://localhost:{port}/"),
        &format!("ftp://localhost:{port}/"),
        &format!("https://me@localhost:{port}/"),
        &format!("https://me:secret@localhost:{port}/"),
        "file:///etc/passwd",
        "https://",
        "/",
        "",
    ] {
        let refused = get(&server.settings(), url).await;
        assert!(matches!(refused, Err(Error::Url)), "{url} {refused:?}");
    }
}

#[tokio::test]
async fn r11_a_redirect_is_not_followed() {
    let server = server().await;
    for (path, status) in [("/moved", 302), ("/nothing", 404)] {
        let refused = get(&server.settings(), &format!("{}{path}", server.url())).await;
        assert!(matches!(&refused, Err(Error::Status(code)) if code.as_u16() == status), "{refused:?}");
    }
}

#[tokio::test]
async fn r11_an_answer_that_is_too_long_is_cut() {
    let server = server().await;
    let client = Client::new(&server.settings()).unwrap();
    for (path, length) in [("/", 5), ("/endless", 100_000)] {
        let url = format!("{}{path}", server.url());
        assert_eq!(client.get(&url, length).await.unwrap().len(), length, "{path}");
        let refused = client.get(&url, length - 1).await;
        assert!(matches!(refused, Err(Error::TooLarge)), "{path} {refused:?}");
    }
}

#[tokio::test]
async fn r11_an_answer_that_does_not_come_is_not_waited_for() {
    let server = server().await;
    let timeouts = Timeouts { whole: Duration::from_millis(500), connect: Duration::from_millis(400) };
    let client = Client::with_timeouts(&server.settings(), timeouts).unwrap();
    let begun = Instant::now();
    let refused = client.get(&format!("{}/slow", server.url()), 1000).await;
    assert!(matches!(refused, Err(Error::TimedOut)), "{refused:?}");
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    let server = server().await;
    let refused = get(&server.settings(), &format!("{}/broken", server.url())).await;
    assert!(matches!(refused, Err(Error::Unreachable(_))), "{refused:?}");
}

#[tokio::test]
async fn an_authority_that_is_not_trusted_is_refused() {
    let (server, other) = (server().await, server().await);
    let refused = get(&other.settings(), &server.url()).await;
    assert!(matches!(refused, Err(Error::Unreachable(_))), "{refused:?}");
}

#[test]
fn root_certificates_that_are_none_are_refused() {
    for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let settings = Settings { root_certificates_pem: Some(pem.into()), ..Settings::default() };
        let refused = Client::new(&settings).err();
        assert!(refused.is_some(), "{pem} was taken");
        assert!(pem.len() > 20 || matches!(refused, Some(SettingsError::RootCertificates(_))), "{pem} {refused:?}");
    }
}

fn post<'p>(url: &'p str, headers: &'p [(&'static str, String)]) -> Post<'p> {
    let timeout = Duration::from_secs(60);
    Post { url, headers, body: "posted".into(), timeout, answer_bytes_max: 5 }
}

#[tokio::test]
async fn what_is_posted_arrives_and_its_answer_is_told() {
    let server = Server::answering(|request| match &*request.path {
        "/echo" => Answer::ok([request.header("x-own").as_bytes(), &request.body].concat()),
        "/later" => Answer { header: "retry-after: 7".to_owned(), ..Answer::failure("503 Service Unavailable") },
        "/moved" => Answer { header: "location: /echo".to_owned(), ..Answer::failure("307 Temporary Redirect") },
        _ => Answer { pause: NEVER, ..Answer::ok("hello") },
    })
    .await
    .unwrap();
    let client = Client::new(&server.settings()).unwrap();
    let headers = [("x-own", "a".to_owned())];
    let at = |path: &str| format!("{}{path}", server.url());
    let echo = client.post(post(&at("/echo"), &headers)).await.unwrap();
    assert_eq!((echo.status.as_u16(), echo.retry_after, &*echo.body), (200, None, &b"apost"[..]), "the beginning");
    let later = client.post(post(&at("/later"), &[])).await.unwrap();
    assert_eq!((later.status.as_u16(), later.retry_after), (503, Some(Duration::from_secs(7))));
    assert_eq!(client.post(post(&at("/moved"), &[])).await.unwrap().status.as_u16(), 307, "r11: not followed");
    let slow = at("/slow");
    let broken = [("x-own", "a\r\nb: c".to_owned())];
    assert!(matches!(client.post(post(&at("/echo"), &broken)).await, Err(Error::Header)));
    let unread = Post { answer_bytes_max: 0, ..post(&slow, &[]) };
    assert_eq!(client.post(unread).await.unwrap().status.as_u16(), 200, "a body that nobody reads is not waited for");
    let hasty = Post { timeout: Duration::from_millis(300), ..post(&slow, &[]) };
    assert!(matches!(client.post(hasty).await, Err(Error::TimedOut)));
}

#[tokio::test]
async fn r11_what_is_never_called_is_told_before_a_call() {
    let server = server().await;
    let client = Client::new(&Settings { allowed: Vec::new(), ..server.settings() }).unwrap();
    assert!(client.check("https://example.com/hook?a=b").is_ok());
    for url in ["http://example.com/", "https://a:b@example.com/", "mailto:a@example.com", ""] {
        assert!(matches!(client.check(url), Err(Error::Url)), "{url}");
    }
    for url in ["https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/", "https://0x7f.1/"] {
        assert!(matches!(client.check(url), Err(Error::Forbidden)), "{url}");
    }
    // What a name leads to is checked with the call.
    assert!(client.check(&server.url()).is_ok());
    let refused = client.post(post(&server.url(), &[])).await;
    assert!(matches!(refused, Err(Error::Forbidden)), "{refused:?}");
}
