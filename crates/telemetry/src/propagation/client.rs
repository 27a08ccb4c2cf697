//! The side that calls.

use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue, Request};
use opentelemetry::{propagation::TextMapPropagator, trace::TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tower::{Layer, Service};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{HeadersMut, REQUEST_ID, SERVED, TRACEPARENT};
use crate::RequestId;

/// Sends the id and the trace of the request that the current task serves with every call.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientLayer;

/// See [`ClientLayer`].
#[derive(Clone, Debug)]
pub struct ClientService<S>(S);

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> ClientService<S> {
        ClientService(inner)
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for ClientService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        inject_request_id(&mut request);
        inject_trace(request.headers_mut());
        self.0.call(request)
    }
}

/// An id that the caller put into the call's extensions comes first: a task of its own serves no request.
fn inject_request_id<B>(request: &mut Request<B>) {
    let id = request.extensions().get::<RequestId>().cloned().or_else(RequestId::current);
    if let Some(Ok(value)) = id.as_ref().map(HeaderValue::try_from) {
        request.headers_mut().insert(REQUEST_ID, value);
    }
}

fn inject_trace(headers: &mut HeaderMap) {
    let context = Span::current().context();
    if context.span().span_context().is_valid() {
        TraceContextPropagator::new().inject_context(&context, &mut HeadersMut(headers));
    } else if let Ok(Some(traceparent)) = SERVED.try_with(|served| served.traceparent.clone()) {
        headers.insert(TRACEPARENT, traceparent);
    }
}
