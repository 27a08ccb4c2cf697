//! A `CredentialService` that does as it is told.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V2Der},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::stream::{self, BoxStream, StreamExt};
use ids::{ApiKeyId, TenantId};
use jsonwebtoken::{DecodingKey, EncodingKey};
use proto::{
    Channel, Peer,
    api_keys::v1::{
        ExchangeAccessTokenRequest, ExchangeAccessTokenResponse, ExchangeApiKeyRequest, ExchangeApiKeyResponse,
        GetJwksRequest, GetRevocationHeadRequest, GetRevocationHeadResponse, IssueAccessTokenRequest,
        IssueAccessTokenResponse, Jwk, Jwks, RecordUsesRequest, RecordUsesResponse, Revocation, Use,
        WatchRevocationsRequest, WatchRevocationsResponse,
        credential_service_server::{CredentialService, CredentialServiceServer},
        revocation::Subject,
    },
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;
use tonic::{Request, Response, Status, async_trait, service::Routes};
use uuid::Uuid;

use crate::{CredentialId, Grant, KeyText, key::Kind, token::Claims};

/// A signing key.
pub(crate) struct KeyPair {
    pub(crate) kid: String,
    pub(crate) private: EncodingKey,
    pub(crate) public: DecodingKey,
    x: String,
}

impl KeyPair {
    pub(crate) fn generate() -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let pkcs8 = AsDer::<Pkcs8V2Der<'_>>::as_der(&pair).unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        let public = DecodingKey::from_ed_components(&x).unwrap();
        Self { kid: Uuid::new_v4().to_string(), private: EncodingKey::from_ed_der(pkcs8.as_ref()), public, x }
    }
}

/// How things are between the service and a verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Open,
    /// Nothing comes through the stream any more.
    Silent,
    /// The stream ends with an error, and so does each attempt to open one.
    Cut,
}

#[derive(Clone)]
pub(crate) struct Fake(Arc<State>);

struct State {
    pairs: Mutex<Vec<KeyPair>>,
    keys: Mutex<HashMap<String, Grant>>,
    life: Mutex<Duration>,
    revocations: Mutex<Vec<Revocation>>,
    link: watch::Sender<Link>,
    /// Whether calls are answered.
    calls: AtomicBool,
    exchanges: AtomicU64,
    head_calls: AtomicU64,
    jwks_calls: AtomicU64,
    uses: Mutex<Vec<Use>>,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self(Arc::new(State {
            pairs: Mutex::new(vec![KeyPair::generate()]),
            keys: Mutex::default(),
            life: Mutex::new(crate::token::LIFE_MAX),
            revocations: Mutex::default(),
            link: watch::Sender::new(Link::Open),
            calls: AtomicBool::new(true),
            exchanges: AtomicU64::new(0),
            head_calls: AtomicU64::new(0),
            jwks_calls: AtomicU64::new(0),
            uses: Mutex::default(),
        }))
    }

    pub(crate) fn channel(&self) -> Channel {
        Channel::in_process(Routes::new(self.server()), Peer::default())
    }

    pub(crate) fn server(&self) -> CredentialServiceServer<Self> {
        CredentialServiceServer::new(self.clone())
    }

    /// A key that is good.
    pub(crate) fn key(&self, scopes: &str) -> KeyText {
        self.key_from(scopes, "")
    }

    /// A key that is good from these networks.
    pub(crate) fn key_from(&self, scopes: &str, networks: &str) -> KeyText {
        let key = KeyText::mint(Kind::Tenant, ApiKeyId::generate()).unwrap();
        let grant = Grant {
            tenant: TenantId::generate(),
            credential: CredentialId::ApiKey(key.id()),
            version: 1,
            scopes: scopes.parse().unwrap(),
            networks: networks.parse().unwrap(),
            ends: None,
        };
        self.0.keys.lock().unwrap().insert(key.expose().to_owned(), grant);
        key
    }

    /// Changes what a key may do.
    pub(crate) fn change(&self, key: &KeyText, scopes: &str) {
        let mut keys = self.0.keys.lock().unwrap();
        let grant = keys.get_mut(key.expose()).unwrap();
        grant.scopes = scopes.parse().unwrap();
        grant.version += 1;
        let below_version = Some(grant.version);
        drop(keys);
        self.push(Subject::ApiKeyId(key.id().to_string()), below_version);
    }

    /// Which uses were told, in order.
    pub(crate) fn uses(&self) -> Vec<Use> {
        self.0.uses.lock().unwrap().clone()
    }

    pub(crate) fn revoke(&self, key: &KeyText) {
        self.0.keys.lock().unwrap().remove(key.expose());
        self.push(Subject::ApiKeyId(key.id().to_string()), None);
    }

    /// Signs with a new key, and withdraws the old ones.
    pub(crate) fn rotate(&self) {
        let old = std::mem::replace(&mut *self.0.pairs.lock().unwrap(), vec![KeyPair::generate()]);
        for pair in old {
            self.push(Subject::SigningKid(pair.kid), None);
        }
    }

    /// Begins a list of its own, as a restored database does.
    pub(crate) fn restore(&self, revocations: usize) {
        self.0.revocations.lock().unwrap().truncate(revocations);
    }

    fn push(&self, subject: Subject, below_version: Option<i64>) {
        let mut revocations = self.0.revocations.lock().unwrap();
        let position = i64::try_from(revocations.len()).unwrap() + 1;
        revocations.push(Revocation { position, subject: Some(subject), expire_time: None, below_version });
    }

    pub(crate) fn link(&self, link: Link) {
        self.0.link.send_replace(link);
    }

    pub(crate) fn answer_calls(&self, answered: bool) {
        self.0.calls.store(answered, Ordering::SeqCst);
    }

    pub(crate) fn token_life(&self, life: Duration) {
        *self.0.life.lock().unwrap() = life;
    }

    pub(crate) fn exchanges(&self) -> u64 {
        self.0.exchanges.load(Ordering::SeqCst)
    }

    pub(crate) fn head_calls(&self) -> u64 {
        self.0.head_calls.load(Ordering::SeqCst)
    }

    pub(crate) fn jwks_calls(&self) -> u64 {
        self.0.jwks_calls.load(Ordering::SeqCst)
    }

    /// A token for `key`, as an exchange answers it.
    pub(crate) fn token(&self, key: &KeyText) -> Option<SecretString> {
        let grant = self.0.keys.lock().unwrap().get(key.expose())?.clone();
        let now = SystemTime::now();
        let claims = Claims::new(&grant, now, now + *self.0.life.lock().unwrap());
        let pairs = self.0.pairs.lock().unwrap();
        Some(claims.sign(&pairs[0].kid, &pairs[0].private).unwrap())
    }

    fn called(&self, calls: &AtomicU64) -> Result<(), Status> {
        calls.fetch_add(1, Ordering::SeqCst);
        let answered = self.0.calls.load(Ordering::SeqCst);
        answered.then_some(()).ok_or_else(|| Status::unavailable("told so"))
    }

    fn message(&self, after: i64) -> WatchRevocationsResponse {
        let revocations = self.0.revocations.lock().unwrap();
        let head = i64::try_from(revocations.len()).unwrap();
        let after = usize::try_from(after).unwrap();
        WatchRevocationsResponse { revocations: revocations.iter().skip(after).cloned().collect(), head }
    }

    async fn next(&self, after: i64, first: bool) -> Result<WatchRevocationsResponse, Status> {
        if !first {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let mut link = self.0.link.subscribe();
        let state = *link.wait_for(|link| *link != Link::Silent).await.unwrap();
        if state == Link::Cut { Err(Status::unavailable("cut")) } else { Ok(self.message(after)) }
    }
}

#[async_trait]
impl CredentialService for Fake {
    async fn exchange_api_key(
        &self,
        request: Request<ExchangeApiKeyRequest>,
    ) -> Result<Response<ExchangeApiKeyResponse>, Status> {
        self.called(&self.0.exchanges)?;
        tokio::task::yield_now().await;
        let key: KeyText = request.into_inner().key.parse().map_err(|_| Status::unauthenticated("no"))?;
        let token = self.token(&key).ok_or_else(|| Status::unauthenticated("no"))?;
        Ok(Response::new(ExchangeApiKeyResponse { token: token.expose_secret().to_owned(), expire_time: None }))
    }

    async fn exchange_access_token(
        &self,
        _: Request<ExchangeAccessTokenRequest>,
    ) -> Result<Response<ExchangeAccessTokenResponse>, Status> {
        Err(Status::unauthenticated("no"))
    }

    async fn issue_access_token(
        &self,
        _: Request<IssueAccessTokenRequest>,
    ) -> Result<Response<IssueAccessTokenResponse>, Status> {
        Err(Status::unauthenticated("no"))
    }

    async fn record_uses(&self, request: Request<RecordUsesRequest>) -> Result<Response<RecordUsesResponse>, Status> {
        let answered = self.0.calls.load(Ordering::SeqCst);
        answered.then_some(()).ok_or_else(|| Status::unavailable("told so"))?;
        self.0.uses.lock().unwrap().extend(request.into_inner().uses);
        Ok(Response::new(RecordUsesResponse {}))
    }

    async fn get_jwks(&self, _: Request<GetJwksRequest>) -> Result<Response<Jwks>, Status> {
        self.called(&self.0.jwks_calls)?;
        let jwk = |pair: &KeyPair| Jwk {
            kid: pair.kid.clone(),
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            alg: "EdDSA".into(),
            x: pair.x.clone(),
        };
        let keys = self.0.pairs.lock().unwrap().iter().map(jwk).collect();
        Ok(Response::new(Jwks { keys }))
    }

    type WatchRevocationsStream = BoxStream<'static, Result<WatchRevocationsResponse, Status>>;

    async fn watch_revocations(
        &self,
        request: Request<WatchRevocationsRequest>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        if *self.0.link.borrow() == Link::Cut {
            return Err(Status::unavailable("cut"));
        }
        let start = (self.clone(), request.into_inner().after, true);
        let messages = stream::try_unfold(start, |(fake, after, first)| async move {
            let message = fake.next(after, first).await?;
            let head = message.head;
            Ok(Some((message, (fake, head, false))))
        });
        Ok(Response::new(messages.boxed()))
    }

    async fn get_revocation_head(
        &self,
        _: Request<GetRevocationHeadRequest>,
    ) -> Result<Response<GetRevocationHeadResponse>, Status> {
        self.called(&self.0.head_calls)?;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let head = i64::try_from(self.0.revocations.lock().unwrap().len()).unwrap();
        Ok(Response::new(GetRevocationHeadResponse { head }))
    }
}
