//! A key for a token.

use std::{fmt, sync::Arc};

use authn::{
    KeyText, Scope,
    key::{Digester, Kind},
    token::{Claims, LIFE_MAX},
};
use ids::TenantId;
use moka::future::Cache;
use secrecy::SecretString;

use crate::{
    domain::{Credential, Error, Timestamp},
    hashing::Hashing,
    signing::Signer,
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

pub(crate) struct Exchange {
    store: Store,
    hashing: Arc<Hashing>,
    signer: Signer,
    digester: Digester,
    /// By a key's digest, the hash that it was verified against. Such a key needs no argon2 run, so no flood of wrong
    /// ones delays it (`rules.md` R4).
    verified: Cache<[u8; 32], String>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A cache prints what it holds.
        f.debug_struct("Exchange").field("signer", &self.signer).finish_non_exhaustive()
    }
}

impl Exchange {
    pub(crate) fn new(store: Store, hashing: Arc<Hashing>, signer: Signer) -> Self {
        Self { store, hashing, signer, digester: Digester::new(), verified: Cache::new(VERIFIED_MAX) }
    }

    /// A token for the key whose text is `text`. Unless the text is no key's at all, each refusal costs the same argon2
    /// run (`rules.md` R3).
    pub(crate) async fn exchange(&self, text: &str) -> Result<Issued, Error> {
        let key: KeyText = text.parse().map_err(|_| Error::Unauthenticated)?;
        let digest = self.digester.digest(&key);
        let now = Timestamp::now();
        let found = self.store.credential(key.id()).await?;
        if let Some(credential) = &found
            && credential.is_active(now)
            && self.verified.get(&digest).await.as_ref() == Some(&credential.hash)
        {
            return self.issue(credential, key.kind(), now);
        }
        let hash = found.map(|credential| credential.hash);
        if !self.hashing.verify(key.clone(), hash.clone()).await? {
            return Err(Error::Unauthenticated);
        }
        // Read again: it may have been revoked while argon2 ran. The clock is read first, so that the token of a key
        // that is revoked after this read ends before the revocation is forgotten, however long this task sleeps in
        // between.
        let now = Timestamp::now();
        let credential = self.store.credential(key.id()).await?.filter(|credential| credential.is_active(now));
        let credential = credential.filter(|credential| Some(&credential.hash) == hash.as_ref());
        let credential = credential.ok_or(Error::Unauthenticated)?;
        let issued = self.issue(&credential, key.kind(), now)?;
        self.verified.insert(digest, credential.hash).await;
        Ok(issued)
    }

    fn issue(&self, credential: &Credential, kind: Kind, now: Timestamp) -> Result<Issued, Error> {
        let operator = kind == Kind::Operator;
        if operator != (credential.tenant == TenantId::OPERATOR)
            || operator != credential.scopes.contains(Scope::Operator)
        {
            tracing::error!(api_key.id = %credential.id, "a key's prefix, tenant and scopes contradict each other");
            return Err(Error::Unauthenticated);
        }
        let longest = now.after(LIFE_MAX);
        let expires_at = credential.expires_at.map_or(longest, |end| end.min(longest));
        // Whole seconds, as the token has them.
        let expires_at = Timestamp(expires_at.second() * 1_000_000);
        let Credential { tenant, id, scopes, .. } = *credential;
        let claims = Claims::new(tenant, id, scopes, now.system_time(), expires_at.system_time());
        let token = claims.sign(&self.signer.kid, &self.signer.key).map_err(|error| {
            tracing::error!(%error, "a token could not be signed");
            Error::Internal
        })?;
        Ok(Issued { token, expires_at })
    }
}
