//! `RoleService`.

use proto::identity::v1::{
    self as wire, ClearManualRoleRequest, CreateRoleMappingRequest, CreateRoleMappingResponse, CreateRoleRequest,
    DeleteRoleMappingRequest, DeleteRoleMappingResponse, DeleteRoleRequest, DeleteRoleResponse,
    ListRoleMappingsRequest, ListRoleMappingsResponse, ListRolesRequest, ListRolesResponse, SetManualRoleRequest, User,
    create_role_mapping_request::Group, role_mapping, role_service_server::RoleService,
};
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use crate::{
    domain::{
        Error, GroupName, InvalidField, MappedGroup, Role, RoleAssignment, RoleDraft, RoleId, RoleMapping, RoleOrigin,
        RoleSource,
    },
    rpc::{Rpc, call::Read, groups, paging, users},
    store::{CreateRoleMapping, Doing, SetManualRole},
};

#[async_trait]
impl RoleService for Rpc {
    async fn list_roles(&self, request: Request<ListRolesRequest>) -> Result<Response<ListRolesResponse>, Status> {
        let ListRolesRequest { tenant_id, page_size, page_token } = request.get_ref();
        let read = Read::list(page_token);
        let tenant = self.reader(&request, tenant_id, "/rollcall.identity.v1.RoleService/ListRoles", read).await?;
        let (roles, next_page_token) = page(self.store.roles(tenant).await?, *page_size, page_token)?;
        let roles = roles.into_iter().map(Into::into).collect();
        Ok(Response::new(ListRolesResponse { roles, next_page_token }))
    }

    async fn create_role(&self, request: Request<CreateRoleRequest>) -> Result<Response<wire::Role>, Status> {
        let caller =
            self.writer(&request, &request.get_ref().tenant_id, "/rollcall.identity.v1.RoleService/CreateRole")?;
        let role = request.into_inner().role.unwrap_or_default();
        let draft = RoleDraft::parse(&role.id, role.rank, role.description).map_err(Error::from)?;
        let role = self.store.create_role(&caller, draft).await?;
        Ok(Response::new(role.into()))
    }

    async fn delete_role(&self, request: Request<DeleteRoleRequest>) -> Result<Response<DeleteRoleResponse>, Status> {
        let DeleteRoleRequest { tenant_id, role_id } = request.get_ref();
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.RoleService/DeleteRole")?;
        // What can be no role is none.
        let role = RoleId::parse(role_id).map_err(|_| Error::NotFound("role"))?;
        self.store.delete_role(&caller, role).await?;
        Ok(Response::new(DeleteRoleResponse {}))
    }

    async fn set_manual_role(&self, request: Request<SetManualRoleRequest>) -> Result<Response<User>, Status> {
        let SetManualRoleRequest { tenant_id, user_id, role } = request.get_ref();
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.RoleService/SetManualRole")?;
        let set = SetManualRole { user: users::id(user_id)?, role: RoleId::parse(role).map_err(Error::from)? };
        let user = self.store.set_manual_role(&caller, set).await?;
        Ok(Response::new(user.into()))
    }

    async fn clear_manual_role(&self, request: Request<ClearManualRoleRequest>) -> Result<Response<User>, Status> {
        let ClearManualRoleRequest { tenant_id, user_id } = request.get_ref();
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.RoleService/ClearManualRole")?;
        let user = self.store.clear_manual_role(&caller, users::id(user_id)?).await?;
        Ok(Response::new(user.into()))
    }

    async fn create_role_mapping(
        &self,
        request: Request<CreateRoleMappingRequest>,
    ) -> Result<Response<CreateRoleMappingResponse>, Status> {
        let caller =
            self.writer(&request, &request.get_ref().tenant_id, "/rollcall.identity.v1.RoleService/CreateRoleMapping")?;
        let CreateRoleMappingRequest { role, group, validate_only, .. } = request.into_inner();
        let group = match group {
            Some(Group::GroupId(id)) => MappedGroup::Id(groups::id(&id)?),
            Some(Group::GroupName(name)) => {
                let parsed = GroupName::parse(name);
                MappedGroup::Name(
                    parsed.map_err(|error| InvalidField::new("group_name", error.problem)).map_err(Error::from)?,
                )
            }
            None => return Err(Error::from(InvalidField::new("group", "must be named by its id or its name")).into()),
        };
        let create = CreateRoleMapping { group, role: RoleId::parse(&role).map_err(Error::from)? };
        let created = self.store.create_role_mapping(&caller, doing(validate_only), create).await?;
        Ok(Response::new(CreateRoleMappingResponse {
            mapping: Some(created.value.into()),
            moved_count: count(created.people.unwrap_or_default()),
        }))
    }

    async fn list_role_mappings(
        &self,
        request: Request<ListRoleMappingsRequest>,
    ) -> Result<Response<ListRoleMappingsResponse>, Status> {
        let ListRoleMappingsRequest { tenant_id, page_size, page_token } = request.get_ref();
        let read = Read::list(page_token);
        let tenant =
            self.reader(&request, tenant_id, "/rollcall.identity.v1.RoleService/ListRoleMappings", read).await?;
        let (mappings, next_page_token) = page(self.store.role_mappings(tenant).await?, *page_size, page_token)?;
        let mappings = mappings.into_iter().map(Into::into).collect();
        Ok(Response::new(ListRoleMappingsResponse { mappings, next_page_token }))
    }

    async fn delete_role_mapping(
        &self,
        request: Request<DeleteRoleMappingRequest>,
    ) -> Result<Response<DeleteRoleMappingResponse>, Status> {
        let DeleteRoleMappingRequest { tenant_id, mapping_id, validate_only } = request.get_ref();
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.RoleService/DeleteRoleMapping")?;
        let mapping = Uuid::try_parse(mapping_id).map_err(|_| Error::NotFound("role mapping"))?;
        let deleted = self.store.delete_role_mapping(&caller, doing(*validate_only), mapping).await?;
        let moved_count = count(deleted.people.unwrap_or_default());
        Ok(Response::new(DeleteRoleMappingResponse { moved_count }))
    }
}

/// A page of a list that is short enough to be read whole, by the number of rows before it.
fn page<T>(rows: Vec<T>, page_size: i32, page_token: &str) -> Result<(Vec<T>, String), Error> {
    let size = usize::try_from(paging::size_or_default(page_size)?).unwrap_or(usize::MAX);
    let before = if page_token.is_empty() {
        0
    } else {
        let unknown = || InvalidField::new("page_token", "is not one that a list answered");
        paging::text(page_token)?.parse::<usize>().map_err(|_| unknown())?
    };
    let end = before.saturating_add(size);
    let next = if end < rows.len() { paging::token(end) } else { String::new() };
    Ok((rows.into_iter().skip(before).take(size).collect(), next))
}

pub(super) const fn doing(validate_only: bool) -> Doing {
    if validate_only { Doing::Validate } else { Doing::Act }
}

pub(super) fn count(people: u64) -> i64 {
    i64::try_from(people).unwrap_or(i64::MAX)
}

pub(super) const fn source(source: RoleSource) -> wire::RoleSource {
    match source {
        RoleSource::Manual => wire::RoleSource::Manual,
        RoleSource::Provisioned => wire::RoleSource::Provisioned,
        RoleSource::Group => wire::RoleSource::Group,
        RoleSource::Default => wire::RoleSource::Default,
    }
}

impl From<Role> for wire::Role {
    fn from(role: Role) -> Self {
        Self {
            id: role.id.as_str().to_owned(),
            rank: role.rank,
            description: role.description,
            built_in: role.built_in,
        }
    }
}

impl From<RoleAssignment> for wire::RoleAssignment {
    fn from(assignment: RoleAssignment) -> Self {
        let common = Self {
            role: assignment.role.as_str().to_owned(),
            source: source(assignment.origin.source()).into(),
            assigned_by: assignment.assigned_by,
            assign_time: Some(assignment.assigned_at.into()),
            ..Self::default()
        };
        match assignment.origin {
            RoleOrigin::Manual => common,
            RoleOrigin::Provisioned { value } => Self { provisioned_value: value, ..common },
            RoleOrigin::Group { id, display_name } => {
                Self { group_id: id.to_string(), group_display_name: display_name, ..common }
            }
        }
    }
}

impl From<RoleMapping> for wire::RoleMapping {
    fn from(mapping: RoleMapping) -> Self {
        let group = match mapping.group {
            MappedGroup::Id(id) => role_mapping::Group::GroupId(id.to_string()),
            MappedGroup::Name(name) => role_mapping::Group::GroupName(name.as_str().to_owned()),
        };
        let (current_group_id, current_group_display_name) =
            mapping.leads_to.map(|(id, name)| (id.to_string(), name)).unwrap_or_default();
        Self {
            id: mapping.id.to_string(),
            role: mapping.role.as_str().to_owned(),
            group: Some(group),
            created_by: mapping.created_by,
            create_time: Some(mapping.created_at.into()),
            current_group_id,
            current_group_display_name,
            held: mapping.held,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_a_short_list_hold_every_row_once() {
        let (first, token) = page(vec![1, 2, 3], 2, "").unwrap();
        let (second, end) = page(vec![1, 2, 3], 2, &token).unwrap();
        assert_eq!((first, second, end.as_str()), (vec![1, 2], vec![3], ""));
        assert_eq!(page(vec![1, 2], 2, "").unwrap().1, "");
        for token in ["x", &paging::token("x"), &paging::token(-1)] {
            assert!(page(vec![1], 1, token).is_err(), "{token}");
        }
        assert_eq!(page(vec![1], 1, &paging::token(u64::MAX)).unwrap().0, Vec::<i32>::new());
    }
}
