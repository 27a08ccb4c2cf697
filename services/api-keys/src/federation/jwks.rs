//! What a provider publishes: where its keys stand (OpenID Connect Discovery 1.0 section 3), and its keys (RFC 7517, RFC 7518 section 6).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// The longest discovery document, in bytes.
const DISCOVERY_LENGTH_MAX: usize = 64 * 1024;
/// The longest set of keys, in bytes: with their certificates, those of the largest providers are a tenth of it.
const KEYS_LENGTH_MAX: usize = 256 * 1024;
/// Keys beyond this many are not taken.
pub(super) const KEYS_MAX: usize = 64;
/// The sizes of RSA keys that are used, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// The length of a coordinate on P-256, in bytes.
const P256_LENGTH: usize = 32;

/// Why a provider's keys were not had.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("the discovery document is not to be had")]
    Discovery(#[source] outbound::Error),
    #[error("the keys are not to be had")]
    Keys(#[source] outbound::Error),
    #[error("the discovery document cannot be read")]
    DiscoveryForm(#[source] serde_json::Error),
    #[error("the keys cannot be read")]
    KeysForm(#[source] serde_json::Error),
    #[error("the discovery document is another issuer's")]
    OtherIssuer,
    #[error("no key is of use")]
    NoKey,
}

/// The keys that a provider signs with.
#[derive(Debug)]
pub(super) struct KeySet(Vec<Key>);

#[derive(Debug)]
struct Key {
    kid: String,
    kind: Kind,
    /// The one algorithm that it is for, where it says so.
    algorithm: Option<String>,
    key: DecodingKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Document {
    // A key of a kind that is not known must not hide the others.
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kid: String,
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Fetches the keys of `issuer`, which are found by its discovery document.
    pub(super) async fn fetch(client: &outbound::Client, issuer: &str) -> Result<Self, FetchError> {
        // A slash at the end is taken away (section 4.1).
        let url = format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer));
        let discovery = client.get(&url, DISCOVERY_LENGTH_MAX).await.map_err(FetchError::Discovery)?;
        let discovery: Discovery = serde_json::from_slice(&discovery).map_err(FetchError::DiscoveryForm)?;
        if discovery.issuer != issuer {
            return Err(FetchError::OtherIssuer);
        }
        // The client calls nothing but https.
        let keys = client.get(&discovery.jwks_uri, KEYS_LENGTH_MAX).await.map_err(FetchError::Keys)?;
        Self::read(&keys)
    }

    /// Reads a JWK Set. Keys that are of no use here are passed over.
    fn read(document: &[u8]) -> Result<Self, FetchError> {
        let document: Document = serde_json::from_slice(document).map_err(FetchError::KeysForm)?;
        let keys: Vec<Key> = document.keys.into_iter().filter_map(Key::read).take(KEYS_MAX).collect();
        if keys.is_empty() { Err(FetchError::NoKey) } else { Ok(Self(keys)) }
    }

    /// The key `kid`, if it is one for `algorithm`.
    pub(super) fn key(&self, kid: &str, algorithm: Algorithm) -> Option<DecodingKey> {
        let (kind, name) = match algorithm {
            Algorithm::RS256 => (Kind::Rsa, "RS256"),
            Algorithm::PS256 => (Kind::Rsa, "PS256"),
            Algorithm::ES256 => (Kind::P256, "ES256"),
            _ => return None,
        };
        let is = |key: &&Key| {
            key.kid == kid && key.kind == kind && key.algorithm.as_deref().is_none_or(|algorithm| algorithm == name)
        };
        self.0.iter().find(is).map(|key| key.key.clone())
    }
}

impl Key {
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let signs = jwk.usage.as_deref().is_none_or(|usage| usage == "sig");
        let verifies = jwk.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|name| name == "verify"));
        if !signs || !verifies {
            return None;
        }
        let (kind, key) = match jwk.kty.as_str() {
            "RSA" => (Kind::Rsa, rsa(&jwk.n?, &jwk.e?)?),
            "EC" if jwk.crv.as_deref() == Some("P-256") => (Kind::P256, p256(&jwk.x?, &jwk.y?)?),
            _ => return None,
        };
        Some(Self { kid: jwk.kid, kind, algorithm: jwk.alg, key })
    }
}

fn rsa(n: &str, e: &str) -> Option<DecodingKey> {
    let modulus = URL_SAFE_NO_PAD.decode(n).ok()?;
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let modulus = modulus.get(zeros..)?;
    let leading = usize::try_from(modulus.first()?.leading_zeros()).ok()?;
    if !RSA_BITS.contains(&(modulus.len() * 8 - leading)) {
        return None;
    }
    let exponent = URL_SAFE_NO_PAD.decode(e).ok()?;
    Some(DecodingKey::from_rsa_raw_components(modulus, &exponent))
}

fn p256(x: &str, y: &str) -> Option<DecodingKey> {
    let is_coordinate = |text: &str| URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == P256_LENGTH);
    if is_coordinate(x) && is_coordinate(y) { DecodingKey::from_ec_components(x, y).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A modulus of as many bits.
    fn modulus(bits: usize) -> String {
        let mut bytes = vec![0xff; bits.div_ceil(8)];
        bytes[0] >>= bytes.len() * 8 - bits;
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn rsa() -> Value {
        json!({"kty": "RSA", "use": "sig", "kid": "r", "n": modulus(2048), "e": "AQAB", "x5c": ["…"], "issuer": "i"})
    }

    fn ec() -> Value {
        json!({"kty": "EC", "crv": "P-256", "kid": "e", "x": modulus(256), "y": modulus(256)})
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    fn set(keys: &[Value]) -> Result<KeySet, FetchError> {
        KeySet::read(json!({"keys": keys}).to_string().as_bytes())
    }

    #[test]
    fn r09_a_key_is_for_the_algorithms_of_its_kind() {
        let set = set(&[rsa(), ec()]).unwrap();
        let fits = |kid, algorithm| set.key(kid, algorithm).is_some();
        assert!(fits("r", Algorithm::RS256) && fits("r", Algorithm::PS256) && fits("e", Algorithm::ES256));
        assert!(!fits("r", Algorithm::ES256) && !fits("e", Algorithm::RS256) && !fits("e", Algorithm::PS256));
        for algorithm in [Algorithm::HS256, Algorithm::RS512, Algorithm::ES384, Algorithm::EdDSA] {
            assert!(!fits("r", algorithm) && !fits("e", algorithm), "{algorithm:?}");
        }
        assert!(!fits("R", Algorithm::RS256) && !fits("", Algorithm::RS256));
    }

    #[test]
    fn r09_a_key_for_one_algorithm_is_for_no_other() {
        let set = set(&[with(rsa(), "alg", json!("RS256"))]).unwrap();
        assert!(set.key("r", Algorithm::RS256).is_some());
        assert!(set.key("r", Algorithm::PS256).is_none());
    }

    #[test]
    fn r09_a_key_that_is_weak_or_for_something_else_is_passed_over() {
        for bits in [2048, 2049, 3072, 4096, 8192] {
            assert!(set(&[with(rsa(), "n", json!(modulus(bits)))]).is_ok(), "{bits}");
        }
        for key in [
            with(rsa(), "n", json!(modulus(2047))),
            with(rsa(), "n", json!(modulus(1024))),
            with(rsa(), "n", json!(modulus(8193))),
            with(rsa(), "n", json!(URL_SAFE_NO_PAD.encode([&[0; 200][..], &[255; 128][..]].concat()))),
            with(rsa(), "n", json!("")),
            with(rsa(), "n", json!("*")),
            with(rsa(), "e", json!(null)),
            with(rsa(), "use", json!("enc")),
            with(rsa(), "key_ops", json!(["encrypt"])),
            with(rsa(), "kid", json!(null)),
            with(rsa(), "kid", json!(1)),
            with(rsa(), "kty", json!("EC")),
            with(rsa(), "kty", json!("oct")),
            with(ec(), "crv", json!("P-384")),
            with(ec(), "crv", json!("secp256k1")),
            with(ec(), "x", json!(modulus(248))),
            with(ec(), "y", json!(null)),
            with(ec(), "kty", json!("OKP")),
            json!({"kty": "oct", "kid": "o", "k": "AAAA"}),
            json!("key"),
        ] {
            assert!(matches!(set(std::slice::from_ref(&key)), Err(FetchError::NoKey)), "{key}");
            assert_eq!(set(&[key, ec()]).unwrap().0.len(), 1, "the others are taken");
        }
    }

    #[test]
    fn at_most_64_keys_are_taken() {
        let keys: Vec<Value> = (0..=KEYS_MAX).map(|at| with(ec(), "kid", json!(at.to_string()))).collect();
        let set = set(&keys).unwrap();
        assert!(set.key("63", Algorithm::ES256).is_some());
        assert!(set.key("64", Algorithm::ES256).is_none());
    }

    #[test]
    fn what_is_no_set_of_keys_is_not_read() {
        for document in ["", "[]", "{}", r#"{"keys": {}}"#, r#"{"keys": null}"#, "{\"keys\": []"] {
            assert!(matches!(KeySet::read(document.as_bytes()), Err(FetchError::KeysForm(_))), "{document}");
        }
        assert!(matches!(set(&[]), Err(FetchError::NoKey)));
    }
}
