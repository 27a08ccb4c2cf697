//! A credential for a token.

use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use authn::{
    CredentialId, Grant, KeyText, Scope,
    key::{Digester, Kind},
    token::{Claims, LIFE_MAX},
};
use ids::{TenantId, TrustId};
use moka::future::Cache;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    access_token::{self, AccessToken},
    admission::Admission,
    domain::{Credential, Error, State, Terms, Timestamp, Trust},
    federation::{self, Federation},
    hashing::Hashing,
    signing::{Purpose, SigningKeys},
    store::Store,
};

/// How many keys are remembered to have been verified since this process started.
const VERIFIED_MAX: u64 = 10_000;

/// A token and when it ends.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) token: SecretString,
    pub(crate) expires_at: Timestamp,
}

/// What an OAuth client proves itself by.
#[derive(Debug)]
pub(crate) enum Proof {
    /// The text of an API key.
    Secret(SecretString),
    /// A JWT of a trust's issuer.
    Assertion(SecretString),
}

pub(crate) struct Exchange {
    store: Store,
    hashing: Arc<Hashing>,
    signing_keys: Arc<SigningKeys>,
    federation: Federation,
    admission: Admission,
    access_token_life: Duration,
    digester: Digester,
    /// By a key's digest, the hash that it was verified against. Such a key needs no argon2 run, so no flood of wrong
    /// ones delays it (`rules.md` R4).
    verified: Cache<[u8; 32], String>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A cache prints what it holds.
        f.debug_struct("Exchange").finish_non_exhaustive()
    }
}

impl Exchange {
    pub(crate) fn new(
        store: Store,
        hashing: Arc<Hashing>,
        signing_keys: Arc<SigningKeys>,
        (federation, access_token_life): (Federation, Duration),
    ) -> Self {
        let (digester, verified) = (Digester::new(), Cache::new(VERIFIED_MAX));
        Self {
            store,
            hashing,
            signing_keys,
            federation,
            admission: Admission::default(),
            access_token_life,
            digester,
            verified,
        }
    }

    /// A token for the key whose text is `text` and comes from `address`.
    pub(crate) async fn exchange_key(&self, text: &SecretString, address: Option<IpAddr>) -> Result<Issued, Error> {
        let key: KeyText = text.expose_secret().parse().map_err(|_| Error::Unauthenticated)?;
        let (credential, now) = self.verify(&key, address).await?;
        self.issue(credential.grant, credential.expires_at, now).await
    }

    /// A token for an access token.
    pub(crate) async fn exchange_access_token(&self, text: &SecretString) -> Result<Issued, Error> {
        let text = text.expose_secret();
        let kid = access_token::kid(text).ok_or(Error::Unauthenticated)?;
        let key = self.signing_keys.access_key(&kid).await?.ok_or(Error::Unauthenticated)?;
        let now = Timestamp::now();
        let access = AccessToken::verify(text, &key, now).ok_or(Error::Unauthenticated)?;
        let (grant, _) = self.client(access.client, now).await?.ok_or(Error::Unauthenticated)?;
        let is_the_same = match access.client {
            CredentialId::ApiKey(_) => grant.tenant == access.tenant,
            // Changing a trust ends what was issued under it (`rules.md` R9).
            CredentialId::Trust(_) => grant.tenant == access.tenant && grant.version == access.version,
        };
        if !is_the_same || !grant.scopes.contains(Scope::Scim) {
            return Err(Error::Unauthenticated);
        }
        // Whatever else the client may do, this was issued for its provisioning alone.
        let grant = Grant { scopes: [Scope::Scim].into_iter().collect(), ..grant };
        self.issue(grant, Some(access.expires_at), now).await
    }

    /// An access token for an OAuth client at `address`.
    pub(crate) async fn issue_access_token(
        &self,
        client_id: &str,
        proof: Proof,
        address: Option<IpAddr>,
    ) -> Result<Issued, Error> {
        let (grant, ends, now) = match proof {
            Proof::Secret(secret) => self.client_with_secret(client_id, &secret, address).await?,
            Proof::Assertion(assertion) => self.client_with_assertion(client_id, &assertion).await?,
        };
        if !grant.scopes.contains(Scope::Scim) {
            return Err(Error::NotForClients);
        }
        if !grant.networks.allow(address) {
            return Err(Error::AddressRefused);
        }
        let longest = now.after(self.access_token_life);
        let expires_at = ends.map_or(longest, |end| end.min(longest)).whole_second();
        let (tenant, client, version) = (grant.tenant, grant.credential, grant.version);
        let signer = self.signing_keys.signer(Purpose::AccessToken).await?;
        let token = AccessToken { tenant, client, version, expires_at }.sign(&signer, now).map_err(unsigned)?;
        Ok(Issued { token, expires_at })
    }

    async fn client_with_secret(
        &self,
        client_id: &str,
        secret: &SecretString,
        address: Option<IpAddr>,
    ) -> Result<(Grant, Option<Timestamp>, Timestamp), Error> {
        let key: KeyText = secret.expose_secret().parse().map_err(|_| Error::Unauthenticated)?;
        // The id stands in the secret too, so this tells nothing that the caller cannot see.
        if client_id != key.id().to_string() {
            return Err(Error::Unauthenticated);
        }
        let (credential, now) = self.verify(&key, address).await?;
        Ok((credential.grant, credential.expires_at, now))
    }

    async fn client_with_assertion(
        &self,
        client_id: &str,
        assertion: &SecretString,
    ) -> Result<(Grant, Option<Timestamp>, Timestamp), Error> {
        let id: TrustId = client_id.parse().map_err(|_| Error::Unauthenticated)?;
        let trust = self.trust(id, Timestamp::now()).await?.ok_or(Error::Unauthenticated)?;
        let Terms { issuer, audience, subject, .. } = &trust.terms;
        let (issuer, audience, subject) = (issuer.as_str(), audience.as_str(), subject.as_str());
        let verified =
            self.federation.verify(issuer, audience, subject, assertion.expose_secret(), SystemTime::now()).await;
        verified.map_err(|error| match error {
            federation::Error::Refused => Error::Unauthenticated,
            federation::Error::Unavailable => Error::IssuerUnavailable,
        })?;
        // Read again: it may have been changed while its issuer was asked for keys.
        let now = Timestamp::now();
        let current = self.trust(id, now).await?.filter(|current| current.version == trust.version);
        let current = current.ok_or(Error::Unauthenticated)?;
        Ok((current.grant(), current.terms.expires_at, now))
    }

    async fn trust(&self, id: TrustId, now: Timestamp) -> Result<Option<Trust>, Error> {
        Ok(self.store.trust_of_client(id).await?.filter(|trust| trust.state(now) == State::Active))
    }

    /// What a credential grants now and when it ends, unless it has.
    async fn client(&self, client: CredentialId, now: Timestamp) -> Result<Option<(Grant, Option<Timestamp>)>, Error> {
        match client {
            CredentialId::ApiKey(id) => {
                let credential = self.store.credential(id).await?.filter(|credential| credential.is_active(now));
                Ok(credential.map(|credential| (credential.grant, credential.expires_at)))
            }
            CredentialId::Trust(id) => {
                Ok(self.trust(id, now).await?.map(|trust| (trust.grant(), trust.terms.expires_at)))
            }
        }
    }

    /// What stands behind a key, and when that was read. Unless the text is no key's at all, each refusal costs the same argon2 run
    /// (`rules.md` R3).
    async fn verify(&self, key: &KeyText, address: Option<IpAddr>) -> Result<(Credential, Timestamp), Error> {
        let digest = self.digester.digest(key.expose());
        if let Some(hash) = self.verified.get(&digest).await
            && let Some(known) = self.known(key, &hash).await?
        {
            return Ok(known);
        }
        // Asked before the database is: the rest of a flood costs little more than its being told to come later.
        let admitted = self.admission.admit(address)?;
        let checked = self.check(key, digest).await;
        // Nobody's allowance is used up by faults of ours.
        if checked.as_ref().err() != Some(&Error::Unauthenticated) {
            admitted.give_back();
        }
        checked
    }

    /// What stands behind a key that was verified against `hash`, unless that has changed.
    async fn known(&self, key: &KeyText, hash: &str) -> Result<Option<(Credential, Timestamp)>, Error> {
        let now = Timestamp::now();
        let found = self.store.credential(key.id()).await?;
        let known = found.filter(|credential| credential.is_active(now) && credential.hash == hash);
        known.map(|credential| Ok((consistent(credential, key.kind())?, now))).transpose()
    }

    /// Checks a key by argon2.
    async fn check(&self, key: &KeyText, digest: [u8; 32]) -> Result<(Credential, Timestamp), Error> {
        let hash = self.store.credential(key.id()).await?.map(|credential| credential.hash);
        if !self.hashing.verify(key.clone(), hash.clone()).await? {
            return Err(Error::Unauthenticated);
        }
        // Read again: it may have been revoked while argon2 ran. The clock is read first, so that the token of a key
        // that is revoked after this read ends before the revocation is forgotten, however long this task sleeps in
        // between.
        let now = Timestamp::now();
        let credential = self.store.credential(key.id()).await?.filter(|credential| credential.is_active(now));
        let credential = credential.filter(|credential| Some(&credential.hash) == hash.as_ref());
        let credential = consistent(credential.ok_or(Error::Unauthenticated)?, key.kind())?;
        let hash = self.rehashed(key, &credential.hash).await.unwrap_or_else(|| credential.hash.clone());
        self.verified.insert(digest, hash).await;
        Ok((credential, now))
    }

    /// The key's new hash, where the one that is stored was made with less work than is asked for now.
    async fn rehashed(&self, key: &KeyText, old: &str) -> Option<String> {
        if !self.hashing.is_outdated(old) {
            return None;
        }
        let new = self.hashing.hash(key.clone()).await.ok()?;
        // Two that do it at once leave one hash; the other verifies once more.
        self.store.rehash(key.id(), old.to_owned(), new.clone()).await.ok()?;
        Some(new)
    }

    /// A token by which a credential is known to services, until it ends itself.
    async fn issue(&self, grant: Grant, ends: Option<Timestamp>, now: Timestamp) -> Result<Issued, Error> {
        let longest = now.after(LIFE_MAX);
        // Whole seconds, as the token has them.
        let expires_at = ends.map_or(longest, |end| end.min(longest)).whole_second();
        let signer = self.signing_keys.signer(Purpose::Token).await?;
        let claims = Claims::new(&grant, now.system_time(), expires_at.system_time());
        let token = claims.sign(&signer.kid, &signer.key).map_err(unsigned)?;
        Ok(Issued { token, expires_at })
    }
}

/// A credential whose prefix, tenant and scopes agree on whether it is an operator's.
fn consistent(credential: Credential, kind: Kind) -> Result<Credential, Error> {
    let operator = kind == Kind::Operator;
    let Grant { tenant, scopes, .. } = credential.grant;
    if operator == (tenant == TenantId::OPERATOR) && operator == scopes.contains(Scope::Operator) {
        return Ok(credential);
    }
    // A wrong prefix is the caller's own; anything else is a fault of ours.
    if (tenant == TenantId::OPERATOR) != scopes.contains(Scope::Operator) {
        tracing::error!(credential = %credential.grant.credential, "a key's tenant and scopes contradict each other");
    }
    Err(Error::Unauthenticated)
}

fn unsigned(error: authn::token::SignError) -> Error {
    tracing::error!(%error, "a token could not be signed");
    Error::Internal
}
