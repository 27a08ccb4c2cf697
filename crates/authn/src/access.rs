//! Who may call what: one row for each RPC of Rollcall, as data (rules R2, R6 and R7). A method without a row is refused.

use proto::Service;

use crate::Scope;

/// Who may call one method, and where.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The full path, as in `/rollcall.identity.v1.UserService/GetUser`.
    pub method: &'static str,
    /// At a public listener: a caller that has one of these scopes, itself or implied. Empty: nobody.
    pub scopes: &'static [Scope],
    /// At an internal listener: these services. Empty: none.
    pub services: &'static [Service],
    /// What a service must bring along there: a credential of somebody who has one of these scopes. Empty: none is asked for.
    pub on_behalf_of: &'static [Scope],
    /// Whether a call to a public listener goes on for longer than a credential may live, so that the service asks again ([`crate::grpc::Standing`]).
    pub long_lived: bool,
}

/// Whoever may read.
const READ: &[Scope] = &[Scope::IdentityRead];
/// Whoever may write.
const WRITE: &[Scope] = &[Scope::IdentityWrite];
/// Administrators of a tenant.
const ADMIN: &[Scope] = &[Scope::Admin];
/// The operator of the installation.
const OPERATOR: &[Scope] = &[Scope::Operator];
/// A directory, through the façade.
const DIRECTORY: &[Scope] = &[Scope::Scim];
/// The façade.
const FACADE: &[Service] = &[Service::Scim];
/// Whoever ends credentials.
const API_KEYS: &[Service] = &[Service::ApiKeys];
/// Whoever has callers to check; api-keys has its own, in its own process.
const VERIFIERS: &[Service] = &[Service::ApiKeys, Service::Identity, Service::Scim, Service::Console];

/// The table.
pub const ROWS: &[Row] = &[
    client("/rollcall.api_keys.v1.ApiKeyService/CreateApiKey", ADMIN),
    client("/rollcall.api_keys.v1.ApiKeyService/GetApiKey", ADMIN),
    client("/rollcall.api_keys.v1.ApiKeyService/ListApiKeys", ADMIN),
    client("/rollcall.api_keys.v1.ApiKeyService/ListKeyAuditEntries", ADMIN),
    client("/rollcall.api_keys.v1.ApiKeyService/RevokeApiKey", ADMIN),
    client("/rollcall.api_keys.v1.ApiKeyService/RotateApiKey", ADMIN),
    client("/rollcall.api_keys.v1.ApiKeyService/UpdateApiKey", ADMIN),
    service("/rollcall.api_keys.v1.CredentialService/ExchangeAccessToken", FACADE),
    service("/rollcall.api_keys.v1.CredentialService/ExchangeApiKey", VERIFIERS),
    service("/rollcall.api_keys.v1.CredentialService/GetJwks", VERIFIERS),
    service("/rollcall.api_keys.v1.CredentialService/GetRevocationHead", VERIFIERS),
    service("/rollcall.api_keys.v1.CredentialService/IssueAccessToken", FACADE),
    service("/rollcall.api_keys.v1.CredentialService/RecordUses", VERIFIERS),
    service("/rollcall.api_keys.v1.CredentialService/WatchRevocations", VERIFIERS),
    client("/rollcall.api_keys.v1.SigningKeyService/ListSigningKeys", OPERATOR),
    client("/rollcall.api_keys.v1.SigningKeyService/RotateSigningKeys", OPERATOR),
    client("/rollcall.api_keys.v1.TrustService/CreateTrust", ADMIN),
    client("/rollcall.api_keys.v1.TrustService/GetTrust", ADMIN),
    client("/rollcall.api_keys.v1.TrustService/ListTrusts", ADMIN),
    client("/rollcall.api_keys.v1.TrustService/RevokeTrust", ADMIN),
    client("/rollcall.api_keys.v1.TrustService/UpdateTrust", ADMIN),
    client("/rollcall.identity.v1.AuditService/ListAuditEntries", ADMIN),
    client("/rollcall.identity.v1.ChangeService/AcknowledgeChanges", READ),
    client("/rollcall.identity.v1.ChangeService/DeleteChangeConsumer", ADMIN),
    client("/rollcall.identity.v1.ChangeService/ListChangeConsumers", READ),
    client("/rollcall.identity.v1.ChangeService/ListChanges", READ),
    watcher("/rollcall.identity.v1.ChangeService/WatchChanges", READ),
    service("/rollcall.identity.v1.DepartureService/AcknowledgeDepartures", API_KEYS),
    service("/rollcall.identity.v1.DepartureService/CheckAccess", API_KEYS),
    service("/rollcall.identity.v1.DepartureService/WatchDepartures", API_KEYS),
    client("/rollcall.identity.v1.EventService/CreateEventEndpoint", ADMIN),
    client("/rollcall.identity.v1.EventService/DeleteEventEndpoint", ADMIN),
    client("/rollcall.identity.v1.EventService/DisableEventEndpoint", ADMIN),
    client("/rollcall.identity.v1.EventService/DropDeadLetters", ADMIN),
    client("/rollcall.identity.v1.EventService/EnableEventEndpoint", ADMIN),
    client("/rollcall.identity.v1.EventService/GetEventEndpoint", ADMIN),
    Row { services: FACADE, ..client("/rollcall.identity.v1.EventService/GetEventJwks", READ) },
    client("/rollcall.identity.v1.EventService/ListDeadLetters", ADMIN),
    client("/rollcall.identity.v1.EventService/ListEventEndpoints", ADMIN),
    Row { services: FACADE, on_behalf_of: READ, ..client("/rollcall.identity.v1.EventService/PollEvents", READ) },
    client("/rollcall.identity.v1.EventService/RetryDeadLetters", ADMIN),
    client("/rollcall.identity.v1.EventService/RotateEventEndpointSecret", ADMIN),
    client("/rollcall.identity.v1.EventService/UpdateEventEndpoint", ADMIN),
    directory("/rollcall.identity.v1.GroupService/ChangeGroup", WRITE),
    directory("/rollcall.identity.v1.GroupService/CreateGroup", WRITE),
    directory("/rollcall.identity.v1.GroupService/DeleteGroup", WRITE),
    directory("/rollcall.identity.v1.GroupService/GetGroup", READ),
    directory("/rollcall.identity.v1.GroupService/ListGroups", READ),
    directory("/rollcall.identity.v1.GroupService/ListMembers", READ),
    service("/rollcall.identity.v1.ProvisioningLogService/AppendProvisioningEntries", FACADE),
    client("/rollcall.identity.v1.PersonalDataService/ExportUser", ADMIN),
    client("/rollcall.identity.v1.ProvisioningLogService/GetProvisioningSummary", ADMIN),
    client("/rollcall.identity.v1.ProvisioningLogService/ListProvisioningEntries", ADMIN),
    client("/rollcall.identity.v1.RoleService/ClearManualRole", ADMIN),
    client("/rollcall.identity.v1.RoleService/CreateRole", ADMIN),
    client("/rollcall.identity.v1.RoleService/CreateRoleMapping", ADMIN),
    client("/rollcall.identity.v1.RoleService/DeleteRole", ADMIN),
    client("/rollcall.identity.v1.RoleService/DeleteRoleMapping", ADMIN),
    client("/rollcall.identity.v1.RoleService/ListRoleMappings", READ),
    client("/rollcall.identity.v1.RoleService/ListRoles", READ),
    client("/rollcall.identity.v1.RoleService/SetManualRole", ADMIN),
    client("/rollcall.identity.v1.TenantService/CreateTenant", OPERATOR),
    client("/rollcall.identity.v1.TenantService/DeleteTenant", OPERATOR),
    directory("/rollcall.identity.v1.TenantService/GetTenant", READ),
    client("/rollcall.identity.v1.TenantService/ListTenants", OPERATOR),
    client("/rollcall.identity.v1.TenantService/SetDeactivationAlarm", ADMIN),
    client("/rollcall.identity.v1.TenantService/SetDefaultRole", ADMIN),
    client("/rollcall.identity.v1.TenantService/SetDirectoryAdmin", ADMIN),
    client("/rollcall.identity.v1.TenantService/SetProvisioningState", ADMIN),
    client("/rollcall.identity.v1.UserAttributeService/CreateUserAttribute", ADMIN),
    client("/rollcall.identity.v1.UserAttributeService/DeleteUserAttribute", ADMIN),
    directory("/rollcall.identity.v1.UserAttributeService/ListUserAttributes", READ),
    client("/rollcall.identity.v1.UserService/ConfirmUserRoles", ADMIN),
    directory("/rollcall.identity.v1.UserService/CreateUser", WRITE),
    directory("/rollcall.identity.v1.UserService/DeleteUser", WRITE),
    client("/rollcall.identity.v1.UserService/EraseUser", ADMIN),
    directory("/rollcall.identity.v1.UserService/GetUser", READ),
    directory("/rollcall.identity.v1.UserService/ListUsers", READ),
    directory("/rollcall.identity.v1.UserService/ReplaceUser", WRITE),
    client("/rollcall.identity.v1.UserService/RestoreUser", ADMIN),
    client("/rollcall.identity.v1.UserService/SuspendUser", ADMIN),
];

/// Clients call it, with one of these scopes.
const fn client(method: &'static str, scopes: &'static [Scope]) -> Row {
    Row { method, scopes, services: &[], on_behalf_of: &[], long_lived: false }
}

/// Clients call it, with one of these scopes, and hear from it for as long as they like.
const fn watcher(method: &'static str, scopes: &'static [Scope]) -> Row {
    Row { long_lived: true, ..client(method, scopes) }
}

/// Clients call it, with one of these scopes, and the façade does on behalf of directories.
const fn directory(method: &'static str, scopes: &'static [Scope]) -> Row {
    Row { method, scopes, services: FACADE, on_behalf_of: DIRECTORY, long_lived: false }
}

/// These services call it, and no client.
const fn service(method: &'static str, services: &'static [Service]) -> Row {
    Row { method, scopes: &[], services, on_behalf_of: &[], long_lived: false }
}

/// The row of a method.
#[must_use]
pub fn row(method: &str) -> Option<&'static Row> {
    // So few that a look at each costs less than a hash.
    ROWS.iter().find(|row| row.method == method)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn r07_every_rpc_has_exactly_one_row() {
        let files = FileDescriptorSet::decode(proto::DESCRIPTOR_SET).unwrap().file;
        let files = files.iter().filter(|file| file.package().starts_with("rollcall."));
        let declared: BTreeSet<String> = files
            .flat_map(|file| file.service.iter().map(move |service| (file.package(), service)))
            .flat_map(|(package, service)| {
                let path = move |method: &str| format!("/{package}.{}/{method}", service.name());
                service.method.iter().map(move |method| path(method.name()))
            })
            .collect();
        let rows: BTreeSet<String> = ROWS.iter().map(|row| row.method.to_owned()).collect();
        assert_eq!(rows, declared);
        assert_eq!(ROWS.len(), rows.len(), "a row stands twice");
        assert!(rows.len() > 30);
    }

    #[test]
    fn r01_every_stream_to_clients_asks_for_its_credential_again() {
        let files = FileDescriptorSet::decode(proto::DESCRIPTOR_SET).unwrap().file;
        let files = files.iter().filter(|file| file.package().starts_with("rollcall."));
        let methods = files.flat_map(|file| file.service.iter().flat_map(|service| &service.method));
        let streams: BTreeSet<&str> =
            methods.filter(|method| method.server_streaming()).map(|method| method.name()).collect();
        for row in ROWS.iter().filter(|row| !row.scopes.is_empty()) {
            let name = row.method.rsplit('/').next().unwrap();
            assert_eq!(row.long_lived, streams.contains(name), "{}", row.method);
        }
    }

    #[test]
    fn r02_a_directorys_key_opens_nothing_at_a_public_listener() {
        for row in ROWS {
            assert!(!row.scopes.contains(&Scope::Scim), "{}", row.method);
        }
    }

    #[test]
    fn r02_the_facade_brings_a_directory_along_and_calls_nothing_that_is_an_administrators() {
        // The log names tenants itself: a batch holds entries of several.
        let is_log = |row: &&Row| row.method.ends_with("/AppendProvisioningEntries");
        // What is public, and what a receiver of events fetches by a key that may read.
        let is_event = |row: &&Row| row.method.contains(".EventService/");
        let rows = ROWS.iter().filter(|row| row.services.contains(&Service::Scim) && row.method.contains("identity"));
        for row in rows.filter(|row| !is_log(row) && !is_event(row)) {
            assert_eq!((row.services, row.on_behalf_of), (FACADE, DIRECTORY), "{}", row.method);
            assert!(!row.scopes.iter().any(|scope| matches!(scope, Scope::Admin | Scope::Operator)), "{}", row.method);
        }
    }

    #[test]
    fn r07_what_services_alone_call_no_client_calls() {
        let is_internal = |row: &&Row| {
            ["CredentialService", "DepartureService", "/AppendProvisioningEntries"]
                .iter()
                .any(|part| row.method.contains(part))
        };
        let rows: Vec<_> = ROWS.iter().filter(is_internal).collect();
        assert!(rows.len() > 10);
        for row in rows {
            assert!(row.scopes.is_empty() && !row.services.is_empty(), "{}", row.method);
        }
    }
}
