//! `rollcall changes …`: what happened in the tenant, and how far those are who follow it.

use std::{
    io::{self, Write},
    time::Duration,
};

use clap::Subcommand;
use proto::identity::v1::{
    AcknowledgeChangesRequest, Change, ChangeConsumer, DeleteChangeConsumerRequest, ListChangeConsumersRequest,
    ListChangesRequest, WatchChangesRequest,
};
use tonic::{Code, Status};

use crate::{
    commands::{difference, moment, or_dash},
    failure::Failure,
    output::{self, Format, List, Row},
    pages::{self, PAGE_SIZE},
    session::Session,
};

/// A stream is silent for a second at most; one that says nothing for so long is dead.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// The pauses before a stream that was cut is opened again.
const RECONNECT_PAUSE_MIN: Duration = Duration::from_millis(100);
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(5);

/// What happened in the tenant, in the order in which it was committed
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the changes that are kept: those of the last 30 days
    List {
        /// Begin after this position
        #[arg(long, value_name = "POSITION")]
        after: Option<String>,
    },
    /// Print each change as it happens, until interrupted; with `--output json`, one object a line
    Watch {
        /// Begin after this position, rather than at the oldest change that is kept
        #[arg(long, value_name = "POSITION", conflicts_with = "consumer")]
        after: Option<String>,
        /// Begin after what this consumer acknowledged last
        #[arg(long, value_name = "NAME")]
        consumer: Option<String>,
    },
    /// List who acknowledges changes, and how far behind each is
    Consumers,
    /// Note that a consumer has dealt with everything up to a position
    Acknowledge {
        /// The consumer's name
        consumer: String,
        /// The position
        position: String,
    },
    /// Forget a consumer
    DeleteConsumer {
        /// The consumer's name
        consumer: String,
    },
}

impl Row for Change {
    const COLUMNS: &'static [&'static str] =
        &["time", "kind", "subject", "object", "change", "actor", "request", "position"];

    fn cells(&self) -> Vec<String> {
        vec![
            moment(self.time.as_ref()),
            self.kind.clone(),
            self.subject_id.clone(),
            or_dash(Some(&self.object_id)),
            or_dash(Some(&difference(&self.before, &self.after).join("; "))),
            self.actor.clone(),
            or_dash(Some(&self.request_id)),
            self.position.clone(),
        ]
    }
}

impl Row for ChangeConsumer {
    const COLUMNS: &'static [&'static str] = &["name", "changes behind", "for", "acknowledged", "by", "position"];

    fn cells(&self) -> Vec<String> {
        let seconds = self.lag_time.as_ref().map_or(0, |time| time.seconds);
        let (behind, waits) = if self.out_of_range {
            ("cannot go on".to_owned(), "-".to_owned())
        } else {
            (self.lag_changes.to_string(), format!("{seconds} s"))
        };
        let acknowledged = moment(self.acknowledge_time.as_ref());
        vec![self.name.clone(), behind, waits, acknowledged, self.acknowledged_by.clone(), self.position.clone()]
    }
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let tenant_id = session.tenant().await?.id;
    match command {
        Command::List { after } => list(session, &tenant_id, &after.unwrap_or_default()).await,
        Command::Watch { after, consumer } => {
            let (after, consumer) = (after.unwrap_or_default(), consumer.unwrap_or_default());
            watch(session, WatchChangesRequest { tenant_id, after, consumer }).await
        }
        Command::Consumers => consumers(session, &tenant_id).await,
        Command::Acknowledge { consumer, position } => {
            let request = AcknowledgeChangesRequest { tenant_id, consumer, position };
            let consumer = session.changes().acknowledge_changes(request).await?.into_inner();
            let fields: Vec<_> = ChangeConsumer::COLUMNS.iter().copied().zip(consumer.cells()).collect();
            Ok(output::one(io::stdout(), session.format, &consumer, &fields)?)
        }
        Command::DeleteConsumer { consumer } => delete(session, tenant_id, consumer).await,
    }
}

async fn list(session: &Session, tenant_id: &str, after: &str) -> Result<(), Failure> {
    pages::print(session.format, async |page_token| {
        let (tenant_id, after) = (tenant_id.to_owned(), after.to_owned());
        let request = ListChangesRequest { tenant_id, after, page_size: PAGE_SIZE, page_token };
        let page = session.changes().list_changes(request).await?.into_inner();
        Ok((page.changes, page.next_page_token))
    })
    .await
}

async fn consumers(session: &Session, tenant_id: &str) -> Result<(), Failure> {
    pages::print(session.format, async |page_token| {
        let request = ListChangeConsumersRequest { tenant_id: tenant_id.to_owned(), page_size: PAGE_SIZE, page_token };
        let page = session.changes().list_change_consumers(request).await?.into_inner();
        Ok((page.consumers, page.next_page_token))
    })
    .await
}

async fn delete(session: &Session, tenant_id: String, consumer: String) -> Result<(), Failure> {
    let request = DeleteChangeConsumerRequest { tenant_id, consumer: consumer.clone() };
    match session.changes().delete_change_consumer(request).await {
        Ok(_) => {
            output::note(format!("{consumer} is forgotten."));
            Ok(())
        }
        Err(status) if status.code() == Code::NotFound => Err(Failure::NotFound(format!(
            "there is no consumer `{consumer}`: `rollcall changes consumers` shows them all"
        ))),
        Err(status) => Err(status.into()),
    }
}

/// Prints changes for ever. A stream that is cut is opened again after the last change that was printed.
async fn watch(session: &Session, mut request: WatchChangesRequest) -> Result<(), Failure> {
    let mut list = List::new(io::stdout(), Format::Table);
    let mut pause = RECONNECT_PAUSE_MIN;
    let mut print = |changes: &[Change]| match session.format {
        Format::Table if changes.is_empty() => Ok(()),
        Format::Table => list.rows(changes),
        Format::Json => lines(io::stdout().lock(), changes),
    };
    loop {
        let before = request.after.clone();
        let cut = follow(session, &mut request, &mut print).await;
        let is_passing = |status: &Status| [Code::Unavailable, Code::DeadlineExceeded].contains(&status.code());
        match cut {
            // A server that was never reached is rather a wrong address than one that is away.
            Failure::Call(status) if is_passing(&status) && !request.after.is_empty() => {
                output::note(format!("the stream was cut ({}): opening it again", status.message()));
            }
            failure => return Err(failure),
        }
        pause = if request.after == before { (pause * 2).min(RECONNECT_PAUSE_MAX) } else { RECONNECT_PAUSE_MIN };
        tokio::time::sleep(pause).await;
    }
}

/// Follows one stream to its end, and leaves in the request where the next one begins.
async fn follow(
    session: &Session,
    request: &mut WatchChangesRequest,
    print: &mut impl FnMut(&[Change]) -> io::Result<()>,
) -> Failure {
    let mut stream = match session.changes().watch_changes(request.clone()).await {
        Ok(stream) => stream.into_inner(),
        Err(status) => return status.into(),
    };
    loop {
        let message = match tokio::time::timeout(SILENCE_MAX, stream.message()).await {
            Ok(Ok(Some(message))) => message,
            Ok(Ok(None)) => return Status::unavailable("it ended").into(),
            Ok(Err(status)) => return status.into(),
            Err(_) => return Status::unavailable("it is silent").into(),
        };
        if let Err(error) = print(&message.changes) {
            return error.into();
        }
        request.after = message.position;
    }
}

fn lines(mut out: impl Write, changes: &[Change]) -> io::Result<()> {
    for change in changes {
        serde_json::to_writer(&mut out, change)?;
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_one_line_that_says_what_changed() {
        let values = |value: &str| [("active".to_owned(), value.to_owned())].into_iter().collect();
        let change = Change {
            kind: "user.changed".to_owned(),
            before: values("true"),
            after: values("false"),
            ..Change::default()
        };
        let cells = change.cells();
        assert_eq!((cells.len(), &*cells[3], &*cells[4]), (Change::COLUMNS.len(), "-", "active: true -> false"));
        let mut out = Vec::new();
        lines(&mut out, &[change.clone(), change]).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| line.contains(r#""after":{"active":"false"}"#)), "{text}");
    }

    #[test]
    fn a_consumer_that_cannot_go_on_is_told_from_one_that_has_read_all() {
        let cells = |out_of_range| ChangeConsumer { out_of_range, ..ChangeConsumer::default() }.cells();
        assert_eq!(cells(true)[1..3], ["cannot go on", "-"]);
        assert_eq!(cells(false)[1..3], ["0", "0 s"]);
    }
}
