//! The services of the proto, in terms of the domain.

mod api_keys;
mod convert;
mod credentials;
mod signing_keys;
mod status;

use authn::{
    Authenticator,
    grpc::{Authenticated, Callers, Layer},
};
use proto::api_keys::v1::{
    api_key_service_server::ApiKeyServiceServer, credential_service_server::CredentialServiceServer,
    signing_key_service_server::SigningKeyServiceServer,
};
use tonic::service::RoutesBuilder;
use tower::Layer as _;

use crate::ApiKeys;
use api_keys::ApiKeyRpc;
use credentials::CredentialRpc;
use signing_keys::SigningKeyRpc;

/// Adds the public services, behind authentication.
pub(crate) fn add_services(routes: &mut RoutesBuilder, api_keys: &ApiKeys, authenticator: &Authenticator) {
    let guard = Layer::public(authenticator.clone());
    routes.add_service(guard.layer(ApiKeyServiceServer::new(ApiKeyRpc(api_keys.clone()))));
    routes.add_service(guard.layer(SigningKeyServiceServer::new(SigningKeyRpc(api_keys.clone()))));
}

/// The internal service, for Rollcall's services alone.
pub(crate) fn credential_service(
    api_keys: ApiKeys,
    callers: Callers,
) -> Authenticated<CredentialServiceServer<CredentialRpc>> {
    Layer::services_alone(callers).layer(CredentialServiceServer::new(CredentialRpc(api_keys)))
}
