//! Logs, traces and metrics: one subscriber for the process, the tower layers that give each request a span and an id, and figures.

pub mod metrics;
pub mod propagation;
mod request_id;

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use opentelemetry::{global, trace::TracerProvider};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{Resource, metrics::SdkMeterProvider, trace::SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{self, LevelFilter},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::{SubscriberInitExt, TryInitError},
};

pub use request_id::{REQUEST_ID_LEN_MAX, RequestId, UnusableRequestId};

/// What is logged unless a filter is given: our own `info`, and of the libraries only what is wrong.
pub const DEFAULT_FILTER: &str = "info,h2=warn,hyper=warn,hyper_util=warn,tonic=warn,tower=warn,sqlx=warn,sea_orm=warn,\
     sea_orm_migration=warn,opentelemetry=warn,opentelemetry_sdk=warn,opentelemetry_otlp=warn";

/// The most verbose level that a filter can ask for. Beneath it libraries print what they are called with: sea-orm the database's URL and its
/// password. Nothing of our own is logged there.
const CEILING: LevelFilter = LevelFilter::DEBUG;

/// Spans of these would be made by the export of spans itself.
const NEVER_EXPORTED: [&str; 5] = ["h2", "hyper", "tonic", "tower", "opentelemetry"];

/// How long the end of the process waits for the last spans to leave.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What to log and where to send traces.
#[derive(Clone, Debug)]
pub struct Options {
    /// How a log line is written.
    pub log_format: LogFormat,
    /// Directives of `tracing_subscriber::EnvFilter`; [`DEFAULT_FILTER`] when absent. `trace` is as much as `debug`.
    pub log_filter: Option<String>,
    /// An OTLP collector (gRPC), for example `http://127.0.0.1:4317`. Absent: no traces and no metrics are made.
    pub otlp_endpoint: Option<String>,
    /// `service.name` of the traces.
    pub service_name: &'static str,
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter does not parse.
    #[error("the log filter does not parse")]
    Filter(#[from] filter::ParseError),
    /// The exporter of traces cannot be made, for example because the endpoint is no URL.
    #[error("the exporter of traces cannot be made")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The process has a subscriber already.
    #[error("logging has begun already")]
    Begun(#[from] TryInitError),
}

/// Sends the last spans when it is dropped: keep it until the end, inside the runtime.
#[derive(Debug)]
#[must_use = "dropping it ends the export of traces"]
pub struct Guard(Option<(SdkTracerProvider, SdkMeterProvider)>);

impl Drop for Guard {
    fn drop(&mut self) {
        let Some((traces, metrics)) = &self.0 else { return };
        if let Err(error) = traces.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::warn!(error = &error as &dyn std::error::Error, "the last traces could not be sent");
        }
        if let Err(error) = metrics.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::debug!(error = &error as &dyn std::error::Error, "the last metrics could not be sent");
        }
    }
}

/// Begins logging to standard error and, with an endpoint, the export of traces and metrics. Call it inside a tokio runtime.
///
/// # Errors
/// When the filter or the endpoint does not parse, or when it was called before.
pub fn init(options: Options) -> Result<Guard, Error> {
    let filter = EnvFilter::try_new(options.log_filter.as_deref().unwrap_or(DEFAULT_FILTER))?;
    let provider = match &options.otlp_endpoint {
        Some(endpoint) => Some(provider(endpoint, options.service_name)?),
        None => None,
    };
    let metrics = match &options.otlp_endpoint {
        Some(endpoint) => Some(meter_provider(endpoint, options.service_name)?),
        None => None,
    };
    let traces = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("rollcall"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter::filter_fn(|metadata| is_exported(metadata.target())))
    });
    let lines = lines(options.log_format);
    tracing_subscriber::registry().with(below_ceiling(filter)).with(lines).with(traces).try_init()?;
    if let Some(metrics) = &metrics {
        global::set_meter_provider(metrics.clone());
    }
    Ok(Guard(provider.zip(metrics)))
}

/// A filter that asks for no more than it may.
fn below_ceiling<S: Subscriber>(filter: EnvFilter) -> impl Layer<S> {
    filter.and_then(CEILING)
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match format {
        LogFormat::Text => layer.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}

fn provider(endpoint: &str, service_name: &'static str) -> Result<SdkTracerProvider, Error> {
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    let resource = Resource::builder().with_service_name(service_name).build();
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}

fn meter_provider(endpoint: &str, service_name: &'static str) -> Result<SdkMeterProvider, Error> {
    let exporter = opentelemetry_otlp::MetricExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    let resource = Resource::builder().with_service_name(service_name).build();
    Ok(SdkMeterProvider::builder().with_resource(resource).with_periodic_exporter(exporter).build())
}

fn is_exported(target: &str) -> bool {
    !NEVER_EXPORTED.iter().any(|name| target.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_filter_parses() {
        assert!(EnvFilter::try_new(DEFAULT_FILTER).is_ok());
    }

    #[test]
    fn no_filter_asks_for_more_than_debug() {
        for asked in ["trace", "sea_orm=trace", "info,sea_orm=trace", "[connect]=trace"] {
            let subscriber = tracing_subscriber::registry().with(below_ceiling(EnvFilter::new(asked)));
            tracing::subscriber::with_default(subscriber, || {
                let span = tracing::trace_span!(target: "sea_orm", "connect", options = "s3cret");
                assert!(span.is_disabled(), "{asked}");
                assert!(!tracing::event_enabled!(target: "sea_orm", tracing::Level::TRACE), "{asked}");
            });
        }
        let subscriber = tracing_subscriber::registry().with(below_ceiling(EnvFilter::new("trace")));
        tracing::subscriber::with_default(subscriber, || {
            assert!(tracing::event_enabled!(target: "sea_orm", tracing::Level::DEBUG));
        });
    }

    #[test]
    fn a_filter_that_does_not_parse_is_refused() {
        let options = Options {
            log_format: LogFormat::Text,
            log_filter: Some("rollcall=loud".to_owned()),
            otlp_endpoint: None,
            service_name: "rollcall",
        };
        assert!(matches!(init(options), Err(Error::Filter(_))));
    }

    #[test]
    fn the_exports_own_spans_are_not_exported() {
        assert!(is_exported("telemetry::propagation"));
        assert!(!is_exported("tonic::transport::channel"));
        assert!(!is_exported("h2::codec"));
    }
}
