//! Who may call what: one row for each RPC, as data. A method without a row is refused.

use authn::{
    Scope,
    grpc::{Access, AccessTable},
};

/// Where a call came in (rule R2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// Where everybody calls. A directory's key opens nothing here.
    Public,
    /// Where the SCIM façade alone calls, on behalf of directories.
    Internal,
}

/// Whoever may read.
const READ: &[Scope] = &[Scope::IdentityRead];
/// Whoever may write.
const WRITE: &[Scope] = &[Scope::IdentityWrite];
/// Administrators.
const ADMIN: &[Scope] = &[Scope::Admin];
/// The operator of the installation.
const OPERATOR: &[Scope] = &[Scope::Operator];
/// A directory, through the façade.
const DIRECTORY: &[Scope] = &[Scope::Scim];

/// The RPCs: the scopes of which any lets a caller in at the public listener, and whether the façade calls it for directories.
const ROWS: &[(&str, &[Scope], bool)] = &[
    ("/rollcall.identity.v1.AuditService/ListAuditEntries", ADMIN, false),
    ("/rollcall.identity.v1.GroupService/ChangeGroup", WRITE, true),
    ("/rollcall.identity.v1.GroupService/CreateGroup", WRITE, true),
    ("/rollcall.identity.v1.GroupService/DeleteGroup", WRITE, true),
    ("/rollcall.identity.v1.GroupService/GetGroup", READ, true),
    ("/rollcall.identity.v1.GroupService/ListGroups", READ, true),
    ("/rollcall.identity.v1.GroupService/ListMembers", READ, true),
    ("/rollcall.identity.v1.RoleService/ClearManualRole", ADMIN, false),
    ("/rollcall.identity.v1.RoleService/ListRoles", READ, false),
    ("/rollcall.identity.v1.RoleService/SetManualRole", ADMIN, false),
    ("/rollcall.identity.v1.TenantService/CreateTenant", OPERATOR, false),
    ("/rollcall.identity.v1.TenantService/GetTenant", READ, true),
    ("/rollcall.identity.v1.TenantService/ListTenants", OPERATOR, false),
    ("/rollcall.identity.v1.TenantService/SetProvisioningState", ADMIN, false),
    ("/rollcall.identity.v1.UserAttributeService/CreateUserAttribute", ADMIN, false),
    ("/rollcall.identity.v1.UserAttributeService/DeleteUserAttribute", ADMIN, false),
    ("/rollcall.identity.v1.UserAttributeService/ListUserAttributes", READ, true),
    ("/rollcall.identity.v1.UserService/CreateUser", WRITE, true),
    ("/rollcall.identity.v1.UserService/DeleteUser", WRITE, true),
    ("/rollcall.identity.v1.UserService/GetUser", READ, true),
    ("/rollcall.identity.v1.UserService/ListUsers", READ, true),
    ("/rollcall.identity.v1.UserService/ReplaceUser", WRITE, true),
    ("/rollcall.identity.v1.UserService/RestoreUser", ADMIN, false),
    ("/rollcall.identity.v1.UserService/SuspendUser", ADMIN, false),
];

/// The table, for the check in front of every service of a listener.
pub(super) fn table(listener: Listener) -> AccessTable {
    let rows = ROWS.iter().filter_map(|(path, scopes, directories)| match listener {
        Listener::Public => Some((*path, Access::AnyOf(scopes))),
        Listener::Internal => directories.then_some((*path, Access::AnyOf(DIRECTORY))),
    });
    AccessTable::new(rows)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;
    use prost_types::FileDescriptorSet;
    use proto::DESCRIPTOR_SET;

    use super::*;

    #[test]
    fn every_rpc_has_exactly_one_row() {
        let files = FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap().file;
        let files = files.iter().filter(|file| file.package() == "rollcall.identity.v1");
        let declared: BTreeSet<String> = files
            .flat_map(|file| &file.service)
            .flat_map(|service| {
                service
                    .method
                    .iter()
                    .map(|method| format!("/rollcall.identity.v1.{}/{}", service.name(), method.name()))
            })
            .collect();
        let rows: BTreeSet<String> = ROWS.iter().map(|(path, ..)| (*path).to_owned()).collect();
        assert_eq!(rows, declared);
        assert_eq!(ROWS.len(), rows.len(), "a row stands twice");
    }

    #[test]
    fn r02_a_directorys_key_opens_nothing_at_the_public_listener_and_only_its_own_at_the_internal_one() {
        let (public, internal) = (table(Listener::Public), table(Listener::Internal));
        for (path, ..) in ROWS {
            let Some(Access::AnyOf(scopes)) = public.get(path) else { panic!("{path}") };
            assert!(!scopes.contains(&Scope::Scim), "{path}");
        }
        for act in ["RoleService/SetManualRole", "UserService/SuspendUser", "TenantService/SetProvisioningState"] {
            assert_eq!(internal.get(&format!("/rollcall.identity.v1.{act}")), None, "{act}");
        }
        let create = internal.get("/rollcall.identity.v1.UserService/CreateUser");
        assert_eq!(create, Some(Access::AnyOf(&[Scope::Scim])));
    }
}
