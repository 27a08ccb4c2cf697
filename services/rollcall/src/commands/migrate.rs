//! `rollcall migrate`: brings schemas up to date.

use std::path::PathBuf;

use clap::ValueEnum;
use database::Location;
use secrecy::SecretString;

use crate::{
    output, settings,
    up::{DataDirectory, Locations, location},
};

/// What to bring up to date.
#[derive(clap::Args, Debug)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("database").required(true).args(["database_url", "data_dir"]))]
pub(crate) struct Args {
    /// The database: postgres://USER@HOST/DATABASE, or with --service also sqlite:PATH
    #[arg(long, env = "ROLLCALL_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<SecretString>,
    /// The data directory of `rollcall up`, for SQLite
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
    /// One service alone
    #[arg(long, value_enum, value_name = "SERVICE")]
    service: Option<Service>,
}

/// The services that have a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Service {
    ApiKeys,
    Identity,
}

impl Args {
    /// Where the database is.
    pub(crate) const fn database_url(&self) -> Option<&SecretString> {
        self.database_url.as_ref()
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    if let Some(missing) = args.data_dir.as_deref().filter(|path| !path.is_dir()) {
        anyhow::bail!("there is no data directory {}: `rollcall up` makes it", missing.display());
    }
    // Kept to the end: a process that serves from the directory must not see its schema change.
    let data = args.data_dir.as_deref().map(DataDirectory::open).transpose()?;
    let database_url = args.database_url.as_ref().map(location).transpose()?;
    let locations = match (&data, database_url) {
        (Some(data), _) => data.locations(),
        (None, Some(Location::Sqlite(_))) if args.service.is_none() => {
            anyhow::bail!("a SQLite file holds one service: name it with --service")
        }
        (None, Some(url)) => Locations { api_keys: url.clone(), identity: url },
        (None, None) => anyhow::bail!("give --database-url or --data-dir"),
    };
    if args.service.is_none_or(|service| service == Service::ApiKeys) {
        api_keys::migrate(&locations.api_keys).await?;
        output::note("api-keys: the schema is up to date");
    }
    if args.service.is_none_or(|service| service == Service::Identity) {
        let config = identity::Config {
            location: locations.identity,
            schema: identity::Schema::Migrate,
            log_retention: settings::LOG_RETENTION_MAX,
            encryption_key: None,
            outbound: outbound::Settings::default(),
        };
        identity::Identity::open(config).await?;
        output::note("identity: the schema is up to date");
    }
    Ok(())
}
