//! The services of the proto, in terms of the domain.

mod api_keys;
mod convert;
mod credentials;
mod signing_keys;
mod status;
mod trusts;

use authn::{
    Authenticator,
    grpc::{Authenticated, Callers, Layer, principal},
};
use proto::{
    Peer,
    api_keys::v1::{
        api_key_service_server::ApiKeyServiceServer, credential_service_server::CredentialServiceServer,
        signing_key_service_server::SigningKeyServiceServer, trust_service_server::TrustServiceServer,
    },
};
use tonic::{Request, Status, service::RoutesBuilder};
use tower::Layer as _;

use crate::{ApiKeys, domain::Caller};
use api_keys::ApiKeyRpc;
use credentials::CredentialRpc;
use signing_keys::SigningKeyRpc;
use trusts::TrustRpc;

/// Adds the public services, behind authentication.
pub(crate) fn add_services(routes: &mut RoutesBuilder, api_keys: &ApiKeys, authenticator: &Authenticator) {
    let guard = Layer::public(authenticator.clone());
    routes.add_service(guard.layer(ApiKeyServiceServer::new(ApiKeyRpc(api_keys.clone()))));
    routes.add_service(guard.layer(SigningKeyServiceServer::new(SigningKeyRpc(api_keys.clone()))));
    routes.add_service(guard.layer(TrustServiceServer::new(TrustRpc(api_keys.clone()))));
}

/// The internal service, for Rollcall's services alone.
pub(crate) fn credential_service(
    api_keys: ApiKeys,
    callers: Callers,
) -> Authenticated<CredentialServiceServer<CredentialRpc>> {
    Layer::services_alone(callers).layer(CredentialServiceServer::new(CredentialRpc(api_keys)))
}

fn caller<T>(request: &Request<T>, named: &str, action: &'static str) -> Result<Caller, Status> {
    let address = request.extensions().get::<Peer>().and_then(|peer| peer.address);
    Ok(Caller::new(principal(request)?, address, named, action)?)
}

/// Cuts `rows` to a page of `size`, and answers its last row if there are more.
fn cut<T>(rows: &mut Vec<T>, size: u64) -> Option<&T> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if rows.len() <= size {
        return None;
    }
    rows.truncate(size);
    rows.last()
}
