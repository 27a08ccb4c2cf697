//! A connection over TLS whose certificates are asked for when it is made.

use std::{fmt, io, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, ServerName},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::channel::CONNECT_TIMEOUT;

/// The port of an `https` URI that names none.
const HTTPS_PORT: u16 = 443;
/// How gRPC is named in a handshake.
const HTTP2: &[u8] = b"h2";

/// What a client presents and whom it believes, asked for anew for each connection: the answer changes when certificates are renewed.
#[derive(Clone)]
pub struct ClientTls {
    current: Arc<dyn Fn() -> Arc<ClientConfig> + Send + Sync>,
    /// What is asked of the server's certificate beside the name of its host.
    believes: Option<Believes>,
}

/// Whether a certificate is the one of whom it should be.
type Believes = Arc<dyn Fn(&CertificateDer<'_>) -> bool + Send + Sync>;

impl ClientTls {
    /// `current` answers without waiting. What it answers offers the protocol `h2`.
    #[must_use]
    pub fn new(current: impl Fn() -> Arc<ClientConfig> + Send + Sync + 'static) -> Self {
        Self { current: Arc::new(current), believes: None }
    }

    /// Believes a server only if `believes` does, of its certificate, which is of the host's name and of a known authority already.
    #[must_use]
    pub fn believing(self, believes: impl Fn(&CertificateDer<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self { believes: Some(Arc::new(believes)), ..self }
    }

    /// Connects to the host of `uri`, and believes only a certificate of that name.
    pub(super) fn connect(&self, uri: &Uri) -> BoxFuture<'static, io::Result<TokioIo<TlsStream<TcpStream>>>> {
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned();
        let port = uri.port_u16().unwrap_or(HTTPS_PORT);
        let (connector, believes) = (TlsConnector::from((self.current)()), self.believes.clone());
        async move {
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            let connected = async {
                let stream = TcpStream::connect((host.as_str(), port)).await?;
                stream.set_nodelay(true)?;
                connector.connect(name, stream).await
            };
            let stream = tokio::time::timeout(CONNECT_TIMEOUT, connected).await??;
            if stream.get_ref().1.alpn_protocol() != Some(HTTP2) {
                return Err(io::Error::other("the server does not speak HTTP/2"));
            }
            // Nothing was sent yet but this end's own certificate.
            let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            if believes.is_some_and(|believes| !certificate.is_some_and(|certificate| believes(certificate))) {
                return Err(io::Error::other("the server is another service than the one that was called"));
            }
            Ok(TokioIo::new(stream))
        }
        .boxed()
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}
