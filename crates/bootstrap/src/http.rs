//! Serving HTTP/1.1 and HTTP/2 on one listener, in clear text or over TLS.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{MatchedPath, Request},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use telemetry::propagation::ServerLayer;
use tokio::{net::TcpListener, task::JoinSet};
use tower::ServiceExt;

use crate::{
    DRAIN_TIMEOUT, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, STREAMS_MAX, Shutdown,
    connection::{Connection, Listener},
    tls::ServerTls,
};

/// How long a client may take to send a request's head, and how long an HTTP/1 connection may be idle between two requests.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest head of a request. A longer one is answered 431.
pub const HEAD_BYTES_MAX: usize = 128 * 1024;
/// The same over HTTP/2, where each header counts 32 bytes more than it is long, and one connection sends many at a time.
pub const HEADER_LIST_BYTES_MAX: u32 = 64 * 1024;
/// How many headers an HTTP/1 request may have. More are answered 431.
pub const HEADERS_MAX: usize = 100;

/// Serves `router` until the end is asked for, then answers what has begun within [`DRAIN_TIMEOUT`]. Each request has a span, a
/// [`telemetry::RequestId`], its [`proto::Peer`], the peer's address ([`axum::extract::ConnectInfo`]) and the [`http::uri::Scheme`] that was
/// spoken.
pub async fn serve_http(listener: TcpListener, router: Router, tls: Option<ServerTls>, shutdown: Shutdown) {
    let listener = Listener::new(listener, tls);
    let router = router.layer(ServerLayer::http(route_template));
    let server = Arc::new(server());
    let mut connections = JoinSet::new();
    loop {
        let connection = tokio::select! {
            () = shutdown.requested() => break,
            connection = listener.accept() => connection,
            Some(_) = connections.join_next() => continue,
        };
        let (server, router, shutdown) = (server.clone(), router.clone(), shutdown.clone());
        connections.spawn(async move { serve_connection(&server, connection, router, shutdown).await });
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests were cut off at the end of the time to finish them");
    }
}

async fn serve_connection(
    server: &auto::Builder<TokioExecutor>,
    connection: Connection,
    router: Router,
    shutdown: Shutdown,
) {
    let arrival = connection.arrival();
    let service = TowerToHyperService::new(router.map_request(move |request: Request<_>| {
        let mut request = request.map(axum::body::Body::new);
        arrival.introduce(request.extensions_mut());
        request
    }));
    let mut connection = pin!(server.serve_connection(TokioIo::new(connection), service));
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
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_LIST_BYTES_MAX);
    server
}

fn route_template(extensions: &http::Extensions) -> Option<&str> {
    extensions.get::<MatchedPath>().map(MatchedPath::as_str)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::{extract::ConnectInfo, routing::get};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
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
        let serving = tokio::spawn(serve_http(listener, router, None, shutdown.clone()));
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
        let serving =
            tokio::spawn(serve_http(listener, Router::new().route("/", get(handler)), None, shutdown.clone()));
        let stream = asked(address).await;
        begun.notified().await;
        shutdown.request();
        assert!(answer(stream).await.ends_with("finished"));
        serving.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err(), "nothing new is accepted");
    }

    /// The status line that a head with these many headers of this length is answered.
    async fn status(headers: usize, length: usize) -> String {
        let (listener, address) = listening().await;
        let shutdown = Shutdown::default();
        let router = Router::new().route("/", get(|| async { "read" }));
        let serving = tokio::spawn(serve_http(listener, router, None, shutdown.clone()));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut head = "GET / HTTP/1.1\r\nconnection: close\r\n".to_owned();
        for number in 1..headers {
            head += &format!("x-{number}: {}\r\n", "x".repeat(length));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        shutdown.request();
        drop(stream);
        serving.await.unwrap();
        String::from_utf8(answer.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_head_with_too_many_or_too_long_headers_is_refused() {
        assert_eq!(status(HEADERS_MAX, 1).await, "HTTP/1.1 200");
        assert_eq!(status(HEADERS_MAX + 1, 1).await, "HTTP/1.1 431");
        assert_eq!(status(2, HEAD_BYTES_MAX - 1024).await, "HTTP/1.1 200");
        assert_eq!(status(2, HEAD_BYTES_MAX + 1024).await, "HTTP/1.1 431");
    }
}
