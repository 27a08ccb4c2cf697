//! Who may call which method of `ApiKeyService`.

use authn::{
    Scope,
    grpc::{Access, AccessTable},
};

const ADMINISTRATORS: Access = Access::AnyOf(&[Scope::Admin, Scope::Operator]);

/// The table. A method without a row is refused.
pub(crate) fn access_table() -> AccessTable {
    AccessTable::new([
        ("/rollcall.api_keys.v1.ApiKeyService/CreateApiKey", ADMINISTRATORS),
        ("/rollcall.api_keys.v1.ApiKeyService/GetApiKey", ADMINISTRATORS),
        ("/rollcall.api_keys.v1.ApiKeyService/ListApiKeys", ADMINISTRATORS),
        ("/rollcall.api_keys.v1.ApiKeyService/RevokeApiKey", ADMINISTRATORS),
        ("/rollcall.api_keys.v1.ApiKeyService/ListKeyAuditEntries", ADMINISTRATORS),
    ])
}
