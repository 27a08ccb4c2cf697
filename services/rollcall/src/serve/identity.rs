//! `rollcall serve identity`.

use std::net::SocketAddr;

use ::identity::{Config, Identity, Schema};
use anyhow::Context;
use authn::Authenticator;
use bootstrap::{Shutdown, health, settings::Logging};
use database::Location;
use http::Uri;
use tonic::service::RoutesBuilder;

use super::{IDENTITY, connect, is_loaded};
use crate::servers::Servers;

/// Settings of identity.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The database: postgres://USER@HOST/DATABASE or sqlite:PATH. Its schema must be current (`rollcall migrate`)
    #[arg(long, env = "ROLLCALL_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Location,
    /// Where the gRPC API listens
    #[arg(long, env = "ROLLCALL_GRPC_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    grpc_listen: SocketAddr,
    /// The internal listener of api-keys
    #[arg(long, env = "ROLLCALL_API_KEYS_INTERNAL_URL", value_name = "URL")]
    api_keys_internal_url: Uri,
    #[command(flatten)]
    logging: Logging,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let _logging = telemetry::init(args.logging.options("rollcall-identity"))?;
    let shutdown = Shutdown::on_signal().context("signals cannot be caught")?;
    let listener = bootstrap::bind(args.grpc_listen, "--grpc-listen").await?;
    let address = bootstrap::address_of(&listener)?;
    let authenticator = Authenticator::new(connect(&args.api_keys_internal_url, "--api-keys-internal-url")?);
    let identity = Identity::open(Config { location: args.database_url, schema: Schema::Check }).await?;

    let mut routes = RoutesBuilder::default();
    identity.add_services(&mut routes, &authenticator);
    let reporter = health::add_services(&mut routes, IDENTITY).await?;
    let ready = move || {
        let (identity, authenticator) = (identity.clone(), authenticator.clone());
        async move { is_loaded(&authenticator).await && identity.ready().await }
    };
    let mut servers = Servers::new(shutdown.clone());
    servers.grpc(listener, routes.routes());
    servers.beside(health::follow(reporter, ready, shutdown));
    tracing::info!(grpc = %address, "identity is served");
    servers.finish().await
}
