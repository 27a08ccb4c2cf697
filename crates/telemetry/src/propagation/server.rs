//! The side that answers.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use http::{Extensions, HeaderValue, Request, Response};
use opentelemetry::{propagation::TextMapPropagator, trace::TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tower::{Layer, Service};
use tracing::{Instrument, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{Headers, REQUEST_ID, SERVED, Served};
use crate::RequestId;

/// How a route's template is found: a router leaves it in the request's extensions.
pub type RouteTemplate = fn(&Extensions) -> Option<&str>;

/// What a route without a template is called. The path itself may hold a name.
const UNMATCHED: &str = "unmatched";
/// The longest name of an RPC that is written down.
const RPC_LEN_MAX: usize = 128;

/// Gives each request one span and one [`RequestId`], which stands in the request's extensions and in the answer's `x-request-id`.
#[derive(Clone, Copy, Debug)]
pub struct ServerLayer(Protocol);

/// See [`ServerLayer`].
#[derive(Clone, Debug)]
pub struct ServerService<S> {
    inner: S,
    protocol: Protocol,
}

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Grpc,
    Http(RouteTemplate),
}

impl ServerLayer {
    /// For gRPC. The spans are called `rpc`.
    #[must_use]
    pub const fn grpc() -> Self {
        Self(Protocol::Grpc)
    }

    /// For HTTP. The spans are called `http`. The layer must stand inside the router, else no route has been chosen yet.
    #[must_use]
    pub const fn http(route: RouteTemplate) -> Self {
        Self(Protocol::Http(route))
    }
}

impl<S> Layer<S> for ServerLayer {
    type Service = ServerService<S>;

    fn layer(&self, inner: S) -> ServerService<S> {
        ServerService { inner, protocol: self.0 }
    }
}

impl<S, B, R> Service<Request<B>> for ServerService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let began = Instant::now();
        let served = Served::from_headers(request.headers());
        let span = self.protocol.span(&request, &served.id);
        let parent = TraceContextPropagator::new().extract(&Headers(request.headers()));
        if parent.span().span_context().is_valid() {
            // It fails only where no traces are made.
            let _ = span.set_parent(parent);
        }
        request.extensions_mut().insert(served.id.clone());

        let (protocol, id) = (self.protocol, served.id.clone());
        // A service may do its work in `call` already.
        let answer = span.in_scope(|| SERVED.sync_scope(served.clone(), || self.inner.call(request)));
        let answered = async move {
            let mut response = answer.await?;
            protocol.record(&Span::current(), &response, began);
            if let Ok(value) = HeaderValue::try_from(&id) {
                response.headers_mut().insert(REQUEST_ID, value);
            }
            Ok(response)
        };
        Box::pin(SERVED.scope(served, answered.instrument(span)))
    }
}

impl Protocol {
    fn span<B>(self, request: &Request<B>, id: &RequestId) -> Span {
        match self {
            Self::Grpc => tracing::info_span!(
                "rpc",
                otel.kind = "server",
                request.id = %id,
                rpc.method = rpc(request.uri().path()),
                rpc.status = Empty,
                tenant.id = Empty,
                user.id = Empty,
            ),
            Self::Http(route) => tracing::info_span!(
                "http",
                otel.kind = "server",
                request.id = %id,
                http.method = method(request.method()),
                http.route = route(request.extensions()).unwrap_or(UNMATCHED),
                http.status = Empty,
                tenant.id = Empty,
                user.id = Empty,
            ),
        }
    }

    fn record<R>(self, span: &Span, response: &Response<R>, began: Instant) {
        let elapsed_ms = began.elapsed().as_secs_f64() * 1e3;
        match self {
            // The status of a refusal stands in the headers; without one the answer has begun, and a stream can only fail later.
            Self::Grpc => {
                let status = response.headers().get("grpc-status").and_then(|value| value.to_str().ok()).unwrap_or("0");
                span.record("rpc.status", status);
                tracing::debug!(elapsed_ms, "call answered");
            }
            Self::Http(_) => {
                span.record("http.status", response.status().as_u16());
                tracing::debug!(elapsed_ms, "request answered");
            }
        }
    }
}

/// The full name of an RPC. Any client can send any path, and only one with the form of a name is written down.
fn rpc(path: &str) -> &str {
    let name = path.strip_prefix('/').unwrap_or(path);
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'));
    match name.split_once('/') {
        Some((service, method)) if name.len() <= RPC_LEN_MAX && plain(service) && plain(method) => name,
        _ => UNMATCHED,
    }
}

/// A method may be any token too.
fn method(method: &http::Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_of_a_name_is_written_down() {
        assert_eq!(rpc("/rollcall.identity.v1.UserService/GetUser"), "rollcall.identity.v1.UserService/GetUser");
        let too_long = format!("/a/{}", "b".repeat(RPC_LEN_MAX));
        for path in ["", "/", "/Users", "/a/b/c", "/a/ada%40example.com", &too_long] {
            assert_eq!(rpc(path), UNMATCHED, "{path}");
        }
        assert_eq!(method(&http::Method::PATCH), "PATCH");
        assert_eq!(method(&http::Method::from_bytes(b"ADA").unwrap()), "other");
    }
}
