//! What Rollcall costs under load, measured from outside: the program runs as a process of its own and is driven over HTTP.
//!
//! A machine that is busy with other things changes every time that is measured on it. So each figure is a median of several rounds with its
//! spread, what is compared is measured in turns within one run, and nothing fails because of a time. Counts are another matter: a run in which
//! one of them is not what it must be ends with an error.

mod http;
mod load;
mod measure;
mod program;
mod progress;
mod report;
mod scenario;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use secrecy::SecretString;

use report::Format;

/// Measures Rollcall under load
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Cli {
    #[command(flatten)]
    setup: Setup,
    #[command(subcommand)]
    scenario: Scenario,
}

/// What every scenario has.
#[derive(clap::Args, Debug)]
pub(crate) struct Setup {
    /// How the result is printed
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
    /// How many rounds are measured; a figure is their median
    #[arg(long, global = true, default_value_t = 5, value_name = "NUMBER")]
    runs: u32,
    /// How long each part of a round is measured
    #[arg(long, global = true, default_value_t = 5, value_name = "NUMBER")]
    seconds: u64,
    /// The program that is measured, instead of the one beside this
    #[arg(long, global = true, value_name = "PATH")]
    rollcall: Option<PathBuf>,
    /// PostgreSQL in place of SQLite: a server on which a database may be created for the run
    #[arg(long, global = true, env = "ROLLCALL_BENCH_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<SecretString>,
}

impl Setup {
    const fn part(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// The program that is measured.
    fn program(&self) -> anyhow::Result<PathBuf> {
        let beside = || Ok::<_, anyhow::Error>(std::env::current_exe()?.with_file_name("rollcall"));
        let program = self.rollcall.clone().map_or_else(beside, Ok)?;
        ensure!(program.is_file(), "{} is not there: build it, or name another with --rollcall", program.display());
        Ok(program)
    }
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// What it costs to know a key, and what a key costs that was never shown before
    Authentication(scenario::authentication::Args),
    /// What a flood of wrong keys does to a client with a good one, and to memory
    Flood(scenario::flood::Args),
    /// What one tenant at full load does to another
    Fairness(scenario::fairness::Args),
    /// What the provisioning log costs an incremental cycle
    Log(scenario::log::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    let Cli { setup, scenario } = Cli::parse();
    ensure!(setup.runs > 0 && setup.seconds > 0, "--runs and --seconds are at least 1");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        match scenario {
            Scenario::Authentication(args) => scenario::authentication::run(&setup, &args).await,
            Scenario::Flood(args) => scenario::flood::run(&setup, &args).await,
            Scenario::Fairness(args) => scenario::fairness::run(&setup, &args).await,
            Scenario::Log(args) => scenario::log::run(&setup, &args).await,
        }
    });
    let report = report?;
    report.print(setup.output).context("the result could not be printed")?;
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
