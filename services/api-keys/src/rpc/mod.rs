//! The services of the proto, in terms of the domain.

mod access;
mod api_keys;
mod convert;
mod credentials;
mod status;

use authn::{
    Authenticator,
    grpc::{Authenticated, Layer},
};
use proto::api_keys::v1::{
    api_key_service_server::ApiKeyServiceServer, credential_service_server::CredentialServiceServer,
};
use tower::Layer as _;

use crate::ApiKeys;
#[cfg(test)]
pub(crate) use access::access_table;
use api_keys::ApiKeyRpc;
use credentials::CredentialRpc;

/// The public service, behind authentication.
pub(crate) fn api_key_service(
    api_keys: ApiKeys,
    authenticator: Authenticator,
) -> Authenticated<ApiKeyServiceServer<ApiKeyRpc>> {
    Layer::new(authenticator, access::access_table()).layer(ApiKeyServiceServer::new(ApiKeyRpc(api_keys)))
}

/// The internal service, which asks nobody who he is.
pub(crate) fn credential_service(api_keys: ApiKeys) -> CredentialServiceServer<CredentialRpc> {
    CredentialServiceServer::new(CredentialRpc(api_keys))
}
