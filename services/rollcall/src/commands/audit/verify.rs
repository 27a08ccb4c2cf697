//! `rollcall audit verify`: whether the logs are what was written.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    path::PathBuf,
    str::FromStr,
};

use ::audit::{Broken, InvalidLink, Link, Log, Reason, Verifier};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::{
    commands::audit::{
        entry::{Entry, Service, UnknownService},
        log::{self, Chain, Name, Reader},
    },
    failure::Failure,
    output::{Format, List, Row},
    session::Session,
};

const BAR: &str = "{msg:<24} {wide_bar} {pos}/{len} {per_sec}";

/// What is verified.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A head that an earlier `verify` printed, which must still be part of the chain: so a log that was cut off, or written anew as a whole, is
    /// found. It must be newer than the oldest entry that is kept. Once for each head
    #[arg(long, value_name = "SERVICE=POSITION:HASH")]
    expect_head: Vec<NotedHead>,
    /// Verify what `audit export` printed into this file, and connect to no server
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
}

/// A head that was noted, and whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NotedHead {
    service: Service,
    head: Link,
}

/// A text that is no head.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum InvalidHead {
    #[error("write SERVICE=POSITION:HASH, for example identity=7:0a1b…")]
    Form,
    #[error(transparent)]
    Service(#[from] UnknownService),
    #[error(transparent)]
    Link(#[from] InvalidLink),
}

impl FromStr for NotedHead {
    type Err = InvalidHead;

    fn from_str(text: &str) -> Result<Self, InvalidHead> {
        let (service, head) = text.split_once('=').ok_or(InvalidHead::Form)?;
        Ok(Self { service: service.parse()?, head: head.parse()? })
    }
}

/// What was found of one log.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Verified {
    service: &'static str,
    tenant_id: String,
    /// How many entries verify.
    entries: u64,
    /// The position of the first of them.
    from: i64,
    /// How many of them an erasure has blanked.
    blanked: u64,
    /// How many stand before them, from before there was a chain.
    unchained: u64,
    /// The last of them, as POSITION:HASH.
    head: String,
}

impl Row for Verified {
    const COLUMNS: &'static [&'static str] = &["service", "entries", "from", "blanked", "unchained", "head"];

    fn cells(&self) -> Vec<String> {
        let numbers =
            [self.entries.to_string(), self.from.to_string(), self.blanked.to_string(), self.unchained.to_string()];
        [self.service.to_owned()].into_iter().chain(numbers).chain([self.head.clone()]).collect()
    }
}

/// Verifies the tenant's logs as the services answer them.
pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let tenant_id = session.tenant_of_log().await?;
    let mut check = Check::new(&args.expect_head);
    for service in Service::ALL {
        let log = Name { service, tenant_id: tenant_id.clone() };
        let read = log::read(session, &log, &mut check).await;
        if let (Err(failure @ Failure::Broken(_)), Some(anchor)) = (&read, check.anchor(&log)) {
            // Entries that have been kept long enough may have gone while they were read.
            if log::chain(session, &log).await?.anchor != anchor {
                let sentence = format!("{failure}; but its oldest entries have just gone after their time: try again");
                return Err(Failure::Unavailable(sentence));
            }
        }
        read?;
    }
    print(&check.end()?, session.format)
}

/// Verifies an export.
pub(super) fn run_file(args: &Args, file: &PathBuf, format: Format) -> Result<(), Failure> {
    let opened = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let mut check = Check::new(&args.expect_head);
    log::read_export(io::BufReader::new(opened), &mut check)?;
    if check.logs.is_empty() {
        return Err(anyhow::anyhow!("{} holds no log: it is no export, or an empty one", file.display()).into());
    }
    print(&check.end()?, format)
}

fn print(verified: &[Verified], format: Format) -> Result<(), Failure> {
    let mut list = List::new(io::stdout(), format);
    list.rows(verified)?;
    Ok(list.end::<Verified>()?)
}

/// The check of some logs.
struct Check<'a> {
    expected: &'a [NotedHead],
    logs: BTreeMap<Name, Chained>,
}

/// The check of one.
struct Chained {
    chain: Chain,
    verifier: Verifier,
    unchained: u64,
    bar: ProgressBar,
}

impl<'a> Check<'a> {
    const fn new(expected: &'a [NotedHead]) -> Self {
        Self { expected, logs: BTreeMap::new() }
    }

    fn anchor(&self, log: &Name) -> Option<Link> {
        self.logs.get(log).map(|checked| checked.chain.anchor)
    }

    fn expected(&self, service: Service) -> impl Iterator<Item = Link> + use<'a> {
        self.expected.iter().filter(move |noted| noted.service == service).map(|noted| noted.head)
    }

    /// Checks the ends of all logs.
    fn end(self) -> Result<Vec<Verified>, Failure> {
        let tenants: BTreeSet<_> = self.logs.keys().map(|log| &log.tenant_id).collect();
        if tenants.len() > 1 && !self.expected.is_empty() {
            let sentence = "a head is of one tenant's log, and these are of several: verify each tenant's alone";
            return Err(anyhow::anyhow!(sentence).into());
        }
        if let Some(noted) = self.expected.iter().find(|noted| self.logs.keys().all(|log| log.service != noted.service))
        {
            return Err(Failure::NotFound(format!("there is no log of {}, whose head is expected", noted.service)));
        }
        for (log, checked) in &self.logs {
            let last = checked.verifier.last();
            checked.verifier.check_head(checked.chain.head).map_err(|error| broken(log, error))?;
            checked.verifier.check_erasures().map_err(|error| broken(log, error))?;
            for head in self.expected(log.service) {
                if head.position < checked.chain.anchor.position {
                    return Err(Failure::Broken(format!(
                        "{}: the expected head at position {} lies before the log's beginning: its entry has gone after its time, or the \
                         beginning was cut off. Note a head more often than entries go",
                        log.service, head.position
                    )));
                }
                if head.position > last.position {
                    let position = last.position.saturating_add(1);
                    return Err(broken(log, Broken { position, reason: Reason::End }));
                }
            }
        }
        let verified = self.logs.into_iter().map(|(log, checked)| {
            checked.bar.finish_and_clear();
            Verified {
                service: log.service.as_str(),
                tenant_id: log.tenant_id,
                entries: checked.verifier.entries(),
                from: checked.chain.anchor.position.saturating_add(1),
                blanked: checked.verifier.blanked(),
                unchained: checked.unchained,
                head: checked.verifier.last().to_string(),
            }
        });
        Ok(verified.collect())
    }
}

impl Reader for Check<'_> {
    fn begin(&mut self, log: &Name, chain: Chain) -> Result<(), Failure> {
        let entries = chain.head.position.saturating_sub(chain.anchor.position);
        // Hidden where standard error is no terminal.
        let bar = ProgressBar::new(u64::try_from(entries).unwrap_or_default()).with_message(log.service.as_str());
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style);
        }
        let verifier = Verifier::new(Log::new(log.service.as_str(), &*log.tenant_id), chain.anchor);
        if self.logs.insert(log.clone(), Chained { chain, verifier, unchained: 0, bar }).is_some() {
            return Err(anyhow::anyhow!("the log of {} begins twice", log.service).into());
        }
        for head in self.expected(log.service).filter(|head| head.position == chain.anchor.position) {
            noted(log, chain.anchor, head)?;
        }
        Ok(())
    }

    fn entry(&mut self, log: &Name, entry: Entry) -> Result<(), Failure> {
        let Some(checked) = self.logs.get_mut(log) else {
            return Err(anyhow::anyhow!("an entry of {} stands before the beginning of its log", log.service).into());
        };
        let parts = entry.parts();
        if checked.verifier.entries() == 0 && parts.position <= checked.chain.anchor.position {
            checked.unchained += 1;
            return Ok(());
        }
        checked.verifier.check(&parts.stored(&parts.content())).map_err(|error| broken(log, error))?;
        checked.bar.inc(1);
        let last = checked.verifier.last();
        for head in self.expected(log.service).filter(|head| head.position == last.position) {
            noted(log, last, head)?;
        }
        Ok(())
    }
}

fn noted(log: &Name, found: Link, head: Link) -> Result<(), Failure> {
    if found == head {
        return Ok(());
    }
    let (service, position) = (log.service, head.position);
    Err(Failure::Broken(format!(
        "{service}: at position {position} stands another entry than the expected head: the log was written anew"
    )))
}

fn broken(log: &Name, error: Broken) -> Failure {
    Failure::Broken(format!("{}: {error}", log.service))
}

#[cfg(test)]
mod tests;
