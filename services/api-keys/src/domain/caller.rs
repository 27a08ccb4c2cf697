//! Who does something to which tenant's keys, and the log of it.

use std::net::IpAddr;

use audit::{Content, Link};
use authn::{CredentialId, Grant, Principal, Scope, Scopes, TenantError};
use ids::{ApiKeyId, TenantId};

use super::{Error, Timestamp};

/// A caller in the midst of a call.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The tenant that the call is about.
    pub(crate) tenant: TenantId,
    /// Who: `operator` or `key`, a colon and the key's id.
    pub(crate) actor: String,
    /// The key that was shown, where it is one of the tenant's.
    pub(crate) key: Option<ApiKeyId>,
    /// From where, when that is known.
    pub(crate) address: Option<IpAddr>,
    /// Whether each use is logged, reads included (`rules.md` R5).
    pub(crate) is_operator: bool,
    pub(crate) scopes: Scopes,
    /// What: the full name of the RPC.
    pub(crate) action: &'static str,
}

impl Caller {
    /// The caller of `action`, at `address`, with a request whose `tenant_id` is `named`.
    pub(crate) fn new(
        principal: &Principal,
        address: Option<IpAddr>,
        named: &str,
        action: &'static str,
    ) -> Result<Self, Error> {
        let tenant = principal.tenant(named).map_err(|error| match error {
            TenantError::InvalidArgument => Error::invalid("tenant_id", "the operator names a tenant by its id"),
            TenantError::NotFound => Error::NotFound,
        })?;
        let (actor, is_operator, scopes) = (principal.actor(), principal.is_operator(), principal.scopes);
        let key = match principal.credential {
            CredentialId::ApiKey(id) if !is_operator => Some(id),
            CredentialId::ApiKey(_) | CredentialId::Trust(_) => None,
        };
        Ok(Self { tenant, actor, key, address, is_operator, scopes, action })
    }

    /// An OAuth client that signs in, at `address`.
    pub(crate) fn client(grant: &Grant, address: Option<IpAddr>) -> Self {
        Self {
            tenant: grant.tenant,
            actor: grant.credential.to_string(),
            key: None,
            address,
            is_operator: false,
            scopes: grant.scopes,
            action: "rollcall.api_keys.v1.CredentialService/IssueAccessToken",
        }
    }

    /// The service itself, without anybody's asking.
    pub(crate) fn itself(action: &'static str) -> Self {
        Self {
            tenant: TenantId::OPERATOR,
            actor: "api-keys".to_owned(),
            key: None,
            address: None,
            is_operator: false,
            scopes: Scopes::default(),
            action,
        }
    }

    /// Identity, which tells that somebody of `tenant`, or all of it, has left.
    pub(crate) fn identity(tenant: TenantId) -> Self {
        Self {
            tenant,
            actor: "service:identity".to_owned(),
            action: "rollcall.identity.v1.DepartureService/WatchDepartures",
            ..Self::itself("")
        }
    }

    /// The installation itself, which brings the operator credential `key`.
    pub(crate) fn installation(key: ApiKeyId) -> Self {
        Self {
            tenant: TenantId::OPERATOR,
            actor: format!("operator:{key}"),
            key: None,
            address: None,
            is_operator: true,
            scopes: [Scope::Operator].into_iter().collect(),
            action: "install_operator",
        }
    }
}

/// One entry of a tenant's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuditEntry {
    pub(crate) position: i64,
    pub(crate) at: Timestamp,
    pub(crate) actor: String,
    pub(crate) address: String,
    pub(crate) action: String,
    pub(crate) subject: String,
    pub(crate) content: Content,
    /// Empty after an erasure.
    pub(crate) salt: Vec<u8>,
    /// Empty, as the hash, in entries from before the chain.
    pub(crate) values_digest: Vec<u8>,
    pub(crate) hash: Vec<u8>,
}

/// Where the chain of a tenant's log begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AuditChain {
    pub(crate) anchor: Link,
    pub(crate) head: Link,
}
