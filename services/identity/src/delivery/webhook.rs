//! Webhooks by the specification of Standard Webhooks (<https://github.com/standard-webhooks/standard-webhooks>, version 1.0.0), symmetric signatures
//! alone.

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::SecretSlice;
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::{
    delivery::Message,
    domain::{Change, Error, Timestamp, event_id},
    event_secrets::sign,
};

/// The body: what happened, when, and of it what the change feed tells.
#[derive(Serialize)]
struct Payload<'c> {
    r#type: &'c str,
    timestamp: String,
    data: Data<'c>,
}

/// The fields of `Change` in their JSON names.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'c> {
    tenant_id: Uuid,
    position: String,
    subject_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_id: Option<Uuid>,
    version: i64,
    before: &'c audit::Values,
    after: &'c audit::Values,
    actor: &'c str,
    request_id: &'c str,
}

/// The message that tells of a change, signed under each of `secrets`.
pub(super) fn message(
    tenant: Uuid,
    change: &Change,
    secrets: &[SecretSlice<u8>],
    now: Timestamp,
) -> Result<Message, Error> {
    let payload = Payload {
        r#type: &change.kind,
        timestamp: rfc3339(change.at),
        data: Data {
            tenant_id: tenant,
            position: change.position.to_string(),
            subject_id: change.subject,
            object_id: change.object,
            version: change.version,
            before: &change.before,
            after: &change.after,
            actor: &change.actor,
            request_id: &change.request_id,
        },
    };
    let body = serde_json::to_vec(&payload).map_err(|_| Error::Internal)?;
    let (id, timestamp) = (event_id(change.position), now.0.div_euclid(1_000_000).to_string());
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", &body].concat();
    let signatures: Vec<String> =
        secrets.iter().map(|secret| format!("v1,{}", STANDARD.encode(sign(secret, &signed)))).collect();
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("webhook-id", id),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", signatures.join(" ")),
    ];
    Ok(Message { headers, body })
}

/// A time in UTC to the microsecond.
fn rfc3339(at: Timestamp) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use audit::Values;
    use standardwebhooks::Webhook;

    use super::*;
    use crate::domain::Position;

    fn change() -> Change {
        Change {
            position: Position { epoch: Uuid::from_u128(1), number: 7 },
            at: Timestamp(1_700_000_000_123_456),
            kind: "user.changed".to_owned(),
            subject: Uuid::from_u128(2),
            object: None,
            version: 3,
            actor: "key:a".to_owned(),
            request_id: "r1".to_owned(),
            before: Values::new().with("active", "true"),
            after: Values::new().with("active", "false"),
        }
    }

    fn secret(byte: u8) -> SecretSlice<u8> {
        SecretSlice::from(vec![byte; 32])
    }

    fn verified(message: &Message, secret: u8) -> bool {
        let webhook = Webhook::new(&format!("whsec_{}", STANDARD.encode([secret; 32]))).unwrap();
        let mut headers = http::HeaderMap::new();
        for (name, value) in &message.headers {
            headers.insert(*name, value.parse().unwrap());
        }
        webhook.verify(&message.body, &headers).is_ok()
    }

    #[test]
    fn others_verify_what_is_signed() {
        let mut message = message(Uuid::from_u128(9), &change(), &[secret(1)], Timestamp::now()).unwrap();
        assert!(verified(&message, 1) && !verified(&message, 2));
        message.body[20] ^= 1;
        assert!(!verified(&message, 1), "the body is signed");
    }

    #[test]
    fn others_verify_by_the_secret_before_as_long_as_it_overlaps() {
        let message = message(Uuid::from_u128(9), &change(), &[secret(2), secret(1)], Timestamp::now()).unwrap();
        assert!(verified(&message, 1) && verified(&message, 2) && !verified(&message, 3));
    }

    #[test]
    fn a_message_says_what_the_feed_says() {
        let now = Timestamp(1_700_000_001_000_000);
        let Message { headers, body } = message(Uuid::from_u128(9), &change(), &[secret(1)], now).unwrap();
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"type":"user.changed","timestamp":"2023-11-14T22:13:20.123456Z","data":{"tenantId":"00000000-0000-0000-0000-000000000009","position":"AAAAAAAAAAAAAAAAAAAAAQAAAAAAAAAH","subjectId":"00000000-0000-0000-0000-000000000002","version":3,"before":{"active":"true"},"after":{"active":"false"},"actor":"key:a","requestId":"r1"}}"#
        );
        assert_eq!(headers[1], ("webhook-id", "evt_AAAAAAAAAAAAAAAAAAAAAQAAAAAAAAAH".to_owned()));
        assert_eq!(headers[2], ("webhook-timestamp", "1700000001".to_owned()));
    }
}
