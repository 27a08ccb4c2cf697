//! `rollcall signing-key …`.

use clap::Subcommand;
use proto::api_keys::v1::{ListSigningKeysRequest, RotateSigningKeysRequest, SigningKey};

use crate::{
    commands::moment,
    failure::Failure,
    output::{List, Row},
    session::Session,
};

/// The keys that tokens are signed with, for the operator
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Command {
    /// List the keys that tokens may be signed with
    List,
    /// Sign with new keys from now on; they rotate every 30 days by themselves
    Rotate {
        /// The old keys may be known to others: refuse everything that they have signed
        #[arg(long)]
        withdraw: bool,
    },
}

impl Row for SigningKey {
    const COLUMNS: &'static [&'static str] = &["kid", "purpose", "created", "signs"];

    fn cells(&self) -> Vec<String> {
        let signs = if self.signs { "yes" } else { "no" };
        vec![self.kid.clone(), self.purpose.clone(), moment(self.create_time.as_ref()), signs.to_owned()]
    }
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let mut client = session.signing_keys();
    let keys = match command {
        Command::List => client.list_signing_keys(ListSigningKeysRequest::default()).await?.into_inner().signing_keys,
        Command::Rotate { withdraw } => {
            let request = RotateSigningKeysRequest { withdraw, ..RotateSigningKeysRequest::default() };
            client.rotate_signing_keys(request).await?.into_inner().signing_keys
        }
    };
    let mut list = List::new(std::io::stdout(), session.format);
    list.rows(&keys)?;
    Ok(list.end::<SigningKey>()?)
}
