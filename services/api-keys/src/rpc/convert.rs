//! Between the domain and the wire.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ids::{ApiKeyId, TrustId};
use pbjson_types::Timestamp as ProtoTimestamp;
use proto::api_keys::v1 as proto;
use uuid::Uuid;

use crate::{
    domain::{ApiKey, AuditCursor, AuditEntry, Error, Revocation, RevocationSubject, State, Timestamp, Trust},
    store::SigningKey,
};

pub(super) fn api_key(key: ApiKey, now: Timestamp) -> proto::ApiKey {
    let state = match key.state(now) {
        State::Active => proto::ApiKeyState::Active,
        State::Expired => proto::ApiKeyState::Expired,
        State::Revoked => proto::ApiKeyState::Revoked,
    };
    proto::ApiKey {
        id: key.id.to_string(),
        tenant_id: key.tenant.to_string(),
        name: key.name,
        scopes: key.scopes.iter().map(|scope| scope.to_string()).collect(),
        creator: key.creator,
        create_time: Some(timestamp(key.created_at)),
        expire_time: key.expires_at.map(timestamp),
        revoke_time: key.revoked_at.map(timestamp),
        state: state.into(),
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
        detail: entry.detail,
    }
}

pub(super) fn revocation(revocation: Revocation) -> proto::Revocation {
    let subject = match revocation.subject {
        RevocationSubject::ApiKey(id) => proto::revocation::Subject::ApiKeyId(id.to_string()),
        RevocationSubject::SigningKey(kid) => proto::revocation::Subject::SigningKid(kid),
    };
    proto::Revocation {
        position: revocation.position,
        subject: Some(subject),
        expire_time: Some(timestamp(revocation.expires_at)),
    }
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
