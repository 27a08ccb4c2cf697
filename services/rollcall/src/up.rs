//! `rollcall up`: everything in one process.

mod data_directory;
mod demo;
mod system;
mod welcome;

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use bootstrap::{Shutdown, settings::Logging, tls::Protocol};
use clap::error::ErrorKind;
use database::Location;
use http::uri::Scheme;
use secrecy::{ExposeSecret, SecretString};

pub(crate) use data_directory::{DataDirectory, Locations};
use system::System;
use welcome::Welcome;

use crate::{
    cli::DATA_DIR,
    outbound_access::OutboundAccess,
    public_url::{PublicAddress, PublicUrl, reachable},
    servers::Servers,
    settings::{Keys, Limits, LogRetention, LogSwitch},
    transport::{self, PublicTls, Way},
};

/// Where the gRPC APIs listen unless told otherwise: what the commands connect to.
const GRPC_LISTEN: &str = "127.0.0.1:8081";

/// How long a start may take from open databases to the first credential that can be checked.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// Settings of `rollcall up`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// After the start, play one provisioning cycle of a sample directory against itself, in plaintext
    #[arg(long, conflicts_with = "tls_cert_file")]
    demo: bool,
    /// Where the databases, the operator credential and the signing key are kept
    #[arg(long, env = "ROLLCALL_DATA_DIR", default_value = DATA_DIR, value_name = "DIRECTORY")]
    data_dir: PathBuf,
    /// Where SCIM is served over HTTP
    #[arg(long, env = "ROLLCALL_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where the gRPC APIs are served
    #[arg(long, env = "ROLLCALL_GRPC_LISTEN", default_value = GRPC_LISTEN, value_name = "ADDRESS")]
    grpc_listen: SocketAddr,
    /// PostgreSQL in place of SQLite files: postgres://USER@HOST/DATABASE
    // A secret until it is known to be a URL: what clap refuses, it prints.
    #[arg(long, env = "ROLLCALL_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<SecretString>,
    #[command(flatten)]
    public_address: PublicAddress,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    log: LogRetention,
    #[command(flatten)]
    log_switch: LogSwitch,
    #[command(flatten)]
    tls: PublicTls,
    #[command(flatten)]
    outbound: OutboundAccess,
    #[command(flatten)]
    logging: Logging,
}

impl Args {
    /// Where the database is.
    pub(crate) const fn database_url(&self) -> Option<&SecretString> {
        self.database_url.as_ref()
    }

    /// Refuses plaintext beyond loopback that was not asked for.
    pub(crate) fn check_plaintext(&self) -> Result<(), (ErrorKind, String)> {
        transport::check(&self.ways())
    }

    fn ways(&self) -> [Way; 2] {
        [self.tls.listener("--listen", self.listen), self.tls.listener("--grpc-listen", self.grpc_listen)]
    }

    /// What the listeners speak.
    const fn scheme(&self) -> Scheme {
        if self.tls.is_on() { Scheme::HTTPS } else { Scheme::HTTP }
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let _logging = telemetry::init(args.logging.options("rollcall"))?;
    let shutdown = Shutdown::on_signal().context("signals cannot be caught")?;
    let data = DataDirectory::open(&args.data_dir)?;
    let http = bootstrap::bind(args.listen, "--listen").await?;
    let grpc = bootstrap::bind(args.grpc_listen, "--grpc-listen").await?;
    let (http_address, grpc_address) = (bootstrap::address_of(&http)?, bootstrap::address_of(&grpc)?);
    transport::warn(&args.ways());
    let (http_tls, grpc_tls) = (args.tls.open(Protocol::Http)?, args.tls.open(Protocol::Grpc)?);
    let log = (args.log.retention()?, args.log_switch);
    let limits = (args.keys, args.limits, args.outbound.settings()?);
    let open = System::open(&data, locations(&args, &data)?, limits, log);
    let Some(system) = shutdown.unless_requested(open).await else { return Ok(()) };
    let system = system?;

    let mut servers = Servers::new(shutdown.clone());
    servers.http(http, system.http(args.public_address.facade_config(), shutdown.clone()), http_tls);
    servers.grpc(grpc, system.grpc(), (grpc_tls, args.public_address.proxies.trusted()));
    servers.beside(system.health(shutdown.clone()));
    servers.beside(system.watches(shutdown.clone()));
    let begun = async {
        tokio::time::timeout(READY_TIMEOUT, system.ready()).await.context("credentials cannot be checked")?;
        let of_listener = || PublicUrl::of_listener(&args.scheme(), http_address);
        let public_url = args.public_address.public_url.clone().unwrap_or_else(of_listener);
        let welcome = Welcome {
            public_url: &public_url,
            grpc: format!("{}://{}", args.scheme(), reachable(grpc_address)),
            operator_key_file: data.operator_key_file().display().to_string(),
            flags: flags(&args.data_dir, &args.scheme(), grpc_address),
        };
        print(&welcome.text())?;
        if args.demo {
            let played = demo::play(&system.operator_session(&data)?, http_address).await.context("the demo failed")?;
            let directory = args.data_dir.display();
            let data = match args.database_url {
                Some(_) => format!("the schemas `api_keys` and `identity` of the database and {directory}"),
                None => directory.to_string(),
            };
            print(&played.text(&data, &welcome.flags))?;
        }
        anyhow::Ok(())
    };
    let begun = tokio::select! {
        begun = begun => begun,
        () = shutdown.requested() => Ok(()),
    };
    if begun.is_err() {
        shutdown.request();
    }
    let ended = begun.and(servers.finish().await);
    system.tell_all().await;
    ended
}

fn locations(args: &Args, data: &DataDirectory) -> anyhow::Result<Locations> {
    let database_url = args.database_url.as_ref().map(location).transpose()?;
    match database_url {
        None => Ok(data.locations()),
        Some(Location::Sqlite(_)) => bail!("--database-url is for PostgreSQL; SQLite files stand in --data-dir"),
        Some(url) => Ok(Locations { api_keys: url.clone(), identity: url.clone() }),
    }
}

/// The database that a flag names.
pub(crate) fn location(url: &SecretString) -> anyhow::Result<Location> {
    url.expose_secret().parse().context("--database-url")
}

/// The flags that a command on this machine needs to find this process and its credential.
fn flags(data_dir: &Path, scheme: &Scheme, grpc: SocketAddr) -> String {
    let mut flags = String::new();
    let grpc = reachable(grpc).to_string();
    if grpc != GRPC_LISTEN || *scheme != Scheme::HTTP {
        flags += &format!(" --server {scheme}://{grpc}");
    }
    if data_dir != Path::new(DATA_DIR) {
        let file = data_dir.join(crate::cli::OPERATOR_KEY_FILE);
        flags += &format!(" --operator-key-file '{}'", file.display());
    }
    flags
}

/// Who started this without reading its output is served all the same.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_need_flags_only_where_something_is_not_the_default() {
        let grpc = |address: &str| address.parse().unwrap();
        let http = &Scheme::HTTP;
        assert_eq!(flags(Path::new(DATA_DIR), http, grpc("127.0.0.1:8081")), "");
        assert_eq!(flags(Path::new(DATA_DIR), http, grpc("0.0.0.0:8081")), "");
        assert_eq!(
            flags(Path::new(DATA_DIR), &Scheme::HTTPS, grpc("0.0.0.0:8081")),
            " --server https://127.0.0.1:8081"
        );
        assert_eq!(
            flags(Path::new("/var/lib/rollcall"), http, grpc("[::1]:9")),
            " --server http://[::1]:9 --operator-key-file '/var/lib/rollcall/operator.key'"
        );
    }
}
