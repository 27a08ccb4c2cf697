//! Serving gRPC.

use anyhow::Context;
use telemetry::propagation::ServerLayer;
use tokio::net::TcpListener;
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};

use crate::{DRAIN_TIMEOUT, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, Shutdown};

/// Gives each call a span and a [`telemetry::RequestId`]. [`serve_grpc`] does it by itself; it is for routes that are called in one process.
#[must_use]
pub fn observed(routes: Routes) -> Routes {
    Routes::from(routes.into_axum_router().layer(ServerLayer::grpc()))
}

/// Serves `routes` until the end is asked for, then answers what has begun within [`DRAIN_TIMEOUT`]; a stream that is still open then is cut
/// off, and its client resumes it elsewhere.
///
/// # Errors
/// When the listener fails.
pub async fn serve_grpc(listener: TcpListener, routes: Routes, shutdown: Shutdown) -> anyhow::Result<()> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let served = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_routes(observed(routes))
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
