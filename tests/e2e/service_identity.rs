//! Which service may call what is known by its certificate, and nobody else reaches an internal listener (rule R7). What is encrypted, and what
//! is not.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use authn::access::{ROWS, Row};
use bytes::Bytes;
use http::uri::PathAndQuery;
use proto::{Channel, Service, channel::ClientTls};
use reqwest::{Method, StatusCode};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::json;
use tonic::{Code, Request, Status, client::Grpc};

use crate::{
    harness::{
        Deployment::{ServePostgres, UpSqlite},
        Rollcall, eventually, rollcall,
    },
    isolation::Raw,
};

/// What the table answers whoever may not call a method.
const REFUSAL: &str = "this method is not for its caller here";

/// What every service may call.
const GET_JWKS: &str = "/rollcall.api_keys.v1.CredentialService/GetJwks";

/// A client that believes the authority in `trusted` and presents a certificate as its `name` in `own`, if it has one.
pub(crate) fn client(trusted: &Path, own: Option<(&Path, &str)>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted.join("ca.crt")).unwrap()).unwrap();
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some((own, name)) => {
            let certificate = CertificateDer::from_pem_file(own.join(format!("{name}.crt"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(own.join(format!("{name}.key"))).unwrap();
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// The beginning of a method's answer to an empty message.
pub(crate) async fn call(
    url: &str,
    config: &Arc<ClientConfig>,
    method: &str,
    bearer: Option<&str>,
) -> Result<(), Status> {
    let config = config.clone();
    let channel = Channel::connect_tls(url, ClientTls::new(move || config.clone())).unwrap();
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.map_err(Status::from_error)?;
    let mut request = Request::new(futures::stream::iter([Bytes::new()]));
    if let Some(bearer) = bearer {
        request.metadata_mut().insert("authorization", format!("Bearer {bearer}").parse().unwrap());
    }
    grpc.streaming(request, method.parse::<PathAndQuery>().unwrap(), Raw).await.map(drop)
}

/// The internal listener of the service that a method belongs to.
fn listener(rollcall: &Rollcall, row: &Row) -> String {
    if row.method.starts_with("/rollcall.api_keys.") {
        rollcall.api_keys_internal_url()
    } else {
        rollcall.identity_internal_url()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r07_nobody_without_a_certificate_of_the_installation_reaches_an_internal_listener() {
    let Some((rollcall, key)) = Rollcall::provisioned(ServePostgres).await else { return };
    let foreign = tempfile::tempdir().unwrap();
    let made =
        crate::harness::rollcall(&["generate", "certificates", &format!("--directory={}", foreign.path().display())]);
    assert!(made.status.success(), "{made:?}");
    let own = rollcall.certificates();
    let strangers = [
        ("no certificate", client(&own, None)),
        ("a certificate of another authority", client(&own, Some((foreign.path(), "scim")))),
    ];
    let known = call(&rollcall.api_keys_internal_url(), &client(&own, Some((&own, "scim"))), GET_JWKS, None).await;
    assert!(known.is_ok(), "{known:?}");
    for row in ROWS {
        for (who, stranger) in &strangers {
            for bearer in [None, Some(key.as_str())] {
                let refused = call(&listener(&rollcall, row), stranger, row.method, bearer).await.unwrap_err();
                // The connection was refused: no status came from there.
                let is_of_connection = std::error::Error::source(&refused).is_some();
                assert!(is_of_connection, "{who}, {}: {refused:?}", row.method);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r07_each_service_calls_what_the_table_allows_it_and_nothing_else() {
    let Some((rollcall, key)) = Rollcall::provisioned(ServePostgres).await else { return };
    let own = rollcall.certificates();
    let mut allowed_count = 0;
    for service in Service::ALL {
        let config = client(&own, Some((&own, service.as_str())));
        for row in ROWS {
            let url = listener(&rollcall, row);
            let at = format!("{service} at {}", row.method);
            if !row.services.contains(&service) {
                for bearer in [None, Some(key.as_str()), Some(rollcall.operator_key().as_str())] {
                    let refused = call(&url, &config, row.method, bearer).await.unwrap_err();
                    // What no service may call need not be there.
                    let absent = row.services.is_empty() && refused.code() == Code::Unimplemented;
                    let by_table = refused.code() == Code::PermissionDenied && refused.message() == REFUSAL;
                    assert!(absent || by_table, "{at}: {refused:?}");
                }
                continue;
            }
            allowed_count += 1;
            let answer = call(&url, &config, row.method, None).await;
            if row.on_behalf_of.is_empty() {
                let let_in = !matches!(&answer, Err(status) if [Code::PermissionDenied, Code::Unimplemented, Code::Unavailable].contains(&status.code()));
                assert!(let_in, "{at}: {answer:?}");
            } else {
                // The certificate grants no tenant: somebody's credential does.
                assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated, "{at}");
            }
        }
    }
    assert!(allowed_count > 20, "{allowed_count}");
}

#[tokio::test(flavor = "multi_thread")]
async fn renewed_certificates_are_taken_without_a_restart_and_without_a_failed_request() {
    let Some((rollcall, key)) = Rollcall::provisioned(ServePostgres).await else { return };
    let rollcall = Arc::new(rollcall);
    let (done, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let traffic = {
        let (rollcall, done, answered) = (rollcall.clone(), done.clone(), answered.clone());
        tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                let name = format!("user{}", answered.load(Ordering::Relaxed));
                let user = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name});
                let created = rollcall.scim(&key, Method::POST, "/Users", Some(&user)).await;
                assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
                answered.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let own = rollcall.certificates();
    for renewal in 1..=2 {
        let before = answered.load(Ordering::Relaxed);
        rollcall.generate_certificates();
        for (service, url) in [
            (Service::ApiKeys, rollcall.api_keys_internal_url()),
            (Service::ApiKeys, rollcall.api_keys_url()),
            (Service::Identity, rollcall.identity_internal_url()),
            (Service::Identity, rollcall.identity_url()),
        ] {
            let renewed = CertificateDer::from_pem_file(own.join(format!("{service}.crt"))).unwrap();
            let config = client(&own, Some((&own, "console")));
            let what = format!("renewal {renewal} at {url}");
            eventually(&what, Duration::from_secs(30), async || presented(&url, &config).await == renewed).await;
        }
        // A new connection of the administrator's, and the ones that were open.
        rollcall.succeed(&["user", "list"]);
        eventually("traffic goes on", Duration::from_secs(30), async || {
            answered.load(Ordering::Relaxed) > before && !traffic.is_finished()
        })
        .await;
    }
    done.store(true, Ordering::Relaxed);
    traffic.await.unwrap();
}

/// The certificate that a listener presents to a new connection.
async fn presented(url: &str, config: &Arc<ClientConfig>) -> CertificateDer<'static> {
    let address = url.strip_prefix("https://").unwrap();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(config.clone()).connect(name, stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn plaintext_beyond_loopback_is_refused_unless_it_is_allowed() {
    let beyond = [
        "serve",
        "scim",
        "--listen=0.0.0.0:0",
        "--identity-internal-url=http://192.0.2.1:1",
        "--api-keys-internal-url=http://127.0.0.1:1",
    ];
    let refused = rollcall(&beyond);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{message}");
    assert!(message.contains("--tls-cert-file") && message.contains("--allow-plaintext"), "{message}");

    let mut system = Rollcall::start(UpSqlite).await.unwrap();
    let mut allowed = beyond.to_vec();
    allowed.extend(["--allow-plaintext", "--allow-internal-plaintext"]);
    system.beside("plaintext", &allowed);
    eventually("it is served", Duration::from_secs(30), async || system.logs().contains("the SCIM façade is served"))
        .await;
    let logs = system.logs();
    for flag in ["--listen carries plaintext", "--identity-internal-url carries plaintext"] {
        assert!(logs.contains(flag), "{flag}: {logs}");
    }
    assert!(!logs.contains("--api-keys-internal-url carries plaintext"), "{logs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn up_speaks_tls_where_it_is_given_a_certificate() {
    let mut system = Rollcall::start(UpSqlite).await.unwrap();
    system.generate_certificates();
    let certificates = system.certificates();
    let path = |name: &str| certificates.join(name).display().to_string();
    let data = tempfile::tempdir().unwrap();
    system.beside(
        "tls",
        &[
            "up",
            &format!("--data-dir={}", data.path().display()),
            "--listen=127.0.0.1:0",
            "--grpc-listen=127.0.0.1:0",
            &format!("--tls-cert-file={}", path("scim.crt")),
            &format!("--tls-key-file={}", path("scim.key")),
        ],
    );
    eventually("it is served", Duration::from_secs(60), async || system.printed_by("tls").contains("start.")).await;
    let printed = system.printed_by("tls");
    let said = |label: &str| {
        let line = printed.lines().find_map(|line| line.trim_start().strip_prefix(label)).unwrap();
        line.trim().to_owned()
    };
    let (url, grpc) = (said("Tenant URL"), said("gRPC APIs"));
    let cli = |arguments: &[&str]| {
        let key = data.path().join("operator.key").display().to_string();
        let connection = ["--server", &grpc, "--ca-file", &path("ca.crt"), "--operator-key-file", &key];
        let output = rollcall(&[arguments, &connection[..]].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    };
    cli(&["scim", "enable"]);
    let key = cli(&["api-key", "create", "--name", "directory"]);
    let authority = reqwest::Certificate::from_pem(&fs::read(path("ca.crt")).unwrap()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([authority]).build().unwrap();
    let body = r#"{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada"}"#;
    let request = client.post(format!("{url}/Users")).bearer_auth(key).header("content-type", "application/scim+json");
    let created: serde_json::Value = request.body(body).send().await.unwrap().json().await.unwrap();
    let location = created["meta"]["location"].as_str().unwrap();
    assert!(location.starts_with(&url) && url.starts_with("https://"), "{location}");
}
