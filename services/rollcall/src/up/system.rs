//! All services in one process, which call each other through their gRPC interfaces without a socket between.

use std::time::Duration;

use anyhow::Context;
use api_keys::ApiKeys;
use authn::{Authenticator, grpc::Callers};
use axum::Router;
use bootstrap::{Shutdown, grpc::observed, health};
use identity::Identity;
use proto::{Channel, Peer, Service};
use scim_facade::ProvisioningLog;
use telemetry::propagation::ClientLayer;
use tonic::service::{Routes, RoutesBuilder};
use tonic_health::server::HealthReporter;

use crate::{
    session::{Bearer, Session},
    settings::{Keys, Limits, LogSwitch},
    up::data_directory::{DataDirectory, Locations},
};

/// The tenant of a machine that serves one customer.
const TENANT: &str = "default";

/// The façade of this process, which checks the callers of the others too.
const FACADE: Peer = Peer { address: None, service: Some(Service::Scim) };
/// The api-keys of this process.
const API_KEYS: Peer = Peer { address: None, service: Some(Service::ApiKeys) };

/// All services, open and wired.
pub(crate) struct System {
    api_keys: ApiKeys,
    identity: Identity,
    authenticator: Authenticator,
    grpc: Routes,
    /// What of identity the façade and api-keys call.
    directories: Routes,
    log: ProvisioningLog,
    reporter: HealthReporter,
}

impl System {
    /// Opens the databases, brings their schemas up to date, and makes what a first start needs.
    pub(crate) async fn open(
        data: &DataDirectory,
        locations: Locations,
        (keys, limits, outbound): (Keys, Limits, outbound::Settings),
        (log_retention, log): (Duration, LogSwitch),
    ) -> anyhow::Result<Self> {
        let operator = data.operator_key()?;
        let api_keys = ApiKeys::open(api_keys::Config {
            location: locations.api_keys,
            encryption_key: data.encryption_key()?,
            migrate: api_keys::Migrate::Run,
            hash_work: keys.hash_work()?,
            access_token_life: keys.access_token_life()?,
            outbound: outbound.clone(),
        })
        .await
        .map_err(|error| explained(error, data))?;
        let identity = Identity::open(identity::Config {
            location: locations.identity,
            schema: identity::Schema::Migrate,
            log_retention,
            encryption_key: Some(data.encryption_key()?),
            outbound,
        })
        .await?;
        api_keys.install_operator(&operator).await?;
        identity.ensure_tenant(TENANT).await?;

        let credentials = channel(&api_keys.internal_routes(Callers::Known), FACADE);
        let authenticator = Authenticator::new(credentials, limits.budget()?);
        let mut routes = RoutesBuilder::default();
        api_keys.add_services(&mut routes, &authenticator);
        identity.add_services(&mut routes, &authenticator);
        let mut directories = RoutesBuilder::default();
        identity.add_internal_services(&mut directories, &authenticator, Callers::Known);
        let names: Vec<_> = crate::serve::API_KEYS.iter().chain(crate::serve::IDENTITY).copied().collect();
        let reporter = health::add_services(&mut routes, &names).await?;
        let directories = directories.routes();
        api_keys.follow(channel(&directories, API_KEYS));
        let log = log.start(channel(&directories, FACADE));
        Ok(Self { api_keys, identity, authenticator, grpc: routes.routes(), directories, log, reporter })
    }

    /// Every gRPC API.
    pub(crate) fn grpc(&self) -> Routes {
        self.grpc.clone()
    }

    /// Everything that is served over HTTP.
    pub(crate) fn http(&self, config: scim_facade::Config, shutdown: Shutdown) -> Router {
        let ready = self.readiness();
        let identity = channel(&self.directories, FACADE);
        scim_facade::router(config, self.authenticator.clone(), identity, self.log.clone())
            .merge(health::routes(ready, shutdown))
    }

    /// Ends the streams of changes and the sending of events as soon as the end is asked for.
    pub(crate) fn watches(&self, shutdown: Shutdown) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (api_keys, identity) = (self.api_keys.clone(), self.identity.clone());
        async move {
            shutdown.requested().await;
            api_keys.end_following();
            identity.end_watches();
            identity.end_deliveries().await;
        }
    }

    /// Keeps the gRPC health status in step.
    pub(crate) fn health(&self, shutdown: Shutdown) -> impl Future<Output = ()> + Send + 'static + use<> {
        health::follow(self.reporter.clone(), self.readiness(), shutdown)
    }

    /// Waits until credentials can be checked.
    pub(crate) async fn ready(&self) {
        self.authenticator.ready().await;
    }

    /// Keeps for the next start what the log does not hold yet and which credentials were used.
    pub(crate) async fn tell_all(&self) {
        self.log.flush().await;
        self.authenticator.tell_uses().await;
    }

    /// A session of the operator with the tenant of this machine.
    pub(crate) fn operator_session(&self, data: &DataDirectory) -> anyhow::Result<Session> {
        let key = data.operator_key()?;
        let bearer = Bearer::try_from(secrecy::SecretString::from(key.expose()))
            .context("the operator credential is unusable")?;
        Ok(Session::within(channel(&self.grpc, Peer::default()), bearer, TENANT))
    }

    fn readiness(
        &self,
    ) -> impl Fn() -> futures::future::BoxFuture<'static, bool> + Clone + Send + Sync + 'static + use<> {
        let (api_keys, identity, authenticator) =
            (self.api_keys.clone(), self.identity.clone(), self.authenticator.clone());
        move || {
            let (api_keys, identity, authenticator) = (api_keys.clone(), identity.clone(), authenticator.clone());
            Box::pin(async move {
                crate::serve::is_loaded(&authenticator).await && api_keys.ready().await && identity.ready().await
            })
        }
    }
}

fn channel(routes: &Routes, caller: Peer) -> Channel {
    Channel::in_process(observed(routes.clone()), caller).layered(ClientLayer)
}

/// An error that only a look at the data directory explains.
fn explained(error: api_keys::OpenError, data: &DataDirectory) -> anyhow::Error {
    match error {
        api_keys::OpenError::WrongEncryptionKey => anyhow::anyhow!(
            "{} is not the key that this database was begun with: use the data directory that was used then, or copy its signing.key",
            data.encryption_key_file().display()
        ),
        error => error.into(),
    }
}
