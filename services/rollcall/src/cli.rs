//! The command line: what can be written, and nothing of what it does.

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand,
    error::{Error, ErrorKind},
    parser::ValueSource,
};

use database::Location;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    address::SafeUrl,
    commands::{
        api_key, audit, changes, events, generate, group, log, migrate, operator_key, role, scim, signing_key,
        simulate, tenant, trust, user, user_attribute,
    },
    failure, output, serve, up,
};

/// Where `rollcall up` keeps everything unless told otherwise.
pub(crate) const DATA_DIR: &str = "./rollcall-data";

/// The operator credential's file in a data directory.
pub(crate) const OPERATOR_KEY_FILE: &str = "operator.key";

const CONNECTION: &str = "Connection";

/// A SCIM 2.0 front door for Microsoft Entra ID, and the directory behind it
#[derive(Debug, Parser)]
#[command(name = "rollcall", version, arg_required_else_help = true, after_help = failure::EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which server an administrator's command speaks to, about which tenant, and with which credential.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = CONNECTION)]
pub(crate) struct Connection {
    /// The server's gRPC address
    #[arg(long, global = true, env = "ROLLCALL_SERVER", default_value = "http://127.0.0.1:8081", value_name = "URL")]
    pub(crate) server: SafeUrl,
    /// The address of api-keys where it is another, as in a cluster
    #[arg(long, global = true, env = "ROLLCALL_API_KEYS_SERVER", value_name = "URL")]
    pub(crate) api_keys_server: Option<SafeUrl>,
    /// The authority that the servers' certificates come from, where it is none that this machine knows, PEM
    #[arg(long, global = true, env = "ROLLCALL_CA_FILE", value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// The tenant, by name or id
    #[arg(long, global = true, env = "ROLLCALL_TENANT", default_value = "default", value_name = "NAME")]
    pub(crate) tenant: String,
    /// How the result is printed
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: output::Format,
    /// The file that holds the operator credential; the variable ROLLCALL_OPERATOR_KEY, which holds the credential itself, comes first
    /// [default: ./rollcall-data/operator.key]
    // The default is applied below: clap would carry it into `serve`, where nothing may be assumed.
    #[arg(long, global = true, env = "ROLLCALL_OPERATOR_KEY_FILE", value_name = "FILE")]
    operator_key_file: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process
    Up(up::Args),
    /// Run one service, for a cluster
    #[command(subcommand)]
    Serve(serve::Service),
    #[command(subcommand)]
    Scim(scim::Command),
    #[command(subcommand)]
    ApiKey(api_key::Command),
    #[command(subcommand)]
    OperatorKey(operator_key::Command),
    #[command(subcommand)]
    SigningKey(signing_key::Command),
    #[command(subcommand)]
    Trust(trust::Command),
    #[command(subcommand)]
    User(user::Command),
    #[command(subcommand)]
    UserAttribute(user_attribute::Command),
    #[command(subcommand)]
    Group(group::Command),
    #[command(subcommand)]
    Role(role::Command),
    #[command(subcommand)]
    Tenant(tenant::Command),
    #[command(subcommand)]
    Audit(audit::Command),
    #[command(subcommand)]
    Changes(changes::Command),
    #[command(subcommand)]
    Events(events::Command),
    Log(log::Args),
    /// Bring the databases' schemas up to date, for clusters; `up` does it by itself
    Migrate(migrate::Args),
    #[command(subcommand)]
    Generate(generate::Command),
    /// Play Entra's provisioning client against a SCIM endpoint
    Simulate(simulate::Args),
}

impl Connection {
    /// The file that holds the operator credential.
    pub(crate) fn operator_key_file(&self) -> PathBuf {
        self.operator_key_file.clone().unwrap_or_else(|| PathBuf::from(DATA_DIR).join(OPERATOR_KEY_FILE))
    }
}

/// Parses the process's own command line. Help, the version and wrong usage end the process here.
pub(crate) fn parse() -> Cli {
    parse_from(std::env::args_os()).unwrap_or_else(|error| error.exit())
}

fn parse_from<I: IntoIterator<Item = T>, T: Into<OsString> + Clone>(arguments: I) -> Result<Cli, Error> {
    let mut command = command();
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    let without_effect = without_effect(&matches);
    let cli = Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))?;
    if let Some((flag, subcommand)) = without_effect {
        return Err(command.error(ErrorKind::ArgumentConflict, format!("--{flag} has no effect on `{subcommand}`")));
    }
    cli.command.check().map_err(|(kind, message)| command.error(kind, message))?;
    Ok(cli)
}

impl Command {
    /// What no single argument can show to be wrong.
    fn check(&self) -> Result<(), (ErrorKind, String)> {
        match self {
            Self::Simulate(simulate) => simulate.check(),
            Self::Up(up) => usable(up.database_url()).and_then(|()| up.check_plaintext()),
            Self::Serve(service) => usable(service.database_url()).and_then(|()| service.check_plaintext()),
            Self::Migrate(migrate) => usable(migrate.database_url()),
            _ => Ok(()),
        }
    }
}

/// Refuses what is no database's URL, without printing it.
fn usable(database_url: Option<&SecretString>) -> Result<(), (ErrorKind, String)> {
    let checked = database_url.map_or(Ok(()), |url| url.expose_secret().parse::<Location>().map(drop));
    checked.map_err(|error| (ErrorKind::ValueValidation, format!("--database-url: {error}")))
}

/// The connection flags that a command heeds which connects to no server; none for all other commands, which heed them all.
fn heeded(subcommand: &str, service: Option<&str>) -> Option<&'static [&'static str]> {
    match (subcommand, service) {
        ("simulate", _) => Some(&["output"]),
        // It has a flag of this name of its own.
        ("serve", Some("api-keys")) => Some(&["operator_key_file"]),
        ("up" | "serve" | "migrate" | "generate", _) => Some(&[]),
        _ => None,
    }
}

/// A connection flag that was written and that the subcommand does not heed.
fn without_effect(matches: &clap::ArgMatches) -> Option<(String, String)> {
    let (subcommand, inner) = matches.subcommand()?;
    let heeded = heeded(subcommand, inner.subcommand_name())?;
    let written = |id: &&str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let flag = CONNECTION_FLAGS.into_iter().filter(|id| !heeded.contains(id)).find(written)?;
    Some((flag.replace('_', "-"), subcommand.to_owned()))
}

const CONNECTION_FLAGS: [&str; 6] = ["server", "api_keys_server", "ca_file", "tenant", "output", "operator_key_file"];

/// The command line, with the connection flags left out of the help of the commands that do not heed them.
fn command() -> clap::Command {
    let mut command = Cli::command();
    command.build();
    command.mut_subcommands(|subcommand| match heeded(subcommand.get_name(), None) {
        Some(heeded) => without_connection(subcommand, heeded),
        None => subcommand,
    })
}

fn without_connection(command: clap::Command, heeded: &[&str]) -> clap::Command {
    command
        .mut_args(|arg| {
            let hidden = arg.get_help_heading() == Some(CONNECTION) && !heeded.contains(&arg.get_id().as_str());
            if hidden { arg.hide(true) } else { arg }
        })
        .mut_subcommands(|subcommand| without_connection(subcommand, heeded))
}

#[cfg(test)]
mod tests;
