//! `ApiKeyService`.

use authn::{KeyText, key::Kind};
use ids::{ApiKeyId, TenantId};
use proto::api_keys::v1::{
    ApiKey as ProtoApiKey, CreateApiKeyRequest, CreateApiKeyResponse, GetApiKeyRequest, ListApiKeysRequest,
    ListApiKeysResponse, ListKeyAuditEntriesRequest, ListKeyAuditEntriesResponse, RevokeApiKeyRequest,
    api_key_service_server::ApiKeyService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{caller, convert, cut};
use crate::{
    ApiKeys,
    domain::{ApiKey, AuditCursor, Caller, Error, NewApiKey, Timestamp, page_size},
};

/// Serves `ApiKeyService`, behind authentication.
pub(crate) struct ApiKeyRpc(pub(crate) ApiKeys);

#[async_trait]
impl ApiKeyService for ApiKeyRpc {
    async fn create_api_key(
        &self,
        request: Request<CreateApiKeyRequest>,
    ) -> Result<Response<CreateApiKeyResponse>, Status> {
        let caller = caller(&request, &request.get_ref().tenant_id, "rollcall.api_keys.v1.ApiKeyService/CreateApiKey")?;
        let now = Timestamp::now();
        let new = new_api_key(request.into_inner().api_key.unwrap_or_default(), &caller, now)?;
        let text = KeyText::mint(Kind::Tenant, ApiKeyId::generate()).map_err(|error| {
            tracing::error!(%error, "a key could not be made");
            Error::Internal
        })?;
        let hash = self.0.0.hashing.hash(text.clone()).await?;
        let key = ApiKey {
            id: text.id(),
            tenant: caller.tenant,
            name: new.name,
            scopes: new.scopes,
            creator: caller.actor.clone(),
            created_at: now,
            expires_at: new.expires_at,
            revoked_at: None,
        };
        self.0.0.store.create(&caller, key.clone(), hash).await?;
        let api_key = Some(convert::api_key(key, now));
        Ok(Response::new(CreateApiKeyResponse { api_key, key: text.expose().to_owned() }))
    }

    async fn get_api_key(&self, request: Request<GetApiKeyRequest>) -> Result<Response<ProtoApiKey>, Status> {
        let caller = caller(&request, &request.get_ref().tenant_id, "rollcall.api_keys.v1.ApiKeyService/GetApiKey")?;
        let id = convert::api_key_id(&request.get_ref().api_key_id)?;
        let key = self.0.0.store.get(&caller, id).await?.ok_or(Error::NotFound)?;
        Ok(Response::new(convert::api_key(key, Timestamp::now())))
    }

    async fn list_api_keys(
        &self,
        request: Request<ListApiKeysRequest>,
    ) -> Result<Response<ListApiKeysResponse>, Status> {
        let caller = caller(&request, &request.get_ref().tenant_id, "rollcall.api_keys.v1.ApiKeyService/ListApiKeys")?;
        let size = page_size(request.get_ref().page_size)?;
        let after = convert::from_id_token(&request.get_ref().page_token)?;
        // One more than is shown tells whether there is a next page.
        let mut keys = self.0.0.store.list(&caller, after, size + 1).await?;
        let next_page_token = cut(&mut keys, size).map(|last| convert::id_token(last.id.uuid())).unwrap_or_default();
        let now = Timestamp::now();
        let api_keys = keys.into_iter().map(|key| convert::api_key(key, now)).collect();
        Ok(Response::new(ListApiKeysResponse { api_keys, next_page_token }))
    }

    async fn revoke_api_key(&self, request: Request<RevokeApiKeyRequest>) -> Result<Response<ProtoApiKey>, Status> {
        let caller = caller(&request, &request.get_ref().tenant_id, "rollcall.api_keys.v1.ApiKeyService/RevokeApiKey")?;
        let id = convert::api_key_id(&request.get_ref().api_key_id)?;
        let key = self.0.0.store.revoke(&caller, id).await?.ok_or(Error::NotFound)?;
        self.0.0.heads.moved();
        Ok(Response::new(convert::api_key(key, Timestamp::now())))
    }

    async fn list_key_audit_entries(
        &self,
        request: Request<ListKeyAuditEntriesRequest>,
    ) -> Result<Response<ListKeyAuditEntriesResponse>, Status> {
        let action = "rollcall.api_keys.v1.ApiKeyService/ListKeyAuditEntries";
        let caller = caller(&request, &request.get_ref().tenant_id, action)?;
        let size = page_size(request.get_ref().page_size)?;
        let cursor = convert::from_audit_token(&request.get_ref().page_token)?;
        let (mut entries, cursor) = self.0.0.store.audit_entries(&caller, cursor, size + 1).await?;
        let next_page_token = cut(&mut entries, size)
            .map(|last| convert::audit_token(AuditCursor { after: last.position, ..cursor }))
            .unwrap_or_default();
        let entries = entries.into_iter().map(convert::audit_entry).collect();
        Ok(Response::new(ListKeyAuditEntriesResponse { entries, next_page_token }))
    }
}

fn new_api_key(asked: ProtoApiKey, caller: &Caller, now: Timestamp) -> Result<NewApiKey, Error> {
    if caller.tenant == TenantId::OPERATOR {
        return Err(Error::invalid("tenant_id", "operator credentials are installed, not created"));
    }
    let expires_at = asked.expire_time.map(|time| convert::from_timestamp(time, "api_key.expire_time")).transpose()?;
    NewApiKey::new(asked.name, &asked.scopes, expires_at, (caller.scopes, now))
}
