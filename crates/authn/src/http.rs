//! Finding the bearer in a request's headers (RFC 6750 section 2.1).

use ::http::{HeaderMap, header::AUTHORIZATION};
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
}
