//! Serving HTTP/1.1 and cleartext HTTP/2 on one listener.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, MatchedPath, Request},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use telemetry::propagation::ServerLayer;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tower::ServiceExt;

use crate::{DRAIN_TIMEOUT, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, Shutdown};

/// How many connections one listener holds; more wait in the system's backlog.
pub const CONNECTIONS_MAX: usize = 10_000;
/// How long a client may take to send a request's head, and how long an HTTP/1 connection may be idle between two requests.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long accepting rests after an error such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` until the end is asked for, then answers what has begun within [`DRAIN_TIMEOUT`]. Each request has a span, a
/// [`telemetry::RequestId`] and its peer's address ([`ConnectInfo`]).
pub async fn serve_http(listener: TcpListener, router: Router, shutdown: Shutdown) {
    let router = router.layer(ServerLayer::http(route_template));
    let server = Arc::new(server());
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer, place) = tokio::select! {
            () = shutdown.requested() => break,
            accepted = accept(&listener, &places) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let (server, router, shutdown) = (server.clone(), router.clone(), shutdown.clone());
        connections.spawn(async move {
            serve_connection(&server, stream, peer, router, shutdown).await;
            drop(place);
        });
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests were cut off at the end of the time to finish them");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<tokio::sync::OwnedSemaphorePermit>) {
    // The semaphore is never closed.
    let place = places.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "no connection could be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

async fn serve_connection(
    server: &auto::Builder<TokioExecutor>,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    shutdown: Shutdown,
) {
    // A peer that says nothing at all: the protocol is not known yet, so no timeout of a protocol would end it.
    let spoke = tokio::select! {
        () = shutdown.requested() => return,
        spoke = tokio::time::timeout(HEAD_TIMEOUT, stream.readable()) => matches!(spoke, Ok(Ok(()))),
    };
    if !spoke || stream.set_nodelay(true).is_err() {
        return;
    }
    let service = TowerToHyperService::new(router.map_request(move |request: Request<_>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    }));
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = shutdown.requested() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(error = &*error as &dyn std::error::Error, "a connection ended early");
    }
}

fn server() -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    server
}

fn route_template(extensions: &http::Extensions) -> Option<&str> {
    extensions.get::<MatchedPath>().map(MatchedPath::as_str)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::Notify,
    };

    use super::*;

    async fn listening() -> (TcpListener, SocketAddr) {
        let listener = crate::bind(SocketAddr::from(([127, 0, 0, 1], 0)), "--listen").await.unwrap();
        let address = crate::address_of(&listener).unwrap();
        (listener, address)
    }

    async fn answer(mut stream: TcpStream) -> String {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn asked(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nx-request-id: r-1\r\nconnection: close\r\n\r\n").await.unwrap();
        stream
    }

    #[tokio::test]
    async fn a_handler_sees_the_peer_and_the_answer_its_id() {
        let (listener, address) = listening().await;
        let shutdown = Shutdown::default();
        let router =
            Router::new().route("/", get(|peer: ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }));
        let serving = tokio::spawn(serve_http(listener, router, shutdown.clone()));
        let answer = answer(asked(address).await).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.contains("x-request-id: r-1\r\n"), "{answer}");
        assert!(answer.ends_with("127.0.0.1"), "{answer}");
        shutdown.request();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_request_that_has_begun_is_answered_before_the_end() {
        let (listener, address) = listening().await;
        let (shutdown, begun) = (Shutdown::default(), Arc::new(Notify::new()));
        let handler = {
            let (shutdown, begun) = (shutdown.clone(), begun.clone());
            move || async move {
                begun.notify_one();
                shutdown.requested().await;
                "finished"
            }
        };
        let serving = tokio::spawn(serve_http(listener, Router::new().route("/", get(handler)), shutdown.clone()));
        let stream = asked(address).await;
        begun.notified().await;
        shutdown.request();
        assert!(answer(stream).await.ends_with("finished"));
        serving.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err(), "nothing new is accepted");
    }
}
