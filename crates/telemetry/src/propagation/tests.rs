use std::{convert::Infallible, future, sync::LazyLock};

use http::{Request, Response};
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tower::{Layer, Service, ServiceExt, service_fn};
use tracing::{Dispatch, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

use super::*;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// While a process has one subscriber, `tracing` asks the thread that first meets a span whether anybody wants it, and keeps the answer for all
/// threads: a test without a subscriber would switch the span off for the one that has it. With these two it asks every subscriber.
static SUBSCRIBERS: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Dispatch::new(tracing_subscriber::registry())));

/// A server that makes one call downstream and answers with the headers that the call carried.
async fn relay(request: Request<()>) -> Response<HeaderMap> {
    LazyLock::force(&SUBSCRIBERS);
    let downstream = ClientLayer.layer(service_fn(|call: Request<()>| {
        future::ready(Ok::<_, Infallible>(Response::new(call.headers().clone())))
    }));
    let served = service_fn(move |request: Request<()>| {
        let downstream = downstream.clone();
        async move {
            assert!(request.extensions().get::<RequestId>().is_some());
            downstream.oneshot(Request::new(())).await
        }
    });
    let mut server = ServerLayer::grpc().layer(served);
    server.ready().await.unwrap().call(request).await.unwrap()
}

fn request(headers: &[(HeaderName, &'static str)]) -> Request<()> {
    let mut request = Request::new(());
    for (name, value) in headers {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    request
}

#[tokio::test]
async fn a_sane_id_is_kept_through_every_hop() {
    let response = relay(request(&[(REQUEST_ID, "ticket-17")])).await;
    assert_eq!(response.headers()[REQUEST_ID], "ticket-17");
    assert_eq!(response.body()[REQUEST_ID], "ticket-17");
}

#[tokio::test]
async fn an_unusable_id_is_replaced() {
    let response = relay(request(&[(REQUEST_ID, "a b")])).await;
    let id = response.headers()[REQUEST_ID].to_str().unwrap();
    assert!(uuid::Uuid::try_parse(id).is_ok(), "{id}");
    assert_eq!(response.body()[REQUEST_ID], id);
}

#[tokio::test]
async fn an_id_of_the_calls_own_comes_first() {
    let downstream =
        ClientLayer.layer(service_fn(|call: Request<()>| future::ready(Ok::<_, Infallible>(call.headers().clone()))));
    let mut call = Request::new(());
    call.extensions_mut().insert("batch-1".parse::<RequestId>().unwrap());
    assert_eq!(downstream.oneshot(call).await.unwrap()[REQUEST_ID], "batch-1");
}

#[tokio::test]
async fn a_trace_passes_through_a_process_that_makes_none() {
    let response = relay(request(&[(TRACEPARENT, PARENT)])).await;
    assert_eq!(response.body()[TRACEPARENT], PARENT);
}

#[tokio::test]
async fn a_call_belongs_to_the_trace_of_the_request_that_caused_it() {
    let provider = SdkTracerProvider::builder().build();
    let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(traces));

    let response = relay(request(&[(TRACEPARENT, PARENT)])).await;
    let sent = response.body()[TRACEPARENT].to_str().unwrap();
    assert_ne!(sent, PARENT, "the parent is the span of this hop");
    assert_eq!(sent.split('-').nth(1), PARENT.split('-').nth(1), "{sent}");
    assert!(!Span::current().context().span().span_context().is_valid(), "the span ends with its request");
}

#[tokio::test]
async fn what_a_client_adds_to_its_trace_is_not_taken_on() {
    let provider = SdkTracerProvider::builder().build();
    let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(traces));

    let state = HeaderName::from_static("tracestate");
    let response = relay(request(&[(TRACEPARENT, PARENT), (state.clone(), "vendor=s3cret")])).await;
    let sent = response.body();
    assert!(sent.contains_key(TRACEPARENT));
    assert!(sent.get(state).is_none_or(HeaderValue::is_empty), "{sent:?}");
}
