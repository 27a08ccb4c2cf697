//! An api-keys that knows the keys it is given.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use authn::{
    CredentialId, Grant, KeyText, Networks, Scope,
    key::{self, Kind},
    token::Claims,
};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::{Stream, StreamExt as _};
use ids::{ApiKeyId, TenantId};
use jsonwebtoken::EncodingKey;
use proto::{
    Channel,
    api_keys::v1::{
        ExchangeAccessTokenRequest, ExchangeAccessTokenResponse, ExchangeApiKeyRequest, ExchangeApiKeyResponse,
        GetJwksRequest, GetRevocationHeadRequest, GetRevocationHeadResponse, IssueAccessTokenRequest,
        IssueAccessTokenResponse, Jwk, Jwks, RecordUsesRequest, RecordUsesResponse, WatchRevocationsRequest,
        WatchRevocationsResponse,
        credential_service_server::{CredentialService, CredentialServiceServer},
    },
};
use secrecy::ExposeSecret as _;
use tonic::{Request, Response, Status, async_trait, service::Routes};

const KID: &str = "k1";

type Key = (TenantId, ApiKeyId, Scope);

/// See the module.
#[derive(Clone)]
pub(super) struct Credentials {
    signing: Arc<(EncodingKey, String)>,
    keys: Arc<Mutex<HashMap<String, Key>>>,
    /// What the next client that asks for an access token is answered.
    pub(super) issued: Arc<Mutex<Result<IssueAccessTokenResponse, Status>>>,
    /// What clients asked for.
    pub(super) asked: Arc<Mutex<Vec<IssueAccessTokenRequest>>>,
}

impl Credentials {
    pub(super) fn new() -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let der = pair.to_pkcs8().unwrap();
        let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        Self {
            signing: Arc::new((EncodingKey::from_ed_der(der.as_ref()), public)),
            keys: Arc::default(),
            issued: Arc::new(Mutex::new(Err(Status::unauthenticated("no")))),
            asked: Arc::default(),
        }
    }

    /// Makes a key of a tenant.
    pub(super) fn make(&self, tenant: TenantId, scope: Scope) -> String {
        let id = ApiKeyId::generate();
        let text = KeyText::mint(Kind::Tenant, id).unwrap().expose().to_owned();
        self.keys.lock().unwrap().insert(text.clone(), (tenant, id, scope));
        text
    }

    /// A key with the id of this one and another secret.
    pub(super) fn with_another_secret(&self, key: &str) -> String {
        let (_, id, _) = self.keys.lock().unwrap()[key];
        KeyText::mint(Kind::Tenant, id).unwrap().expose().to_owned()
    }

    /// Takes a key back, and tells nobody.
    pub(super) fn forget(&self, key: &str) {
        self.keys.lock().unwrap().remove(key);
    }

    pub(super) fn channel(&self) -> Channel {
        Channel::in_process(Routes::new(CredentialServiceServer::new(self.clone())), proto::Peer::default())
    }
}

/// The text of a key that nobody made.
pub(super) fn unknown_key() -> String {
    KeyText::mint(key::Kind::Tenant, ApiKeyId::generate()).unwrap().expose().to_owned()
}

#[async_trait]
impl CredentialService for Credentials {
    type WatchRevocationsStream = Pin<Box<dyn Stream<Item = Result<WatchRevocationsResponse, Status>> + Send>>;

    async fn exchange_api_key(
        &self,
        request: Request<ExchangeApiKeyRequest>,
    ) -> Result<Response<ExchangeApiKeyResponse>, Status> {
        let known = self.keys.lock().unwrap().get(&request.get_ref().key).copied();
        let (tenant, key, scope) = known.ok_or_else(|| Status::unauthenticated("no"))?;
        let (now, scopes) = (SystemTime::now(), [scope].into_iter().collect());
        let credential = CredentialId::ApiKey(key);
        let grant = Grant { tenant, credential, version: 1, scopes, networks: Networks::default(), ends: None };
        let claims = Claims::new(&grant, now, now + Duration::from_secs(300));
        let token = claims.sign(KID, &self.signing.0).unwrap().expose_secret().to_owned();
        Ok(Response::new(ExchangeApiKeyResponse { token, expire_time: None }))
    }

    async fn exchange_access_token(
        &self,
        _: Request<ExchangeAccessTokenRequest>,
    ) -> Result<Response<ExchangeAccessTokenResponse>, Status> {
        Err(Status::unauthenticated("no"))
    }

    async fn issue_access_token(
        &self,
        request: Request<IssueAccessTokenRequest>,
    ) -> Result<Response<IssueAccessTokenResponse>, Status> {
        let (answer, asked) = (self.issued.lock().unwrap().clone(), request.into_inner());
        self.asked.lock().unwrap().push(asked);
        answer.map(Response::new)
    }

    async fn record_uses(&self, _: Request<RecordUsesRequest>) -> Result<Response<RecordUsesResponse>, Status> {
        Ok(Response::new(RecordUsesResponse {}))
    }

    async fn get_jwks(&self, _: Request<GetJwksRequest>) -> Result<Response<Jwks>, Status> {
        let [kid, kty, crv, alg] = [KID, "OKP", "Ed25519", "EdDSA"].map(str::to_owned);
        Ok(Response::new(Jwks { keys: vec![Jwk { kid, kty, crv, alg, x: self.signing.1.clone() }] }))
    }

    async fn watch_revocations(
        &self,
        _: Request<WatchRevocationsRequest>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        let heads = tokio_stream::wrappers::IntervalStream::new(tokio::time::interval(Duration::from_millis(200)));
        Ok(Response::new(Box::pin(heads.map(|_| Ok(WatchRevocationsResponse::default())))))
    }

    async fn get_revocation_head(
        &self,
        _: Request<GetRevocationHeadRequest>,
    ) -> Result<Response<GetRevocationHeadResponse>, Status> {
        Ok(Response::new(GetRevocationHeadResponse { head: 0 }))
    }
}
