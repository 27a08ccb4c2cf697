//! The token that a key is exchanged for: a JWT (RFC 7519) signed with EdDSA (RFC 8037). api-keys writes it and
//! everybody else verifies it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Grant, Scopes};

/// `typ` of the header: no other JWT can stand in for this one (RFC 8725 section 3.11).
pub const TYPE: &str = "rollcall+jwt";
/// `iss`.
pub const ISSUER: &str = "rollcall";
/// `aud`: Rollcall's own services.
pub const AUDIENCE: &str = "rollcall-internal";
/// `typ` of an access token (RFC 9068), which an OAuth client shows to the façade. It is exchanged as a key is, and opens nothing by itself: here
/// it is only told from what is foreign.
pub const ACCESS_TYPE: &str = "at+jwt";
/// `aud` of an access token.
pub const ACCESS_AUDIENCE: &str = "scim";
/// The longest life of a token.
pub const LIFE_MAX: Duration = Duration::from_secs(300);

/// How far the clock of whoever issues tokens may be ahead.
const SKEW: Duration = Duration::from_secs(60);

/// What a token says. Times are whole seconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Always [`ISSUER`].
    pub iss: String,
    /// Always [`AUDIENCE`].
    pub aud: String,
    /// The credential: see [`crate::CredentialId`].
    pub sub: String,
    /// The tenant's id.
    pub tid: String,
    /// The scopes, separated by spaces.
    pub scope: String,
    /// The credential's version.
    pub ver: i64,
    /// The networks that it may be used from, separated by spaces; none where it may from everywhere.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub net: String,
    /// When the credential ends; none where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
    /// When it was issued.
    pub iat: u64,
    /// When it ends: from this second on it is not honoured.
    pub exp: u64,
    /// Its own id, unique.
    pub jti: String,
}

/// The token could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed")]
pub struct SignError(#[from] jsonwebtoken::errors::Error);

impl Claims {
    /// The claims of a new token. `expires` is cut to whole seconds.
    #[must_use]
    pub fn new(grant: &Grant, issued: SystemTime, expires: SystemTime) -> Self {
        Self {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: grant.credential.to_string(),
            tid: grant.tenant.to_string(),
            scope: grant.scopes.to_string(),
            ver: grant.version,
            net: grant.networks.to_string(),
            end: grant.ends.map(seconds),
            iat: seconds(issued),
            exp: seconds(expires),
            jti: Uuid::new_v4().to_string(),
        }
    }

    /// Signs them with the key that is published as `kid`.
    ///
    /// # Errors
    /// When `key` is no Ed25519 key.
    pub fn sign(&self, kid: &str, key: &EncodingKey) -> Result<SecretString, SignError> {
        let header = Header { typ: Some(TYPE.to_owned()), kid: Some(kid.to_owned()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, self, key).map(SecretString::from).map_err(SignError)
    }
}

/// What a verified token says.
#[derive(Clone, Debug)]
pub(crate) struct Verified {
    pub(crate) grant: Grant,
    pub(crate) expires: SystemTime,
}

/// The `kid` of a token of ours, or none when `token` is none. Nothing of it is verified yet.
pub(crate) fn kid(token: &str) -> Option<String> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    let ours = header.alg == Algorithm::EdDSA && header.typ.as_deref() == Some(TYPE);
    header.kid.filter(|_| ours)
}

/// Whether a text has the header of an access token of ours. Nothing of it is verified yet.
pub(crate) fn is_access_token(text: &str) -> bool {
    jsonwebtoken::decode_header(text).is_ok_and(|header| {
        header.alg == Algorithm::EdDSA && header.typ.as_deref() == Some(ACCESS_TYPE) && header.kid.is_some()
    })
}

/// Verifies the signature and every claim. Why a token is refused is nobody's business.
pub(crate) fn verify(token: &str, key: &DecodingKey, now: SystemTime) -> Option<Verified> {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.leeway = 0;
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let claims = jsonwebtoken::decode::<Claims>(token, key, &validation).ok()?.claims;
    let expires = UNIX_EPOCH.checked_add(Duration::from_secs(claims.exp))?;
    // The library still honours a token in its very last second. One that would live longer than any of ours is none of ours, whoever has a key.
    if expires <= now || expires > now + LIFE_MAX + SKEW {
        return None;
    }
    let grant = Grant {
        tenant: claims.tid.parse().ok()?,
        credential: claims.sub.parse().ok()?,
        version: claims.ver,
        scopes: scopes(&claims.scope),
        // A list that this release cannot read must not become no list.
        networks: claims.net.parse().ok()?,
        ends: claims.end.and_then(|end| UNIX_EPOCH.checked_add(Duration::from_secs(end))),
    };
    Some(Verified { grant, expires })
}

/// Scopes that this release does not know grant nothing here, and a newer one may give them.
fn scopes(text: &str) -> Scopes {
    text.split_ascii_whitespace().filter_map(|scope| scope.parse().ok()).collect()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use ids::{ApiKeyId, TenantId};
    use secrecy::ExposeSecret;

    use super::*;
    use crate::{CredentialId, Scope, testing::KeyPair};

    fn claims() -> Claims {
        let now = SystemTime::now();
        let grant = Grant {
            tenant: TenantId::generate(),
            credential: CredentialId::ApiKey(ApiKeyId::generate()),
            version: 3,
            scopes: [Scope::Scim, Scope::IdentityRead].into_iter().collect(),
            networks: "192.0.2.0/24".parse().unwrap(),
            ends: Some(UNIX_EPOCH + Duration::from_secs(4_000_000_000)),
        };
        Claims::new(&grant, now, now + LIFE_MAX)
    }

    fn verified(claims: &Claims, pair: &KeyPair, now: SystemTime) -> Option<Verified> {
        let token = claims.sign(&pair.kid, &pair.private).unwrap();
        assert_eq!(kid(token.expose_secret()).as_deref(), Some(&*pair.kid));
        verify(token.expose_secret(), &pair.public, now)
    }

    #[test]
    fn what_is_signed_verifies() {
        let (claims, pair) = (claims(), KeyPair::generate());
        let verified = verified(&claims, &pair, SystemTime::now()).unwrap();
        let Grant { tenant, credential, version, scopes, networks, ends } = verified.grant;
        assert_eq!((tenant.to_string(), credential.to_string()), (claims.tid, claims.sub));
        assert_eq!((version, scopes.to_string()), (3, "scim identity.read".to_owned()));
        assert_eq!(networks.to_string(), "192.0.2.0/24");
        assert_eq!(ends, Some(UNIX_EPOCH + Duration::from_secs(4_000_000_000)));
        assert_eq!(verified.expires, UNIX_EPOCH + Duration::from_secs(claims.exp));
    }

    #[test]
    fn a_token_ends_at_its_exp_to_the_second() {
        let (claims, pair) = (claims(), KeyPair::generate());
        let end = UNIX_EPOCH + Duration::from_secs(claims.exp);
        assert!(verified(&claims, &pair, end - Duration::from_millis(1)).is_some());
        assert!(verified(&claims, &pair, end).is_none());
        let longest = Claims { exp: claims.iat + (LIFE_MAX + SKEW).as_secs(), ..claims.clone() };
        assert!(verified(&longest, &pair, UNIX_EPOCH + Duration::from_secs(claims.iat)).is_some());
        let too_long = Claims { exp: longest.exp + 1, ..claims.clone() };
        assert!(verified(&too_long, &pair, UNIX_EPOCH + Duration::from_secs(claims.iat)).is_none());
        let past = Claims { exp: claims.iat - 1, ..claims };
        assert!(verified(&past, &pair, UNIX_EPOCH).is_none(), "by the real clock too");
    }

    #[test]
    fn each_claim_is_checked() {
        let (claims, pair) = (claims(), KeyPair::generate());
        for wrong in [
            Claims { iss: "other".into(), ..claims.clone() },
            Claims { aud: "scim".into(), ..claims.clone() },
            Claims { sub: "me".into(), ..claims.clone() },
            Claims { tid: String::new(), ..claims.clone() },
            Claims { net: "a.network.of.the.future".into(), ..claims.clone() },
        ] {
            assert!(verified(&wrong, &pair, SystemTime::now()).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn an_unknown_scope_grants_nothing_and_refuses_nothing() {
        let claims = Claims { scope: "scim of.the.future".into(), ..claims() };
        let verified = verified(&claims, &KeyPair::generate(), SystemTime::now()).unwrap();
        assert_eq!(verified.grant.scopes.to_string(), "scim");
    }

    #[test]
    fn anothers_signature_is_refused() {
        let (ours, theirs) = (KeyPair::generate(), KeyPair::generate());
        let token = claims().sign(&ours.kid, &theirs.private).unwrap();
        assert!(verify(token.expose_secret(), &ours.public, SystemTime::now()).is_none());
    }

    #[test]
    fn another_type_or_algorithm_is_no_token_of_ours() {
        let pair = KeyPair::generate();
        let sign = |header: &Header, key: &EncodingKey| jsonwebtoken::encode(header, &claims(), key).unwrap();
        let eddsa = Header { kid: Some(pair.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        let typed = Header { typ: Some("secevent+jwt".into()), ..eddsa.clone() };
        let hmac = Header { typ: Some(TYPE.into()), kid: eddsa.kid.clone(), ..Header::new(Algorithm::HS256) };
        let nameless = Header { typ: Some(TYPE.into()), ..Header::new(Algorithm::EdDSA) };
        let by_hmac = sign(&hmac, &EncodingKey::from_secret(b"secret"));
        for token in [sign(&eddsa, &pair.private), sign(&typed, &pair.private), sign(&nameless, &pair.private), by_hmac]
        {
            assert_eq!(kid(&token), None, "{token}");
        }
        for text in ["", "a.b.c", "x", "..", "e30.e30.e30"] {
            assert_eq!(kid(text), None, "{text}");
        }
    }
}
