//! `rollcall log …`: what directories asked, what they were answered and why.

mod entry;

use std::{
    io::{self, Write},
    time::{Duration, SystemTime},
};

use clap::{Subcommand, ValueEnum};
use pbjson_types::Timestamp;
use proto::identity::v1::{
    ListProvisioningEntriesRequest, ListProvisioningEntriesResponse, ProvisioningEntry, ProvisioningLogOrder,
    ProvisioningOutcome,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    commands::timestamp,
    duration,
    failure::Failure,
    output::{self, Format, List, Row},
    pages::{self, PAGE_SIZE, Pages},
    session::Session,
};

/// How often what has arrived is asked for.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// The provisioning log of the tenant: what directories asked, what they were answered and why; the latest first
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// About this user: a userName, externalId, e-mail address or id
    #[arg(long, value_name = "NAME", conflicts_with = "group")]
    user: Option<String>,
    /// About this group: a displayName, externalId or id
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// With this outcome
    #[arg(long, value_enum, value_name = "OUTCOME")]
    outcome: Option<Outcome>,
    /// Not earlier: a time such as 2026-01-31T12:00:00Z, or so long ago, such as 2h or 7d
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<SystemTime>,
    /// Earlier than this, written as for --since
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "follow")]
    until: Option<SystemTime>,
    /// Go on with what arrives, in the order of its arrival; with --output json an object a line
    #[arg(long)]
    follow: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// All that was asked about one person, the earliest first, with cause and fix
    Story {
        /// The user's userName, externalId, e-mail address or id
        username: String,
    },
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Outcome {
    /// Done
    Succeeded,
    /// Refused for good
    Refused,
    /// To be tried again later: paused, out of reach, too many requests
    Postponed,
    /// A fault of the service
    Failed,
    /// The client went away
    Abandoned,
    /// Entries that are missing in the log
    Lost,
}

impl From<Outcome> for ProvisioningOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded => Self::Succeeded,
            Outcome::Refused => Self::Refused,
            Outcome::Postponed => Self::Postponed,
            Outcome::Failed => Self::Failed,
            Outcome::Abandoned => Self::Abandoned,
            Outcome::Lost => Self::Lost,
        }
    }
}

pub(crate) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let tenant_id = session.tenant().await?.id;
    if let Some(Command::Story { username }) = args.command {
        return story(session, tenant_id, username).await;
    }
    let order = if args.follow { ProvisioningLogOrder::Arrival } else { ProvisioningLogOrder::NewestFirst };
    let conditions = ListProvisioningEntriesRequest {
        tenant_id,
        page_size: PAGE_SIZE,
        order: order.into(),
        from_end: args.since.is_none(),
        user: args.user.unwrap_or_default(),
        group: args.group.unwrap_or_default(),
        outcome: args.outcome.map_or(ProvisioningOutcome::Unspecified, Into::into).into(),
        start_time: args.since.map(timestamp).transpose()?,
        end_time: args.until.map(timestamp).transpose()?,
        ..ListProvisioningEntriesRequest::default()
    };
    if args.follow {
        return follow(session, conditions).await;
    }
    pages::print(session.format, async |page_token| {
        let page = fetch(session, &conditions, page_token).await?;
        Ok((page.entries, page.next_page_token))
    })
    .await
}

async fn fetch(
    session: &Session,
    conditions: &ListProvisioningEntriesRequest,
    page_token: String,
) -> Result<ListProvisioningEntriesResponse, Failure> {
    let request = ListProvisioningEntriesRequest { page_token, ..conditions.clone() };
    Ok(session.provisioning_log().list_provisioning_entries(request).await?.into_inner())
}

/// Prints what arrives until the process is ended.
async fn follow(session: &Session, conditions: ListProvisioningEntriesRequest) -> Result<(), Failure> {
    let (mut page_token, mut list) = (String::new(), List::new(io::stdout(), Format::Table));
    loop {
        let page = fetch(session, &conditions, page_token).await?;
        page_token = page.next_page_token;
        match session.format {
            Format::Table if page.entries.is_empty() => {}
            Format::Table => list.rows(&page.entries)?,
            Format::Json => lines(&page.entries)?,
        }
        if page.entries.is_empty() {
            tokio::time::sleep(FOLLOW_INTERVAL).await;
        }
    }
}

fn lines(entries: &[ProvisioningEntry]) -> io::Result<()> {
    let mut out = io::stdout();
    for entry in entries {
        serde_json::to_writer(&mut out, entry)?;
        writeln!(out)?;
    }
    out.flush()
}

/// The story of one person. All of it is read before it is told: entries of several façades arrive out of order.
async fn story(session: &Session, tenant_id: String, username: String) -> Result<(), Failure> {
    let conditions = ListProvisioningEntriesRequest {
        tenant_id,
        page_size: PAGE_SIZE,
        order: ProvisioningLogOrder::OldestFirst.into(),
        user: username.clone(),
        ..ListProvisioningEntriesRequest::default()
    };
    let fetched = async |page_token| {
        let page = fetch(session, &conditions, page_token).await?;
        Ok((page.entries, page.next_page_token))
    };
    if session.format == Format::Json {
        return pages::print(Format::Json, fetched).await;
    }
    let mut pages = Pages::new(fetched);
    let (mut out, mut is_empty) = (io::stdout(), true);
    while let Some(entries) = pages.page().await? {
        for entry in &entries {
            is_empty = false;
            output::text(&mut out, &entry::told(entry))?;
        }
    }
    if is_empty {
        output::note(format!(
            "the log holds nothing about {username}: no directory has asked about such a user since it began"
        ));
    }
    Ok(out.flush()?)
}

impl Row for ProvisioningEntry {
    const COLUMNS: &'static [&'static str] = &["time", "status", "outcome", "asked", "about", "took", "told"];

    fn cells(&self) -> Vec<String> {
        entry::cells(self)
    }
}

/// A point in time as people write it.
fn moment(text: &str) -> Result<SystemTime, String> {
    if let Ok(ago) = duration::parse(text) {
        return SystemTime::now().checked_sub(ago).ok_or_else(|| "too long ago".to_owned());
    }
    let time = OffsetDateTime::parse(text, &Rfc3339);
    time.map(SystemTime::from)
        .map_err(|_| "write a time such as 2026-01-31T12:00:00Z, or so long ago: 2h, 7d".to_owned())
}

/// When, to the second.
fn at(time: Option<&Timestamp>) -> String {
    crate::commands::moment(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_so_long_ago() {
        let time = moment("2023-11-14T22:13:20Z").unwrap();
        assert_eq!(time, SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        let ago = moment("2h").unwrap();
        assert!(SystemTime::now().duration_since(ago).unwrap() >= Duration::from_secs(7_200));
        assert!(moment("yesterday").is_err() && moment("").is_err());
    }
}
