//! What an OAuth client is given: a JWT access token (RFC 9068) with the audience `scim`. It is exchanged as a key is, and only api-keys verifies
//! it (rules R2, R11 and D8).

use std::time::{Duration, UNIX_EPOCH};

use authn::{
    CredentialId,
    token::{ACCESS_AUDIENCE, ACCESS_TYPE, ISSUER, SignError},
};
use ids::TenantId;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{domain::Timestamp, signing::Signer};

/// The shortest life that an installation may give them, and what it gives them unless told otherwise.
pub(crate) const LIFE_MIN: Duration = Duration::from_secs(3600);
/// The longest.
pub(crate) const LIFE_MAX: Duration = Duration::from_secs(6 * 3600);

/// Whose it is and what it was issued for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccessToken {
    pub(crate) tenant: TenantId,
    pub(crate) client: CredentialId,
    /// The client's version at that time.
    pub(crate) version: i64,
    pub(crate) expires_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    client_id: String,
    tid: String,
    scope: String,
    ver: i64,
    iat: u64,
    exp: u64,
    jti: String,
}

impl AccessToken {
    pub(crate) fn sign(&self, signer: &Signer, now: Timestamp) -> Result<SecretString, SignError> {
        let client_id = match self.client {
            CredentialId::ApiKey(id) => id.to_string(),
            CredentialId::Trust(id) => id.to_string(),
        };
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: ACCESS_AUDIENCE.to_owned(),
            sub: self.client.to_string(),
            client_id,
            tid: self.tenant.to_string(),
            scope: ACCESS_AUDIENCE.to_owned(),
            ver: self.version,
            iat: seconds(now),
            exp: seconds(self.expires_at),
            jti: Uuid::new_v4().to_string(),
        };
        let (typ, kid) = (Some(ACCESS_TYPE.to_owned()), Some(signer.kid.clone()));
        let header = Header { typ, kid, ..Header::new(Algorithm::EdDSA) };
        Ok(SecretString::from(jsonwebtoken::encode(&header, &claims, &signer.key)?))
    }

    /// Verifies the signature and every claim.
    pub(crate) fn verify(text: &str, key: &DecodingKey, now: Timestamp) -> Option<Self> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.leeway = 0;
        validation.set_audience(&[ACCESS_AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims = jsonwebtoken::decode::<Claims>(text, key, &validation).ok()?.claims;
        let expires_at = Timestamp(i64::try_from(claims.exp).ok()?.checked_mul(1_000_000)?);
        // The library still honours a token in its very last second.
        if expires_at <= now {
            return None;
        }
        let (tenant, client) = (claims.tid.parse().ok()?, claims.sub.parse().ok()?);
        Some(Self { tenant, client, version: claims.ver, expires_at })
    }
}

/// The `kid` of what has the header of an access token. Nothing of it is verified yet.
pub(crate) fn kid(text: &str) -> Option<String> {
    let header = jsonwebtoken::decode_header(text).ok()?;
    let ours = header.alg == Algorithm::EdDSA && header.typ.as_deref() == Some(ACCESS_TYPE);
    header.kid.filter(|_| ours)
}

fn seconds(time: Timestamp) -> u64 {
    let since: Duration = time.system_time().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs()
}
