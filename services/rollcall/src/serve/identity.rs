//! `rollcall serve identity`.

use std::{net::SocketAddr, path::PathBuf};

use ::identity::{Config, Identity, Schema};
use anyhow::Context;
use authn::Authenticator;
use bootstrap::{Shutdown, health, settings::Logging, tls::Protocol};
use clap::error::ErrorKind;
use http::Uri;
use proto::Service;
use sealing::EncryptionKey;
use secrecy::{ExposeSecret, SecretString};
use tonic::service::RoutesBuilder;

use super::{DIRECTORIES, IDENTITY, callers, connect, is_loaded};
use crate::{
    outbound_access::OutboundAccess,
    public_url::Proxies,
    servers::Servers,
    settings::{Limits, LogRetention},
    transport::{self, InternalTls, PublicTls, Way},
    up::location,
};

/// Settings of identity.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The database: postgres://USER@HOST/DATABASE or sqlite:PATH. Its schema must be current (`rollcall migrate`)
    #[arg(long, env = "ROLLCALL_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: SecretString,
    /// Where the gRPC API listens
    #[arg(long, env = "ROLLCALL_GRPC_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    grpc_listen: SocketAddr,
    /// Where the SCIM façade calls on behalf of directories, and api-keys learns who loses access. Nobody else may reach it
    #[arg(long, env = "ROLLCALL_INTERNAL_LISTEN", default_value = "127.0.0.1:8084", value_name = "ADDRESS")]
    internal_listen: SocketAddr,
    /// The internal listener of api-keys
    #[arg(long, env = "ROLLCALL_API_KEYS_INTERNAL_URL", value_name = "URL")]
    api_keys_internal_url: Uri,
    #[command(flatten)]
    proxies: Proxies,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    log: LogRetention,
    #[command(flatten)]
    public_tls: PublicTls,
    #[command(flatten)]
    internal_tls: InternalTls,
    /// The file that holds the key which secrets of endpoints for events are encrypted under, the same for every replica; it may be that of
    /// api-keys. Without it no events are sent
    #[arg(long, env = "ROLLCALL_ENCRYPTION_KEY_FILE", value_name = "FILE")]
    encryption_key_file: Option<PathBuf>,
    #[command(flatten)]
    outbound: OutboundAccess,
    #[command(flatten)]
    logging: Logging,
}

impl Args {
    /// Where the database is.
    pub(crate) const fn database_url(&self) -> &SecretString {
        &self.database_url
    }

    /// Refuses plaintext beyond loopback that was not asked for.
    pub(crate) fn check_plaintext(&self) -> Result<(), (ErrorKind, String)> {
        transport::check(&self.ways())
    }

    fn encryption_key(&self) -> anyhow::Result<Option<EncryptionKey>> {
        let Some(path) = &self.encryption_key_file else { return Ok(None) };
        let key = bootstrap::files::read(path)?.expose_secret().parse();
        Ok(Some(key.context("the file of --encryption-key-file cannot be used")?))
    }

    fn ways(&self) -> [Way; 3] {
        [
            self.public_tls.listener("--grpc-listen", self.grpc_listen),
            self.internal_tls.listener("--internal-listen", self.internal_listen),
            self.internal_tls.connection("--api-keys-internal-url", &self.api_keys_internal_url),
        ]
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let _logging = telemetry::init(args.logging.options("rollcall-identity"))?;
    let shutdown = Shutdown::on_signal().context("signals cannot be caught")?;
    let listener = bootstrap::bind(args.grpc_listen, "--grpc-listen").await?;
    let internal = bootstrap::bind(args.internal_listen, "--internal-listen").await?;
    let (address, internal_address) = (bootstrap::address_of(&listener)?, bootstrap::address_of(&internal)?);
    transport::warn(&args.ways());
    let (public_tls, mutual_tls) = (args.public_tls.open(Protocol::Grpc)?, args.internal_tls.open(Service::Identity)?);
    let credentials =
        connect(Service::ApiKeys, (&args.api_keys_internal_url, "--api-keys-internal-url"), mutual_tls.as_ref())?;
    let authenticator = Authenticator::new(credentials, args.limits.budget()?);
    let (location, log_retention) = (location(&args.database_url)?, args.log.retention()?);
    let (encryption_key, outbound) = (args.encryption_key()?, args.outbound.settings()?);
    let config = Config { location, schema: Schema::Check, log_retention, encryption_key, outbound };
    let Some(identity) = shutdown.unless_requested(Identity::open(config)).await else { return Ok(()) };
    let identity = identity?;
    let watched = identity.clone();

    let mut routes = RoutesBuilder::default();
    identity.add_services(&mut routes, &authenticator);
    let reporter = health::add_services(&mut routes, IDENTITY).await?;
    let mut internal_routes = RoutesBuilder::default();
    identity.add_internal_services(&mut internal_routes, &authenticator, callers(mutual_tls.as_ref()));
    let internal_reporter = health::add_services(&mut internal_routes, DIRECTORIES).await?;
    let ready = {
        let authenticator = authenticator.clone();
        move || {
            let (identity, authenticator) = (identity.clone(), authenticator.clone());
            async move { is_loaded(&authenticator).await && identity.ready().await }
        }
    };
    let mut servers = Servers::new(shutdown.clone());
    servers.grpc(listener, routes.routes(), (public_tls, args.proxies.trusted()));
    servers.internal(internal, internal_routes.routes(), mutual_tls.map(|tls| tls.server));
    servers.beside(health::follow(reporter, ready.clone(), shutdown.clone()));
    servers.beside(health::follow(internal_reporter, ready, shutdown.clone()));
    servers.beside(async move {
        shutdown.requested().await;
        watched.end_watches();
        watched.end_deliveries().await;
    });
    tracing::info!(grpc = %address, internal = %internal_address, "identity is served");
    let ended = servers.finish().await;
    authenticator.tell_uses().await;
    ended
}
