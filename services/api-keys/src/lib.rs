//! API keys: made, listed, revoked, and exchanged for short-lived tokens; and trusts, by which clients sign in without one.
//!
//! Only an argon2id hash of a key is stored. Verifying one is slow by design, so it is bounded and done once: a key is
//! exchanged for a token, which anyone verifies by the published signing keys. What is revoked stands in one ordered
//! list that every verifier follows.

mod access_token;
mod admission;
mod config;
mod departures;
mod domain;
mod exchange;
mod federation;
mod hashing;
mod heads;
mod maintenance;
mod retention;
mod rpc;
mod signing;
mod store;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::{
    error::Error as StdError,
    sync::{Arc, OnceLock},
};

use authn::{Authenticator, KeyText, Networks, Scope, grpc::Callers, key::Kind};
use database::Location;
use ids::TenantId;
use proto::Channel;
use tonic::service::{Routes, RoutesBuilder};

pub use config::{AccessTokenLife, Config, HashWork, InvalidAccessTokenLife, InvalidHashWork, Migrate};
pub use sealing::{EncryptionKey, InvalidEncryptionKey};

use departures::Departures;
use domain::{About, ApiKey, Caller, Timestamp};
use exchange::Exchange;
use federation::Federation;
use hashing::Hashing;
use heads::Heads;
use maintenance::Maintenance;
use retention::Retention;
use signing::SigningKeys;
use store::Store;

/// The service's name: its schema on PostgreSQL.
pub const SERVICE: &str = "api_keys";

/// The service. Clones are cheap and are the same one; its background work ends with the last of them and of the routes
/// made from it.
#[derive(Clone, Debug)]
pub struct ApiKeys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    hashing: Arc<Hashing>,
    signing_keys: Arc<SigningKeys>,
    exchange: Exchange,
    heads: Heads,
    /// Whom identity tells to have left, where it is followed.
    departures: OnceLock<Departures>,
    _maintenance: Maintenance,
    _retention: Retention,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database cannot be reached, or failed.
    #[error("the database of api-keys cannot be used")]
    Database(#[source] Box<dyn StdError + Send + Sync>),
    /// The schema is not this release's.
    #[error("the schema of api-keys cannot be used")]
    Schema(#[from] database::MigrateError),
    /// The signing keys in the database are encrypted under another key.
    #[error("the encryption key is not the one that this database's signing keys are encrypted under")]
    WrongEncryptionKey,
    /// The system's cryptography failed.
    #[error("the system's cryptography failed")]
    Cryptography,
    /// The settings of outbound calls cannot be used.
    #[error("the settings of outbound calls cannot be used")]
    Outbound(#[from] outbound::SettingsError),
}

impl From<sealing::Error> for OpenError {
    fn from(error: sealing::Error) -> Self {
        match error {
            sealing::Error::NotSealed => Self::WrongEncryptionKey,
            sealing::Error::Cryptography => Self::Cryptography,
        }
    }
}

/// Why an operator credential was not installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstallError {
    /// The key is a tenant's.
    #[error("not an operator credential: its text begins with `rollcallops`")]
    NotAnOperator,
    /// The database or the hashing failed.
    #[error("the operator credential could not be stored")]
    Unavailable,
}

impl ApiKeys {
    /// Opens the database and, in an empty one, makes the first signing key. To be called within a tokio runtime.
    ///
    /// # Errors
    /// When the database cannot be used, or is another's by its encryption key.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let federation = Federation::new(outbound::Client::new(&config.outbound)?);
        let store = Store::open(&config.location).await?;
        match config.migrate {
            Migrate::Run => store.migrate().await?,
            Migrate::Check => store.check_migrated().await?,
        }
        let signing_keys = Arc::new(SigningKeys::open(store.clone(), config.encryption_key).await?);
        let hashing = Arc::new(Hashing::new(config.hash_work).await.map_err(|_| OpenError::Cryptography)?);
        let life = config.access_token_life.duration();
        let exchange =
            Exchange::new(store.clone(), Arc::clone(&hashing), Arc::clone(&signing_keys), (federation, life));
        let heads = Heads::start(store.clone());
        let maintenance = Maintenance::start(store.clone(), Arc::clone(&signing_keys));
        let retention = Retention::start(store.clone());
        Ok(Self(Arc::new(Inner {
            store,
            hashing,
            signing_keys,
            exchange,
            heads,
            departures: OnceLock::new(),
            _maintenance: maintenance,
            _retention: retention,
        })))
    }

    /// Adds the public services, behind authentication.
    pub fn add_services(&self, routes: &mut RoutesBuilder, authenticator: &Authenticator) {
        rpc::add_services(routes, self, authenticator);
    }

    /// The `CredentialService`, for Rollcall's services alone.
    #[must_use]
    pub fn internal_routes(&self, callers: Callers) -> Routes {
        Routes::new(rpc::credential_service(self.clone(), callers))
    }

    /// Stores the hash of an operator credential, unless it is stored already. A revoked one stays revoked.
    ///
    /// # Errors
    /// When `key` is a tenant's, or the database fails.
    pub async fn install_operator(&self, key: &KeyText) -> Result<(), InstallError> {
        if key.kind() != Kind::Operator {
            return Err(InstallError::NotAnOperator);
        }
        let unavailable = |_| InstallError::Unavailable;
        if let Some(stored) = self.0.store.credential(key.id()).await.map_err(unavailable)? {
            if !stored.is_active(Timestamp::now()) {
                tracing::warn!(api_key.id = %key.id(), "the operator credential was revoked or replaced: it opens nothing");
            }
            return Ok(());
        }
        let hash = self.0.hashing.hash(key.clone()).await.map_err(unavailable)?;
        let caller = Caller::installation(key.id());
        let about = About {
            name: "operator".to_owned(),
            description: String::new(),
            scopes: [Scope::Operator].into_iter().collect(),
            networks: Networks::default(),
            expires_at: None,
            owner: None,
        };
        let stored = ApiKey::new(key.id(), TenantId::OPERATOR, about, caller.actor.clone(), Timestamp::now());
        self.0.store.install(&caller, stored, hash).await.map_err(unavailable)
    }

    /// Follows, by the internal services of `identity`, who loses access: keys that such a person owns are revoked, and all keys and trusts of a tenant
    /// that was deleted. Without it no key can have an owner. It goes on until [`ApiKeys::end_watches`]; a second call changes nothing.
    ///
    /// Where identity runs in the same process its routes hold this service, so that the two live until the process ends.
    pub fn follow(&self, identity: Channel) {
        self.0.departures.get_or_init(|| Departures::start(self.0.store.clone(), identity, self.0.heads.mover()));
    }

    /// Ends the streams of revocations, which end by nothing else: for a process that wants to end without waiting for its verifiers. They go
    /// on with another replica, from where they were. What follows identity ends too.
    pub fn end_watches(&self) {
        self.0.heads.end();
        self.end_following();
    }

    /// Ends what [`ApiKeys::follow`] began.
    pub fn end_following(&self) {
        if let Some(departures) = self.0.departures.get() {
            departures.end();
        }
    }

    /// How often argon2 has run in this process. Each run is some 25 ms of a processor and 19 MiB.
    #[must_use]
    pub fn argon2_runs(&self) -> u64 {
        self.0.hashing.runs()
    }

    /// Whether the database answers now.
    pub async fn ready(&self) -> bool {
        self.0.store.head().await.is_ok()
    }
}

/// Brings the database's schema up to date.
///
/// # Errors
/// When the database cannot be used; nothing is changed then.
pub async fn migrate(location: &Location) -> Result<(), OpenError> {
    let store = Store::open(location).await?;
    Ok(store.migrate().await?)
}
