//! `rollcall serve …`: one service in a process of its own.

mod api_keys;
mod identity;
mod scim;

use std::time::Duration;

use anyhow::Context;
use authn::{Authenticator, grpc::Callers};
use bootstrap::tls::MutualTls;
use clap::{Subcommand, error::ErrorKind};
use http::Uri;
use proto::{
    Channel, Service as ServiceName, api_keys::v1::api_key_service_server, api_keys::v1::credential_service_server,
    api_keys::v1::signing_key_service_server, api_keys::v1::trust_service_server, identity::v1::audit_service_server,
    identity::v1::change_service_server, identity::v1::departure_service_server, identity::v1::event_service_server,
    identity::v1::group_service_server, identity::v1::personal_data_service_server,
    identity::v1::provisioning_log_service_server, identity::v1::role_service_server,
    identity::v1::tenant_service_server, identity::v1::user_attribute_service_server,
    identity::v1::user_service_server,
};
use secrecy::SecretString;
use telemetry::propagation::ClientLayer;

use crate::transport::is_https;

/// What api-keys serves to everyone.
pub(crate) const API_KEYS: &[&str] = &[
    api_key_service_server::SERVICE_NAME,
    signing_key_service_server::SERVICE_NAME,
    trust_service_server::SERVICE_NAME,
];
/// What api-keys serves to Rollcall's own services.
const CREDENTIALS: &[&str] = &[credential_service_server::SERVICE_NAME];
/// What identity serves.
pub(crate) const IDENTITY: &[&str] = &[
    audit_service_server::SERVICE_NAME,
    change_service_server::SERVICE_NAME,
    event_service_server::SERVICE_NAME,
    group_service_server::SERVICE_NAME,
    personal_data_service_server::SERVICE_NAME,
    provisioning_log_service_server::SERVICE_NAME,
    role_service_server::SERVICE_NAME,
    tenant_service_server::SERVICE_NAME,
    user_attribute_service_server::SERVICE_NAME,
    user_service_server::SERVICE_NAME,
];

/// What identity serves to Rollcall's own services.
const DIRECTORIES: &[&str] = &[
    departure_service_server::SERVICE_NAME,
    event_service_server::SERVICE_NAME,
    group_service_server::SERVICE_NAME,
    provisioning_log_service_server::SERVICE_NAME,
    tenant_service_server::SERVICE_NAME,
    user_attribute_service_server::SERVICE_NAME,
    user_service_server::SERVICE_NAME,
];

/// The services that can be served by themselves.
#[derive(Debug, Subcommand)]
pub(crate) enum Service {
    /// API keys: their making, exchange and revocation
    ApiKeys(api_keys::Args),
    /// Tenants, users, groups and roles
    Identity(identity::Args),
    /// The SCIM façade
    Scim(scim::Args),
}

impl Service {
    /// Where its database is, if it has one.
    pub(crate) const fn database_url(&self) -> Option<&SecretString> {
        match self {
            Self::ApiKeys(args) => Some(args.database_url()),
            Self::Identity(args) => Some(args.database_url()),
            Self::Scim(_) => None,
        }
    }

    /// Refuses plaintext beyond loopback that was not asked for.
    pub(crate) fn check_plaintext(&self) -> Result<(), (ErrorKind, String)> {
        match self {
            Self::ApiKeys(args) => args.check_plaintext(),
            Self::Identity(args) => args.check_plaintext(),
            Self::Scim(args) => args.check_plaintext(),
        }
    }
}

pub(crate) async fn run(service: Service) -> anyhow::Result<()> {
    match service {
        Service::ApiKeys(args) => api_keys::run(args).await,
        Service::Identity(args) => identity::run(args).await,
        Service::Scim(args) => scim::run(args).await,
    }
}

/// Whether the list of revocations was loaded: before that, no credential is honoured.
pub(crate) async fn is_loaded(authenticator: &Authenticator) -> bool {
    tokio::time::timeout(Duration::ZERO, authenticator.ready()).await.is_ok()
}

/// A channel to another service.
fn connect(service: ServiceName, (url, flag): (&Uri, &str), tls: Option<&MutualTls>) -> anyhow::Result<Channel> {
    let channel = match tls {
        Some(tls) if is_https(url) => Channel::connect_tls(&url.to_string(), tls.client(service)),
        Some(_) | None => Channel::connect(&url.to_string()),
    };
    Ok(channel.with_context(|| format!("{flag} {url} cannot be used"))?.layered(ClientLayer))
}

/// What an internal listener knows of its callers: without certificates nothing, and who reaches it is for the network to decide.
const fn callers(tls: Option<&MutualTls>) -> Callers {
    match tls {
        Some(_) => Callers::Known,
        None => Callers::Unknown,
    }
}
