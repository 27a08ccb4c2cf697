//! The services of the proto, in terms of the domain.

mod api_keys;
mod convert;
mod credentials;
mod status;

use authn::{
    Authenticator,
    grpc::{Authenticated, Callers, Layer},
};
use proto::api_keys::v1::{
    api_key_service_server::ApiKeyServiceServer, credential_service_server::CredentialServiceServer,
};
use tower::Layer as _;

use crate::ApiKeys;
use api_keys::ApiKeyRpc;
use credentials::CredentialRpc;

/// The public service, behind authentication.
pub(crate) fn api_key_service(
    api_keys: ApiKeys,
    authenticator: Authenticator,
) -> Authenticated<ApiKeyServiceServer<ApiKeyRpc>> {
    Layer::public(authenticator).layer(ApiKeyServiceServer::new(ApiKeyRpc(api_keys)))
}

/// The internal service, for Rollcall's services alone.
pub(crate) fn credential_service(
    api_keys: ApiKeys,
    callers: Callers,
) -> Authenticated<CredentialServiceServer<CredentialRpc>> {
    Layer::services_alone(callers).layer(CredentialServiceServer::new(CredentialRpc(api_keys)))
}
