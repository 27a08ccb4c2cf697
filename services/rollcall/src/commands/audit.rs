//! `rollcall audit …`: what administrators did. Each service keeps its own log; here they are one, in the order of time.

mod entry;
mod log;
mod verify;

use std::io::{self, Write};

use clap::Subcommand;
use pbjson_types::Timestamp;
use proto::{
    api_keys::v1::{KeyAuditEntry, ListKeyAuditEntriesRequest},
    identity::v1::{AuditEntry, ListAuditEntriesRequest},
};

use crate::{
    cli::Connection,
    failure::Failure,
    output::List,
    pages::{PAGE_SIZE, Pages},
    session::Session,
};
use entry::{Entry, Service};
use log::{Export, Name};

/// The administrators' audit log of the tenant
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List every act, of all services, by time
    List,
    /// Print every entry as a line of JSON, for archives and `verify --file`
    Export,
    /// Check that no entry was changed, removed or put elsewhere
    #[command(
        after_help = "Exit codes: as of `rollcall`; 6 says that a log is not what was written, and where it breaks."
    )]
    Verify(verify::Args),
}

pub(crate) async fn run(command: Command, connection: &Connection) -> Result<(), Failure> {
    match command {
        Command::List => list(&Session::open(connection)?).await,
        Command::Export => export(&Session::open(connection)?).await,
        Command::Verify(args) => match &args.file {
            Some(file) => verify::run_file(&args, file, connection.output),
            None => verify::run(&args, &Session::open(connection)?).await,
        },
    }
}

async fn export(session: &Session) -> Result<(), Failure> {
    let tenant_id = session.tenant_of_log().await?;
    let mut export = Export(io::BufWriter::new(io::stdout()));
    for service in Service::ALL {
        log::read(session, &Name { service, tenant_id: tenant_id.clone() }, &mut export).await?;
    }
    Ok(export.0.flush()?)
}

async fn list(session: &Session) -> Result<(), Failure> {
    let tenant_id = session.tenant_of_log().await?;
    let mut identity = Pages::new(async |page_token| {
        let request = ListAuditEntriesRequest { tenant_id: tenant_id.clone(), page_size: PAGE_SIZE, page_token };
        let page = session.audit().list_audit_entries(request).await?.into_inner();
        Ok((page.entries, page.next_page_token))
    });
    let mut api_keys = Pages::new(async |page_token| {
        let request = ListKeyAuditEntriesRequest { tenant_id: tenant_id.clone(), page_size: PAGE_SIZE, page_token };
        let page = session.api_keys().list_key_audit_entries(request).await?.into_inner();
        Ok((page.entries, page.next_page_token))
    });
    let mut list = List::new(io::stdout(), session.format);
    loop {
        let page = merged(&mut identity, &mut api_keys).await?;
        if page.is_empty() {
            break;
        }
        list.rows(&page)?;
    }
    list.end::<Entry>()?;
    Ok(())
}

/// Up to a page of the entries of both logs; the earlier comes first, of two at the same time identity's.
async fn merged<I, K>(
    identity: &mut Pages<AuditEntry, I>,
    api_keys: &mut Pages<KeyAuditEntry, K>,
) -> Result<Vec<Entry>, Failure>
where
    I: AsyncFnMut(String) -> Result<(Vec<AuditEntry>, String), Failure>,
    K: AsyncFnMut(String) -> Result<(Vec<KeyAuditEntry>, String), Failure>,
{
    let mut page = Vec::new();
    while page.len() < usize::try_from(PAGE_SIZE).unwrap_or_default() {
        let mine = identity.peek().await?.map(|entry| instant(entry.time.as_ref()));
        let theirs = api_keys.peek().await?.map(|entry| instant(entry.time.as_ref()));
        let next = match (mine, theirs) {
            (None, None) => break,
            (Some(mine), Some(theirs)) if mine > theirs => api_keys.pop().map(Entry::ApiKeys),
            (Some(_), _) => identity.pop().map(Entry::Identity),
            (None, Some(_)) => api_keys.pop().map(Entry::ApiKeys),
        };
        page.extend(next);
    }
    Ok(page)
}

fn instant(time: Option<&Timestamp>) -> (i64, i32) {
    time.map(|time| (time.seconds, time.nanos)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Row;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    #[tokio::test]
    async fn both_logs_are_one_by_time_and_each_row_names_its_service() {
        let mut identity = Pages::new(async |token: String| {
            let (seconds, next) = if token.is_empty() { (1, "2") } else { (4, "") };
            Ok((vec![AuditEntry { time: at(seconds), ..AuditEntry::default() }], next.to_owned()))
        });
        let mut api_keys = Pages::new(async |_| {
            let entry = |seconds| KeyAuditEntry { time: at(seconds), position: seconds, ..KeyAuditEntry::default() };
            Ok((vec![entry(2), entry(4), entry(5)], String::new()))
        });
        let rows = merged(&mut identity, &mut api_keys).await.unwrap();
        let services: Vec<_> = rows.iter().map(|row| row.cells().swap_remove(1)).collect();
        assert_eq!(services, ["identity", "api-keys", "identity", "api-keys", "api-keys"]);
        let value = serde_json::to_value(&rows[1]).unwrap();
        assert_eq!(value["service"], "api-keys");
        assert_eq!(value["position"], "2");
        assert_eq!(value["time"], "1970-01-01T00:00:02+00:00");
        assert!(merged(&mut identity, &mut api_keys).await.unwrap().is_empty());
    }
}
