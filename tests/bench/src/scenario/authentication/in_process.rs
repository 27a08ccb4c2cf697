//! api-keys and an authenticator within this process, with their calls counted.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::Context;
use api_keys::{AccessTokenLife, ApiKeys, Config, EncryptionKey, HashWork, Migrate};
use authn::{Authenticator, Budget, KeyText, Source, grpc::Callers, key::Kind};
use ids::{ApiKeyId, TenantId};
use proto::{
    Channel, Peer, Service as Caller,
    api_keys::v1::{ApiKey, CreateApiKeyRequest, api_key_service_client::ApiKeyServiceClient},
};
use secrecy::SecretString;
use tempfile::TempDir;
use tonic::{Request, body::Body, service::RoutesBuilder};
use tower::util::MapRequestLayer;

use crate::program::sqlite;

/// More than is ever called here.
const REQUESTS_PER_SECOND: u32 = 100_000_000;

/// Both, over a database of their own. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Service(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    api_keys: ApiKeys,
    authenticator: Authenticator,
    public: Channel,
    operator: KeyText,
    tenant: TenantId,
    counted: Arc<Counted>,
    _directory: TempDir,
}

/// How often the authenticator called. What it tells and follows in the background is not counted: no request waits for it.
#[derive(Debug, Default)]
struct Counted {
    exchanges: AtomicU64,
    others: AtomicU64,
}

impl Counted {
    fn note(&self, path: &str) {
        let counter = match path.rsplit('/').next() {
            Some("ExchangeApiKey" | "ExchangeAccessToken") => &self.exchanges,
            Some("WatchRevocations" | "RecordUses") => return,
            _ => &self.others,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Service {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let directory = TempDir::new()?;
        let config = Config {
            location: sqlite(&directory),
            encryption_key: EncryptionKey::generate()?,
            migrate: Migrate::Run,
            outbound: outbound::Settings::default(),
            hash_work: HashWork::default(),
            access_token_life: AccessTokenLife::default(),
        };
        let api_keys = ApiKeys::open(config).await?;
        let counted = Arc::new(Counted::default());
        let facade = Peer { service: Some(Caller::Scim), ..Peer::default() };
        let counting = Arc::clone(&counted);
        let credentials = Channel::in_process(api_keys.internal_routes(Callers::Known), facade).layered(
            MapRequestLayer::new(move |request: http::Request<Body>| {
                counting.note(request.uri().path());
                request
            }),
        );
        let authenticator = Authenticator::new(credentials, Budget::new(REQUESTS_PER_SECOND)?);
        authenticator.ready().await;
        let operator = KeyText::mint(Kind::Operator, ApiKeyId::generate())?;
        api_keys.install_operator(&operator).await?;
        let mut routes = RoutesBuilder::default();
        api_keys.add_services(&mut routes, &authenticator);
        let public = Channel::in_process(routes.routes(), Peer::default());
        let tenant = TenantId::generate();
        Ok(Self(Arc::new(Inner { api_keys, authenticator, public, operator, tenant, counted, _directory: directory })))
    }

    /// A key that nobody has shown yet.
    pub(crate) async fn create_key(&self) -> anyhow::Result<SecretString> {
        let api_key = ApiKey { name: "bench".into(), scopes: vec!["scim".into()], ..ApiKey::default() };
        let message = CreateApiKeyRequest { tenant_id: self.0.tenant.to_string(), api_key: Some(api_key) };
        let mut request = Request::new(message);
        let bearer = format!("Bearer {}", self.0.operator.expose()).parse().context("the operator's key")?;
        request.metadata_mut().insert("authorization", bearer);
        let mut client = ApiKeyServiceClient::new(self.0.public.clone());
        Ok(SecretString::from(client.create_api_key(request).await?.into_inner().key))
    }

    /// What the façade does with the key of each request.
    pub(crate) async fn authenticate(&self, key: &SecretString) -> Result<(), authn::Error> {
        self.0.authenticator.authenticate_client(key, Source::Client(None)).await.map(drop)
    }

    pub(crate) fn exchanges(&self) -> u64 {
        self.0.counted.exchanges.load(Ordering::Relaxed)
    }

    pub(crate) fn calls(&self) -> u64 {
        self.0.counted.others.load(Ordering::Relaxed)
    }

    pub(crate) fn argon2_runs(&self) -> u64 {
        self.0.api_keys.argon2_runs()
    }
}
