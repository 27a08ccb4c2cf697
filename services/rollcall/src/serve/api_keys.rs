//! `rollcall serve api-keys`.

use std::{net::SocketAddr, path::PathBuf};

use ::api_keys::{ApiKeys, Config, Migrate};
use anyhow::Context;
use authn::{Authenticator, KeyText, grpc::Callers};
use bootstrap::{
    Shutdown,
    grpc::observed,
    health,
    settings::Logging,
    tls::{MutualTls, Protocol},
};
use clap::error::ErrorKind;
use http::Uri;
use proto::{Channel, Peer, Service};
use secrecy::{ExposeSecret, SecretString};
use telemetry::propagation::ClientLayer;
use tonic::service::RoutesBuilder;

use super::{API_KEYS, CREDENTIALS, callers, connect, is_loaded};
use crate::{
    outbound_access::OutboundAccess,
    public_url::Proxies,
    servers::Servers,
    settings::{Keys, Limits},
    transport::{self, InternalTls, PublicTls, Way},
    up::location,
};

const IDENTITY_INTERNAL_URL: &str = "--identity-internal-url";

/// Settings of api-keys.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The database: postgres://USER@HOST/DATABASE or sqlite:PATH. Its schema must be current (`rollcall migrate`)
    #[arg(long, env = "ROLLCALL_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: SecretString,
    /// Where the public gRPC API listens
    #[arg(long, env = "ROLLCALL_GRPC_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    grpc_listen: SocketAddr,
    /// Where Rollcall's own services exchange keys and follow revocations. Nobody else may reach it
    #[arg(long, env = "ROLLCALL_INTERNAL_LISTEN", default_value = "127.0.0.1:8082", value_name = "ADDRESS")]
    internal_listen: SocketAddr,
    /// The internal listener of identity, which tells who loses access. Without it keys of people who leave and of deleted tenants live on
    #[arg(long, env = "ROLLCALL_IDENTITY_INTERNAL_URL", value_name = "URL")]
    identity_internal_url: Option<Uri>,
    /// A file that holds the operator credential, which is installed at start. Without it none is
    #[arg(long, env = "ROLLCALL_OPERATOR_KEY_FILE", value_name = "FILE")]
    operator_key_file: Option<PathBuf>,
    /// The file that holds the key which signing keys are encrypted under, the same for every replica
    #[arg(long, env = "ROLLCALL_ENCRYPTION_KEY_FILE", value_name = "FILE")]
    encryption_key_file: PathBuf,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    proxies: Proxies,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    public_tls: PublicTls,
    #[command(flatten)]
    internal_tls: InternalTls,
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

    fn ways(&self) -> Vec<Way> {
        let to_identity =
            self.identity_internal_url.as_ref().map(|url| self.internal_tls.connection(IDENTITY_INTERNAL_URL, url));
        [
            self.public_tls.listener("--grpc-listen", self.grpc_listen),
            self.internal_tls.listener("--internal-listen", self.internal_listen),
        ]
        .into_iter()
        .chain(to_identity)
        .collect()
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let _logging = telemetry::init(args.logging.options("rollcall-api-keys"))?;
    let shutdown = Shutdown::on_signal().context("signals cannot be caught")?;
    let public = bootstrap::bind(args.grpc_listen, "--grpc-listen").await?;
    let internal = bootstrap::bind(args.internal_listen, "--internal-listen").await?;
    let (public_address, internal_address) = (bootstrap::address_of(&public)?, bootstrap::address_of(&internal)?);
    transport::warn(&args.ways());
    let (public_tls, mutual_tls) = (args.public_tls.open(Protocol::Grpc)?, args.internal_tls.open(Service::ApiKeys)?);
    let Some(api_keys) = shutdown.unless_requested(open(&args)).await else { return Ok(()) };
    let api_keys = api_keys?;
    follow(&api_keys, args.identity_internal_url.as_ref(), mutual_tls.as_ref())?;

    let own = Peer { service: Some(Service::ApiKeys), ..Peer::default() };
    let credentials = Channel::in_process(observed(api_keys.internal_routes(Callers::Known)), own).layered(ClientLayer);
    let authenticator = Authenticator::new(credentials, args.limits.budget()?);
    let ready = {
        let (api_keys, authenticator) = (api_keys.clone(), authenticator.clone());
        move || {
            let (api_keys, authenticator) = (api_keys.clone(), authenticator.clone());
            async move { is_loaded(&authenticator).await && api_keys.ready().await }
        }
    };
    let mut public_routes = RoutesBuilder::default();
    api_keys.add_services(&mut public_routes, &authenticator);
    let public_health = health::add_services(&mut public_routes, API_KEYS).await?;
    let mut internal_routes = RoutesBuilder::from(api_keys.internal_routes(callers(mutual_tls.as_ref())));
    let internal_health = health::add_services(&mut internal_routes, CREDENTIALS).await?;

    let mut servers = Servers::new(shutdown.clone());
    servers.grpc(public, public_routes.routes(), (public_tls, args.proxies.trusted()));
    servers.internal(internal, internal_routes.routes(), mutual_tls.map(|tls| tls.server));
    servers.beside(health::follow(public_health, ready.clone(), shutdown.clone()));
    servers.beside(health::follow(internal_health, ready, shutdown.clone()));
    servers.beside(async move {
        shutdown.requested().await;
        api_keys.end_watches();
    });
    tracing::info!(grpc = %public_address, internal = %internal_address, "api-keys is served");
    let ended = servers.finish().await;
    authenticator.tell_uses().await;
    ended
}

/// Follows who leaves, where that is told.
fn follow(api_keys: &ApiKeys, identity: Option<&Uri>, tls: Option<&MutualTls>) -> anyhow::Result<()> {
    match identity {
        Some(url) => api_keys.follow(connect(Service::Identity, (url, IDENTITY_INTERNAL_URL), tls)?),
        None => tracing::warn!(
            "without {IDENTITY_INTERNAL_URL} nobody is followed: keys of people who leave and of deleted tenants live on, and no key can have an owner"
        ),
    }
    Ok(())
}

async fn open(args: &Args) -> anyhow::Result<ApiKeys> {
    let encryption_key = bootstrap::files::read(&args.encryption_key_file)?.expose_secret().parse();
    let config = Config {
        location: location(&args.database_url)?,
        encryption_key: encryption_key.context("the file of --encryption-key-file cannot be used")?,
        migrate: Migrate::Check,
        hash_work: args.keys.hash_work()?,
        access_token_life: args.keys.access_token_life()?,
        outbound: args.outbound.settings()?,
    };
    let api_keys = ApiKeys::open(config).await?;
    if let Some(path) = &args.operator_key_file {
        let key = bootstrap::files::read(path)?.expose_secret().parse::<KeyText>();
        api_keys
            .install_operator(&key.context("the file of --operator-key-file holds no operator credential")?)
            .await?;
    }
    Ok(api_keys)
}
