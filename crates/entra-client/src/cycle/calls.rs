//! The requests of one cycle, each with the check of its answer.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    Client, Dialect, Error, Mapping,
    answer::Answer,
    meter::Meter,
    transport::Request,
    wire::{
        Kind,
        patch::{self, Change},
        target::Mapped,
    },
};

/// The requests of one cycle.
#[derive(Clone, Copy)]
pub(crate) struct Calls<'a> {
    client: &'a Client,
    meter: &'a Meter,
}

/// What a resource must be that was provisioned before.
pub(crate) struct Expected<'a> {
    pub(crate) id: &'a str,
    pub(crate) mapped: Vec<Mapped>,
    pub(crate) manager: Option<&'a str>,
}

impl<'a> Calls<'a> {
    pub(crate) fn new(client: &'a Client, meter: &'a Meter) -> Self {
        Self { client, meter }
    }

    pub(crate) fn concurrency(self) -> usize {
        self.client.options.concurrency
    }

    pub(crate) fn mapping(self) -> Mapping {
        self.client.options.mapping
    }

    pub(crate) fn dialect(self) -> Dialect {
        self.client.options.dialect
    }

    /// Looks for a user and a group that cannot exist.
    pub(crate) async fn probe(self) -> Result<(), Error> {
        for kind in [Kind::User, Kind::Group] {
            self.find_nothing(kind, &Uuid::new_v4().to_string()).await?;
        }
        Ok(())
    }

    pub(crate) async fn find(self, kind: Kind, value: &str) -> Result<Option<Value>, Error> {
        self.send(&Request::find(kind, value)).await?.found(kind, value)
    }

    pub(crate) async fn find_nothing(self, kind: Kind, value: &str) -> Result<(), Error> {
        self.send(&Request::find(kind, value)).await?.found_nothing(kind, value)
    }

    /// Finds what must be there once, with the cached id, the mapped values and, if given, the manager.
    pub(crate) async fn find_as(self, kind: Kind, value: &str, expected: Expected<'_>) -> Result<(), Error> {
        let answer = self.send(&Request::find(kind, value)).await?;
        let Some(resource) = answer.found(kind, value)? else {
            return Err(answer.difference("totalResults 1", "totalResults 0"));
        };
        answer.demand_id(&resource, expected.id)?;
        answer.demand_values(&resource, &expected.mapped)?;
        expected.manager.map_or(Ok(()), |manager| answer.demand_manager(&resource, manager))
    }

    pub(crate) async fn create(self, kind: Kind, body: Value, sent: &[Mapped]) -> Result<String, Error> {
        self.send(&Request::create(kind, body)).await?.created(kind, sent)
    }

    /// Reads by the cached id what must still be as it was last sent.
    pub(crate) async fn read_as(self, kind: Kind, id: &str, last_sent: &[Mapped]) -> Result<Value, Error> {
        let answer = self.send(&Request::read(kind, id)).await?;
        let resource = answer.read(kind, id)?;
        answer.demand_values(&resource, last_sent)?;
        Ok(resource)
    }

    /// Reads a group with its members.
    pub(crate) async fn read_with_members(self, id: &str) -> Result<(Answer<'a>, Value), Error> {
        let answer = self.send(&Request::read_with_members(id)).await?;
        let group = answer.read(Kind::Group, id)?;
        Ok((answer, group))
    }

    /// Changes attributes.
    pub(crate) async fn change(self, kind: Kind, id: &str, changes: &[Change]) -> Result<(), Error> {
        let answer = self.send(&Request::patch(kind, id, patch::attributes(self.dialect(), changes))).await?;
        let sent = super::sent(changes);
        match kind {
            Kind::User => answer.user_patched(id, &sent),
            Kind::Group => answer.group_patched(id, &sent),
        }
    }

    pub(crate) async fn set_manager(self, id: &str, manager: &str) -> Result<(), Error> {
        let body = patch::manager(self.dialect(), manager);
        self.send(&Request::patch(Kind::User, id, body)).await?.manager_set(id, manager)
    }

    pub(crate) async fn add_members(self, group: &str, members: &[String]) -> Result<(), Error> {
        let body = patch::add_members(self.dialect(), members);
        self.send(&Request::patch(Kind::Group, group, body)).await?.group_patched(group, &[])
    }

    pub(crate) async fn remove_members(self, group: &str, members: &[String]) -> Result<(), Error> {
        let body = patch::remove_members(self.dialect(), members);
        self.send(&Request::patch(Kind::Group, group, body)).await?.group_patched(group, &[])
    }

    /// Deletes, and reads that it is gone.
    pub(crate) async fn delete(self, kind: Kind, id: &str) -> Result<(), Error> {
        self.send(&Request::delete(kind, id)).await?.deleted()?;
        self.send(&Request::read(kind, id)).await?.gone()
    }

    async fn send(self, request: &Request) -> Result<Answer<'a>, Error> {
        self.client.transport.send(request, self.meter).await
    }
}
