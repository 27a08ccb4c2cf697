//! `rollcall group …`.

mod mapping;

use std::io;

use clap::Subcommand;
use ids::GroupId;
use proto::identity::v1::{GetGroupRequest, Group, ListGroupsRequest, ListMembersRequest, Member};
use serde::Serialize;
use tonic::Code;

use crate::{
    commands::{equals, moment, or_dash},
    failure::Failure,
    output::{self, Format, List, Row},
    pages::{self, PAGE_SIZE, Pages},
    session::Session,
};

use mapping::Mapping;
pub(in crate::commands) use mapping::moved;

/// Groups of the tenant
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List all groups
    List,
    /// Show one group and its members
    Show {
        /// The group's displayName or id
        name: String,
    },
    /// Give the members of a group a role
    MapRole(Mapping),
    /// Take a mapping away; name the group as it was mapped
    UnmapRole(Mapping),
    /// List all mappings of groups to roles
    Mappings,
}

/// A group with its members, as one object.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    group: &'a Group,
    members: &'a [Member],
}

impl Row for Group {
    const COLUMNS: &'static [&'static str] = &["id", "display name", "external id", "created", "updated"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.display_name.clone(),
            or_dash(self.external_id.as_deref()),
            moment(self.create_time.as_ref()),
            moment(self.update_time.as_ref()),
        ]
    }
}

impl Row for Member {
    const COLUMNS: &'static [&'static str] = &["user id", "display name"];

    fn cells(&self) -> Vec<String> {
        vec![self.user_id.clone(), self.display_name.clone()]
    }
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let tenant_id = session.tenant().await?.id;
    match command {
        Command::List => list(session, &tenant_id).await,
        Command::Show { name } => show(session, &tenant_id, &name).await,
        Command::MapRole(mapping) => mapping::map(session, tenant_id, mapping).await,
        Command::UnmapRole(mapping) => mapping::unmap(session, tenant_id, mapping).await,
        Command::Mappings => mapping::list(session, &tenant_id).await,
    }
}

async fn list(session: &Session, tenant_id: &str) -> Result<(), Failure> {
    pages::print(session.format, async |page_token| {
        let tenant_id = tenant_id.to_owned();
        let request = ListGroupsRequest { tenant_id, page_size: PAGE_SIZE, page_token, ..ListGroupsRequest::default() };
        let page = session.groups().list_groups(request).await?.into_inner();
        Ok((page.groups, page.next_page_token))
    })
    .await
}

async fn show(session: &Session, tenant_id: &str, name: &str) -> Result<(), Failure> {
    let group = find(session, tenant_id, name).await?;
    let mut pages = Pages::new(async |page_token| {
        let request = ListMembersRequest {
            tenant_id: tenant_id.to_owned(),
            group_id: group.id.clone(),
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = session.groups().list_members(request).await?.into_inner();
        Ok((page.members, page.next_page_token))
    });
    let mut members = Vec::new();
    while let Some(page) = pages.page().await? {
        members.extend(page);
    }
    let mut fields: Vec<_> = Group::COLUMNS.iter().copied().zip(group.cells()).collect();
    fields.push(("members", members.len().to_string()));
    output::one(io::stdout(), session.format, &Whole { group: &group, members: &members }, &fields)?;
    if session.format == Format::Table && !members.is_empty() {
        let mut list = List::new(io::stdout(), Format::Table);
        list.rows(&members)?;
        list.end::<Member>()?;
    }
    Ok(())
}

/// A live group by displayName, else by id.
async fn find(session: &Session, tenant_id: &str, name: &str) -> Result<Group, Failure> {
    let request = ListGroupsRequest {
        tenant_id: tenant_id.to_owned(),
        filter: Some(equals("display_name", name)),
        page_size: 1,
        ..ListGroupsRequest::default()
    };
    if let Some(group) = session.groups().list_groups(request).await?.into_inner().groups.pop() {
        return Ok(group);
    }
    let unknown = || Failure::NotFound(format!("there is no group `{name}`: `rollcall group list` shows them all"));
    let Ok(id) = name.parse::<GroupId>() else { return Err(unknown()) };
    let request = GetGroupRequest { tenant_id: tenant_id.to_owned(), group_id: id.to_string() };
    match session.groups().get_group(request).await {
        Ok(group) => Ok(group.into_inner()),
        Err(status) if status.code() == Code::NotFound => Err(unknown()),
        Err(status) => Err(status.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_in_json_has_its_members_inside() {
        let group = Group { id: "g".to_owned(), display_name: "Staff".to_owned(), ..Group::default() };
        let members = [Member { user_id: "u".to_owned(), display_name: "Ada".to_owned() }];
        let value = serde_json::to_value(Whole { group: &group, members: &members }).unwrap();
        assert_eq!(value["displayName"], "Staff");
        assert_eq!(value["members"], serde_json::json!([{"userId": "u", "displayName": "Ada"}]));
    }
}
