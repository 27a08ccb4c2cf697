//! What files hold, as rustls takes it.

use std::sync::Arc;

use anyhow::{Context, ensure};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};

use super::{HTTP2, Mutual, Protocol, files::Contents, service_of};

/// How many certificates one file may hold.
const CERTIFICATES_MAX: usize = 1_000;

pub(super) fn public(contents: &Contents, protocol: Protocol) -> anyhow::Result<Arc<ServerConfig>> {
    let (chain, key) = pair(contents)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .context("the provider of cryptography lacks a version of TLS")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the certificate cannot be used with the key")?;
    config.alpn_protocols = protocol.names();
    Ok(Arc::new(config))
}

/// Both ends are Rollcall's own, so that only the newest version is spoken.
pub(super) fn mutual(contents: &Contents) -> anyhow::Result<Mutual> {
    let (chain, key) = pair(contents)?;
    let roots = Arc::new(roots(&contents.ca)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider())
        .build()
        .context("the file of the authority holds none that can be used")?;
    let (own, between) = chain.split_first().context("the file of the certificate holds none")?;
    verifier
        .verify_client_cert(own, between, UnixTime::now())
        .context("the certificate would be refused by the other services")?;
    let service = service_of(own);

    let mut server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .context("the provider of cryptography lacks TLS 1.3")?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.clone(), key.clone_key())
        .context("the certificate cannot be used with the key")?;
    server.alpn_protocols = Protocol::Grpc.names();
    // A session that is taken up again would pass by certificates that were replaced meanwhile.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;

    let mut client = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .context("the provider of cryptography lacks TLS 1.3")?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .context("the certificate cannot be used with the key")?;
    client.alpn_protocols = vec![HTTP2.to_vec()];
    client.resumption = Resumption::disabled();
    Ok(Mutual { server: Arc::new(server), client: Arc::new(client), service })
}

pub(super) fn trusting(ca: &[u8]) -> anyhow::Result<Arc<ClientConfig>> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .context("the provider of cryptography lacks a version of TLS")?
        .with_root_certificates(roots(ca)?)
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP2.to_vec()];
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn pair(contents: &Contents) -> anyhow::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = certificates(&contents.certificate).context("the file of the certificate")?;
    let key = PrivateKeyDer::from_pem_slice(&contents.key).context("the file of the key holds none in PEM")?;
    Ok((chain, key))
}

fn roots(ca: &[u8]) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca).context("the file of the authority")? {
        roots.add(certificate).context("the file of the authority holds what is no authority's certificate")?;
    }
    Ok(roots)
}

fn certificates(pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_slice_iter(pem).take(CERTIFICATES_MAX + 1).collect::<Result<Vec<_>, _>>();
    let found = found.context("is no PEM")?;
    ensure!(!found.is_empty(), "holds no certificate");
    ensure!(found.len() <= CERTIFICATES_MAX, "holds more than {CERTIFICATES_MAX} certificates");
    Ok(found)
}
