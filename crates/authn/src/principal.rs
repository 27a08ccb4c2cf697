//! Who is calling, for which tenant, and what they may do.

use std::{fmt, str::FromStr, time::SystemTime};

use ids::{ApiKeyId, TenantId, TrustId};
use secrecy::SecretString;

use crate::Networks;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// `scim`: provision through the SCIM façade.
    Scim,
    /// `identity.read`: read users, groups and roles.
    IdentityRead,
    /// `identity.write`: change users, groups and roles.
    IdentityWrite,
    /// `admin`: administer one tenant.
    Admin,
    /// `operator`: administer the installation.
    Operator,
}

/// A text that names no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such scope: write scim, identity.read, identity.write or admin")]
pub struct UnknownScope;

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] = [Self::Scim, Self::IdentityRead, Self::IdentityWrite, Self::Admin, Self::Operator];

    /// As it stands in tokens and requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scim => "scim",
            Self::IdentityRead => "identity.read",
            Self::IdentityWrite => "identity.write",
            Self::Admin => "admin",
            Self::Operator => "operator",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(UnknownScope)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of scopes. As text: separated by spaces.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `scope` itself is in the set. To ask for permission, use [`Scopes::allows`].
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether a holder of the set may do what needs `scope`: `admin` implies both `identity` scopes; `operator`
    /// implies all but `scim`, which is the façade's alone (`rules.md` R2).
    #[must_use]
    pub const fn allows(self, scope: Scope) -> bool {
        if self.contains(scope) {
            return true;
        }
        match scope {
            Scope::IdentityRead | Scope::IdentityWrite => self.contains(Scope::Admin) || self.contains(Scope::Operator),
            Scope::Admin => self.contains(Scope::Operator),
            Scope::Scim | Scope::Operator => false,
        }
    }

    /// Whether a holder of the set may give `scope` to a new key (`rules.md` R6). `scim` lies within an administrator's
    /// power, for what a provisioning key does an administrator can do over gRPC. Nobody gives `operator`: that
    /// credential comes from the installation.
    #[must_use]
    pub const fn may_give(self, scope: Scope) -> bool {
        match scope {
            Scope::Scim => self.contains(Scope::Scim) || self.allows(Scope::Admin),
            Scope::IdentityRead | Scope::IdentityWrite | Scope::Admin => self.allows(scope),
            Scope::Operator => false,
        }
    }

    /// The scopes in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl FromStr for Scopes {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        text.split_ascii_whitespace().map(str::parse).collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{scope}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// What a caller is known by. As text: its kind, a colon and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialId {
    /// `key`: an API key.
    ApiKey(ApiKeyId),
    /// `trust`: a trust in somebody else's tokens (RFC 7523).
    Trust(TrustId),
}

/// A text that is no credential's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a credential: write `key` or `trust`, a colon and an id")]
pub struct InvalidCredentialId;

impl FromStr for CredentialId {
    type Err = InvalidCredentialId;

    fn from_str(text: &str) -> Result<Self, InvalidCredentialId> {
        match text.split_once(':') {
            Some(("key", id)) => id.parse().map(Self::ApiKey).map_err(|_| InvalidCredentialId),
            Some(("trust", id)) => id.parse().map(Self::Trust).map_err(|_| InvalidCredentialId),
            Some(_) | None => Err(InvalidCredentialId),
        }
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiKey(id) => write!(f, "key:{id}"),
            Self::Trust(id) => write!(f, "trust:{id}"),
        }
    }
}

/// What a credential opens, as a token says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The tenant that the credential belongs to; [`TenantId::OPERATOR`] for operators.
    pub tenant: TenantId,
    /// The credential.
    pub credential: CredentialId,
    /// How often what it grants was changed, from 1 on: a revocation may name the versions that it ends.
    pub version: i64,
    /// What it may do.
    pub scopes: Scopes,
    /// Where it may be used from.
    pub networks: Networks,
    /// When the credential itself ends, if it does. Tokens end sooner.
    pub ends: Option<SystemTime>,
}

/// An authenticated caller.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The tenant that the credential belongs to; [`TenantId::OPERATOR`] for operators. See [`Principal::tenant`] for which
    /// tenant a request is about.
    pub tenant: TenantId,
    /// What the caller is known by.
    pub credential: CredentialId,
    /// What it may do.
    pub scopes: Scopes,
    /// When the credential itself ends, if it does.
    pub ends: Option<SystemTime>,
    /// The token, to be sent on with calls on the caller's behalf.
    pub token: SecretString,
}

/// Why a request is about no tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TenantError {
    /// An operator named none, or what is no id.
    #[error("tenant_id must name a tenant: the operator belongs to none")]
    InvalidArgument,
    /// Another tenant than the caller's was named. Whether it exists is not told.
    #[error("tenant not found")]
    NotFound,
}

impl Principal {
    /// Who did it, for logs: `operator`, `key` or `trust`, a colon and the credential's id.
    #[must_use]
    pub fn actor(&self) -> String {
        match self.credential {
            CredentialId::ApiKey(id) if self.is_operator() => format!("operator:{id}"),
            credential => credential.to_string(),
        }
    }

    /// Whether the caller is an operator of the installation.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.tenant == TenantId::OPERATOR && self.scopes.contains(Scope::Operator)
    }

    /// The tenant that a request is about, when its `tenant_id` is `named` (`rules.md` R5): the caller's own, which may
    /// be left unnamed, or the one that an operator names.
    ///
    /// # Errors
    /// When an operator names none, or another names a tenant that is not its own.
    pub fn tenant(&self, named: &str) -> Result<TenantId, TenantError> {
        if self.is_operator() {
            return named.parse().map_err(|_| TenantError::InvalidArgument);
        }
        // A foreign tenant and a text that is no id look the same: neither is there for this caller.
        if named.is_empty() || named.parse() == Ok(self.tenant) { Ok(self.tenant) } else { Err(TenantError::NotFound) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(text: &str) -> Scopes {
        text.parse().unwrap()
    }

    fn principal(tenant: TenantId, text: &str) -> Principal {
        let credential = CredentialId::ApiKey(ApiKeyId::generate());
        Principal { tenant, credential, scopes: scopes(text), ends: None, token: SecretString::from("t") }
    }

    #[test]
    fn scopes_print_as_they_parse() {
        for text in ["", "scim", "identity.read identity.write", "scim admin", "operator"] {
            assert_eq!(scopes(text).to_string(), text);
        }
        assert_eq!("scim root".parse::<Scopes>(), Err(UnknownScope));
        assert_eq!(scopes("admin  scim admin").to_string(), "scim admin");
    }

    #[test]
    fn credentials_print_as_they_parse() {
        for credential in [CredentialId::ApiKey(ApiKeyId::generate()), CredentialId::Trust(TrustId::generate())] {
            assert_eq!(credential.to_string().parse(), Ok(credential));
        }
        let id = ApiKeyId::generate();
        for text in ["", "key", "key:", &id.to_string(), &format!("user:{id}"), &format!("key:{id}:")] {
            assert_eq!(text.parse::<CredentialId>(), Err(InvalidCredentialId), "{text}");
        }
    }

    #[test]
    fn what_implies_what() {
        let table: Vec<String> = Scope::ALL
            .into_iter()
            .map(|held| {
                let allowed: Scopes =
                    Scope::ALL.into_iter().filter(|asked| scopes(held.as_str()).allows(*asked)).collect();
                format!("{held}: {allowed}")
            })
            .collect();
        assert_eq!(
            table,
            [
                "scim: scim",
                "identity.read: identity.read",
                "identity.write: identity.write",
                "admin: identity.read identity.write admin",
                "operator: identity.read identity.write admin operator",
            ]
        );
        assert!(!Scopes::default().allows(Scope::Scim));
    }

    #[test]
    fn r06_nobody_gives_what_they_lack() {
        let table: Vec<String> = Scope::ALL
            .into_iter()
            .map(|held| {
                let given: Scopes =
                    Scope::ALL.into_iter().filter(|asked| scopes(held.as_str()).may_give(*asked)).collect();
                format!("{held}: {given}")
            })
            .collect();
        assert_eq!(
            table,
            [
                "scim: scim",
                "identity.read: identity.read",
                "identity.write: identity.write",
                "admin: scim identity.read identity.write admin",
                "operator: scim identity.read identity.write admin",
            ]
        );
    }

    #[test]
    fn r05_a_callers_tenant_is_its_tokens_alone() {
        let (own, other) = (TenantId::generate(), TenantId::generate());
        let caller = principal(own, "admin identity.write");
        assert_eq!(caller.tenant(""), Ok(own));
        assert_eq!(caller.tenant(&own.to_string()), Ok(own));
        for named in [&other.to_string(), &own.to_string().to_uppercase(), "default", &TenantId::OPERATOR.to_string()] {
            assert_eq!(caller.tenant(named), Err(TenantError::NotFound), "{named}");
        }
        assert_eq!(caller.actor(), caller.credential.to_string());
    }

    #[test]
    fn r05_an_operator_names_the_tenant() {
        let operator = principal(TenantId::OPERATOR, "operator");
        let named = TenantId::generate();
        assert_eq!(operator.tenant(&named.to_string()), Ok(named));
        for text in ["", "default", &named.to_string().to_uppercase()] {
            assert_eq!(operator.tenant(text), Err(TenantError::InvalidArgument), "{text}");
        }
        assert_eq!(operator.actor(), operator.credential.to_string().replace("key:", "operator:"));
    }

    #[test]
    fn d08_the_scope_operator_makes_no_operator_of_a_tenants_key() {
        let own = TenantId::generate();
        let caller = principal(own, "operator");
        assert!(!caller.is_operator());
        assert_eq!(caller.tenant(&TenantId::generate().to_string()), Err(TenantError::NotFound));
    }
}
