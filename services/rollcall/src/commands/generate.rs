//! `rollcall generate`: secrets for a cluster, where no process mints its own. What is printed belongs in a Secret and nowhere else.

mod certificates;

use std::io::{self, Write};

use api_keys::EncryptionKey;
use authn::key::{KeyText, Kind};
use ids::ApiKeyId;
use secrecy::ExposeSecret;

/// Secrets for a cluster, where no process makes its own
#[derive(clap::Subcommand, Clone, Debug)]
pub(crate) enum Command {
    /// An operator credential, for --operator-key-file of `serve api-keys` and of the administrators
    OperatorKey,
    /// A key that signing keys are encrypted under, for --encryption-key-file of `serve api-keys`
    EncryptionKey,
    /// A certificate for each service and their authority, where nothing else makes them. Called again it renews: the authority stays
    Certificates(certificates::Args),
}

pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    let mut out = io::stdout();
    match command {
        Command::OperatorKey => writeln!(out, "{}", KeyText::mint(Kind::Operator, ApiKeyId::generate())?.expose())?,
        Command::EncryptionKey => writeln!(out, "{}", EncryptionKey::generate()?.to_text().expose_secret())?,
        Command::Certificates(args) => certificates::run(&args)?,
    }
    Ok(())
}
