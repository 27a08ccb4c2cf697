//! `rollcall operator-key …`: the operator's own credentials, which belong to no tenant.

use std::time::Duration;

use clap::Subcommand;
use ids::TenantId;

use crate::{
    commands::api_key::{self, Rotate},
    duration,
    failure::Failure,
    session::Session,
};

/// The operator's credentials
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the credentials, without their text
    List,
    /// Make a credential that takes another's place and print it; both work until the overlap ends
    Rotate {
        /// The credential's id
        id: String,
        /// How long both work
        #[arg(long, default_value = "1d", value_name = "DURATION", value_parser = duration::parse)]
        overlap: Duration,
    },
    /// Revoke a credential; it is refused everywhere within one second
    Revoke {
        /// The credential's id
        id: String,
    },
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let tenant = TenantId::OPERATOR.to_string();
    match command {
        Command::List => api_key::list(session, &tenant).await,
        Command::Rotate { id, overlap } => {
            let rotate = Rotate { id, overlap: Some(overlap), expires_in: None };
            api_key::rotate(session, tenant, rotate).await
        }
        Command::Revoke { id } => api_key::revoke(session, tenant, id).await,
    }
}
