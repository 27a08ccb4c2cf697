//! The public SCIM service: HTTP in, gRPC out, no database.
//!
//! A request's body passes the dialect (`scim_entra`), then the engine (`scim`), then the mapping to the proto;
//! identity does the rest. Nothing is kept here between two requests but caches, so any number of replicas serve side
//! by side.

mod apart;
mod authentication;
mod base;
mod dropped;
mod ending;
mod error;
mod events;
mod http;
mod identity;
mod log;
mod mapping;
mod oauth;
mod precondition;
mod routes;
mod schemas;
mod shares;
#[cfg(test)]
mod tests;
mod turns;

use std::sync::Arc;

use authn::Authenticator;
use bootstrap::forwarded::TrustedProxies;

use crate::{
    apart::Apart,
    base::Base,
    dropped::DroppedLog,
    ending::EndingCredentials,
    events::Events,
    identity::{Channel, Clients},
    schemas::SchemaCache,
    turns::Turns,
};

pub use crate::{http::request::BODY_BYTES_MAX, log::ProvisioningLog, routes::router};

/// What an operator decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The address that clients use, such as `https://rollcall.example.com`: what `meta.location` begins with. The
    /// tenant URL is accepted too. Without it the address is what the client asked for, as far as that is known here.
    pub public_url: Option<String>,
    /// Who is believed when he says what the client asked for.
    pub trusted_proxies: TrustedProxies,
}

/// What every request shares.
#[derive(Clone, Debug)]
pub(crate) struct Facade(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    base: Option<Base>,
    trusted_proxies: TrustedProxies,
    authenticator: Authenticator,
    clients: Clients,
    events: Events,
    log: ProvisioningLog,
    dropped: DroppedLog,
    ending: EndingCredentials,
    schemas: SchemaCache,
    turns: Turns,
    apart: Apart,
}

impl Facade {
    fn new(config: &Config, authenticator: Authenticator, identity: Channel, log: ProvisioningLog) -> Self {
        Self(Arc::new(Shared {
            base: config.public_url.as_deref().map(Base::new),
            trusted_proxies: config.trusted_proxies.clone(),
            authenticator,
            events: Events::new(identity.clone()),
            clients: Clients::new(identity),
            log,
            dropped: DroppedLog::new(),
            ending: EndingCredentials::new(),
            schemas: SchemaCache::new(),
            turns: Turns::new(),
            apart: Apart::new(),
        }))
    }

    fn base(&self) -> Option<&Base> {
        self.0.base.as_ref()
    }

    fn trusted_proxies(&self) -> &TrustedProxies {
        &self.0.trusted_proxies
    }

    fn authenticator(&self) -> &Authenticator {
        &self.0.authenticator
    }

    fn clients(&self) -> &Clients {
        &self.0.clients
    }

    fn events(&self) -> &Events {
        &self.0.events
    }

    fn log(&self) -> &ProvisioningLog {
        &self.0.log
    }

    fn ending(&self) -> &EndingCredentials {
        &self.0.ending
    }

    fn dropped(&self) -> &DroppedLog {
        &self.0.dropped
    }

    fn schemas(&self) -> &SchemaCache {
        &self.0.schemas
    }

    fn apart(&self) -> &Apart {
        &self.0.apart
    }

    fn turns(&self) -> &Turns {
        &self.0.turns
    }
}
