//! Reading one service's log to its end, from the service or from an export.

use std::io::{BufRead, Read, Write};

use ::audit::{Hash, Link};
use anyhow::{Context, anyhow};
use proto::{
    api_keys::v1::{KeyAuditChain, ListKeyAuditEntriesRequest},
    identity::v1::{AuditChain, ListAuditEntriesRequest},
};
use serde::{Deserialize, Serialize};

use crate::{
    commands::audit::entry::{Entry, Service},
    failure::Failure,
    session::Session,
};

/// The longest line of an export: far more than an entry whose values are all as long as they may be.
const LINE_LENGTH_MAX: u64 = 16 * 1024 * 1024;

/// How many entries are asked for at once: so many fit into one message, however long each is ([`::audit::VALUES_LEN_MAX`]).
const PAGE_SIZE: i32 = 100;

/// Whose log, and of which tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Name {
    pub(super) service: Service,
    pub(super) tenant_id: String,
}

/// Where a log's chain begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) anchor: Link,
    pub(super) head: Link,
}

/// What is done with logs as they are read.
pub(super) trait Reader {
    /// A log begins.
    fn begin(&mut self, log: &Name, chain: Chain) -> Result<(), Failure>;
    /// An entry of a log that has begun.
    fn entry(&mut self, log: &Name, entry: Entry) -> Result<(), Failure>;
}

/// Reads a log up to its head as it was at first, so that reading ends however much is written meanwhile.
pub(super) async fn read(session: &Session, log: &Name, reader: &mut impl Reader) -> Result<(), Failure> {
    let (mut token, mut head) = (String::new(), None);
    loop {
        let page = page(session, log, token.clone(), PAGE_SIZE).await?;
        let head = match head {
            Some(head) => head,
            None => {
                reader.begin(log, page.chain)?;
                *head.insert(page.chain.head.position)
            }
        };
        for entry in page.entries {
            if entry.parts().position > head {
                return Ok(());
            }
            reader.entry(log, entry)?;
        }
        if page.next.is_empty() {
            return Ok(());
        }
        if page.next == token {
            return Err(anyhow!("the server answers the same page again and again").into());
        }
        token = page.next;
    }
}

/// Where a log's chain begins and ends now.
pub(super) async fn chain(session: &Session, log: &Name) -> Result<Chain, Failure> {
    Ok(page(session, log, String::new(), 1).await?.chain)
}

struct Page {
    entries: Vec<Entry>,
    next: String,
    chain: Chain,
}

async fn page(session: &Session, log: &Name, page_token: String, page_size: i32) -> Result<Page, Failure> {
    let tenant_id = log.tenant_id.clone();
    let (entries, next, chain) = match log.service {
        Service::Identity => {
            let request = ListAuditEntriesRequest { tenant_id, page_size, page_token };
            let page = session.audit().list_audit_entries(request).await?.into_inner();
            let entries: Vec<_> = page.entries.into_iter().map(Entry::Identity).collect();
            (entries, page.next_page_token, page.chain.map(Chain::try_from))
        }
        Service::ApiKeys => {
            let request = ListKeyAuditEntriesRequest { tenant_id, page_size, page_token };
            let page = session.api_keys().list_key_audit_entries(request).await?.into_inner();
            let entries: Vec<_> = page.entries.into_iter().map(Entry::ApiKeys).collect();
            (entries, page.next_page_token, page.chain.map(Chain::try_from))
        }
    };
    let chain = chain.ok_or_else(|| anyhow!("{} is of an older version, whose log has no chain", log.service))??;
    Ok(Page { entries, next, chain })
}

fn link(position: i64, hash: &[u8]) -> Result<Link, Failure> {
    let hash = if hash.is_empty() { Some(Hash::START) } else { Hash::from_bytes(hash) };
    Ok(Link { position, hash: hash.context("the server's answer has a hash that is none")? })
}

impl TryFrom<AuditChain> for Chain {
    type Error = Failure;

    fn try_from(chain: AuditChain) -> Result<Self, Failure> {
        let anchor = link(chain.anchor_position, &chain.anchor_hash)?;
        Ok(Self { anchor, head: link(chain.head_position, &chain.head_hash)? })
    }
}

impl TryFrom<KeyAuditChain> for Chain {
    type Error = Failure;

    fn try_from(chain: KeyAuditChain) -> Result<Self, Failure> {
        let anchor = link(chain.anchor_position, &chain.anchor_hash)?;
        Ok(Self { anchor, head: link(chain.head_position, &chain.head_hash)? })
    }
}

/// The first line of a log in an export.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beginning {
    service: Service,
    tenant_id: String,
    chain: Ends,
}

/// Each as POSITION:HASH.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ends {
    anchor: String,
    head: String,
}

/// Every other line.
#[derive(Serialize)]
struct Line<'a> {
    tenant_id: &'a str,
    #[serde(flatten)]
    entry: &'a Entry,
}

/// Prints logs as JSON Lines: where the chain begins and ends, then the entries.
pub(super) struct Export<W>(pub(super) W);

impl<W: Write> Export<W> {
    fn line(&mut self, line: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.0, line).map_err(std::io::Error::from)?;
        Ok(self.0.write_all(b"\n")?)
    }
}

impl<W: Write> Reader for Export<W> {
    fn begin(&mut self, log: &Name, chain: Chain) -> Result<(), Failure> {
        let chain = Ends { anchor: chain.anchor.to_string(), head: chain.head.to_string() };
        self.line(&Beginning { service: log.service, tenant_id: log.tenant_id.clone(), chain })
    }

    fn entry(&mut self, log: &Name, entry: Entry) -> Result<(), Failure> {
        self.line(&Line { tenant_id: &log.tenant_id, entry: &entry })
    }
}

/// Reads an export.
pub(super) fn read_export(mut file: impl BufRead, reader: &mut impl Reader) -> Result<(), Failure> {
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        (&mut file).take(LINE_LENGTH_MAX).read_until(b'\n', &mut line).context("the file cannot be read")?;
        if line.is_empty() {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        one_line(&line, reader).map_err(|failure| match failure {
            Failure::Failed(error) => Failure::Failed(error.context(format!("line {number} is none of an export"))),
            failure => failure,
        })?;
    }
    Ok(())
}

fn one_line(line: &[u8], reader: &mut impl Reader) -> Result<(), Failure> {
    let mut object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(line).context("it is no JSON")?;
    if object.contains_key("chain") {
        let Beginning { service, tenant_id, chain } =
            serde_json::from_value(object.into()).context("it is no beginning of a log")?;
        let link = |text: &str| text.parse::<Link>().context("the chain's anchor or head");
        let chain = Chain { anchor: link(&chain.anchor)?, head: link(&chain.head)? };
        return reader.begin(&Name { service, tenant_id }, chain);
    }
    let tenant_id = object.remove("tenant_id").and_then(|id| Some(id.as_str()?.to_owned()));
    let tenant_id = tenant_id.context("it names no tenant")?;
    let entry: Entry = serde_json::from_value(object.into()).context("it is no entry")?;
    let service = entry.parts().service;
    reader.entry(&Name { service, tenant_id }, entry)
}
