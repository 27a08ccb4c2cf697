//! Who may call what: one row for each RPC, as data. A method without a row is refused.

use authn::{
    Scope,
    grpc::{Access, AccessTable},
};

/// A directory's own traffic, and whoever may read.
const READ: &[Scope] = &[Scope::Scim, Scope::IdentityRead];
/// A directory's own traffic, and whoever may write.
const WRITE: &[Scope] = &[Scope::Scim, Scope::IdentityWrite];
/// Whoever may read, but no directory: it has no use for it.
const PEOPLE: &[Scope] = &[Scope::IdentityRead];
/// Administrators.
const ADMIN: &[Scope] = &[Scope::Admin];
/// The operator of the installation.
const OPERATOR: &[Scope] = &[Scope::Operator];

/// The RPCs and the scopes of which any lets a caller in.
const ROWS: &[(&str, &[Scope])] = &[
    ("/rollcall.identity.v1.AuditService/ListAuditEntries", ADMIN),
    ("/rollcall.identity.v1.GroupService/ChangeGroup", WRITE),
    ("/rollcall.identity.v1.GroupService/CreateGroup", WRITE),
    ("/rollcall.identity.v1.GroupService/DeleteGroup", WRITE),
    ("/rollcall.identity.v1.GroupService/GetGroup", READ),
    ("/rollcall.identity.v1.GroupService/ListGroups", READ),
    ("/rollcall.identity.v1.GroupService/ListMembers", READ),
    ("/rollcall.identity.v1.RoleService/ClearManualRole", ADMIN),
    ("/rollcall.identity.v1.RoleService/ListRoles", PEOPLE),
    ("/rollcall.identity.v1.RoleService/SetManualRole", ADMIN),
    ("/rollcall.identity.v1.TenantService/CreateTenant", OPERATOR),
    ("/rollcall.identity.v1.TenantService/GetTenant", READ),
    ("/rollcall.identity.v1.TenantService/ListTenants", OPERATOR),
    ("/rollcall.identity.v1.TenantService/SetProvisioningState", ADMIN),
    ("/rollcall.identity.v1.UserService/CreateUser", WRITE),
    ("/rollcall.identity.v1.UserService/DeleteUser", WRITE),
    ("/rollcall.identity.v1.UserService/GetUser", READ),
    ("/rollcall.identity.v1.UserService/ListUsers", READ),
    ("/rollcall.identity.v1.UserService/ReplaceUser", WRITE),
    ("/rollcall.identity.v1.UserService/RestoreUser", ADMIN),
    ("/rollcall.identity.v1.UserService/SuspendUser", ADMIN),
];

/// The table, for the check in front of every service.
pub(super) fn table() -> AccessTable {
    AccessTable::new(ROWS.iter().map(|(path, scopes)| (*path, Access::AnyOf(scopes))))
}

/// Whether an RPC is part of a directory's own traffic.
pub(super) fn serves_directories(path: &str) -> bool {
    ROWS.iter().any(|(row, scopes)| *row == path && scopes.contains(&Scope::Scim))
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
        let rows: BTreeSet<String> = ROWS.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(rows, declared);
        assert_eq!(ROWS.len(), rows.len(), "a row stands twice");
    }

    #[test]
    fn r06_what_only_administrators_may_do_is_closed_to_a_directory() {
        for act in ["RoleService/SetManualRole", "UserService/SuspendUser", "TenantService/SetProvisioningState"] {
            assert!(!serves_directories(&format!("/rollcall.identity.v1.{act}")), "{act}");
        }
    }
}
