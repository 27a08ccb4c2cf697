//! An assertion: a JWT (RFC 7519) with the claims of RFC 7523 section 3.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, dangerous::insecure_decode};
use serde::Deserialize;

use super::{Expected, Fault};

/// The longest assertion, in bytes.
pub(super) const LENGTH_MAX: usize = 8 * 1024;
/// How far the issuer's clock may be from this one, in seconds.
const SKEW: f64 = 60.0;
/// The algorithms that are honoured.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256];

/// An assertion that was read. Its signature is not verified yet.
#[derive(Debug)]
pub(super) struct Assertion<'a> {
    text: &'a str,
    algorithm: Algorithm,
    kid: String,
    claims: Claims,
}

/// What is read of it. Times are seconds since the epoch, possibly with a fraction.
#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
}

/// One audience. An assertion that is made out to several could be used by any of them at the others.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    Text(String),
    Array([String; 1]),
}

impl<'a> Assertion<'a> {
    /// Reads an assertion that names an algorithm which is honoured and a key.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        if text.len() > LENGTH_MAX {
            return None;
        }
        let read = insecure_decode::<Claims>(text).ok()?;
        // A header that must be understood (RFC 7515 section 4.1.11): none is.
        let plain = ALGORITHMS.contains(&read.header.alg) && read.header.crit.is_none();
        let kid = read.header.kid.filter(|kid| plain && !kid.is_empty())?;
        Some(Self { text, algorithm: read.header.alg, kid, claims: read.claims })
    }

    pub(super) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The id of the key that it says to be signed by.
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// The first claim that is not as expected, or does not hold at `now`.
    pub(super) fn misfit(&self, expected: Expected<'_>, now: SystemTime) -> Option<Fault> {
        let Claims { iss, sub, aud, exp, nbf, iat } = &self.claims;
        let (Audience::Text(audience) | Audience::Array([audience])) = aud;
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let begun = |time: &Option<f64>| time.is_none_or(|time| time - now <= SKEW);
        let claims = [
            (iss == expected.issuer, Fault::Issuer),
            (audience == expected.audience, Fault::Audience),
            (sub == expected.subject, Fault::Subject),
            (now - exp < SKEW && begun(nbf) && begun(iat), Fault::Time),
        ];
        claims.into_iter().find(|(fits, _)| !fits).map(|(_, fault)| fault)
    }

    /// Whether `key` verifies its signature.
    pub(super) fn is_signed_by(&self, key: &DecodingKey) -> bool {
        let mut validation = Validation::new(self.algorithm);
        // The claims were checked, by a clock that the caller gave.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        jsonwebtoken::decode::<Claims>(self.text, key, &validation).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    const NOW: u64 = 1_700_000_000;
    const HEADER: &str = r#"{"alg":"RS256","kid":"k"}"#;
    const CLAIMS: &str = r#"{"iss":"i","sub":"s","aud":"a","exp":1700000000}"#;

    fn text(header: &str, claims: &str) -> String {
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        format!("{header}.{claims}.c2ln")
    }

    fn fits(claims: &str) -> bool {
        let text = text(HEADER, claims);
        let expected = Expected { issuer: "i", audience: "a", subject: "s" };
        Assertion::read(&text)
            .is_some_and(|read| read.misfit(expected, UNIX_EPOCH + Duration::from_secs(NOW)).is_none())
    }

    #[test]
    fn r09_only_three_algorithms_are_read_and_a_key_is_named() {
        for alg in ["RS256", "PS256", "ES256"] {
            let text = text(&format!(r#"{{"typ":"JWT","alg":"{alg}","kid":"k","x5t":"k"}}"#), CLAIMS);
            assert_eq!(Assertion::read(&text).unwrap().kid(), "k");
        }
        for header in [
            r#"{"alg":"none","kid":"k"}"#,
            r#"{"alg":"HS256","kid":"k"}"#,
            r#"{"alg":"RS384","kid":"k"}"#,
            r#"{"alg":"RS512","kid":"k"}"#,
            r#"{"alg":"PS512","kid":"k"}"#,
            r#"{"alg":"ES384","kid":"k"}"#,
            r#"{"alg":"EdDSA","kid":"k"}"#,
            r#"{"alg":"rs256","kid":"k"}"#,
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"RS256","kid":""}"#,
            r#"{"alg":"RS256","kid":null}"#,
            r#"{"alg":"RS256","kid":"k","crit":["exp"]}"#,
            r#"{"kid":"k"}"#,
            "{}",
            "[]",
            "",
        ] {
            assert!(Assertion::read(&text(header, CLAIMS)).is_none(), "{header}");
        }
    }

    #[test]
    fn what_is_no_jwt_is_not_read() {
        let good = text(HEADER, CLAIMS);
        assert!(Assertion::read(&good).is_some());
        let long = format!("{good}{}", "A".repeat(LENGTH_MAX - good.len()));
        assert!(Assertion::read(&long).is_some());
        let two = good.rsplit_once('.').unwrap().0;
        for text in ["", ".", "..", "...", two, &format!("{good}.x"), &format!("{long}A"), &good.replace('.', " ")] {
            assert!(Assertion::read(text).is_none(), "{}", text.len());
        }
    }

    #[test]
    fn r09_issuer_audience_and_subject_are_equal_byte_for_byte() {
        assert!(fits(CLAIMS));
        assert!(fits(r#"{"iss":"i","sub":"s","aud":["a"],"exp":1700000000,"azp":"x","uti":1}"#));
        for claims in [
            r#"{"iss":"i/","sub":"s","aud":"a","exp":1700000000}"#,
            r#"{"iss":"I","sub":"s","aud":"a","exp":1700000000}"#,
            r#"{"iss":["i"],"sub":"s","aud":"a","exp":1700000000}"#,
            r#"{"sub":"s","aud":"a","exp":1700000000}"#,
            r#"{"iss":"i","sub":"S","aud":"a","exp":1700000000}"#,
            r#"{"iss":"i","aud":"a","exp":1700000000}"#,
            r#"{"iss":"i","sub":"s","aud":"b","exp":1700000000}"#,
            r#"{"iss":"i","sub":"s","aud":["a","b"],"exp":1700000000}"#,
            r#"{"iss":"i","sub":"s","aud":["a","a"],"exp":1700000000}"#,
            r#"{"iss":"i","sub":"s","aud":["b"],"exp":1700000000}"#,
            r#"{"iss":"i","sub":"s","aud":[],"exp":1700000000}"#,
            r#"{"iss":"i","sub":"s","aud":null,"exp":1700000000}"#,
            r#"{"iss":"i","sub":"s","exp":1700000000}"#,
            r#"{"iss":"x","iss":"i","sub":"s","aud":"a","exp":1700000000}"#,
        ] {
            assert!(!fits(claims), "{claims}");
        }
    }

    #[test]
    fn r09_times_are_honoured_with_60_seconds_of_skew() {
        let at = |times: &str| fits(&format!(r#"{{"iss":"i","sub":"s","aud":"a",{times}}}"#));
        for times in [
            r#""exp":1699999941"#,
            r#""exp":1699999940.5"#,
            r#""exp":1700000000,"nbf":1700000060,"iat":1700000060"#,
            r#""exp":1700003600,"nbf":1699990000,"iat":1699990000"#,
        ] {
            assert!(at(times), "{times}");
        }
        for times in [
            r#""exp":1699999940"#,
            r#""exp":0"#,
            r#""exp":-1"#,
            r#""exp":"1700000100""#,
            r#""exp":null"#,
            r#""iat":1700000000"#,
            r#""exp":1700003600,"nbf":1700000061"#,
            r#""exp":1700003600,"iat":1700000061"#,
            r#""exp":1700003600,"nbf":1700000060.5"#,
            r#""exp":1e999"#,
        ] {
            assert!(!at(times), "{times}");
        }
    }
}
