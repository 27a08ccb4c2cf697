//! `rollcall serve identity`.

use std::net::SocketAddr;

use ::identity::{Config, Identity, Schema};
use anyhow::Context;
use authn::{Authenticator, grpc::Callers};
use bootstrap::{Shutdown, health, settings::Logging};
use http::Uri;
use secrecy::SecretString;
use tonic::service::RoutesBuilder;

use super::{DIRECTORIES, IDENTITY, connect, is_loaded, warn_of_open_network};
use crate::{servers::Servers, settings::Limits, up::location};

/// Settings of identity.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The database: postgres://USER@HOST/DATABASE or sqlite:PATH. Its schema must be current (`rollcall migrate`)
    #[arg(long, env = "ROLLCALL_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: SecretString,
    /// Where the gRPC API listens
    #[arg(long, env = "ROLLCALL_GRPC_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    grpc_listen: SocketAddr,
    /// Where the SCIM façade calls on behalf of directories. Nobody else may reach it
    #[arg(long, env = "ROLLCALL_INTERNAL_LISTEN", default_value = "127.0.0.1:8084", value_name = "ADDRESS")]
    internal_listen: SocketAddr,
    /// The internal listener of api-keys
    #[arg(long, env = "ROLLCALL_API_KEYS_INTERNAL_URL", value_name = "URL")]
    api_keys_internal_url: Uri,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    logging: Logging,
}

impl Args {
    /// Where the database is.
    pub(crate) const fn database_url(&self) -> &SecretString {
        &self.database_url
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let _logging = telemetry::init(args.logging.options("rollcall-identity"))?;
    let shutdown = Shutdown::on_signal().context("signals cannot be caught")?;
    let listener = bootstrap::bind(args.grpc_listen, "--grpc-listen").await?;
    let internal = bootstrap::bind(args.internal_listen, "--internal-listen").await?;
    let (address, internal_address) = (bootstrap::address_of(&listener)?, bootstrap::address_of(&internal)?);
    warn_of_open_network(internal_address, "--internal-listen");
    let authenticator =
        Authenticator::new(connect(&args.api_keys_internal_url, "--api-keys-internal-url")?, args.limits.budget()?);
    let config = Config { location: location(&args.database_url)?, schema: Schema::Check };
    let Some(identity) = shutdown.unless_requested(Identity::open(config)).await else { return Ok(()) };
    let identity = identity?;

    let mut routes = RoutesBuilder::default();
    identity.add_services(&mut routes, &authenticator);
    let reporter = health::add_services(&mut routes, IDENTITY).await?;
    let mut internal_routes = RoutesBuilder::default();
    identity.add_internal_services(&mut internal_routes, &authenticator, Callers::Unknown);
    let internal_reporter = health::add_services(&mut internal_routes, DIRECTORIES).await?;
    let ready = move || {
        let (identity, authenticator) = (identity.clone(), authenticator.clone());
        async move { is_loaded(&authenticator).await && identity.ready().await }
    };
    let mut servers = Servers::new(shutdown.clone());
    servers.grpc(listener, routes.routes());
    servers.grpc(internal, internal_routes.routes());
    servers.beside(health::follow(reporter, ready.clone(), shutdown.clone()));
    servers.beside(health::follow(internal_reporter, ready, shutdown));
    tracing::info!(grpc = %address, internal = %internal_address, "identity is served");
    servers.finish().await
}
