//! Between the domain and the wire.

use std::{collections::HashSet, net::IpAddr, time::Duration};

use ::proto::api_keys::v1::{self as proto, r#use::Credential};
use audit::{Hash, Link};
use authn::CredentialId;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ids::{ApiKeyId, TrustId};
use pbjson_types::{Duration as ProtoDuration, Timestamp as ProtoTimestamp};
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::{
    domain::{
        About, ApiKey, Asked, AuditChain, AuditCursor, AuditEntry, Error, LastUse, Revocation, RevocationSubject,
        State, Timestamp, Trust,
    },
    exchange::Issued,
    store::{SigningKey, Used},
};

pub(super) fn api_key(key: ApiKey, now: Timestamp) -> proto::ApiKey {
    let state = match key.state(now) {
        State::Active => proto::ApiKeyState::Active,
        State::Expired => proto::ApiKeyState::Expired,
        State::Revoked => proto::ApiKeyState::Revoked,
    };
    let expires_soon = key.expires_soon(now);
    let About { name, description, scopes, networks, expires_at, owner } = key.about;
    proto::ApiKey {
        id: key.id.to_string(),
        tenant_id: key.tenant.to_string(),
        name,
        scopes: scopes.iter().map(|scope| scope.to_string()).collect(),
        creator: key.creator,
        create_time: Some(timestamp(key.created_at)),
        expire_time: expires_at.map(timestamp),
        revoke_time: key.revoked_at.map(timestamp),
        state: state.into(),
        description,
        allowed_networks: networks.iter().collect(),
        last_use_time: key.last_use.as_ref().map(|used| timestamp(used.at)),
        last_use_address: key.last_use.map(|used| used.address).unwrap_or_default(),
        replaced_by: key.replaced_by.map(|id| id.to_string()).unwrap_or_default(),
        expires_soon,
        owner_user_id: owner.map(|owner| owner.to_string()).unwrap_or_default(),
        creator_departure_time: key.creator_departed_at.map(timestamp),
    }
}

pub(super) fn trust(trust: Trust, now: Timestamp) -> proto::Trust {
    let state = match trust.state(now) {
        State::Active => proto::TrustState::Active,
        State::Expired => proto::TrustState::Expired,
        State::Revoked => proto::TrustState::Revoked,
    };
    proto::Trust {
        id: trust.id.to_string(),
        tenant_id: trust.tenant.to_string(),
        name: trust.name,
        issuer: trust.terms.issuer.into(),
        audience: trust.terms.audience.into(),
        subject: trust.terms.subject.into(),
        scopes: trust.terms.scopes.iter().map(|scope| scope.to_string()).collect(),
        creator: trust.creator,
        create_time: Some(timestamp(trust.created_at)),
        update_time: Some(timestamp(trust.updated_at)),
        expire_time: trust.terms.expires_at.map(timestamp),
        revoke_time: trust.revoked_at.map(timestamp),
        state: state.into(),
    }
}

pub(super) fn audit_entry(entry: AuditEntry) -> proto::KeyAuditEntry {
    proto::KeyAuditEntry {
        position: entry.position,
        time: Some(timestamp(entry.at)),
        actor: entry.actor,
        action: entry.action,
        subject: entry.subject,
        detail: entry.content.detail,
        address: entry.address,
        before: entry.content.before.into_map(),
        after: entry.content.after.into_map(),
        salt: entry.salt,
        values_digest: entry.values_digest,
        hash: entry.hash,
    }
}

pub(super) fn audit_chain(chain: AuditChain) -> proto::KeyAuditChain {
    let hash = |link: Link| if link.hash == Hash::START { Vec::new() } else { link.hash.as_bytes().to_vec() };
    proto::KeyAuditChain {
        anchor_position: chain.anchor.position,
        anchor_hash: hash(chain.anchor),
        head_position: chain.head.position,
        head_hash: hash(chain.head),
    }
}

pub(super) fn revocation(revocation: Revocation) -> proto::Revocation {
    let (subject, below_version) = match revocation.subject {
        RevocationSubject::Credential(CredentialId::ApiKey(id), below) => {
            (proto::revocation::Subject::ApiKeyId(id.to_string()), below)
        }
        RevocationSubject::Credential(CredentialId::Trust(id), below) => {
            (proto::revocation::Subject::TrustId(id.to_string()), below)
        }
        RevocationSubject::SigningKey(kid) => (proto::revocation::Subject::SigningKid(kid), None),
    };
    proto::Revocation {
        position: revocation.position,
        subject: Some(subject),
        expire_time: Some(timestamp(revocation.expires_at)),
        below_version,
    }
}

/// What a caller asks of a key.
pub(super) fn asked(key: proto::ApiKey) -> Result<Asked, Error> {
    Ok(Asked {
        name: key.name,
        description: key.description,
        scopes: key.scopes,
        allowed_networks: key.allowed_networks,
        expires_at: key.expire_time.map(|time| from_timestamp(time, "api_key.expire_time")).transpose()?,
        owner: key.owner_user_id,
    })
}

/// A token and when it ends.
pub(super) fn issued(issued: &Issued) -> (String, Option<ProtoTimestamp>) {
    (issued.token.expose_secret().to_owned(), Some(timestamp(issued.expires_at)))
}

/// An address that a service tells; empty where it knows none.
pub(super) fn address(text: &str) -> Result<Option<IpAddr>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Error::invalid("client_address", "not an address"))
}

/// A use of a key. That of a credential which this release does not know is none.
pub(super) fn used(used: proto::Use) -> Result<Option<Used>, Error> {
    let at = used.time.map(|time| from_timestamp(time, "uses.time")).transpose()?.unwrap_or_else(Timestamp::now);
    // No clock of another machine makes a use of tomorrow.
    let at = at.min(Timestamp::now());
    let address = address(&used.address)?.map(|address| address.to_string()).unwrap_or_default();
    let Some(Credential::ApiKeyId(id)) = used.credential else { return Ok(None) };
    Ok(Some(Used { key: api_key_id(&id)?, last_use: LastUse { at, address } }))
}

pub(super) fn signing_keys(keys: Vec<SigningKey>) -> Vec<proto::SigningKey> {
    let mut signing = HashSet::new();
    let keys = keys.into_iter().map(|key| proto::SigningKey {
        // Newest first: the first of a purpose signs.
        signs: signing.insert(key.purpose.clone()),
        kid: key.kid,
        purpose: key.purpose,
        create_time: Some(timestamp(key.created_at)),
    });
    keys.collect()
}

/// A length of time that a caller wrote.
pub(super) fn from_duration(duration: ProtoDuration, field: &'static str) -> Result<Duration, Error> {
    let whole = u64::try_from(duration.seconds).ok().zip(u32::try_from(duration.nanos).ok());
    whole
        .filter(|(_, nanos)| *nanos < 1_000_000_000)
        .map(|(seconds, nanos)| Duration::new(seconds, nanos))
        .ok_or_else(|| Error::invalid(field, "not a length of time"))
}

pub(super) fn jwk(key: SigningKey) -> proto::Jwk {
    proto::Jwk {
        kid: key.kid,
        kty: "OKP".to_owned(),
        crv: "Ed25519".to_owned(),
        alg: "EdDSA".to_owned(),
        x: URL_SAFE_NO_PAD.encode(key.public_key),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a remainder of 1,000,000 times 1,000 is below 2^31")]
pub(super) fn timestamp(time: Timestamp) -> ProtoTimestamp {
    ProtoTimestamp { seconds: time.second(), nanos: (time.0.rem_euclid(1_000_000) * 1000) as i32 }
}

/// A time that a caller wrote.
pub(super) fn from_timestamp(time: ProtoTimestamp, field: &'static str) -> Result<Timestamp, Error> {
    let micros = (0..1_000_000_000)
        .contains(&time.nanos)
        .then(|| time.seconds.checked_mul(1_000_000)?.checked_add(i64::from(time.nanos / 1000)))
        .flatten();
    micros.map(Timestamp).ok_or_else(|| Error::invalid(field, "not a time"))
}

/// An id in a request that is none names nothing.
pub(super) fn api_key_id(text: &str) -> Result<ApiKeyId, Error> {
    text.parse().map_err(|_| Error::NotFound)
}

pub(super) fn trust_id(text: &str) -> Result<TrustId, Error> {
    text.parse().map_err(|_| Error::NotFound)
}

/// A page token: the id of the last row of the page.
pub(super) fn id_token(last: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(last)
}

pub(super) fn from_id_token<T: From<Uuid>>(token: &str) -> Result<Option<T>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    let id = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| Uuid::from_slice(&bytes).ok());
    id.map(|id| Some(T::from(id))).ok_or_else(foreign_token)
}

pub(super) fn audit_token(cursor: AuditCursor) -> String {
    URL_SAFE_NO_PAD.encode([cursor.after.to_be_bytes(), cursor.until.to_be_bytes()].concat())
}

pub(super) fn from_audit_token(token: &str) -> Result<AuditCursor, Error> {
    if token.is_empty() {
        return Ok(AuditCursor::START);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    let both = u128::from_be_bytes(bytes.ok_or_else(foreign_token)?);
    let [after, until] = [(both >> 64) as u64, both as u64].map(u64::cast_signed);
    Ok(AuditCursor { after, until })
}

fn foreign_token() -> Error {
    Error::invalid("page_token", "not a page token of this method")
}
