//! `rollcall group map-role`, `unmap-role` and `mappings`: groups whose members have a role.

use std::io;

use ids::GroupId;
use proto::identity::v1::{
    CreateRoleMappingRequest, DeleteRoleMappingRequest, ListRoleMappingsRequest, RoleMapping,
    create_role_mapping_request, role_mapping::Group as Named,
};

use crate::{
    commands::{group::find, moment, or_dash},
    failure::Failure,
    output::{self, Row},
    pages::{self, PAGE_SIZE, Pages},
    session::Session,
};

impl Row for RoleMapping {
    const COLUMNS: &'static [&'static str] = &["role", "group", "by", "leads to", "effect", "made by", "made"];

    fn cells(&self) -> Vec<String> {
        let (group, by) = match &self.group {
            Some(Named::GroupId(id)) => (id.as_str(), "id"),
            Some(Named::GroupName(name)) => (name.as_str(), "name"),
            None => ("-", "-"),
        };
        let effect = match (self.held, self.current_group_id.is_empty()) {
            (true, _) => "held",
            (false, true) => "none: no such group",
            (false, false) => "yes",
        };
        vec![
            self.role.clone(),
            group.to_owned(),
            by.to_owned(),
            or_dash(Some(&self.current_group_display_name)),
            effect.to_owned(),
            self.created_by.clone(),
            moment(self.create_time.as_ref()),
        ]
    }
}

/// What to map, or no more.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Mapping {
    /// The group's displayName; with --by-id, the group's id or the displayName that it has now
    group: String,
    /// The role
    role: String,
    /// Mean the group itself, whatever it is called: asked for with the role admin
    #[arg(long)]
    by_id: bool,
    /// Say how many people it would move, and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn map(session: &Session, tenant_id: String, mapping: Mapping) -> Result<(), Failure> {
    let Mapping { group, role, by_id, dry_run } = mapping;
    let named = if by_id {
        create_role_mapping_request::Group::GroupId(find(session, &tenant_id, &group).await?.id)
    } else {
        create_role_mapping_request::Group::GroupName(group)
    };
    let request = CreateRoleMappingRequest { tenant_id, role, group: Some(named), validate_only: dry_run };
    let created = session.roles().create_role_mapping(request).await?.into_inner();
    let mapping = created.mapping.unwrap_or_default();
    let fields: Vec<_> = RoleMapping::COLUMNS.iter().copied().zip(mapping.cells()).collect();
    output::one(io::stdout(), session.format, &mapping, &fields)?;
    moved(created.moved_count, dry_run);
    if mapping.current_group_id.is_empty() {
        output::note("No group has this name now: the mapping takes effect when one has.");
    }
    Ok(())
}

pub(super) async fn unmap(session: &Session, tenant_id: String, mapping: Mapping) -> Result<(), Failure> {
    let Mapping { group, role, by_id, dry_run } = mapping;
    let wanted = if by_id { GroupId::to_string(&id(session, &tenant_id, &group).await?) } else { group.clone() };
    let mapping_id = match mappings(session, &tenant_id, &wanted, &role, by_id).await? {
        Some(mapping) => mapping.id,
        None => {
            return Err(Failure::NotFound(format!(
                "`{group}` is not mapped to `{role}` so: `rollcall group mappings` shows all mappings, by name and by id"
            )));
        }
    };
    let request = DeleteRoleMappingRequest { tenant_id, mapping_id, validate_only: dry_run };
    let deleted = session.roles().delete_role_mapping(request).await?.into_inner();
    moved(deleted.moved_count, dry_run);
    Ok(())
}

pub(super) async fn list(session: &Session, tenant_id: &str) -> Result<(), Failure> {
    pages::print(session.format, async |page_token| {
        let request = ListRoleMappingsRequest { tenant_id: tenant_id.to_owned(), page_size: PAGE_SIZE, page_token };
        let page = session.roles().list_role_mappings(request).await?.into_inner();
        Ok((page.mappings, page.next_page_token))
    })
    .await
}

/// The id of a group that may be gone: then it is the text.
async fn id(session: &Session, tenant_id: &str, group: &str) -> Result<GroupId, Failure> {
    if let Ok(id) = group.parse() {
        return Ok(id);
    }
    let found = find(session, tenant_id, group).await?;
    found.id.parse().map_err(|_| Failure::NotFound(format!("there is no group `{group}`")))
}

/// The mapping of a group, named as it was mapped. A name is compared as the server does.
async fn mappings(
    session: &Session,
    tenant_id: &str,
    group: &str,
    role: &str,
    by_id: bool,
) -> Result<Option<RoleMapping>, Failure> {
    let mut pages = Pages::new(async |page_token| {
        let request = ListRoleMappingsRequest { tenant_id: tenant_id.to_owned(), page_size: PAGE_SIZE, page_token };
        let page = session.roles().list_role_mappings(request).await?.into_inner();
        Ok((page.mappings, page.next_page_token))
    });
    while let Some(page) = pages.page().await? {
        let is_it = |mapping: &RoleMapping| match &mapping.group {
            Some(Named::GroupId(id)) => by_id && id == group,
            Some(Named::GroupName(name)) => !by_id && same_name(name, group),
            None => false,
        };
        if let Some(found) = page.into_iter().find(|mapping| mapping.role == role && is_it(mapping)) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Without case (rule R15).
fn same_name(one: &str, other: &str) -> bool {
    case_key::CaseKey::of(one) == case_key::CaseKey::of(other)
}

/// Says how many people have another role.
pub(in crate::commands) fn moved(people: i64, dry_run: bool) {
    let people = match people {
        1 => "1 person".to_owned(),
        people => format!("{people} people"),
    };
    let verb = if dry_run { "would have" } else { "have" };
    output::note(format!("{people} {verb} another role by it."));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_a_mapping_does_now() {
        let mapping = RoleMapping {
            role: "developer".to_owned(),
            group: Some(Named::GroupName("Ops".to_owned())),
            created_by: "key:k".to_owned(),
            ..RoleMapping::default()
        };
        assert_eq!(mapping.cells()[..5], ["developer", "Ops", "name", "-", "none: no such group"]);
        let led = RoleMapping {
            current_group_id: "g".to_owned(),
            current_group_display_name: "OPS".to_owned(),
            group: Some(Named::GroupId("g".to_owned())),
            ..mapping
        };
        assert_eq!(led.cells()[..5], ["developer", "g", "id", "OPS", "yes"]);
        assert_eq!(RoleMapping { held: true, ..led }.cells()[4], "held");
    }

    #[test]
    fn a_mapping_in_json_has_the_protos_names() {
        let mapping = RoleMapping { group: Some(Named::GroupName("Ops".to_owned())), ..RoleMapping::default() };
        let value = serde_json::to_value(mapping).unwrap();
        assert_eq!((&value["groupName"], &value["held"]), (&"Ops".into(), &false.into()));
    }
}
