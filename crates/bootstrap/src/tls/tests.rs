use std::{fs, net::SocketAddr, path::Path};

use axum::{Extension, Router, routing::any};
use proto::{Channel, Peer};
use rcgen::{CertificateParams, Issuer, SanType};
use tokio::net::TcpListener;
use tonic::{body::Body, service::Routes};
use tower::ServiceExt;

use super::*;
use crate::{Shutdown, forwarded::TrustedProxies};

struct Authority(Issuer<'static, rcgen::KeyPair>, String);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    /// A certificate with these URIs, and its key.
    fn issue(&self, uris: &[&str]) -> (rcgen::Certificate, rcgen::KeyPair) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
        let key = rcgen::KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    fn write(&self, directory: &Path, uri: &str) -> (KeyPair, PathBuf) {
        let (certificate, key) = self.issue(&[uri]);
        let path = |name: &str| directory.join(name);
        fs::write(path("tls.crt"), certificate.pem()).unwrap();
        fs::write(path("tls.key"), key.serialize_pem()).unwrap();
        fs::write(path("ca.crt"), &self.1).unwrap();
        (KeyPair { certificate: path("tls.crt"), key: path("tls.key") }, path("ca.crt"))
    }
}

#[test]
fn r07_a_certificate_is_a_services_by_its_only_uri() {
    let authority = Authority::new();
    let of = |uris: &[&str]| service_of(authority.issue(uris).0.der());
    for service in Service::ALL {
        assert_eq!(of(&[&service.spiffe_id()]), Some(service));
    }
    let scim = Service::Scim.spiffe_id();
    assert_eq!(of(&[]), None);
    assert_eq!(of(&["spiffe://other/scim"]), None);
    assert_eq!(of(&[&scim, &Service::Identity.spiffe_id()]), None);
    assert_eq!(of(&[&scim, "https://scim.example.com"]), None);
    assert_eq!(service_of(&CertificateDer::from(vec![0x30, 0x00])), None);
}

/// Opens a set of the façade's whose files were changed, as `service`.
fn opened(service: Service, change: impl Fn(&Path, &Authority)) -> Result<(), String> {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    let (pair, ca) = authority.write(directory.path(), &Service::Scim.spiffe_id());
    change(directory.path(), &authority);
    MutualTls::open(service, pair, ca).map(drop).map_err(|error| format!("{error:#}"))
}

#[tokio::test]
async fn what_others_would_refuse_is_refused_at_the_start() {
    assert_eq!(opened(Service::Scim, |_, _| {}), Ok(()));
    let not_its_own = opened(Service::Identity, |_, _| {}).unwrap_err();
    assert!(not_its_own.contains("no certificate of identity"), "{not_its_own}");
    let foreign = opened(Service::Scim, |directory, _| {
        fs::write(directory.join("ca.crt"), Authority::new().1).unwrap();
    });
    assert!(foreign.as_ref().is_err_and(|error| error.contains("refused by the other services")), "{foreign:?}");
    let mixed = opened(Service::Scim, |directory, authority| {
        fs::write(directory.join("tls.key"), authority.issue(&[]).1.serialize_pem()).unwrap();
    });
    assert!(mixed.as_ref().is_err_and(|error| error.contains("cannot be used with the key")), "{mixed:?}");
    let empty = opened(Service::Scim, |directory, _| fs::write(directory.join("tls.crt"), "").unwrap());
    assert!(empty.as_ref().is_err_and(|error| error.contains("holds no certificate")), "{empty:?}");
}

#[tokio::test]
async fn a_new_set_is_taken_when_it_is_whole_and_the_old_one_goes_on_until_then() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    let (pair, ca) = authority.write(directory.path(), &Service::Scim.spiffe_id());
    let files = Files { pair: pair.clone(), ca: Some(ca.clone()) };
    let (tried, mut tries) = tokio::sync::mpsc::unbounded_channel();
    let current = files::follow(files, Duration::from_millis(1), move |contents| {
        let loaded = load::mutual(contents);
        tried.send(loaded.is_ok()).unwrap();
        loaded.map(|_| contents.certificate.clone())
    })
    .unwrap();
    assert_eq!(tries.recv().await, Some(true));
    let first = fs::read(&pair.certificate).unwrap();

    let (certificate, key) = authority.issue(&[&Service::Scim.spiffe_id()]);
    fs::write(&pair.certificate, certificate.pem()).unwrap();
    while tries.recv().await.unwrap() {}
    assert_eq!(*current.borrow(), first, "a certificate without its key was taken");

    fs::write(&pair.key, key.serialize_pem()).unwrap();
    while !tries.recv().await.unwrap() {}
    let mut current = current;
    current.wait_for(|current| *current == certificate.pem().as_bytes()).await.unwrap();
}

/// A listener with the files of a directory that answers who called.
async fn serving(directory: &Path) -> String {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (pair, ca) =
        (KeyPair { certificate: directory.join("tls.crt"), key: directory.join("tls.key") }, directory.join("ca.crt"));
    let tls = MutualTls::open_every(Duration::from_millis(1), Service::ApiKeys, pair, ca).unwrap().server;
    let who = |Extension(peer): Extension<Peer>| async move { format!("{peer:?}") };
    let routes = Routes::from(Router::new().route("/who", any(who)));
    tokio::spawn(crate::grpc::serve_grpc(listener, routes, Some(tls), TrustedProxies::default(), Shutdown::default()));
    format!("https://localhost:{port}")
}

/// Who a new connection makes of the client.
async fn who(url: &str, tls: &ClientTls) -> Result<String, tower::BoxError> {
    let channel = Channel::connect_tls(url, tls.clone()).unwrap();
    let request = http::Request::builder().uri("/who").body(Body::empty()).unwrap();
    let answer = channel.oneshot(request).await?;
    let bytes = axum::body::to_bytes(axum::body::Body::new(answer.into_body()), 1024).await?;
    Ok(String::from_utf8(bytes.to_vec())?)
}

#[tokio::test]
async fn r07_new_connections_use_the_new_set_at_both_ends_and_name_the_service() {
    let (authority, renewed) = (Authority::new(), Authority::new());
    let (server, client) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    authority.write(server.path(), &Service::ApiKeys.spiffe_id());
    let (pair, ca) = authority.write(client.path(), &Service::Scim.spiffe_id());
    let url = serving(server.path()).await;
    let tls =
        MutualTls::open_every(Duration::from_millis(1), Service::Scim, pair, ca).unwrap().client(Service::ApiKeys);
    let expected = Peer { address: Some([127, 0, 0, 1].into()), service: Some(Service::Scim) };
    assert_eq!(who(&url, &tls).await.unwrap(), format!("{expected:?}"));

    renewed.write(server.path(), &Service::ApiKeys.spiffe_id());
    while who(&url, &tls).await.is_ok() {}
    renewed.write(client.path(), &Service::Scim.spiffe_id());
    while who(&url, &tls).await.is_err() {}
    assert_eq!(who(&url, &tls).await.unwrap(), format!("{expected:?}"));
}

#[tokio::test]
async fn a_server_is_believed_under_its_own_name_alone() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.write(directory.path(), &Service::ApiKeys.spiffe_id());
    let url = serving(directory.path()).await;
    let (pair, ca) = authority.write(directory.path(), &Service::Scim.spiffe_id());
    let tls = MutualTls::open(Service::Scim, pair, ca).unwrap().client(Service::ApiKeys);
    assert!(who(&url, &tls).await.is_ok());
    // The certificate is for `localhost`.
    assert!(who(&url.replace("localhost", "127.0.0.1"), &tls).await.is_err());
}

#[tokio::test]
async fn r07_a_server_is_believed_as_the_service_that_was_called_alone() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.write(directory.path(), &Service::ApiKeys.spiffe_id());
    let url = serving(directory.path()).await;
    let (pair, ca) = authority.write(directory.path(), &Service::Scim.spiffe_id());
    let tls = MutualTls::open(Service::Scim, pair, ca).unwrap();
    assert!(who(&url, &tls.client(Service::ApiKeys)).await.is_ok());
    // The host is right and so is the authority: a service with a certificate for the host of another is still not the other.
    for other in [Service::Identity, Service::Scim, Service::Console] {
        assert!(who(&url, &tls.client(other)).await.is_err(), "{other}");
    }
}
