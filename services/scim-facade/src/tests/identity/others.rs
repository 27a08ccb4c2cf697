//! What is not of users and groups.

use std::collections::VecDeque;

use pbjson_types::Empty;
use proto::identity::v1::{
    AppendProvisioningEntriesRequest, AppendProvisioningEntriesResponse, CreateTenantRequest,
    CreateUserAttributeRequest, DeleteTenantRequest, DeleteUserAttributeRequest, GetProvisioningSummaryRequest,
    GetTenantRequest, ListProvisioningEntriesRequest, ListProvisioningEntriesResponse, ListTenantsRequest,
    ListTenantsResponse, ListUserAttributesRequest, ListUserAttributesResponse, ProvisioningSummary,
    SetDeactivationAlarmRequest, SetDefaultRoleRequest, SetDefaultRoleResponse, SetDirectoryAdminRequest,
    SetDirectoryAdminResponse, SetProvisioningStateRequest, Tenant, UserAttribute,
    provisioning_log_service_server::ProvisioningLogService, tenant_service_server::TenantService,
    user_attribute_service_server::UserAttributeService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Fault, Identity};

#[async_trait]
impl TenantService for Identity {
    async fn get_tenant(&self, request: Request<GetTenantRequest>) -> Result<Response<Tenant>, Status> {
        assert!(request.get_ref().by.is_none());
        let directory = self.begin("GetTenant", &request, false)?;
        let tenant = Tenant { provisioning_state: directory.state.into(), ..Tenant::default() };
        Ok(Response::new(tenant))
    }

    async fn create_tenant(&self, _: Request<CreateTenantRequest>) -> Result<Response<Tenant>, Status> {
        Err(Status::permission_denied("not for a directory"))
    }

    async fn list_tenants(&self, _: Request<ListTenantsRequest>) -> Result<Response<ListTenantsResponse>, Status> {
        Err(Status::permission_denied("not for a directory"))
    }

    async fn delete_tenant(&self, _: Request<DeleteTenantRequest>) -> Result<Response<Empty>, Status> {
        Err(Status::permission_denied("not for a directory"))
    }

    async fn set_deactivation_alarm(
        &self,
        _: Request<SetDeactivationAlarmRequest>,
    ) -> Result<Response<Tenant>, Status> {
        Err(Status::permission_denied("not for a directory"))
    }

    async fn set_default_role(
        &self,
        _: Request<SetDefaultRoleRequest>,
    ) -> Result<Response<SetDefaultRoleResponse>, Status> {
        Err(Status::permission_denied("not for a directory"))
    }

    async fn set_directory_admin(
        &self,
        _: Request<SetDirectoryAdminRequest>,
    ) -> Result<Response<SetDirectoryAdminResponse>, Status> {
        Err(Status::permission_denied("not for a directory"))
    }

    async fn set_provisioning_state(
        &self,
        _: Request<SetProvisioningStateRequest>,
    ) -> Result<Response<Tenant>, Status> {
        Err(Status::permission_denied("not for a directory"))
    }
}

#[async_trait]
impl UserAttributeService for Identity {
    async fn list_user_attributes(
        &self,
        request: Request<ListUserAttributesRequest>,
    ) -> Result<Response<ListUserAttributesResponse>, Status> {
        let directory = self.begin("ListUserAttributes", &request, false)?;
        let user_attributes = directory.user_attributes.clone();
        Ok(Response::new(ListUserAttributesResponse { user_attributes, next_page_token: String::new() }))
    }

    async fn create_user_attribute(
        &self,
        _: Request<CreateUserAttributeRequest>,
    ) -> Result<Response<UserAttribute>, Status> {
        Err(Status::permission_denied("not for a directory"))
    }

    async fn delete_user_attribute(&self, _: Request<DeleteUserAttributeRequest>) -> Result<Response<Empty>, Status> {
        Err(Status::permission_denied("not for a directory"))
    }
}

#[async_trait]
impl ProvisioningLogService for Identity {
    async fn append_provisioning_entries(
        &self,
        request: Request<AppendProvisioningEntriesRequest>,
    ) -> Result<Response<AppendProvisioningEntriesResponse>, Status> {
        let mut directory = self.directory();
        if let Some(Fault::Status(status)) =
            directory.faults.get_mut("AppendProvisioningEntries").and_then(VecDeque::pop_front)
        {
            return Err(status);
        }
        let entries = request.into_inner().entries;
        let appended_count = i64::try_from(entries.len()).unwrap();
        directory.log.extend(entries);
        Ok(Response::new(AppendProvisioningEntriesResponse { appended_count }))
    }

    async fn list_provisioning_entries(
        &self,
        _: Request<ListProvisioningEntriesRequest>,
    ) -> Result<Response<ListProvisioningEntriesResponse>, Status> {
        Err(Status::permission_denied("not for a directory"))
    }

    async fn get_provisioning_summary(
        &self,
        _: Request<GetProvisioningSummaryRequest>,
    ) -> Result<Response<ProvisioningSummary>, Status> {
        Err(Status::permission_denied("not for a directory"))
    }
}
