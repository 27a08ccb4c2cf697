//! `rollcall simulate`: plays Entra's provisioning client against any SCIM endpoint.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::{ValueEnum, error::ErrorKind};
use entra_client::{Changes, Client, Directory, Options, State, Summary};
use secrecy::SecretString;
use serde::Serialize;

use crate::{
    address::SafeUrl,
    failure::Failure,
    output::{self, Format},
    provisioning::{Progress, fields},
};

/// The largest directory that is played.
const USERS_MAX: u64 = 1_000_000;
const GROUPS_MAX: u64 = 100_000;
/// What is played against which endpoint.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The tenant URL, as it is pasted into Entra, for example http://127.0.0.1:8080/api/scim/v2
    #[arg(long)]
    url: SafeUrl,
    /// The secret token. In the variable or a file it does not stand in the process list
    #[arg(long, env = "ROLLCALL_SCIM_KEY", hide_env_values = true, value_name = "KEY")]
    key: Option<SecretString>,
    /// A file that holds the secret token; it comes first
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// How many users the directory has
    #[arg(long, default_value_t = 40, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=USERS_MAX))]
    users: u64,
    /// How many groups the directory has
    #[arg(long, default_value_t = 6, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=GROUPS_MAX))]
    groups: u64,
    /// How the client speaks: as Entra does by default, or with the tenant URL's `aadOptscim062020` flag
    #[arg(long, value_enum, default_value_t, value_name = "DIALECT")]
    dialect: Dialect,
    /// Which attributes are sent: userName, names and active, or Entra's default list
    #[arg(long, value_enum, default_value_t, value_name = "MAPPING")]
    mapping: Mapping,
    /// Which cycles are shown. An incremental cycle is always played after an initial one, which finds out the ids, and is taken back by a
    /// closing one, so that another run meets the same directory
    #[arg(long, value_enum, default_value_t, value_name = "CYCLES")]
    cycles: Cycles,
}

/// How the client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Dialect {
    #[default]
    Legacy,
    Compliant,
}

/// Which attributes are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Mapping {
    Minimal,
    #[default]
    Default,
}

/// Which cycles are played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Cycles {
    Initial,
    Incremental,
    #[default]
    Both,
}

impl Args {
    /// The key can come from three places, and must from one.
    pub(crate) fn check(&self) -> Result<(), (ErrorKind, String)> {
        if self.key.is_some() || self.key_file.is_some() {
            return Ok(());
        }
        let message = "no secret token: give --key-file FILE, --key KEY or the variable ROLLCALL_SCIM_KEY";
        Err((ErrorKind::MissingRequiredArgument, message.to_owned()))
    }
}

impl From<Dialect> for entra_client::Dialect {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Legacy => Self::Legacy,
            Dialect::Compliant => Self::Compliant,
        }
    }
}

impl From<Mapping> for entra_client::Mapping {
    fn from(mapping: Mapping) -> Self {
        match mapping {
            Mapping::Minimal => Self::Minimal,
            Mapping::Default => Self::Default,
        }
    }
}

/// The summaries of the cycles that were asked for.
#[derive(Default, Serialize)]
struct Played {
    #[serde(skip_serializing_if = "Option::is_none")]
    initial: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incremental: Option<Summary>,
    /// What takes the incremental cycle back.
    #[serde(skip_serializing_if = "Option::is_none")]
    closing: Option<Summary>,
}

pub(crate) async fn run(args: Args, format: Format) -> Result<(), Failure> {
    let key = match (&args.key_file, args.key) {
        (Some(path), _) => bootstrap::files::read(path)?,
        (None, Some(key)) => key,
        (None, None) => return Err(Failure::Refused("no secret token was given".to_owned())),
    };
    let options = Options { dialect: args.dialect.into(), mapping: args.mapping.into(), ..Options::default() };
    let client = Client::new(args.url.as_str(), key, options).map_err(failed)?;
    let mut directory = Directory::sample(count(args.users), count(args.groups));
    let mut state = State::default();
    let mut played = Played::default();

    // An incremental cycle begins from what an initial one has learnt.
    let mut progress = Progress::new();
    let initial = client.initial_cycle(&directory, &mut state, &mut progress).await;
    progress.finish();
    let initial = initial.map_err(failed)?;
    if args.cycles != Cycles::Incremental {
        played.initial = Some(initial);
    }
    if args.cycles != Cycles::Initial {
        let before = directory.clone();
        // A run that is broken off leaves its names behind; another seed's are others.
        let changes = Changes::sample(&directory, u64::from(rand::random::<u32>()));
        let mut changed = async |changes: &Changes| {
            let mut progress = Progress::new();
            let summary = client.incremental_cycle(&mut directory, changes, &mut state, &mut progress).await;
            progress.finish();
            summary.map_err(failed)
        };
        played.incremental = Some(changed(&changes).await?);
        played.closing = Some(changed(&changes.undone(&before)).await?);
    }
    Ok(print(io::stdout(), format, &played)?)
}

fn print(mut out: impl Write, format: Format, played: &Played) -> io::Result<()> {
    if format == Format::Json {
        return output::one(out, format, played, &[]);
    }
    let cycles = [
        ("Initial cycle", &played.initial),
        ("Incremental cycle", &played.incremental),
        ("Closing cycle, which takes the incremental one back", &played.closing),
    ];
    for (name, summary) in cycles.into_iter().filter_map(|(name, summary)| Some((name, summary.as_ref()?))) {
        writeln!(out, "{name}")?;
        output::one(&mut out, format, summary, &fields(summary))?;
    }
    Ok(())
}

/// What failed, and what to do about it where that is not the endpoint's own matter.
fn failed(error: entra_client::Error) -> Failure {
    use entra_client::Error;

    match error {
        Error::Difference(difference) if difference.status == 401 => {
            Failure::Refused(format!("{difference}: the secret token is wrong, revoked or expired"))
        }
        Error::Difference(difference) if difference.status == 403 => Failure::Refused(difference.to_string()),
        error @ (Error::Unreachable { .. } | Error::Throttled { .. }) => {
            Failure::Unavailable(format!("{:#}; is --url right?", anyhow::Error::from(error)))
        }
        error => Failure::Failed(error.into()),
    }
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_in_json_has_an_object_for_each_cycle() {
        let played = Played {
            initial: Some(Summary { users_created: 3, ..Summary::default() }),
            incremental: None,
            closing: None,
        };
        let mut out = Vec::new();
        print(&mut out, Format::Json, &played).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["initial"]["users_created"], 3);
        assert!(value.get("incremental").is_none());
    }

    #[test]
    fn the_summary_for_people_names_the_cycles() {
        let played = Played { initial: Some(Summary::default()), incremental: Some(Summary::default()), closing: None };
        let mut out = Vec::new();
        print(&mut out, Format::Table, &played).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("Initial cycle\nrequests "), "{text}");
        assert!(text.contains("\nIncremental cycle\nrequests "), "{text}");
    }
}
