//! One client path in every deployment: a boxed tower service, which is a connection over TCP in a cluster and the server's own routes in
//! one process.

mod tls;

use std::{
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, Uri};
use tonic::{
    body::Body,
    transport::{ClientTlsConfig, Endpoint},
};
use tower::{BoxError, Service, ServiceExt, util::BoxCloneSyncService};

pub use tls::ClientTls;

use crate::Peer;

/// The longest that a call may take to its response headers, over TCP and in one process alike.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// What a generated client stands on: `UserServiceClient::new(channel.clone())`.
#[derive(Clone, Debug)]
pub struct Channel(BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>);

impl Channel {
    /// Connects over TCP when the first call is made, and again whenever the connection is lost.
    ///
    /// # Errors
    /// When `uri` is not an absolute `http` or `https` URI.
    pub fn connect(uri: &str) -> Result<Self, tonic::transport::Error> {
        let mut endpoint = Endpoint::from_shared(uri.to_owned())?;
        if endpoint.uri().scheme() == Some(&http::uri::Scheme::HTTPS) {
            endpoint = endpoint.tls_config(ClientTlsConfig::new().with_native_roots())?;
        }
        Ok(Self::new(kept_alive(endpoint.connect_timeout(CONNECT_TIMEOUT)).connect_lazy()))
    }

    /// The same over TLS, whatever the scheme of `uri`, with what `tls` answers for each connection.
    ///
    /// # Errors
    /// When `uri` is not absolute.
    pub fn connect_tls(uri: &str, tls: ClientTls) -> Result<Self, tonic::transport::Error> {
        let uri = Endpoint::from_shared(uri.to_owned())?.uri().clone();
        let authority = uri.authority().map_or_else(String::new, ToString::to_string);
        // TLS is the connector's: to an endpoint whose scheme is https, tonic would add its own. The calls still say https. So is the time that it
        // may take: the endpoint's own is no failure to connect to it, so that callers would read it as UNKNOWN.
        let endpoint = Endpoint::from_shared(format!("http://{authority}"))?.origin(uri.clone());
        let connector = tower::service_fn(move |_: Uri| tls.connect(&uri));
        Ok(Self::new(kept_alive(endpoint).connect_with_connector_lazy(connector)))
    }

    /// Calls `routes` in this process, as whoever `caller` is. Extensions of the request are dropped on the way in, as a wire would drop them.
    #[must_use]
    pub fn in_process(routes: tonic::service::Routes, caller: Peer) -> Self {
        Self::new(routes.map_request(move |request: Request<Body>| {
            let (mut parts, body) = request.into_parts();
            parts.extensions = http::Extensions::new();
            parts.extensions.insert(caller);
            Request::from_parts(parts, body)
        }))
    }

    /// Puts `layer` around every call.
    #[must_use]
    pub fn layered<L, S>(self, layer: L) -> Self
    where
        L: tower::Layer<Self, Service = S>,
        S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
    {
        Self(BoxCloneSyncService::new(layer.layer(self).map_err(Into::into)))
    }

    fn new<S>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError> + Send + Sync,
        S::Future: Send,
    {
        Self(BoxCloneSyncService::new(tower::timeout::Timeout::new(service, DEADLINE)))
    }
}

/// Finds out by itself that the other end is gone.
fn kept_alive(endpoint: Endpoint) -> Endpoint {
    endpoint
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true)
        .tcp_nodelay(true)
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = futures::future::BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request)
    }
}
