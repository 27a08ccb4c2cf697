//! The text form of API keys: a prefix that secret scanners can match, the key's id, 256 bits of secret and a checksum,
//! all letters and digits, so that a double-click selects the whole.
//!
//! ```text
//! rollcallkey │ id: 22 │ secret: 2 × 22 │ CRC-32: 6     (base62, most significant digit first)
//! ```

use std::{fmt, str::FromStr};

use aws_lc_rs::hmac;
use ids::ApiKeyId;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

/// What the texts of tenants' keys begin with.
pub const TENANT_PREFIX: &str = "rollcallkey";
/// What the texts of operator credentials begin with.
pub const OPERATOR_PREFIX: &str = "rollcallops";
/// How long the text of a key is, in bytes, which are all ASCII.
pub const TEXT_LENGTH: usize = TENANT_PREFIX.len() + 3 * WORD_LENGTH + CHECKSUM_LENGTH;

/// The digits of 128 bits.
const WORD_LENGTH: usize = 22;
/// The digits of 32 bits.
const CHECKSUM_LENGTH: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Whose a key is, by its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tenant's key.
    Tenant,
    /// An operator credential.
    Operator,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Tenant => TENANT_PREFIX,
            Self::Operator => OPERATOR_PREFIX,
        }
    }
}

/// The text of an API key, whole and well formed. It does not print; see [`KeyText::expose`].
#[derive(Clone)]
pub struct KeyText {
    kind: Kind,
    id: ApiKeyId,
    text: SecretString,
}

/// A text that is no key: its prefix, length, digits or checksum are wrong. Which of them is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the text of an API key")]
pub struct InvalidKeyText;

/// The system gave no random numbers.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system gave no random numbers")]
pub struct NoRandomness(#[from] getrandom::Error);

impl KeyText {
    /// A new key with a secret of 256 random bits.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn mint(kind: Kind, id: ApiKeyId) -> Result<Self, NoRandomness> {
        let mut secret = [[0; 16]; 2];
        for word in &mut secret {
            getrandom::fill(word).map_err(NoRandomness)?;
        }
        let mut text = String::with_capacity(TEXT_LENGTH);
        text.push_str(kind.prefix());
        push_digits(&mut text, id.uuid().as_u128(), WORD_LENGTH);
        for word in secret {
            push_digits(&mut text, u128::from_be_bytes(word), WORD_LENGTH);
        }
        let checksum = crc32fast::hash(text.as_bytes());
        push_digits(&mut text, checksum.into(), CHECKSUM_LENGTH);
        Ok(Self { kind, id, text: SecretString::from(text) })
    }

    /// Whose it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The key's id.
    #[must_use]
    pub const fn id(&self) -> ApiKeyId {
        self.id
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

impl FromStr for KeyText {
    type Err = InvalidKeyText;

    fn from_str(text: &str) -> Result<Self, InvalidKeyText> {
        // Everything but the secret is public, and the checksum is keyless: an early return tells nothing that the
        // caller cannot compute.
        parse(text).ok_or(InvalidKeyText)
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyText").field("kind", &self.kind).field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Display for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…({})", self.kind.prefix(), self.id)
    }
}

/// Turns secrets into digests under a random key of this process, to be remembered in their stead.
#[derive(Clone)]
pub struct Digester(hmac::Key);

impl Digester {
    /// A digester whose digests nobody else can compute.
    #[must_use]
    pub fn new() -> Self {
        // Two random UUIDs: 244 random bits.
        let key = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    /// The digest of a secret's whole text.
    #[must_use]
    pub fn digest(&self, secret: &str) -> [u8; 32] {
        let mut digest = [0; 32];
        // HMAC-SHA-256 is 32 bytes long.
        digest.copy_from_slice(hmac::sign(&self.0, secret.as_bytes()).as_ref());
        digest
    }
}

impl Default for Digester {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digester")
    }
}

fn parse(text: &str) -> Option<KeyText> {
    if text.len() != TEXT_LENGTH {
        return None;
    }
    let (kind, rest) = match text.strip_prefix(TENANT_PREFIX) {
        Some(rest) => (Kind::Tenant, rest),
        None => (Kind::Operator, text.strip_prefix(OPERATOR_PREFIX)?),
    };
    let (id, rest) = rest.split_at_checked(WORD_LENGTH)?;
    let (first, rest) = rest.split_at_checked(WORD_LENGTH)?;
    let (second, checksum) = rest.split_at_checked(WORD_LENGTH)?;
    let id = number(id)?;
    // The secret's digits are checked so that one secret has one text.
    number(first)?;
    number(second)?;
    let summed = text.get(..TEXT_LENGTH - CHECKSUM_LENGTH)?;
    let matches = number(checksum)? == u128::from(crc32fast::hash(summed.as_bytes()));
    matches.then(|| KeyText { kind, id: ApiKeyId::from(Uuid::from_u128(id)), text: SecretString::from(text) })
}

fn push_digits(text: &mut String, mut number: u128, length: usize) {
    let mut digits = [b'0'; WORD_LENGTH];
    for digit in digits.iter_mut().take(length).rev() {
        // The remainder is below 62, so the look-up never misses.
        *digit = usize::try_from(number % 62).ok().and_then(|at| DIGITS.get(at)).copied().unwrap_or(b'0');
        number /= 62;
    }
    text.extend(digits.iter().take(length).map(|digit| char::from(*digit)));
}

/// The number that `digits` write, if they are digits and it fits.
fn number(digits: &str) -> Option<u128> {
    digits.bytes().try_fold(0_u128, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'Z' => digit - b'A' + 10,
            b'a'..=b'z' => digit - b'a' + 36,
            _ => return None,
        };
        number.checked_mul(62)?.checked_add(value.into())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn mint(kind: Kind) -> KeyText {
        KeyText::mint(kind, ApiKeyId::generate()).unwrap()
    }

    #[test]
    fn a_minted_key_parses_to_itself() {
        for kind in [Kind::Tenant, Kind::Operator] {
            let key = mint(kind);
            let parsed: KeyText = key.expose().parse().unwrap();
            assert_eq!((parsed.kind(), parsed.id(), parsed.expose()), (kind, key.id(), key.expose()));
            assert!(key.expose().starts_with(kind.prefix()));
            assert_eq!(key.expose().len(), TEXT_LENGTH);
            assert!(key.expose().bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
    }

    #[test]
    fn two_keys_of_one_id_differ() {
        let id = ApiKeyId::generate();
        let [one, other] = [(); 2].map(|()| KeyText::mint(Kind::Tenant, id).unwrap());
        assert_ne!(one.expose(), other.expose());
    }

    #[test]
    fn any_one_mistyped_character_is_refused() {
        let key = mint(Kind::Tenant);
        for at in 0..TEXT_LENGTH {
            for wrong in ['0', 'z', '-', ' '] {
                let mut text: Vec<char> = key.expose().chars().collect();
                if std::mem::replace(&mut text[at], wrong) == wrong {
                    continue;
                }
                let text: String = text.into_iter().collect();
                assert_eq!(text.parse::<KeyText>().err(), Some(InvalidKeyText), "at {at}");
            }
        }
    }

    #[test]
    fn a_word_beyond_128_bits_is_refused_whatever_its_checksum() {
        let mut text = format!("{TENANT_PREFIX}{}", "z".repeat(3 * WORD_LENGTH));
        let checksum = crc32fast::hash(text.as_bytes());
        push_digits(&mut text, checksum.into(), CHECKSUM_LENGTH);
        assert_eq!(text.parse::<KeyText>().err(), Some(InvalidKeyText));
    }

    #[test]
    fn the_largest_word_is_written_and_read() {
        let mut text = String::new();
        push_digits(&mut text, u128::MAX, WORD_LENGTH);
        assert_eq!(text, "7n42DGM5Tflk9n8mt7Fhc7");
        assert_eq!(number(&text), Some(u128::MAX));
        assert_eq!(number("7n42DGM5Tflk9n8mt7Fhc8"), None);
    }

    #[test]
    fn a_key_does_not_print() {
        let key = mint(Kind::Operator);
        let secret = &key.expose()[OPERATOR_PREFIX.len() + WORD_LENGTH..];
        let printed = format!("{key} {key:?}");
        assert!((0..secret.len() - 8).all(|at| !printed.contains(&secret[at..at + 8])), "{printed}");
    }

    #[test]
    fn digests_differ_between_keys_and_processes() {
        let (one, other) = (mint(Kind::Tenant), mint(Kind::Tenant));
        let (here, there) = (Digester::new(), Digester::new());
        assert_eq!(here.digest(one.expose()), here.clone().digest(one.expose()));
        assert_ne!(here.digest(one.expose()), here.digest(other.expose()));
        assert_ne!(here.digest(one.expose()), there.digest(one.expose()));
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused(text in any::<String>()) {
            let _ = text.parse::<KeyText>();
        }

        #[test]
        fn any_text_of_the_right_length_parses_or_is_refused(text in "rollcall(key|ops)[0-9a-zA-Zé]{72}") {
            let _ = text.parse::<KeyText>();
        }
    }
}
