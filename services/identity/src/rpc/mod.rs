//! gRPC: from the wire to the domain, and back.

mod audit;
mod call;
mod changes;
mod departures;
mod events;
mod filters;
mod groups;
mod notes;
mod paging;
mod personal_data;
mod profile;
mod provisioning_log;
mod roles;
mod status;
mod tenants;
mod user_attributes;
mod users;

use authn::{
    Authenticator,
    grpc::{Callers, Layer},
};
use proto::identity::v1::{
    audit_service_server::AuditServiceServer, change_service_server::ChangeServiceServer,
    departure_service_server::DepartureServiceServer, event_service_server::EventServiceServer,
    group_service_server::GroupServiceServer, personal_data_service_server::PersonalDataServiceServer,
    provisioning_log_service_server::ProvisioningLogServiceServer, role_service_server::RoleServiceServer,
    tenant_service_server::TenantServiceServer, user_attribute_service_server::UserAttributeServiceServer,
    user_service_server::UserServiceServer,
};
use tonic::service::RoutesBuilder;
use tower::Layer as _;

use crate::{Senders, store::Store};

/// The largest request: a group's change that names [`crate::domain::MEMBER_IDS_MAX`] ids, with room to spare.
const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The largest answer: a page of 1,000 users with long profiles. Over TCP a client must allow it too.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Every service of identity over one store, as one listener serves them.
#[derive(Clone, Debug)]
pub(crate) struct Rpc {
    store: Store,
    senders: Senders,
    listener: Listener,
}

/// Where a call came in (rule R2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// Where everybody calls. A directory's key opens nothing here.
    Public,
    /// Where Rollcall's services alone call: the SCIM façade on behalf of directories, and api-keys to learn who leaves.
    Internal(Callers),
}

impl Rpc {
    pub(crate) const fn new(store: Store, senders: Senders, listener: Listener) -> Self {
        Self { store, senders, listener }
    }

    /// Adds every service, each behind the check of its callers.
    pub(crate) fn add_services(&self, routes: &mut RoutesBuilder, authenticator: &Authenticator) {
        let guard = match self.listener {
            Listener::Public => Layer::public(authenticator.clone()),
            Listener::Internal(callers) => Layer::internal(callers, authenticator.clone()),
        };
        macro_rules! add {
            ($($server:ident),*) => {$(
                let server = $server::new(self.clone())
                    .max_decoding_message_size(REQUEST_BYTES_MAX)
                    .max_encoding_message_size(ANSWER_BYTES_MAX);
                routes.add_service(guard.layer(server));
            )*};
        }
        add!(
            EventServiceServer,
            GroupServiceServer,
            ProvisioningLogServiceServer,
            TenantServiceServer,
            UserAttributeServiceServer,
            UserServiceServer
        );
        match self.listener {
            Listener::Public => {
                add!(AuditServiceServer, ChangeServiceServer, PersonalDataServiceServer, RoleServiceServer);
            }
            Listener::Internal(_) => {
                add!(DepartureServiceServer);
            }
        }
    }
}
