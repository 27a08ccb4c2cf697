//! `TenantService`.

use authn::grpc;
use ids::TenantId;
use pbjson_types::Empty;
use proto::identity::v1::{
    self as wire, CreateTenantRequest, DeleteTenantRequest, GetTenantRequest, ListTenantsRequest, ListTenantsResponse,
    SetDeactivationAlarmRequest, SetDefaultRoleRequest, SetDefaultRoleResponse, SetDirectoryAdminRequest,
    SetDirectoryAdminResponse, SetProvisioningStateRequest, get_tenant_request::By,
    tenant_service_server::TenantService,
};
use tonic::{Request, Response, Status, async_trait};

use crate::{
    domain::{
        DeactivationAlarm, Error, Founder, InvalidField, ProvisioningState, RoleId, StateReason, Tenant, TenantName,
    },
    rpc::{
        Rpc,
        call::{self, Read},
        paging, roles,
    },
};

#[async_trait]
impl TenantService for Rpc {
    async fn create_tenant(&self, request: Request<CreateTenantRequest>) -> Result<Response<wire::Tenant>, Status> {
        let founder = Founder {
            actor: grpc::principal(&request)?.actor(),
            address: call::address(&request),
            action: "rollcall.identity.v1.TenantService/CreateTenant",
        };
        let name = request.into_inner().tenant.unwrap_or_default().name;
        let name = TenantName::parse(&name).map_err(Error::from)?;
        let tenant = self.store.create_tenant(founder, name).await?;
        Ok(Response::new(tenant.into()))
    }

    async fn get_tenant(&self, request: Request<GetTenantRequest>) -> Result<Response<wire::Tenant>, Status> {
        let principal = grpc::principal(&request)?;
        let id = match &request.get_ref().by {
            Some(By::Id(id)) => id.clone(),
            // Only the operator looks tenants up by name; to others a name is either their own or that of nothing.
            Some(By::Name(name)) if principal.is_operator() => {
                let name = TenantName::parse(name).map_err(|_| Error::NotFound("tenant"))?;
                self.store.tenant_by_name(&name).await?.id.to_string()
            }
            Some(By::Name(name)) => {
                let own = self.store.tenant(principal.tenant).await?;
                if own.name != *name {
                    return Err(Error::NotFound("tenant").into());
                }
                own.id.to_string()
            }
            None => String::new(),
        };
        let action = "/rollcall.identity.v1.TenantService/GetTenant";
        let tenant = self.reader(&request, &id, action, Read::Begun { subject: &id }).await?;
        Ok(Response::new(self.store.tenant(tenant).await?.into()))
    }

    async fn list_tenants(
        &self,
        request: Request<ListTenantsRequest>,
    ) -> Result<Response<ListTenantsResponse>, Status> {
        let ListTenantsRequest { page_size, page_token } = request.into_inner();
        let size = paging::size_or_default(page_size)?;
        let after = match page_token.as_str() {
            "" => None,
            token => Some(TenantName::parse(&paging::text(token)?).map_err(Error::from)?),
        };
        let tenants = self.store.list_tenants(after.as_ref(), size).await?;
        let full = tenants.len() as u64 == size;
        let next_page_token = tenants.last().filter(|_| full).map(|last| paging::token(&last.name)).unwrap_or_default();
        Ok(Response::new(ListTenantsResponse {
            tenants: tenants.into_iter().map(Into::into).collect(),
            next_page_token,
        }))
    }

    async fn set_provisioning_state(
        &self,
        request: Request<SetProvisioningStateRequest>,
    ) -> Result<Response<wire::Tenant>, Status> {
        let caller = self.writer(
            &request,
            &request.get_ref().tenant_id,
            "/rollcall.identity.v1.TenantService/SetProvisioningState",
        )?;
        let state = match request.get_ref().state() {
            wire::ProvisioningState::Off => ProvisioningState::Off,
            wire::ProvisioningState::On => ProvisioningState::On,
            wire::ProvisioningState::Paused => ProvisioningState::Paused,
            wire::ProvisioningState::Preview => ProvisioningState::Preview,
            wire::ProvisioningState::Unspecified => {
                return Err(
                    Error::from(InvalidField::new("state", "must be one of off, on, paused and preview")).into()
                );
            }
        };
        let reason = StateReason::parse(&request.get_ref().reason).map_err(Error::from)?;
        let tenant = self.store.set_provisioning_state(&caller, state, reason).await?;
        Ok(Response::new(tenant.into()))
    }

    async fn delete_tenant(&self, request: Request<DeleteTenantRequest>) -> Result<Response<Empty>, Status> {
        let action = "/rollcall.identity.v1.TenantService/DeleteTenant";
        let caller = self.writer(&request, &request.get_ref().tenant_id, action)?;
        if caller.tenant == TenantId::OPERATOR {
            return Err(
                Error::from(InvalidField::new("tenant_id", "is the operator's, which cannot be deleted")).into()
            );
        }
        self.store.delete_tenant(&caller).await?;
        Ok(Response::new(Empty {}))
    }

    async fn set_deactivation_alarm(
        &self,
        request: Request<SetDeactivationAlarmRequest>,
    ) -> Result<Response<wire::Tenant>, Status> {
        let SetDeactivationAlarmRequest { tenant_id, alarm } = request.get_ref();
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.TenantService/SetDeactivationAlarm")?;
        let alarm = alarm.as_ref().ok_or_else(|| Error::from(InvalidField::new("alarm", "must be set")))?;
        let alarm = DeactivationAlarm::parse(alarm.percent, alarm.pauses).map_err(Error::from)?;
        Ok(Response::new(self.store.set_deactivation_alarm(&caller, alarm).await?.into()))
    }

    async fn set_default_role(
        &self,
        request: Request<SetDefaultRoleRequest>,
    ) -> Result<Response<SetDefaultRoleResponse>, Status> {
        let SetDefaultRoleRequest { tenant_id, role, validate_only } = request.get_ref();
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.TenantService/SetDefaultRole")?;
        let role = RoleId::parse(role).map_err(Error::from)?;
        let set = self.store.set_default_role(&caller, roles::doing(*validate_only), role).await?;
        let moved_count = set.people.map(roles::count);
        Ok(Response::new(SetDefaultRoleResponse { tenant: Some(set.value.into()), moved_count }))
    }

    async fn set_directory_admin(
        &self,
        request: Request<SetDirectoryAdminRequest>,
    ) -> Result<Response<SetDirectoryAdminResponse>, Status> {
        let SetDirectoryAdminRequest { tenant_id, directory_admin, validate_only } = request.get_ref();
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.TenantService/SetDirectoryAdmin")?;
        let set = self.store.set_directory_admin(&caller, roles::doing(*validate_only), *directory_admin).await?;
        let moved_count = roles::count(set.people.unwrap_or_default());
        Ok(Response::new(SetDirectoryAdminResponse { tenant: Some(set.value.into()), moved_count }))
    }
}

impl From<Tenant> for wire::Tenant {
    fn from(tenant: Tenant) -> Self {
        let state = match tenant.provisioning_state {
            ProvisioningState::Off => wire::ProvisioningState::Off,
            ProvisioningState::On => wire::ProvisioningState::On,
            ProvisioningState::Paused => wire::ProvisioningState::Paused,
            ProvisioningState::Preview => wire::ProvisioningState::Preview,
        };
        Self {
            id: tenant.id.to_string(),
            name: tenant.name,
            provisioning_state: state.into(),
            provisioning_state_time: Some(tenant.provisioning_state_since.into()),
            default_role: tenant.default_role.as_str().to_owned(),
            create_time: Some(tenant.created_at.into()),
            provisioning_state_reason: tenant.provisioning_state_reason,
            directory_admin: tenant.directory_admin,
            deactivation_alarm: Some(wire::DeactivationAlarm {
                percent: tenant.deactivation_alarm.alarm.percent(),
                pauses: tenant.deactivation_alarm.alarm.pauses,
                last_time: tenant.deactivation_alarm.rang_at.map(Into::into),
            }),
        }
    }
}
