//! `rollcall serve scim`.

use std::net::SocketAddr;

use anyhow::Context;
use authn::Authenticator;
use bootstrap::{Shutdown, health, settings::Logging};
use http::Uri;

use super::{connect, is_loaded};
use crate::{public_url::PublicAddress, servers::Servers, settings::Limits};

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
    logging: Logging,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let _logging = telemetry::init(args.logging.options("rollcall-scim"))?;
    let shutdown = Shutdown::on_signal().context("signals cannot be caught")?;
    let listener = bootstrap::bind(args.listen, "--listen").await?;
    let address = bootstrap::address_of(&listener)?;
    let authenticator =
        Authenticator::new(connect(&args.api_keys_internal_url, "--api-keys-internal-url")?, args.limits.budget()?);
    let identity = connect(&args.identity_internal_url, "--identity-internal-url")?;

    let config = args.public_address.facade_config();
    let ready = {
        let authenticator = authenticator.clone();
        move || {
            let authenticator = authenticator.clone();
            async move { is_loaded(&authenticator).await }
        }
    };
    let router = scim_facade::router(config, authenticator, identity).merge(health::routes(ready, shutdown.clone()));
    let mut servers = Servers::new(shutdown);
    servers.http(listener, router);
    tracing::info!(http = %address, "the SCIM façade is served");
    servers.finish().await
}
