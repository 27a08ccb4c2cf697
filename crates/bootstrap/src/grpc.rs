//! Serving gRPC, in clear text or over TLS.

use std::{convert::Infallible, sync::Arc};

use anyhow::Context;
use axum::extract::Request;
use proto::Peer;
use telemetry::propagation::ServerLayer;
use tokio::net::TcpListener;
use tonic::{service::Routes, transport::Server};
use tower::util::MapRequestLayer;

use crate::{
    DRAIN_TIMEOUT, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, STREAMS_MAX, Shutdown,
    connection::{Arrival, Listener},
    forwarded::{Origin, TrustedProxies},
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
/// off, and its client resumes it elsewhere. Each call has its [`proto::Peer`], whose address is the one that `proxies` tell where the call came
/// through one of them.
///
/// # Errors
/// When the listener fails.
pub async fn serve_grpc(
    listener: TcpListener,
    routes: Routes,
    tls: Option<ServerTls>,
    proxies: TrustedProxies,
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
        .add_routes(introduced(observed(routes), proxies))
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
fn introduced(routes: Routes, proxies: TrustedProxies) -> Routes {
    let introduce = MapRequestLayer::new(move |request: Request| {
        let (mut parts, body) = request.into_parts();
        if let Some(arrival) = parts.extensions.remove::<Arc<Arrival>>() {
            arrival.introduce(&mut parts.extensions);
            let client = Origin::of(&parts, &proxies).client;
            if let Some(peer) = parts.extensions.get_mut::<Peer>() {
                peer.address = client;
            }
        }
        Request::from_parts(parts, body)
    });
    Routes::from(routes.into_axum_router().layer(introduce))
}

#[cfg(test)]
mod tests {
    use std::{
        net::SocketAddr,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use axum::{Extension, Router, routing::any};
    use proto::{Channel, channel::DEADLINE};
    use tokio::sync::Semaphore;
    use tonic::body::Body;
    use tower::ServiceExt;

    use super::*;

    /// This machine is a proxy.
    fn proxies() -> TrustedProxies {
        TrustedProxies::from(vec!["127.0.0.0/8".parse().unwrap()])
    }

    #[tokio::test]
    async fn r07_a_calls_address_is_the_one_that_trusted_proxies_tell() {
        let address = |Extension(peer): Extension<Peer>| async move { format!("{:?}", peer.address) };
        let channel = serving(Router::new().route("/a", any(address))).await;
        for (forwarded, expected) in [
            (None, Some("127.0.0.1")),
            (Some("192.0.2.9"), Some("192.0.2.9")),
            (Some("10.0.0.1, 192.0.2.9"), Some("192.0.2.9")),
            (Some("unknown"), None),
        ] {
            let mut request = http::Request::builder().uri("/a");
            if let Some(forwarded) = forwarded {
                request = request.header("x-forwarded-for", forwarded);
            }
            let answer = channel.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            let bytes = axum::body::to_bytes(axum::body::Body::new(answer.into_body()), 1024).await.unwrap();
            let expected: Option<std::net::IpAddr> = expected.map(|address| address.parse().unwrap());
            assert_eq!(bytes, format!("{expected:?}"), "{forwarded:?}");
        }
    }

    async fn serving(router: Router) -> Channel {
        let listener = crate::bind(SocketAddr::from(([127, 0, 0, 1], 0)), "--grpc-listen").await.unwrap();
        let address = crate::address_of(&listener).unwrap();
        tokio::spawn(serve_grpc(listener, Routes::from(router), None, proxies(), Shutdown::default()));
        Channel::connect(&format!("http://{address}")).unwrap()
    }

    /// Whether a call with this much metadata is answered.
    async fn is_answered(channel: &Channel, length: usize) -> bool {
        let request = http::Request::builder().uri("/a").header("x", "x".repeat(length)).body(Body::empty()).unwrap();
        channel.clone().oneshot(request).await.is_ok_and(|answer| answer.status().is_success())
    }

    #[tokio::test]
    async fn a_call_with_too_much_metadata_is_refused() {
        let channel = serving(Router::new().route("/a", any(|| async {}))).await;
        let longest = usize::try_from(HEADER_LIST_BYTES_MAX).unwrap();
        assert!(is_answered(&channel, longest - 1024).await);
        assert!(!is_answered(&channel, longest + 1024).await);
    }

    #[tokio::test]
    async fn a_connection_has_only_so_many_calls_under_way() {
        let most = usize::try_from(STREAMS_MAX).unwrap();
        let (under_way, at_most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let ends = Arc::new(Semaphore::new(0));
        let handler = {
            let (under_way, at_most, ends) = (under_way.clone(), at_most.clone(), ends.clone());
            move || async move {
                at_most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                ends.acquire().await.unwrap().forget();
                under_way.fetch_sub(1, Ordering::SeqCst);
            }
        };
        let channel = serving(Router::new().route("/a", any(handler))).await;
        // The limit is told with the first answer.
        ends.add_permits(1);
        assert!(is_answered(&channel, 1).await);
        let calls: Vec<_> = (0..=most)
            .map(|_| {
                let channel = channel.clone();
                tokio::spawn(async move { is_answered(&channel, 1).await })
            })
            .collect();
        while under_way.load(Ordering::SeqCst) < most {
            tokio::task::yield_now().await;
        }
        ends.add_permits(most + 1);
        for call in calls {
            assert!(call.await.unwrap());
        }
        assert_eq!(at_most.load(Ordering::SeqCst), most);
    }

    /// Something that a caller may leave in a request, for its own layers.
    #[derive(Clone)]
    struct Left;

    /// Both ways to a service, with what each knows of its caller.
    async fn ways(router: Router) -> [(Channel, Peer); 2] {
        let in_process = Peer { address: None, service: Some(proto::Service::Scim) };
        let over_tcp = Peer { address: Some([127, 0, 0, 1].into()), service: None };
        [
            (Channel::in_process(observed(Routes::from(router.clone())), in_process), in_process),
            (serving(router).await, over_tcp),
        ]
    }

    async fn text(channel: &Channel, path: &str) -> Result<String, tower::BoxError> {
        let mut request = http::Request::builder().uri(path).body(Body::empty())?;
        request.extensions_mut().insert(Left);
        let answer = channel.clone().oneshot(request).await?;
        let bytes = axum::body::to_bytes(axum::body::Body::new(answer.into_body()), 1024).await?;
        Ok(String::from_utf8(bytes.to_vec())?)
    }

    #[tokio::test]
    async fn d10_a_channel_in_process_does_what_one_over_tcp_does() {
        let who = |request: Request| async move {
            assert!(request.extensions().get::<Left>().is_none(), "what a caller leaves in a request goes nowhere");
            assert!(request.extensions().get::<telemetry::RequestId>().is_some());
            format!("{:?}", request.extensions().get::<Peer>())
        };
        let router = Router::new().route("/who", any(who)).route("/never", any(std::future::pending::<()>));
        for (channel, peer) in ways(router.clone()).await {
            assert_eq!(text(&channel, "/who").await.unwrap(), format!("{:?}", Some(peer)));
            assert_eq!(text(&channel, "/none").await.unwrap(), "", "a path that nobody serves is answered too");
        }
        let [in_process, over_tcp] = ways(router).await;
        let began = std::time::Instant::now();
        let (one, other) = tokio::join!(text(&in_process.0, "/never"), text(&over_tcp.0, "/never"));
        for answer in [one, other] {
            let error = answer.unwrap_err();
            assert!(error.is::<tower::timeout::error::Elapsed>(), "{error:?}");
        }
        let waited = began.elapsed();
        assert!((DEADLINE..DEADLINE * 2).contains(&waited), "{waited:?}");
    }
}
