//! Each answer, checked as Entra would check it.

use serde_json::Value;

use super::Answer;
use crate::{
    Error,
    wire::{
        ERROR, Kind, LIST_RESPONSE,
        target::Mapped,
        user::{self, ACTIVE, MANAGER},
    },
};

impl Answer<'_> {
    /// A match query's answer: a ListResponse of resources that match what was asked, at most one.
    pub(crate) fn found(&self, kind: Kind, value: &str) -> Result<Option<Value>, Error> {
        let mut list = self.scim_object(200)?;
        self.demand_schema(&list, LIST_RESPONSE)?;
        let Some(total) = list["totalResults"].as_u64() else {
            return Err(self.difference("totalResults to be a number", list["totalResults"].to_string()));
        };
        for key in ["startIndex", "itemsPerPage"] {
            if list.get(key).is_some_and(|number| !number.is_u64()) {
                return Err(self.difference(format!("{key} to be a number, if present"), list[key].to_string()));
            }
        }
        let Value::Array(mut resources) = list["Resources"].take() else {
            return Err(self.difference("Resources to be an array", "something else or nothing"));
        };
        for resource in &resources {
            self.demand_resource(kind, resource)?;
            self.demand_match(kind, resource, value)?;
        }
        let attribute = kind.matching_attribute();
        if total > 1 || resources.len() > 1 {
            return Err(self.difference(format!("at most one match for {attribute}"), format!("{total}")));
        }
        if usize::try_from(total).ok() != Some(resources.len()) {
            let found = format!("totalResults {total} and {} Resources", resources.len());
            return Err(self.difference("totalResults to count the Resources", found));
        }
        Ok(resources.pop())
    }

    /// A probe's answer: an empty ListResponse.
    pub(crate) fn found_nothing(&self, kind: Kind, value: &str) -> Result<(), Error> {
        match self.found(kind, value)? {
            None => Ok(()),
            Some(_) => Err(self.difference("totalResults 0", "totalResults 1")),
        }
    }

    /// A resource read by its id.
    pub(crate) fn read(&self, kind: Kind, id: &str) -> Result<Value, Error> {
        let resource = self.scim_object(200)?;
        self.demand_resource(kind, &resource)?;
        self.demand_id(&resource, id)?;
        Ok(resource)
    }

    /// The id of a resource just created: 201, a Location that ends with the id, every value as it was sent.
    pub(crate) fn created(&self, kind: Kind, sent: &[Mapped]) -> Result<String, Error> {
        let resource = self.scim_object(201)?;
        self.demand_resource(kind, &resource)?;
        self.demand_values(&resource, sent)?;
        let id = resource["id"].as_str().unwrap_or_default();
        let location = self.location.as_deref().unwrap_or_default();
        if !location.ends_with(id) {
            return Err(self.difference(format!("a Location that ends with the id {id}"), format!("{location:?}")));
        }
        Ok(id.to_owned())
    }

    /// A user's PATCH: 204, or 200 with a resource that need not be whole but must not contradict what was sent.
    pub(crate) fn user_patched(&self, id: &str, sent: &[Mapped]) -> Result<(), Error> {
        self.demand_status(&[200, 204])?;
        if self.status == 204 {
            return Ok(());
        }
        self.patched_body(id, sent)
    }

    /// A user's PATCH that set the manager.
    pub(crate) fn manager_set(&self, id: &str, manager: &str) -> Result<(), Error> {
        self.user_patched(id, &[])?;
        if self.status == 200 {
            let resource = self.json_object()?;
            if MANAGER.read(&resource).is_some() {
                self.demand_manager(&resource, manager)?;
            }
        }
        Ok(())
    }

    /// A group's PATCH: 204, or 200 with an empty body or a group.
    pub(crate) fn group_patched(&self, id: &str, sent: &[Mapped]) -> Result<(), Error> {
        self.demand_status(&[204, 200])?;
        if self.status == 204 || self.body.is_empty() {
            return Ok(());
        }
        self.patched_body(id, sent)
    }

    fn patched_body(&self, id: &str, sent: &[Mapped]) -> Result<(), Error> {
        let resource = self.scim_object(200)?;
        self.demand_id(&resource, id)?;
        self.demand_readable(&resource)?;
        let present: Vec<Mapped> = sent.iter().filter(|sent| sent.target.read(&resource).is_some()).cloned().collect();
        self.demand_values(&resource, &present)
    }

    /// A DELETE: 204.
    pub(crate) fn deleted(&self) -> Result<(), Error> {
        self.demand_status(&[204])
    }

    /// A read of what was deleted: 404 with a SCIM error; plain JSON is tolerated in errors.
    pub(crate) fn gone(&self) -> Result<(), Error> {
        self.demand_status(&[404])?;
        self.demand_content_type(&["application/scim+json", "application/json"])?;
        let error = self.json_object()?;
        self.demand_schema(&error, ERROR)?;
        if error["status"] == "404" || error["status"] == 404 {
            return Ok(());
        }
        Err(self.difference("the error's status to be \"404\"", error["status"].to_string()))
    }

    /// Each value is the one that was sent.
    pub(crate) fn demand_values(&self, resource: &Value, sent: &[Mapped]) -> Result<(), Error> {
        for Mapped { target, value } in sent {
            let found = target.read(resource);
            if found != Some(value) {
                let found = found.map_or_else(|| "nothing".to_owned(), Value::to_string);
                return Err(self.difference(format!("{} to be {value}", target.path()), found));
            }
        }
        Ok(())
    }

    /// The id is the cached one.
    pub(crate) fn demand_id(&self, resource: &Value, id: &str) -> Result<(), Error> {
        if resource["id"] == id {
            return Ok(());
        }
        Err(self.difference(format!("the id {id}"), resource["id"].to_string()))
    }

    /// The manager is the one that was sent.
    pub(crate) fn demand_manager(&self, resource: &Value, manager: &str) -> Result<(), Error> {
        match user::manager(resource) {
            Some(found) if found == manager => Ok(()),
            found => Err(self.difference(format!("the manager {manager}"), found.unwrap_or("none"))),
        }
    }

    /// What every resource must have.
    fn demand_resource(&self, kind: Kind, resource: &Value) -> Result<(), Error> {
        self.demand_schema(resource, kind.schema())?;
        if resource["id"].as_str().is_none_or(str::is_empty) {
            return Err(self.difference("an id that is a string and not empty", resource["id"].to_string()));
        }
        if resource["meta"]["resourceType"] != kind.resource_type() {
            let expected = format!("meta.resourceType {}", kind.resource_type());
            return Err(self.difference(expected, resource["meta"]["resourceType"].to_string()));
        }
        if kind == Kind::User && ACTIVE.read(resource).is_none() {
            return Err(self.difference("active to be present", "a user without active"));
        }
        if kind == Kind::Group && self.path.contains("excludedAttributes=members") && resource.get("members").is_some()
        {
            return Err(self.difference("no members, for they were excluded", "members"));
        }
        self.demand_readable(resource)
    }

    /// Forms that Entra fails to read at all: it then stops updating the object.
    fn demand_readable(&self, resource: &Value) -> Result<(), Error> {
        if let Some(active) = ACTIVE.read(resource).filter(|active| !active.is_boolean()) {
            return Err(self.difference("active to be a boolean", active.to_string()));
        }
        if let Some(manager) = MANAGER.read(resource).filter(|manager| !manager["value"].is_string()) {
            return Err(self.difference("manager to be an object with a value", manager.to_string()));
        }
        Ok(())
    }

    /// The filter was obeyed: without case, as userName and a group's displayName compare.
    fn demand_match(&self, kind: Kind, resource: &Value, value: &str) -> Result<(), Error> {
        let attribute = kind.matching_attribute();
        let found = &resource[attribute];
        if found.as_str().is_some_and(|found| found.to_lowercase() == value.to_lowercase()) {
            return Ok(());
        }
        Err(self.difference(format!("only resources with {attribute} {value:?}"), found.to_string()))
    }
}

#[cfg(test)]
mod tests;
