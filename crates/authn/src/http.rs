//! Finding the bearer in a request's headers (RFC 6750 section 2.1).

use ::http::{HeaderMap, header::AUTHORIZATION};
use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use secrecy::SecretString;

use crate::Error;

/// The longest `Authorization` header that is read, in bytes.
pub const AUTHORIZATION_LENGTH_MAX: usize = 4096;

/// The bearer of a request that has exactly one.
///
/// # Errors
/// [`Error::Unauthenticated`] when there is no `Authorization` header or more than one, when its scheme is not `Bearer`
/// (in any case), or when it is too long or not ASCII.
pub fn bearer(headers: &HeaderMap) -> Result<SecretString, Error> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Error::Unauthenticated) };
    if value.len() > AUTHORIZATION_LENGTH_MAX {
        return Err(Error::Unauthenticated);
    }
    let text = value.to_str().map_err(|_| Error::Unauthenticated)?;
    let (scheme, bearer) = text.split_once(' ').ok_or(Error::Unauthenticated)?;
    let bearer = bearer.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") && !bearer.is_empty() && !bearer.contains(' ') {
        Ok(SecretString::from(bearer))
    } else {
        Err(Error::Unauthenticated)
    }
}

/// A client's id and secret, from the header.
#[derive(Debug)]
pub struct Basic {
    /// The id.
    pub id: String,
    /// The secret.
    pub secret: SecretString,
}

/// An `Authorization` header that holds no client's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Authorization header is not one of Basic authentication")]
pub struct BasicError;

/// The credentials of an OAuth client (RFC 6749 section 2.3.1: both parts form-encoded, then as RFC 7617 has it); none without the header.
///
/// # Errors
/// When there is more than one header, or it is too long or of another scheme, or does not decode.
pub fn basic(headers: &HeaderMap) -> Result<Option<Basic>, BasicError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) if value.len() <= AUTHORIZATION_LENGTH_MAX => value,
        (Some(_), _) => return Err(BasicError),
    };
    let (scheme, encoded) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(BasicError)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(BasicError);
    }
    let decoded = STANDARD.decode(encoded.trim_matches(' ')).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.ok_or(BasicError)?;
    let (id, secret) = decoded.split_once(':').ok_or(BasicError)?;
    Ok(Some(Basic { id: form_decoded(id)?, secret: form_decoded(secret)?.into() }))
}

fn form_decoded(text: &str) -> Result<String, BasicError> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().map(Into::into).map_err(|_| BasicError)
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;
    use secrecy::ExposeSecret;

    use super::*;

    fn check(values: &[&[u8]], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        let found = bearer(&headers);
        assert_eq!(found.as_ref().map(|bearer| bearer.expose_secret()).ok(), expected, "{values:?}");
        assert!(expected.is_some() || matches!(found, Err(Error::Unauthenticated)));
    }

    #[test]
    fn one_bearer_in_any_case_is_found() {
        check(&[b"Bearer abc"], Some("abc"));
        check(&[b"bearer abc"], Some("abc"));
        check(&[b"BEARER  abc "], Some("abc"));
    }

    #[test]
    fn anything_else_is_none() {
        check(&[], None);
        check(&[b"Bearer abc", b"Bearer abc"], None);
        check(&[b"Bearer"], None);
        check(&[b"Bearer "], None);
        check(&[b"abc"], None);
        check(&[b"Basic abc"], None);
        check(&[b"Bearer a b"], None);
        check(&["Bearer é".as_bytes()], None);
    }

    #[test]
    fn the_longest_header_is_read_and_a_longer_one_is_not() {
        let longest = "x".repeat(AUTHORIZATION_LENGTH_MAX - "Bearer ".len());
        check(&[format!("Bearer {longest}").as_bytes()], Some(&longest));
        check(&[format!("Bearer {longest}x").as_bytes()], None);
    }

    fn check_basic(value: &str, expected: Result<Option<(&str, &str)>, BasicError>) {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(value).unwrap())]);
        let found = basic(&headers);
        let found = found.as_ref().map(|found| found.as_ref().map(|one| (one.id.as_str(), one.secret.expose_secret())));
        assert_eq!(found.map_err(|error| *error), expected, "{value}");
    }

    #[test]
    fn a_clients_credentials_are_form_encoded_in_base64() {
        check_basic("Basic aWQ6c2VjcmV0", Ok(Some(("id", "secret"))));
        check_basic("basic  aWQ6c2VjcmV0 ", Ok(Some(("id", "secret"))));
        check_basic(&format!("Basic {}", STANDARD.encode("a%3Ab+c:%25:d")), Ok(Some(("a:b c", "%:d"))));
        check_basic(&format!("Basic {}", STANDARD.encode(":")), Ok(Some(("", ""))));
        for value in ["Basic", "Basic ", "Basic aWQ", "Basic !", "Bearer aWQ6c2VjcmV0", "Basic aWQ=", "Basic OiX/"] {
            check_basic(value, Err(BasicError));
        }
        assert!(basic(&HeaderMap::new()).unwrap().is_none());
        let twice = HeaderValue::from_static("Basic aWQ6c2VjcmV0");
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, twice.clone());
        headers.append(AUTHORIZATION, twice);
        assert!(basic(&headers).is_err());
    }
}
