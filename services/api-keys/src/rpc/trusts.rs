//! `TrustService`.

use ids::{TenantId, TrustId};
use proto::api_keys::v1::{
    CreateTrustRequest, GetTrustRequest, ListTrustsRequest, ListTrustsResponse, RevokeTrustRequest,
    Trust as ProtoTrust, UpdateTrustRequest, trust_service_server::TrustService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{caller, convert, cut};
use crate::{
    ApiKeys,
    domain::{AskedTrust, Error, NewTrust, Timestamp, Trust, TrustChange, page_size},
};

/// Serves `TrustService`, behind authentication.
pub(crate) struct TrustRpc(pub(crate) ApiKeys);

#[async_trait]
impl TrustService for TrustRpc {
    async fn create_trust(&self, request: Request<CreateTrustRequest>) -> Result<Response<ProtoTrust>, Status> {
        let caller = caller(&request, &request.get_ref().tenant_id, "rollcall.api_keys.v1.TrustService/CreateTrust")?;
        if caller.tenant == TenantId::OPERATOR {
            return Err(Error::invalid("tenant_id", "nobody signs in as the operator by a trust").into());
        }
        let now = Timestamp::now();
        let asked = asked(request.into_inner().trust.unwrap_or_default())?;
        let NewTrust { name, terms } = NewTrust::new(asked, (caller.scopes, now))?;
        let trust = Trust {
            id: TrustId::generate(),
            tenant: caller.tenant,
            name,
            terms,
            version: 1,
            creator: caller.actor.clone(),
            created_at: now,
            updated_at: now,
            revoked_at: None,
        };
        self.0.0.store.create_trust(&caller, trust.clone()).await?;
        Ok(Response::new(convert::trust(trust, now)))
    }

    async fn get_trust(&self, request: Request<GetTrustRequest>) -> Result<Response<ProtoTrust>, Status> {
        let caller = caller(&request, &request.get_ref().tenant_id, "rollcall.api_keys.v1.TrustService/GetTrust")?;
        let id = convert::trust_id(&request.get_ref().trust_id)?;
        let trust = self.0.0.store.get_trust(&caller, id).await?.ok_or(Error::NotFound)?;
        Ok(Response::new(convert::trust(trust, Timestamp::now())))
    }

    async fn list_trusts(&self, request: Request<ListTrustsRequest>) -> Result<Response<ListTrustsResponse>, Status> {
        let caller = caller(&request, &request.get_ref().tenant_id, "rollcall.api_keys.v1.TrustService/ListTrusts")?;
        let size = page_size(request.get_ref().page_size)?;
        let after = convert::from_id_token(&request.get_ref().page_token)?;
        // One more than is shown tells whether there is a next page.
        let mut trusts = self.0.0.store.list_trusts(&caller, after, size + 1).await?;
        let next_page_token = cut(&mut trusts, size).map(|last| convert::id_token(last.id.uuid())).unwrap_or_default();
        let now = Timestamp::now();
        let trusts = trusts.into_iter().map(|trust| convert::trust(trust, now)).collect();
        Ok(Response::new(ListTrustsResponse { trusts, next_page_token }))
    }

    async fn update_trust(&self, request: Request<UpdateTrustRequest>) -> Result<Response<ProtoTrust>, Status> {
        let caller = caller(&request, &request.get_ref().tenant_id, "rollcall.api_keys.v1.TrustService/UpdateTrust")?;
        let now = Timestamp::now();
        let UpdateTrustRequest { trust_id, trust, update_mask, .. } = request.into_inner();
        let id = convert::trust_id(&trust_id)?;
        let (asked, mask) = (asked(trust.unwrap_or_default())?, update_mask.unwrap_or_default());
        let change = TrustChange::new(asked, &mask.paths, (caller.scopes, now))?;
        let trust = self.0.0.store.update_trust(&caller, id, change).await?.ok_or(Error::NotFound)?;
        self.0.0.heads.moved();
        Ok(Response::new(convert::trust(trust, now)))
    }

    async fn revoke_trust(&self, request: Request<RevokeTrustRequest>) -> Result<Response<ProtoTrust>, Status> {
        let caller = caller(&request, &request.get_ref().tenant_id, "rollcall.api_keys.v1.TrustService/RevokeTrust")?;
        let id = convert::trust_id(&request.get_ref().trust_id)?;
        let trust = self.0.0.store.revoke_trust(&caller, id).await?.ok_or(Error::NotFound)?;
        self.0.0.heads.moved();
        Ok(Response::new(convert::trust(trust, Timestamp::now())))
    }
}

fn asked(trust: ProtoTrust) -> Result<AskedTrust, Error> {
    let ProtoTrust { name, issuer, audience, subject, scopes, expire_time, .. } = trust;
    let expires_at = expire_time.map(|time| convert::from_timestamp(time, "trust.expire_time")).transpose()?;
    Ok(AskedTrust { name, issuer, audience, subject, scopes, expires_at })
}
