//! What follows a request from hop to hop: its id in `x-request-id` and its trace in `traceparent` (W3C Trace Context), over HTTP headers
//! and gRPC metadata alike.
//!
//! A span carries the request's id, its route template and the answer's status. It never carries a query string, a name, a body or a token.

mod client;
mod server;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    propagation::{Extractor, Injector},
    trace::TraceContextExt,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::RequestId;

pub use client::{ClientLayer, ClientService};
pub use server::{RouteTemplate, ServerLayer, ServerService};

/// Where a request's id stands, in requests and answers.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

tokio::task_local! {
    /// The request that the task serves. It is how a call that the task makes finds its id: the generated clients begin each call with
    /// fresh metadata.
    static SERVED: Served;
}

/// What a request brought along and its own calls take along.
#[derive(Clone, Debug)]
struct Served {
    id: RequestId,
    /// Passed on as it came while this process makes no traces itself.
    traceparent: Option<HeaderValue>,
}

impl Served {
    fn from_headers(headers: &HeaderMap) -> Self {
        let id = headers.get(REQUEST_ID).and_then(|value| RequestId::try_from(value).ok());
        Self { id: id.unwrap_or_else(RequestId::generate), traceparent: headers.get(TRACEPARENT).cloned() }
    }
}

pub(crate) fn current_request_id() -> Option<RequestId> {
    SERVED.try_with(|served| served.id.clone()).ok()
}

/// The id of the trace that the current task's request belongs to, 32 hexadecimal digits, if it belongs to one: of the trace that this process makes,
/// else of the one that the request brought along.
#[must_use]
pub fn current_trace_id() -> Option<String> {
    let made = Span::current().context().span().span_context().clone();
    if made.is_valid() {
        return Some(made.trace_id().to_string());
    }
    let brought = SERVED.try_with(|served| served.traceparent.clone()).ok()??;
    let id = brought.to_str().ok()?.split('-').nth(1)?.to_owned();
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

/// Of the headers of a trace `traceparent` alone, whose form is fixed. `tracestate` is anybody's text, and would stand in each span of the trace.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let header = (key == TRACEPARENT.as_str()).then_some(TRACEPARENT)?;
        self.0.get(header)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).filter(|name| *name == TRACEPARENT.as_str()).collect()
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests;
