//! `rollcall`: the program that people start. All services in one process for one machine, each by itself for a cluster, and the command
//! line for administrators.

mod address;
mod cli;
mod commands;
mod confirm;
mod duration;
mod failure;
mod outbound_access;
mod output;
mod pages;
mod provisioning;
mod public_url;
mod serve;
mod servers;
mod session;
mod settings;
mod transport;
mod up;

use std::process::ExitCode;

use anyhow::Context;
use cli::{Cli, Command};
use commands::{
    api_key, audit, changes, events, generate, group, log, migrate, operator_key, role, scim, signing_key, simulate,
    tenant, trust, user, user_attribute,
};
use failure::Failure;
use session::Session;

/// Commands log what is wrong and nothing else.
const COMMAND_FILTER: &str = "error,bootstrap=warn";

fn main() -> ExitCode {
    let cli = cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = match runtime.context("the runtime cannot start") {
        Ok(runtime) => runtime.block_on(Box::pin(run(cli))),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_silent() {
                output::note(format!("rollcall: {failure}"));
            }
            failure.exit_code()
        }
    }
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let connection = cli.connection;
    let command = match cli.command {
        Command::Up(args) => return Ok(up::run(args).await?),
        Command::Serve(service) => return Ok(serve::run(service).await?),
        command => command,
    };
    let _logging = telemetry::init(telemetry::Options {
        log_format: telemetry::LogFormat::Text,
        log_filter: Some(COMMAND_FILTER.to_owned()),
        otlp_endpoint: None,
        service_name: "rollcall",
    })
    .context("logging cannot begin")?;
    match command {
        // Above.
        Command::Up(_) | Command::Serve(_) => Ok(()),
        Command::Generate(command) => Ok(generate::run(command)?),
        Command::Migrate(args) => Ok(migrate::run(args).await?),
        Command::Simulate(args) => simulate::run(args, connection.output).await,
        Command::Scim(command) => scim::run(&command, &Session::open(&connection)?).await,
        Command::ApiKey(command) => api_key::run(command, &Session::open(&connection)?).await,
        Command::OperatorKey(command) => operator_key::run(command, &Session::open(&connection)?).await,
        Command::SigningKey(command) => signing_key::run(command, &Session::open(&connection)?).await,
        Command::Trust(command) => trust::run(command, &Session::open(&connection)?).await,
        Command::User(command) => user::run(command, &Session::open(&connection)?).await,
        Command::UserAttribute(command) => user_attribute::run(command, &Session::open(&connection)?).await,
        Command::Group(command) => group::run(command, &Session::open(&connection)?).await,
        Command::Role(command) => role::run(command, &Session::open(&connection)?).await,
        Command::Tenant(command) => tenant::run(command, &Session::open(&connection)?).await,
        Command::Log(args) => log::run(args, &Session::open(&connection)?).await,
        Command::Audit(command) => audit::run(command, &connection).await,
        Command::Changes(command) => changes::run(command, &Session::open(&connection)?).await,
        Command::Events(command) => events::run(command, &Session::open(&connection)?).await,
    }
}
