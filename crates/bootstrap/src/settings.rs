//! Settings that every serving process has. Together with clap's `env` attributes in the program this is where the environment is read.

use clap::{Args, ValueEnum};
use secrecy::SecretString;

/// What is logged and where traces go.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logging")]
pub struct Logging {
    /// How a log line is written to standard error
    #[arg(long, env = "ROLLCALL_LOG_FORMAT", value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// What is logged, as directives of tracing, for example `info,identity=debug`. `trace` logs no more than `debug`: beneath it libraries
    /// print secrets
    #[arg(long, env = "ROLLCALL_LOG", value_name = "DIRECTIVES")]
    pub log: Option<String>,
    /// An OTLP collector (gRPC) that traces and metrics are sent to, for example http://127.0.0.1:4317
    #[arg(long, env = "ROLLCALL_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

impl Logging {
    /// The options for [`telemetry::init`].
    #[must_use]
    pub fn options(&self, service_name: &'static str) -> telemetry::Options {
        telemetry::Options {
            log_format: match self.log_format {
                LogFormat::Text => telemetry::LogFormat::Text,
                LogFormat::Json => telemetry::LogFormat::Json,
            },
            log_filter: self.log.clone(),
            otlp_endpoint: self.otlp_endpoint.clone(),
            service_name,
        }
    }
}

/// A secret from the environment. It has no flag: what stands on a command line stands in the process list.
#[must_use]
pub fn secret(name: &str) -> Option<SecretString> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty()).map(SecretString::from)
}
