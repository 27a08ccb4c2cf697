//! What each call begins with: who calls, for which tenant, and whether that is allowed now.

use authn::{Principal, Scope, TenantError, grpc};
use ids::TenantId;
use tonic::{Request, Status};

use crate::{
    domain::{Caller, Error, InvalidField, ProvisioningState},
    rpc::access,
    store::Store,
};

/// The caller of a write. Whether the tenant exists and lets a directory write is read in the write's own transaction.
pub(super) fn writer<T>(request: &Request<T>, named: &str, action: &'static str) -> Result<Caller, Status> {
    caller(grpc::principal(request)?, named, action)
}

/// The caller of a read of `subject`, after the tenant's state was checked and an operator's use recorded.
///
/// `continued` says that the read goes on with an earlier one's next page, which was recorded when it began.
pub(super) async fn reader<T>(
    store: &Store,
    request: &Request<T>,
    named: &str,
    action: &'static str,
    read: Read<'_>,
) -> Result<TenantId, Status> {
    let caller = caller(grpc::principal(request)?, named, action)?;
    let tenant = store.tenant(caller.tenant).await?;
    if caller.provisioning && tenant.provisioning_state == ProvisioningState::Off {
        return Err(Error::ProvisioningOff.into());
    }
    match read {
        Read::Begun { subject } if caller.operator => store.record_read(&caller, subject.to_owned()).await?,
        Read::Begun { .. } | Read::Continued => {}
    }
    Ok(caller.tenant)
}

/// What is read, for the record of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read<'r> {
    /// A resource of this id, or the beginning of a list (empty).
    Begun { subject: &'r str },
    /// The next page of a list.
    Continued,
}

impl<'r> Read<'r> {
    /// A list, from its page token.
    pub(super) const fn list(page_token: &'r str) -> Self {
        if page_token.is_empty() { Self::Begun { subject: "" } } else { Self::Continued }
    }
}

fn caller(principal: &Principal, named: &str, action: &'static str) -> Result<Caller, Status> {
    let tenant = principal.tenant(named).map_err(|error| match error {
        TenantError::InvalidArgument => {
            Error::from(InvalidField::new("tenant_id", "must name a tenant when the operator calls"))
        }
        TenantError::NotFound => Error::NotFound("tenant"),
    })?;
    tracing::Span::current().record("tenant.id", tracing::field::display(tenant));
    Ok(Caller {
        tenant,
        actor: principal.actor(),
        action: action.trim_start_matches('/'),
        // A key may hold more scopes than a directory needs; what it does as an administrator is an administrator's act.
        provisioning: principal.scopes.contains(Scope::Scim) && access::serves_directories(action),
        operator: principal.is_operator(),
    })
}
