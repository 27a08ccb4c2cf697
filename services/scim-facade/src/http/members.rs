//! Groups with their members, written as the members arrive, one page at a time.
//!
//! The first page is read before the status line is sent, so that most failures still have their status. A failure
//! after that cuts the connection: half an answer must not look like a whole one.

use std::{collections::VecDeque, mem};

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use scim::{Projection, ResourceType};
use serde_json::{Map, Value};
use tonic::{Code, Status};
use tracing::{Instrument as _, Span};

use crate::{
    base::Base,
    error::Refusal,
    identity::{Directory, Member},
    mapping::group::member_to_json,
};

/// How many pages of one group are read. No group is that large; an endless list is a fault.
const PAGES_MAX: usize = 100_000;

/// What is known of a group's members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Members {
    /// There are none.
    None,
    /// Identity lists them.
    Listed,
}

/// A JSON document with places for the members of groups.
#[derive(Debug, Default)]
pub(crate) struct Document {
    pieces: VecDeque<Piece>,
    text: String,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    MembersOf(String),
}

impl Document {
    /// Begins a list with all but its resources.
    pub(crate) fn begin_list(&mut self, head: &Map<String, Value>) {
        self.open(head, "Resources");
    }

    /// Sets a comma before every resource but the first.
    pub(crate) fn separate(&mut self, at: usize) {
        if at > 0 {
            self.text.push(',');
        }
    }

    /// Adds a resource that is known whole.
    pub(crate) fn resource(&mut self, resource: &Value) {
        self.text.push_str(&resource.to_string());
    }

    /// Adds a group, of which `head` is everything but the members.
    pub(crate) fn group(&mut self, id: String, head: &Map<String, Value>, members: Members) {
        self.open(head, "members");
        match members {
            Members::None => {}
            Members::Listed => {
                self.pieces.push_back(Piece::Text(mem::take(&mut self.text)));
                self.pieces.push_back(Piece::MembersOf(id));
            }
        }
        self.text.push_str("]}");
    }

    /// Ends the list.
    pub(crate) fn end_list(&mut self) {
        self.text.push_str("]}");
    }

    /// The document as a body, after the first page of members was read.
    pub(crate) async fn into_body(
        mut self,
        directory: Directory,
        base: Base,
        projection: Projection<'static>,
    ) -> Result<Body, Status> {
        self.pieces.push_back(Piece::Text(self.text));
        let mut writer = Writer { directory, base, projection, pieces: self.pieces, open: None, has_read: false };
        let mut ready = Vec::new();
        while !writer.has_read
            && let Some(bytes) = writer.next().await?
        {
            ready.push(Ok(bytes));
        }
        let span = Span::current();
        let rest = stream::try_unfold(writer, move |mut writer| {
            let written = async move {
                match writer.next().await {
                    Ok(bytes) => Ok(bytes.map(|bytes| (bytes, writer))),
                    // It is logged on the way, and the connection ends with it.
                    Err(status) => Err(Refusal::from_status(ResourceType::Group, &status)),
                }
            };
            written.instrument(span.clone())
        });
        let rest = rest.map(|written| written.map_err(|_| CutOff));
        Ok(Body::from_stream(stream::iter(ready).chain(rest)))
    }

    /// An object whose last member is an array that is still open.
    fn open(&mut self, head: &Map<String, Value>, array: &str) {
        self.text.push('{');
        for (name, value) in head {
            self.text.push_str(&format!("{}:{value},", Value::from(name.as_str())));
        }
        self.text.push_str(&format!("{}:[", Value::from(array)));
    }
}

/// The rest of an answer cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the rest of the answer could not be read")]
struct CutOff;

/// Writes a document's pieces in order.
struct Writer {
    directory: Directory,
    base: Base,
    projection: Projection<'static>,
    pieces: VecDeque<Piece>,
    open: Option<Open>,
    /// Whether a page of members was read.
    has_read: bool,
}

/// A group whose members are being written.
struct Open {
    group_id: String,
    page_token: String,
    pages: usize,
}

impl Writer {
    async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some(open) = self.open.take() {
                if let Some(bytes) = self.page(open).await? {
                    return Ok(Some(bytes));
                }
                continue;
            }
            match self.pieces.pop_front() {
                Some(Piece::Text(text)) => return Ok(Some(text.into())),
                Some(Piece::MembersOf(group_id)) => {
                    self.open = Some(Open { group_id, page_token: String::new(), pages: 0 });
                }
                None => return Ok(None),
            }
        }
    }

    /// The next page of a group's members; nothing if it has none.
    async fn page(&mut self, mut open: Open) -> Result<Option<Bytes>, Status> {
        let listed = self.directory.list_members(&open.group_id, mem::take(&mut open.page_token)).await;
        self.has_read = true;
        let page = match listed {
            Ok(page) => page,
            // Deleted since it was read: it has no members any more.
            Err(status) if status.code() == Code::NotFound => return Ok(None),
            Err(status) => return Err(status),
        };
        let bytes = self.written(page.members, open.pages == 0);
        open.page_token = page.next_page_token;
        open.pages += 1;
        if open.pages == PAGES_MAX {
            return Err(Status::internal("a group's members do not end"));
        }
        if !open.page_token.is_empty() {
            self.open = Some(open);
        }
        Ok(bytes)
    }

    fn written(&self, members: Vec<Member>, is_first: bool) -> Option<Bytes> {
        let members: Vec<Value> = members.into_iter().map(|member| member_to_json(member, &self.base)).collect();
        let mut page = Map::from_iter([("members".to_owned(), Value::from(members))]);
        self.projection.apply(&mut page);
        let Some(Value::Array(members)) = page.remove("members") else { return None };
        let mut text = String::new();
        for (at, member) in members.iter().enumerate() {
            if at > 0 || !is_first {
                text.push(',');
            }
            text.push_str(&member.to_string());
        }
        (!text.is_empty()).then(|| text.into())
    }
}
