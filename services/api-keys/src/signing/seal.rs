//! Private keys at rest: AES-256-GCM under the installation's encryption key.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use secrecy::SecretSlice;

use crate::{OpenError, config::EncryptionKey};

/// The nonce, the encrypted text and its tag. The kid is bound to them, so that no row's secret can be put into
/// another.
pub(super) fn seal(encryption_key: &EncryptionKey, kid: &str, secret: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut sealed = secret.to_vec();
    let nonce = aes(encryption_key)?
        .seal_in_place_append_tag(Aad::from(kid.as_bytes()), &mut sealed)
        .map_err(|_| OpenError::Cryptography)?;
    sealed.splice(0..0, nonce.as_ref().iter().copied());
    Ok(sealed)
}

pub(super) fn open(
    encryption_key: &EncryptionKey,
    kid: &str,
    mut sealed: Vec<u8>,
) -> Result<SecretSlice<u8>, OpenError> {
    let (nonce, text) = sealed.split_at_mut_checked(NONCE_LEN).ok_or(OpenError::WrongEncryptionKey)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::WrongEncryptionKey)?;
    let opened = aes(encryption_key)?
        .open_in_place(nonce, Aad::from(kid.as_bytes()), text)
        .map_err(|_| OpenError::WrongEncryptionKey)?;
    Ok(SecretSlice::from(opened.to_vec()))
}

fn aes(encryption_key: &EncryptionKey) -> Result<RandomizedNonceKey, OpenError> {
    RandomizedNonceKey::new(&AES_256_GCM, encryption_key.bytes()).map_err(|_| OpenError::Cryptography)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn what_is_sealed_opens_under_the_same_key_and_kid_alone() {
        let (key, other) = (EncryptionKey::generate().unwrap(), EncryptionKey::generate().unwrap());
        let sealed = seal(&key, "kid", b"secret").unwrap();
        assert_eq!(open(&key, "kid", sealed.clone()).unwrap().expose_secret(), b"secret");
        assert!(!sealed.windows(6).any(|bytes| bytes == b"secret"));
        let mut changed = sealed.clone();
        changed[NONCE_LEN] ^= 1;
        for refused in [
            open(&other, "kid", sealed.clone()),
            open(&key, "dik", sealed.clone()),
            open(&key, "kid", changed),
            open(&key, "kid", sealed[..NONCE_LEN].to_vec()),
            open(&key, "kid", Vec::new()),
        ] {
            assert!(matches!(refused, Err(OpenError::WrongEncryptionKey)));
        }
        assert_ne!(seal(&key, "kid", b"secret").unwrap(), sealed, "nonces differ");
    }
}
