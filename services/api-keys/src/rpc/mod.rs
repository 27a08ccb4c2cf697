//! The services of the proto, in terms of the domain.

mod api_keys;
mod convert;
mod credentials;
mod status;
mod trusts;

use authn::{
    Authenticator,
    grpc::{Authenticated, Callers, Layer, principal},
};
use proto::api_keys::v1::{
    api_key_service_server::ApiKeyServiceServer, credential_service_server::CredentialServiceServer,
    trust_service_server::TrustServiceServer,
};
use tonic::{Request, Status};
use tower::Layer as _;

use crate::{ApiKeys, domain::Caller};
use api_keys::ApiKeyRpc;
use credentials::CredentialRpc;
use trusts::TrustRpc;

/// The public service of keys, behind authentication.
pub(crate) fn api_key_service(
    api_keys: ApiKeys,
    authenticator: Authenticator,
) -> Authenticated<ApiKeyServiceServer<ApiKeyRpc>> {
    Layer::public(authenticator).layer(ApiKeyServiceServer::new(ApiKeyRpc(api_keys)))
}

/// The public service of trusts, behind authentication.
pub(crate) fn trust_service(
    api_keys: ApiKeys,
    authenticator: Authenticator,
) -> Authenticated<TrustServiceServer<TrustRpc>> {
    Layer::public(authenticator).layer(TrustServiceServer::new(TrustRpc(api_keys)))
}

/// The internal service, for Rollcall's services alone.
pub(crate) fn credential_service(
    api_keys: ApiKeys,
    callers: Callers,
) -> Authenticated<CredentialServiceServer<CredentialRpc>> {
    Layer::services_alone(callers).layer(CredentialServiceServer::new(CredentialRpc(api_keys)))
}

fn caller<T>(request: &Request<T>, named: &str, action: &'static str) -> Result<Caller, Status> {
    Ok(Caller::new(principal(request)?, named, action)?)
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
