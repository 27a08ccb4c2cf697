//! `rollcall serve scim`.

use std::net::SocketAddr;

use anyhow::Context;
use authn::Authenticator;
use bootstrap::{Shutdown, health, settings::Logging, tls::Protocol};
use clap::error::ErrorKind;
use http::Uri;
use proto::Service;

use super::{connect, is_loaded};
use crate::{
    public_url::PublicAddress,
    servers::Servers,
    settings::{Limits, LogSwitch},
    transport::{self, InternalTls, PublicTls, Way},
};

/// Settings of the SCIM façade.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where HTTP is served
    #[arg(long, env = "ROLLCALL_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The internal listener of identity
    #[arg(long, env = "ROLLCALL_IDENTITY_INTERNAL_URL", value_name = "URL")]
    identity_internal_url: Uri,
    /// The internal listener of api-keys
    #[arg(long, env = "ROLLCALL_API_KEYS_INTERNAL_URL", value_name = "URL")]
    api_keys_internal_url: Uri,
    #[command(flatten)]
    public_address: PublicAddress,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    log: LogSwitch,
    #[command(flatten)]
    public_tls: PublicTls,
    #[command(flatten)]
    internal_tls: InternalTls,
    #[command(flatten)]
    logging: Logging,
}

impl Args {
    /// Refuses plaintext beyond loopback that was not asked for.
    pub(crate) fn check_plaintext(&self) -> Result<(), (ErrorKind, String)> {
        transport::check(&self.ways())
    }

    fn ways(&self) -> [Way; 3] {
        [
            self.public_tls.listener("--listen", self.listen),
            self.internal_tls.connection("--identity-internal-url", &self.identity_internal_url),
            self.internal_tls.connection("--api-keys-internal-url", &self.api_keys_internal_url),
        ]
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let _logging = telemetry::init(args.logging.options("rollcall-scim"))?;
    let shutdown = Shutdown::on_signal().context("signals cannot be caught")?;
    let listener = bootstrap::bind(args.listen, "--listen").await?;
    let address = bootstrap::address_of(&listener)?;
    transport::warn(&args.ways());
    let (public_tls, mutual_tls) = (args.public_tls.open(Protocol::Http)?, args.internal_tls.open(Service::Scim)?);
    let to = |service, url, flag| connect(service, (url, flag), mutual_tls.as_ref());
    let credentials = to(Service::ApiKeys, &args.api_keys_internal_url, "--api-keys-internal-url")?;
    let authenticator = Authenticator::new(credentials, args.limits.budget()?);
    let identity = to(Service::Identity, &args.identity_internal_url, "--identity-internal-url")?;

    let config = args.public_address.facade_config();
    let ready = {
        let authenticator = authenticator.clone();
        move || {
            let authenticator = authenticator.clone();
            async move { is_loaded(&authenticator).await }
        }
    };
    let log = args.log.start(identity.clone());
    let router = scim_facade::router(config, authenticator.clone(), identity, log.clone())
        .merge(health::routes(ready, shutdown.clone()));
    let mut servers = Servers::new(shutdown);
    servers.http(listener, router, public_tls);
    tracing::info!(http = %address, "the SCIM façade is served");
    let ended = servers.finish().await;
    log.flush().await;
    authenticator.tell_uses().await;
    ended
}
