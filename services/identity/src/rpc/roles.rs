//! `RoleService`.

use proto::identity::v1::{
    ClearManualRoleRequest, ListRolesRequest, ListRolesResponse, Role, SetManualRoleRequest, User,
    role_service_server::RoleService,
};
use tonic::{Request, Response, Status, async_trait};

use crate::{
    domain::{BUILT_IN, Error, InvalidField, RoleId},
    rpc::{Rpc, call::Read, users},
    store::SetManualRole,
};

#[async_trait]
impl RoleService for Rpc {
    async fn list_roles(&self, request: Request<ListRolesRequest>) -> Result<Response<ListRolesResponse>, Status> {
        let ListRolesRequest { tenant_id, page_token, .. } = request.get_ref();
        if !page_token.is_empty() {
            // The catalogue fits the smallest page, so no token was ever given out.
            return Err(Error::from(InvalidField::new("page_token", "is not one that a list answered")).into());
        }
        self.reader(&request, tenant_id, "/rollcall.identity.v1.RoleService/ListRoles", Read::Begun { subject: "" })
            .await?;
        let roles = BUILT_IN.iter().map(|(id, rank)| Role { id: (*id).to_owned(), rank: *rank }).collect();
        Ok(Response::new(ListRolesResponse { roles, next_page_token: String::new() }))
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
}
