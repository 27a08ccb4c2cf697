//! A whole service over a database of its own, reached as its clients reach it.

use std::{future::Future, time::Duration};

use authn::{Authenticator, Budget, KeyText, Source, grpc::Callers, key::Kind};
use database::testing::{Engine, TestDatabase};
use ids::{ApiKeyId, TenantId};
use pbjson_types::FieldMask;
use proto::{
    Channel, Peer, Service,
    api_keys::v1::{
        ApiKey, CreateApiKeyRequest, ExchangeApiKeyRequest, UpdateApiKeyRequest,
        api_key_service_client::ApiKeyServiceClient, credential_service_client::CredentialServiceClient,
        trust_service_client::TrustServiceClient,
    },
};
use secrecy::{ExposeSecret, SecretString};
use tonic::{Request, Status, service::RoutesBuilder};

use crate::{AccessTokenLife, ApiKeys, Config, EncryptionKey, HashWork, Migrate, store::tests::prepared};

/// A client of which nothing is known.
pub(crate) const ANYWHERE: Source = Source::Client(None);

/// The longest that a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type KeyClient = ApiKeyServiceClient<Channel>;

/// A database with the service's schema, and the key to it.
pub(crate) struct World {
    pub(crate) database: TestDatabase,
    encryption_key: SecretString,
}

impl World {
    pub(crate) async fn new(engine: Engine) -> Option<Self> {
        let database = prepared(engine).await?;
        Some(Self { database, encryption_key: EncryptionKey::generate().unwrap().to_text() })
    }

    pub(crate) fn config(&self) -> Config {
        Config {
            location: self.database.location().clone(),
            encryption_key: self.encryption_key.expose_secret().parse().unwrap(),
            migrate: Migrate::Check,
            hash_work: HashWork::default(),
            access_token_life: AccessTokenLife::default(),
            outbound: outbound::Settings::default(),
        }
    }

    pub(crate) async fn replica(&self) -> Replica {
        let api_keys = ApiKeys::open(self.config()).await.unwrap();
        let facade = Peer { service: Some(Service::Scim), ..Peer::default() };
        let internal = Channel::in_process(api_keys.internal_routes(Callers::Known), facade);
        let authenticator = Authenticator::new(internal.clone(), Budget::default());
        authenticator.ready().await;
        let operator = KeyText::mint(Kind::Operator, ApiKeyId::generate()).unwrap();
        api_keys.install_operator(&operator).await.unwrap();
        let mut routes = RoutesBuilder::default();
        api_keys.add_services(&mut routes, &authenticator);
        let public = Channel::in_process(routes.routes(), Peer::default());
        Replica { api_keys, authenticator, operator, internal, public }
    }
}

/// One process of the service, with an operator credential.
pub(crate) struct Replica {
    pub(crate) api_keys: ApiKeys,
    pub(crate) authenticator: Authenticator,
    pub(crate) operator: KeyText,
    pub(crate) internal: Channel,
    pub(crate) public: Channel,
}

impl Replica {
    pub(crate) fn keys(&self) -> KeyClient {
        KeyClient::new(self.public.clone())
    }

    pub(crate) fn trusts(&self) -> TrustServiceClient<Channel> {
        TrustServiceClient::new(self.public.clone())
    }

    pub(crate) fn credentials(&self) -> CredentialServiceClient<Channel> {
        CredentialServiceClient::new(self.internal.clone())
    }

    /// A new key of `tenant`, made by the operator.
    pub(crate) async fn create(&self, tenant: TenantId, scopes: &[&str]) -> KeyText {
        let api_key = ApiKey {
            name: "test".into(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
            ..ApiKey::default()
        };
        let message = CreateApiKeyRequest { tenant_id: tenant.to_string(), api_key: Some(api_key) };
        let created = self.keys().create_api_key(by(&self.operator, message)).await.unwrap().into_inner();
        created.key.parse().unwrap()
    }

    /// Changes a key of `tenant`: the fields that are named take the values of `changed`.
    pub(crate) async fn update(&self, tenant: TenantId, changed: ApiKey, fields: &[&str]) -> Result<ApiKey, Status> {
        let paths = fields.iter().map(ToString::to_string).collect();
        let message = UpdateApiKeyRequest {
            tenant_id: tenant.to_string(),
            api_key: Some(changed),
            update_mask: Some(FieldMask { paths }),
        };
        Ok(self.keys().update_api_key(by(&self.operator, message)).await?.into_inner())
    }

    /// A token for `key`.
    pub(crate) async fn exchange(&self, key: &KeyText) -> Result<String, Status> {
        let message = ExchangeApiKeyRequest { key: key.expose().to_owned(), ..ExchangeApiKeyRequest::default() };
        Ok(self.credentials().exchange_api_key(message).await?.into_inner().token)
    }

    /// How often argon2 has run here.
    pub(crate) fn runs(&self) -> u64 {
        self.api_keys.argon2_runs()
    }
}

/// A request that carries `key`.
pub(crate) fn by<T>(key: &KeyText, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {}", key.expose()).parse().unwrap());
    request
}

/// Waits until `condition` holds.
pub(crate) async fn until<F: Future<Output = bool>>(condition: impl Fn() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
}
