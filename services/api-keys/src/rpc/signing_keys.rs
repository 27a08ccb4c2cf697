//! `SigningKeyService`.

use ids::TenantId;
use proto::api_keys::v1::{
    ListSigningKeysRequest, ListSigningKeysResponse, RotateSigningKeysRequest, RotateSigningKeysResponse,
    signing_key_service_server::SigningKeyService,
};
use tonic::{Request, Response, Status, async_trait};

use super::convert;
use crate::{
    ApiKeys,
    domain::{Caller, Error},
};

/// Serves `SigningKeyService`, behind authentication.
pub(crate) struct SigningKeyRpc(pub(crate) ApiKeys);

#[async_trait]
impl SigningKeyService for SigningKeyRpc {
    async fn list_signing_keys(
        &self,
        request: Request<ListSigningKeysRequest>,
    ) -> Result<Response<ListSigningKeysResponse>, Status> {
        let action = "rollcall.api_keys.v1.SigningKeyService/ListSigningKeys";
        let caller = caller(&request, &request.get_ref().tenant_id, action)?;
        self.0.0.store.note(&caller).await?;
        let signing_keys = convert::signing_keys(self.0.0.store.signing_keys().await?);
        Ok(Response::new(ListSigningKeysResponse { signing_keys }))
    }

    async fn rotate_signing_keys(
        &self,
        request: Request<RotateSigningKeysRequest>,
    ) -> Result<Response<RotateSigningKeysResponse>, Status> {
        let action = "rollcall.api_keys.v1.SigningKeyService/RotateSigningKeys";
        let caller = caller(&request, &request.get_ref().tenant_id, action)?;
        self.0.0.signing_keys.rotate(&caller, request.get_ref().withdraw).await?;
        self.0.0.heads.moved();
        let signing_keys = convert::signing_keys(self.0.0.store.signing_keys().await?);
        Ok(Response::new(RotateSigningKeysResponse { signing_keys }))
    }
}

/// The operator, about the installation.
fn caller<T>(request: &Request<T>, named: &str, action: &'static str) -> Result<Caller, Status> {
    let own = TenantId::OPERATOR.to_string();
    let named = if named.is_empty() { &own } else { named };
    let caller = super::caller(request, named, action)?;
    if caller.tenant == TenantId::OPERATOR { Ok(caller) } else { Err(Error::NotFound.into()) }
}
