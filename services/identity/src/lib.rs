//! **identity** holds tenants, users, groups, memberships and roles, and answers for them over gRPC. It knows nothing of SCIM, and it checks
//! the token of every call itself.

mod delivery;
mod domain;
mod event_keys;
mod event_secrets;
mod retention;
mod role_batches;
mod rpc;
mod store;

use std::{sync::Arc, time::Duration};

use authn::{Authenticator, grpc::Callers};
use database::{Database, Location, MigrateError};
use sealing::EncryptionKey;
use tonic::service::RoutesBuilder;

use crate::{
    delivery::{Courier, Deliveries},
    domain::{Founder, TenantName, Timestamp},
    event_keys::EventKeys,
    event_secrets::EventSecrets,
    retention::Retention,
    role_batches::RoleBatches,
    rpc::{Listener, Rpc},
    store::Store,
};

/// The name of the service: of its schema on PostgreSQL, and of its file on SQLite.
pub const SERVICE: &str = "identity";

/// What identity needs to start.
#[derive(Debug)]
pub struct Config {
    /// Where its database is.
    pub location: Location,
    /// What to do about the schema.
    pub schema: Schema,
    /// How long entries of the provisioning log are kept.
    pub log_retention: Duration,
    /// What secrets of endpoints for events are kept under, the same for every replica. Without it there are no such endpoints, and nothing is sent.
    pub encryption_key: Option<EncryptionKey>,
    /// Whom this service may call beyond the public network, to send events.
    pub outbound: outbound::Settings,
}

/// What a starting process does about the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Bring it up to date.
    Migrate,
    /// Refuse to start unless it is up to date.
    Check,
}

/// Why identity cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database cannot be opened.
    #[error("the identity database cannot be opened")]
    Open(#[source] sea_orm::DbErr),
    /// Its schema cannot be used.
    #[error("the identity database cannot be used")]
    Schema(#[source] MigrateError),
    /// The settings of outbound calls cannot be used.
    #[error("the settings of outbound calls cannot be used")]
    Outbound(#[from] outbound::SettingsError),
    /// The system's cryptography failed.
    #[error("the system's cryptography failed")]
    Cryptography(#[from] sealing::Error),
}

/// Why a tenant could not be made.
#[derive(Debug, thiserror::Error)]
#[error("tenant {name} cannot be made: {problem}")]
pub struct TenantError {
    name: String,
    problem: String,
}

/// The service. Clones are the same one; its background work ends with the last of them.
#[derive(Clone, Debug)]
pub struct Identity {
    store: Store,
    senders: Senders,
    deliveries: Option<Arc<Deliveries>>,
    _retention: Arc<Retention>,
    _role_batches: Arc<RoleBatches>,
}

/// What makes endpoints for events and sends to them.
#[derive(Clone, Debug)]
pub(crate) struct Senders {
    client: outbound::Client,
    secrets: EventSecrets,
    keys: EventKeys,
}

impl Identity {
    /// Opens the database. To be called within a tokio runtime.
    ///
    /// # Errors
    /// When the database cannot be opened or its schema cannot be used.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let database = Database::open(&config.location, SERVICE).await.map_err(OpenError::Open)?;
        match config.schema {
            Schema::Migrate => database.migrate::<store::Migrator>(SERVICE).await,
            Schema::Check => database.check_migrated::<store::Migrator>().await,
        }
        .map_err(OpenError::Schema)?;
        let store = Store::new(database);
        let client = outbound::Client::new(&config.outbound)?;
        let secrets = EventSecrets::new(config.encryption_key.as_ref())?;
        let senders = Senders { client, keys: EventKeys::new(store.clone(), secrets.clone()), secrets };
        let deliveries = senders.secrets.is_usable().then(|| {
            let courier = Courier::new(store.clone(), senders.clone(), Arc::new(Timestamp::now));
            Arc::new(Deliveries::start(courier))
        });
        let retention = Arc::new(Retention::start(store.clone(), config.log_retention));
        let role_batches = Arc::new(RoleBatches::start(store.clone()));
        Ok(Self { store, senders, deliveries, _retention: retention, _role_batches: role_batches })
    }

    /// Adds every gRPC service of identity for those who call it, each behind the check of its callers. A directory's key opens nothing here.
    pub fn add_services(&self, routes: &mut RoutesBuilder, authenticator: &Authenticator) {
        Rpc::new(self.store.clone(), self.senders.clone(), Listener::Public).add_services(routes, authenticator);
    }

    /// Adds what Rollcall's services call, the SCIM façade on behalf of directories and api-keys to learn who leaves: to be served in the same process, or
    /// on a listener that only they reach.
    pub fn add_internal_services(&self, routes: &mut RoutesBuilder, authenticator: &Authenticator, callers: Callers) {
        Rpc::new(self.store.clone(), self.senders.clone(), Listener::Internal(callers))
            .add_services(routes, authenticator);
    }

    /// Makes the tenant `name` unless there is one.
    ///
    /// # Errors
    /// When `name` is no tenant's name or the database fails.
    pub async fn ensure_tenant(&self, name: &str) -> Result<(), TenantError> {
        let refused = |problem: String| TenantError { name: name.to_owned(), problem };
        let parsed = TenantName::parse(name).map_err(|error| refused(error.to_string()))?;
        let founder = Founder { actor: "operator:start".to_owned(), address: None, action: "start" };
        match self.store.create_tenant(founder, parsed).await {
            Ok(_) | Err(domain::Error::TenantNameTaken) => Ok(()),
            Err(error) => Err(refused(error.to_string())),
        }
    }

    /// Ends the streams of changes, which end by nothing else: for a process that wants to end without waiting for those who watch. They go on with
    /// another replica, after what they have.
    pub fn end_watches(&self) {
        self.store.end_followers();
    }

    /// Ends the sending of events, after what is under way.
    pub async fn end_deliveries(&self) {
        if let Some(deliveries) = &self.deliveries {
            deliveries.end().await;
        }
    }

    /// Whether the database answers, for readiness.
    pub async fn ready(&self) -> bool {
        self.store.ready().await
    }
}
