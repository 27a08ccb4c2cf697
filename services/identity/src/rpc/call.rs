//! What each call begins with: who calls, for which tenant, and whether that is allowed now.

use std::net::IpAddr;

use authn::{Scope, TenantError, grpc};
use ids::TenantId;
use proto::Peer;
use telemetry::RequestId;
use tonic::{Request, Status};

use crate::{
    domain::{Caller, Error, InvalidField, ProvisioningState, StateReason, WriteNotes},
    rpc::{Listener, Rpc},
};

impl Rpc {
    /// The caller of a write. Whether the tenant exists and lets a directory write is read in the write's own transaction.
    pub(super) fn writer<T>(&self, request: &Request<T>, named: &str, action: &'static str) -> Result<Caller, Status> {
        self.caller(request, named, action)
    }

    /// The caller of a read, after the tenant's state was checked and an operator's use recorded.
    pub(super) async fn reader<T>(
        &self,
        request: &Request<T>,
        named: &str,
        action: &'static str,
        read: Read<'_>,
    ) -> Result<TenantId, Status> {
        let caller = self.caller(request, named, action)?;
        let tenant = self.store.tenant(caller.tenant).await?;
        if caller.provisioning && tenant.provisioning_state == ProvisioningState::Off {
            return Err(Error::ProvisioningOff { reason: StateReason::stored(tenant.provisioning_state_reason) }.into());
        }
        match read {
            Read::Begun { subject } if caller.operator => self.store.record_read(&caller, subject.to_owned()).await?,
            Read::Begun { .. } | Read::Continued => {}
        }
        Ok(caller.tenant)
    }

    /// The caller of a read of the audit log. The operator reads that of a deleted tenant too.
    pub(super) async fn log_reader<T>(
        &self,
        request: &Request<T>,
        named: &str,
        action: &'static str,
        read: Read<'_>,
    ) -> Result<TenantId, Status> {
        let caller = self.caller(request, named, action)?;
        match read {
            Read::Begun { .. } if caller.operator => {
                self.store.record_log_read(&caller).await?;
                Ok(caller.tenant)
            }
            Read::Continued if caller.operator => Ok(caller.tenant),
            Read::Begun { .. } | Read::Continued => self.reader(request, named, action, read).await,
        }
    }

    fn caller<T>(&self, request: &Request<T>, named: &str, action: &'static str) -> Result<Caller, Status> {
        let principal = grpc::principal(request)?;
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
            address: address(request),
            action: action.trim_start_matches('/'),
            request_id: request.extensions().get().map(RequestId::to_string).unwrap_or_default(),
            // Whatever else a key may do: what the façade does with it is a directory's traffic, and what comes in elsewhere is not.
            provisioning: matches!(self.listener, Listener::Internal(_)),
            administrator: principal.scopes.allows(Scope::Admin),
            operator: principal.is_operator(),
            notes: WriteNotes::default(),
        })
    }
}

/// Where a call comes from, as far as the listener knows.
pub(super) fn address<T>(request: &Request<T>) -> Option<IpAddr> {
    request.extensions().get::<Peer>().and_then(|peer| peer.address)
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
