//! What endpoints know Rollcall by: made here, kept sealed (rule R11), and shown once.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use ids::{EventEndpointId, TenantId};
use sealing::EncryptionKey;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use crate::domain::Error;

/// What the key for these secrets is derived for: it opens nothing of another service, wherever the installation's key is used.
const PURPOSE: &str = "rollcall.identity.events.v1";
/// What a webhook's secret begins with, by Standard Webhooks.
const WEBHOOK_PREFIX: &str = "whsec_";
/// How many bytes a secret has: the scheme asks for 24 to 64.
const SECRET_LEN: usize = 32;

/// Keeps the secrets of endpoints, where there is a key to keep them under. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct EventSecrets(Option<Arc<EncryptionKey>>);

/// A new secret.
#[derive(Debug)]
pub(crate) struct NewSecret {
    /// As it is shown, this once.
    pub(crate) text: SecretString,
    /// As it is kept.
    pub(crate) sealed: Vec<u8>,
}

impl EventSecrets {
    pub(crate) fn new(encryption_key: Option<&EncryptionKey>) -> Result<Self, sealing::Error> {
        Ok(Self(encryption_key.map(|key| key.derive(PURPOSE)).transpose()?.map(Arc::new)))
    }

    /// Whether there is a key.
    pub(crate) const fn is_usable(&self) -> bool {
        self.0.is_some()
    }

    /// Keeps what an endpoint asks for as `Authorization`.
    pub(crate) fn seal(&self, tenant: TenantId, id: EventEndpointId, secret: &[u8]) -> Result<Vec<u8>, Error> {
        let key = self.0.as_ref().ok_or(Error::EncryptionKeyMissing)?;
        key.seal(&place(tenant, id), secret).map_err(|_| Error::Internal)
    }

    /// Keeps a key that signs.
    pub(crate) fn seal_key(&self, kid: &str, private_key: &[u8]) -> Result<Vec<u8>, Error> {
        let key = self.0.as_ref().ok_or(Error::EncryptionKeyMissing)?;
        key.seal(&place_of_key(kid), private_key).map_err(|_| Error::Internal)
    }

    /// A key that signs, in PKCS #8.
    pub(crate) fn open_key(&self, kid: &str, sealed: Vec<u8>) -> Result<SecretSlice<u8>, Error> {
        let key = self.0.as_ref().ok_or(Error::EncryptionKeyMissing)?;
        key.open(&place_of_key(kid), sealed).map_err(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::error!(kid, error, "the key that signs events cannot be opened: start identity with the encryption key that it was made with");
            Error::Internal
        })
    }

    /// Makes the secret of a webhook.
    pub(crate) fn generate(&self, tenant: TenantId, id: EventEndpointId) -> Result<NewSecret, Error> {
        let key = self.0.as_ref().ok_or(Error::EncryptionKeyMissing)?;
        let mut secret = [0; SECRET_LEN];
        aws_lc_rs::rand::fill(&mut secret).map_err(|_| Error::Internal)?;
        let sealed = key.seal(&place(tenant, id), &secret).map_err(|_| Error::Internal)?;
        let text = SecretString::from(format!("{WEBHOOK_PREFIX}{}", STANDARD.encode(secret)));
        secret.fill(0);
        Ok(NewSecret { text, sealed })
    }

    /// The bytes of a secret that is kept.
    pub(crate) fn open(
        &self,
        (tenant, id): (TenantId, EventEndpointId),
        sealed: Vec<u8>,
    ) -> Result<SecretSlice<u8>, Error> {
        let key = self.0.as_ref().ok_or(Error::EncryptionKeyMissing)?;
        key.open(&place(tenant, id), sealed).map_err(|error| {
            tracing::error!(
                event_endpoint.id = %id,
                error = &error as &dyn std::error::Error,
                "the secret of an event endpoint cannot be opened: start identity with the encryption key that it was made with, or rotate it"
            );
            Error::Internal
        })
    }
}

/// Where a key that signs belongs.
fn place_of_key(kid: &str) -> String {
    format!("event_signing_keys/{kid}")
}

/// Where a secret belongs: it is of use nowhere else.
fn place(tenant: TenantId, id: EventEndpointId) -> String {
    format!("event_endpoints/{tenant}/{id}")
}

/// Signs under a secret (HMAC-SHA256).
pub(crate) fn sign(secret: &SecretSlice<u8>, message: &[u8]) -> Vec<u8> {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.expose_secret());
    aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r11_a_secret_is_kept_sealed_and_opens_for_its_own_endpoint_alone() {
        let key = EncryptionKey::generate().unwrap();
        let secrets = EventSecrets::new(Some(&key)).unwrap();
        let (tenant, id) = (TenantId::generate(), EventEndpointId::generate());
        let NewSecret { text, sealed } = secrets.generate(tenant, id).unwrap();
        let shown = STANDARD.decode(text.expose_secret().strip_prefix("whsec_").unwrap()).unwrap();
        assert_eq!(shown.len(), SECRET_LEN);
        assert!(!sealed.windows(8).any(|bytes| shown.windows(8).any(|own| own == bytes)));
        assert_eq!(secrets.open((tenant, id), sealed.clone()).unwrap().expose_secret(), shown);
        let other = EventSecrets::new(Some(&EncryptionKey::generate().unwrap())).unwrap();
        assert!(other.open((tenant, id), sealed.clone()).is_err());
        assert!(secrets.open((tenant, EventEndpointId::generate()), sealed.clone()).is_err());
        assert!(secrets.open((TenantId::generate(), id), sealed).is_err());
    }

    #[test]
    fn without_a_key_no_secret_is_made() {
        let secrets = EventSecrets::new(None).unwrap();
        assert!(!secrets.is_usable());
        let made = secrets.generate(TenantId::generate(), EventEndpointId::generate());
        assert_eq!(made.err(), Some(Error::EncryptionKeyMissing));
    }
}
