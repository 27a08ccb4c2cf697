//! `ApiKeyService`.

use std::collections::HashSet;

use authn::{KeyText, key::Kind};
use ids::{ApiKeyId, TenantId, UserId};
use proto::api_keys::v1::{
    ApiKey as ProtoApiKey, CreateApiKeyRequest, CreateApiKeyResponse, GetApiKeyRequest, ListApiKeysRequest,
    ListApiKeysResponse, ListKeyAuditEntriesRequest, ListKeyAuditEntriesResponse, RevokeApiKeyRequest,
    RotateApiKeyRequest, RotateApiKeyResponse, UpdateApiKeyRequest, api_key_service_server::ApiKeyService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{caller, convert, cut};
use crate::{
    ApiKeys,
    domain::{About, ApiKey, AuditCursor, Error, Field, Rotation, Timestamp, page_size},
    store::{Change, Successor},
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
        if caller.tenant == TenantId::OPERATOR {
            return Err(
                Error::invalid("tenant_id", "operator credentials are installed and rotated, not created").into()
            );
        }
        let asked = convert::asked(request.into_inner().api_key.unwrap_or_default())?;
        let about = About::new(asked, caller.scopes, now)?;
        let owner = about.owner;
        self.check_owner(caller.tenant, owner).await?;
        let (text, hash) = self.mint(Kind::Tenant).await?;
        let key = ApiKey::new(text.id(), caller.tenant, about, caller.actor.clone(), now);
        self.0.0.store.create(&caller, key.clone(), hash).await?;
        // Whoever leaves from here on has this key revoked. Who left before that is found now.
        if let Err(error) = self.check_owner(caller.tenant, owner).await {
            self.0.0.store.revoke(&caller, key.id).await?;
            return Err(error.into());
        }
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

    async fn update_api_key(&self, request: Request<UpdateApiKeyRequest>) -> Result<Response<ProtoApiKey>, Status> {
        let caller = caller(&request, &request.get_ref().tenant_id, "rollcall.api_keys.v1.ApiKeyService/UpdateApiKey")?;
        let UpdateApiKeyRequest { api_key, update_mask, .. } = request.into_inner();
        if caller.tenant == TenantId::OPERATOR {
            return Err(Error::invalid("tenant_id", "operator credentials are rotated and revoked, not changed").into());
        }
        let api_key = api_key.unwrap_or_default();
        let id = convert::api_key_id(&api_key.id)?;
        let paths = update_mask.unwrap_or_default().paths;
        let fields: HashSet<Field> = paths.iter().map(|path| Field::from_path(path)).collect::<Result<_, _>>()?;
        if fields.is_empty() {
            return Err(Error::invalid("update_mask", "name at least one field to change").into());
        }
        let change = Change { asked: convert::asked(api_key)?, fields };
        let key = self.0.0.store.update(&caller, id, change).await?.ok_or(Error::NotFound)?;
        self.0.0.heads.moved();
        Ok(Response::new(convert::api_key(key, Timestamp::now())))
    }

    async fn rotate_api_key(
        &self,
        request: Request<RotateApiKeyRequest>,
    ) -> Result<Response<RotateApiKeyResponse>, Status> {
        let caller = caller(&request, &request.get_ref().tenant_id, "rollcall.api_keys.v1.ApiKeyService/RotateApiKey")?;
        let RotateApiKeyRequest { api_key_id, overlap, expire_time, .. } = request.into_inner();
        let now = Timestamp::now();
        let overlap = overlap.map(|overlap| convert::from_duration(overlap, "overlap")).transpose()?;
        let ends = expire_time.map(|time| convert::from_timestamp(time, "expire_time")).transpose()?;
        let rotation = Rotation::new(overlap, ends, now)?;
        let previous = convert::api_key_id(&api_key_id)?;
        // A key that is not there is worth no argon2 run; what it says is read under its lock.
        if self.0.0.store.credential(previous).await?.is_none_or(|key| key.grant.tenant != caller.tenant) {
            self.0.0.store.get(&caller, previous).await?;
            return Err(Error::NotFound.into());
        }
        let kind = if caller.tenant == TenantId::OPERATOR { Kind::Operator } else { Kind::Tenant };
        let (text, hash) = self.mint(kind).await?;
        let successor = Successor { id: text.id(), hash, previous, rotation };
        let (key, previous) = self.0.0.store.rotate(&caller, successor).await?.ok_or(Error::NotFound)?;
        self.0.0.heads.moved();
        let now = Timestamp::now();
        Ok(Response::new(RotateApiKeyResponse {
            api_key: Some(convert::api_key(key, now)),
            key: text.expose().to_owned(),
            previous: Some(convert::api_key(previous, now)),
        }))
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
        let (mut entries, chain, cursor) = self.0.0.store.audit_entries(&caller, cursor, size + 1).await?;
        let next_page_token = cut(&mut entries, size)
            .map(|last| convert::audit_token(AuditCursor { after: last.position, ..cursor }))
            .unwrap_or_default();
        let entries = entries.into_iter().map(convert::audit_entry).collect();
        let chain = Some(convert::audit_chain(chain));
        Ok(Response::new(ListKeyAuditEntriesResponse { entries, next_page_token, chain }))
    }
}

impl ApiKeyRpc {
    /// Refuses an owner who has no access, and any where nobody would tell that he loses it.
    async fn check_owner(&self, tenant: TenantId, owner: Option<UserId>) -> Result<(), Error> {
        match (owner, self.0.0.departures.get()) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(Error::NotFollowing),
            (Some(owner), Some(departures)) => departures.check_owner(tenant, owner).await,
        }
    }

    /// The text of a new key, and its hash.
    async fn mint(&self, kind: Kind) -> Result<(KeyText, String), Error> {
        let text = KeyText::mint(kind, ApiKeyId::generate()).map_err(|error| {
            tracing::error!(%error, "a key could not be made");
            Error::Internal
        })?;
        let hash = self.0.0.hashing.hash(text.clone()).await?;
        Ok((text, hash))
    }
}
