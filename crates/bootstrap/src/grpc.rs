//! Serving gRPC, in clear text or over TLS.

use std::{convert::Infallible, sync::Arc};

use anyhow::Context;
use axum::extract::Request;
use telemetry::propagation::ServerLayer;
use tokio::net::TcpListener;
use tonic::{service::Routes, transport::Server};
use tower::util::MapRequestLayer;

use crate::{
    DRAIN_TIMEOUT, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, STREAMS_MAX, Shutdown,
    connection::{Arrival, Listener},
    tls::ServerTls,
};

/// The longest metadata of a call, where each entry counts 32 bytes more than it is long.
pub const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;

/// Gives each call a span and a [`telemetry::RequestId`]. [`serve_grpc`] does it by itself; it is for routes that are called in one process.
#[must_use]
pub fn observed(routes: Routes) -> Routes {
    Routes::from(routes.into_axum_router().layer(ServerLayer::grpc()))
}

/// Serves `routes` until the end is asked for, then answers what has begun within [`DRAIN_TIMEOUT`]; a stream that is still open then is cut
/// off, and its client resumes it elsewhere. Each call has its [`proto::Peer`].
///
/// # Errors
/// When the listener fails.
pub async fn serve_grpc(
    listener: TcpListener,
    routes: Routes,
    tls: Option<ServerTls>,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let incoming = futures::stream::unfold(Listener::new(listener, tls), |listener| async {
        let connection = listener.accept().await;
        Some((Ok::<_, Infallible>(connection), listener))
    });
    let served = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(STREAMS_MAX)
        .http2_max_header_list_size(HEADER_LIST_BYTES_MAX)
        .add_routes(introduced(observed(routes)))
        .serve_with_incoming_shutdown(incoming, shutdown.requested());
    let too_late = async {
        shutdown.requested().await;
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    tokio::select! {
        served = served => served.context("the gRPC listener failed"),
        () = too_late => {
            tracing::warn!("calls were cut off at the end of the time to finish them");
            Ok(())
        }
    }
}

/// Says in each call who is at its other end.
fn introduced(routes: Routes) -> Routes {
    let introduce = MapRequestLayer::new(|mut request: Request| {
        if let Some(arrival) = request.extensions_mut().remove::<Arc<Arrival>>() {
            arrival.introduce(request.extensions_mut());
        }
        request
    });
    Routes::from(routes.into_axum_router().layer(introduce))
}
