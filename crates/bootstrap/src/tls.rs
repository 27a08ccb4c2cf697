//! TLS of listeners and of the connections between Rollcall's services.
//!
//! Certificates are renewed while a process runs: their files are read every [`RELOAD_INTERVAL`], and by content, for a mounted Secret changes by
//! a link that is swapped. A new set is taken only as a whole, when it loads, key and certificate belong together, and the other services would
//! believe it; until then the old set goes on. Connections that are open go on with what they began with.

mod files;
mod load;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use anyhow::bail;
use proto::{Service, channel::ClientTls};
use rustls::{ClientConfig, ServerConfig, pki_types::CertificateDer};

pub use files::KeyPair;

use files::Files;

/// How often the files are read.
pub const RELOAD_INTERVAL: Duration = Duration::from_secs(2);

/// HTTP/2 in a handshake.
const HTTP2: &[u8] = b"h2";
/// HTTP/1.1 in a handshake.
const HTTP1: &[u8] = b"http/1.1";

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2 alone.
    Grpc,
    /// HTTP/2 and HTTP/1.1.
    Http,
}

impl Protocol {
    fn names(self) -> Vec<Vec<u8>> {
        match self {
            Self::Grpc => vec![HTTP2.to_vec()],
            Self::Http => vec![HTTP2.to_vec(), HTTP1.to_vec()],
        }
    }
}

/// TLS of a listener, as new connections find it.
#[derive(Clone)]
pub struct ServerTls(Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>);

impl ServerTls {
    /// For everybody: no certificate is asked for.
    ///
    /// # Errors
    /// When the files cannot be used.
    pub fn public(pair: KeyPair, protocol: Protocol) -> anyhow::Result<Self> {
        let files = Files { pair, ca: None };
        let current = files::follow(files, RELOAD_INTERVAL, move |contents| load::public(contents, protocol))?;
        Ok(Self(Arc::new(move || current.borrow().clone())))
    }

    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        (self.0)()
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

/// TLS in which both ends present a certificate of the installation's authority.
#[derive(Clone, Debug)]
pub struct MutualTls {
    /// For the service's internal listener.
    pub server: ServerTls,
    client: ClientTls,
}

/// One set of certificates, for both directions.
struct Mutual {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    /// Which service the set makes of its bearer.
    service: Option<Service>,
}

impl MutualTls {
    /// For connections to the internal listener of `service`, which must present that service's certificate: no other service can stand in for
    /// it.
    #[must_use]
    pub fn client(&self, service: Service) -> ClientTls {
        self.client.clone().believing(move |certificate| service_of(certificate) == Some(service))
    }

    /// What the files hold must be a certificate of `service`.
    ///
    /// # Errors
    /// When the files cannot be used.
    pub fn open(service: Service, pair: KeyPair, ca: PathBuf) -> anyhow::Result<Self> {
        Self::open_every(RELOAD_INTERVAL, service, pair, ca)
    }

    fn open_every(interval: Duration, service: Service, pair: KeyPair, ca: PathBuf) -> anyhow::Result<Self> {
        let files = Files { pair, ca: Some(ca) };
        let named = files.pair.certificate.display().to_string();
        let current = files::follow(files, interval, move |contents| {
            let mutual = load::mutual(contents)?;
            if mutual.service != Some(service) {
                bail!(
                    "{named} is no certificate of {service}: its only URI must be {}, as `rollcall generate certificates` makes it",
                    service.spiffe_id()
                );
            }
            Ok(Arc::new(mutual))
        })?;
        let server = {
            let current = current.clone();
            ServerTls(Arc::new(move || current.borrow().server.clone()))
        };
        Ok(Self { server, client: ClientTls::new(move || current.borrow().client.clone()) })
    }
}

/// For a client without a certificate that believes the authorities of one file alone.
///
/// # Errors
/// When the file cannot be used.
pub fn trusting(ca: &std::path::Path) -> anyhow::Result<ClientTls> {
    let config = load::trusting(&files::content(ca)?)?;
    Ok(ClientTls::new(move || config.clone()))
}

/// The service that a verified certificate stands for: one with a single URI, which is a service's. Any other is nobody's.
pub(crate) fn service_of(certificate: &CertificateDer<'_>) -> Option<Service> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let mut uris = certificate.valid_uri_names();
    let uri = uris.next()?;
    if uris.next().is_some() { None } else { Service::from_spiffe_id(uri) }
}

#[cfg(test)]
mod tests;
