//! Security event tokens by POST (RFC 8935).

use secrecy::{ExposeSecret, SecretSlice};
use serde::Deserialize;

use crate::{
    delivery::Message,
    domain::{Error, known_error},
};

/// How much of an answer is read.
pub(super) const ANSWER_BYTES_MAX: usize = 4 * 1024;

/// A request by section 2.1. `authorization` is what the receiver wants to be shown, if anything.
pub(super) fn message(token: String, authorization: Option<&SecretSlice<u8>>) -> Result<Message, Error> {
    let mut headers =
        vec![("content-type", "application/secevent+jwt".to_owned()), ("accept", "application/json".to_owned())];
    if let Some(secret) = authorization.map(ExposeSecret::expose_secret).filter(|secret| !secret.is_empty()) {
        let text = str::from_utf8(secret).map_err(|_| Error::Internal)?;
        headers.push(("authorization", text.to_owned()));
    }
    Ok(Message { headers, body: token.into_bytes() })
}

/// The error that a receiver answered (section 2.3), if it is one of those that are defined.
pub(super) fn error(body: &[u8]) -> Option<&'static str> {
    #[derive(Deserialize)]
    struct Answer {
        err: String,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    known_error(&answer.err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_that_are_defined_are_told() {
        assert_eq!(error(br#"{"err":"invalid_key","description":"Ada's key"}"#), Some("invalid_key"));
        assert_eq!(error(br#"{"err":"access_denied"}"#), Some("access_denied"));
        for body in [&b""[..], b"{}", b"no", br#"{"err":"ada@example.com"}"#, br#"{"err":1}"#] {
            assert_eq!(error(body), None);
        }
    }

    #[test]
    fn a_receiver_is_shown_what_it_asks_for() {
        let shown = message("a.b.c".to_owned(), Some(&SecretSlice::from(b"Bearer x".to_vec()))).unwrap();
        assert_eq!(shown.headers.last(), Some(&("authorization", "Bearer x".to_owned())));
        let silent = message("a.b.c".to_owned(), Some(&SecretSlice::from(Vec::new()))).unwrap();
        assert_eq!((silent.headers.len(), silent.body), (2, b"a.b.c".to_vec()));
    }
}
