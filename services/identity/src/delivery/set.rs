//! Security event tokens (RFC 8417): one for each change, signed, the same whenever it is sent again.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ids::TenantId;
use serde_json::{Value, json};

use crate::{
    domain::{Change, Error, EventProfile, SecurityEvent, event_id},
    event_keys::Signer,
};

/// `typ` of the header (RFC 8417 section 2.3): no access token has it (rule R11).
const TYPE: &str = "secevent+jwt";

/// Who issues the events of a tenant: no other tenant's are issued under the name.
pub(crate) fn issuer(tenant: TenantId) -> String {
    format!("urn:rollcall:tenant:{tenant}")
}

/// The token that tells `audience` of a change; none where the change is nothing to tell by the profile. It has no `sub` and does not end (RFC 8417
/// section 2.2, RFC 9967 section 2.1).
pub(crate) fn token(
    tenant: TenantId,
    change: &Change,
    (audience, profile): (&str, EventProfile),
    signer: &Signer,
) -> Result<Option<String>, Error> {
    let issuer = issuer(tenant);
    let Some(SecurityEvent { subject, events }) = SecurityEvent::of(change, profile, &issuer) else { return Ok(None) };
    let at = change.at.0.div_euclid(1_000_000);
    let mut claims = json!({
        "iss": issuer,
        "aud": audience,
        "iat": at,
        "toe": at,
        "jti": event_id(change.position),
        "sub_id": subject,
        "events": events,
    });
    if let (Value::Object(claims), false) = (&mut claims, change.request_id.is_empty()) {
        claims.insert("txn".to_owned(), change.request_id.clone().into());
    }
    let header = json!({ "typ": TYPE, "alg": "ES256", "kid": signer.kid() });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let signature = URL_SAFE_NO_PAD.encode(signer.sign(signed.as_bytes())?);
    Ok(Some(format!("{signed}.{signature}")))
}
