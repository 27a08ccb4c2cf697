//! What a handler takes out of a request.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Path},
};
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue, Method, Uri,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    request::Parts,
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use scim::{Definition, Error, Projection};
use scim_entra::ListQuery;
use serde_json::{Map, Value};

use crate::{Facade, error::Refusal};

/// The largest body of a request.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How much of a body that is too large is read before the connection is closed on it.
const BODY_BYTES_DISCARDED_MAX: usize = 8 * BODY_BYTES_MAX;
/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// What JSON passes over between its tokens (RFC 8259 section 2).
const WHITESPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// The JSON document in a request's body.
///
/// Of members with the same name the last counts, as most readers have it. RFC 8259 section 4 leaves it open, and the
/// danger is that two readers differ: here the text is read once, and all that check or store see the result.
#[derive(Debug)]
pub(crate) struct Json(pub(crate) Value);

impl FromRequest<Facade> for Json {
    type Rejection = Refusal;

    async fn from_request(request: http::Request<Body>, _: &Facade) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        check_content_encoding(&parts.headers)?;
        check_content_type(&parts.headers)?;
        let bytes = read(&parts.headers, body).await?;
        Ok(Self(document(&bytes)?))
    }
}

/// A byte order mark may stand in front: RFC 8259 section 8.1 lets a reader pass over it, and text that an editor saved
/// on Windows begins with one.
fn document(bytes: &[u8]) -> Result<Value, Error> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Error::invalid_syntax(format!("the body is not UTF-8 from byte {} on", error.valid_up_to() + 1))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_matches(WHITESPACE).is_empty() {
        return Err(Error::invalid_syntax("the request has no body: send a JSON object"));
    }
    serde_json::from_str(text).map_err(|error| {
        // The parser's words hold no text of the body, only what is wrong and where.
        let words = error.to_string().replace("recursion limit exceeded", "values are nested too deeply");
        Error::invalid_syntax(format!("the body cannot be read as JSON: {words}"))
    })
}

/// A body that is compressed would seem to be no JSON.
fn check_content_encoding(headers: &HeaderMap) -> Result<(), Error> {
    let identity = |value: &HeaderValue| value.is_empty() || value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().all(identity) {
        return Ok(());
    }
    Err(Error::with_status(415, "compressed bodies are not read: send the request without Content-Encoding"))
}

/// SCIM's type or JSON's, with any parameters; or none at all, as simple clients have it.
fn check_content_type(headers: &HeaderMap) -> Result<(), Error> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if ["application/scim+json", "application/json", ""].iter().any(|known| essence.eq_ignore_ascii_case(known)) {
        return Ok(());
    }
    Err(Error::with_status(415, "the Content-Type of a request must be application/scim+json or application/json"))
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Error> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES_DISCARDED_MAX) {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIMEOUT, collect(body)).await {
        Ok(collected) => collected,
        Err(_) => Err(Error::with_status(408, "the body took too long to arrive")),
    }
}

/// The body. One that is too large is read on and thrown away up to a bound: a client that is still sending when the connection closes never
/// reads why.
async fn collect(body: Body) -> Result<Bytes, Error> {
    let mut body = Limited::new(body, BODY_BYTES_DISCARDED_MAX);
    let mut kept = BytesMut::new();
    let mut too_long = false;
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
            Err(_) => return Err(Error::invalid_syntax("the body could not be read to its end")),
        };
        let Ok(part) = frame.into_data() else { continue };
        too_long |= kept.len() + part.len() > BODY_BYTES_MAX;
        if too_long {
            kept.clear();
        } else {
            kept.extend_from_slice(&part);
        }
    }
    if too_long { Err(too_large()) } else { Ok(kept.freeze()) }
}

fn too_large() -> Error {
    Error::payload_too_large(format!(
        "the body is larger than {} MiB: send it in parts",
        BODY_BYTES_MAX / (1024 * 1024)
    ))
}

/// The parameters after the `?`.
#[derive(Debug)]
pub(crate) struct Query(ListQuery);

impl Query {
    fn from_uri(uri: &Uri) -> Result<Self, Error> {
        scim_entra::query(uri.query().unwrap_or_default()).map(Self)
    }

    /// Which attributes the answer shall hold.
    pub(crate) fn projection<'s>(&self, definition: impl Into<Definition<'s>>) -> Result<Projection<'s>, Error> {
        let ListQuery { attributes, excluded_attributes, .. } = &self.0;
        Projection::from_query(definition, attributes.as_deref(), excluded_attributes.as_deref())
    }

    /// Those of a request whose answer nobody reads.
    pub(crate) fn id_alone() -> Self {
        Self(ListQuery { attributes: Some("id".to_owned()), ..ListQuery::default() })
    }

    /// All of them.
    pub(crate) fn list(&self) -> &ListQuery {
        &self.0
    }
}

/// What to list: the parameters after the `?` of a GET, or those in the body of a `POST /.search` (RFC 7644 section
/// 3.4.3), for clients that keep filters out of logs of addresses.
#[derive(Debug)]
pub(crate) struct Search(pub(crate) Query);

impl FromRequest<Facade> for Search {
    type Rejection = Refusal;

    async fn from_request(request: http::Request<Body>, facade: &Facade) -> Result<Self, Refusal> {
        if request.method() != Method::POST {
            return Ok(Self(Query::from_uri(request.uri())?));
        }
        let Json(body) = Json::from_request(request, facade).await?;
        let Value::Object(body) = body else {
            return Err(Error::invalid_syntax("a search request must be a JSON object").into());
        };
        Ok(Self(Query(searched(&body)?)))
    }
}

fn searched(body: &Map<String, Value>) -> Result<ListQuery, Error> {
    let value = |name: &str| {
        let found = body.iter().find(|(member, _)| member.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        found.filter(|value| !value.is_null())
    };
    let text = |name: &str| match value(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Error::invalid_value(format!("{name} must be text"))),
    };
    let number = |name: &str| match value(name) {
        None => Ok(None),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(Error::invalid_value(format!("{name} must be a whole number"))),
    };
    let names = |name: &str| match value(name) {
        None => Ok(None),
        Some(Value::Array(names)) => {
            let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
            names
                .map(|names| Some(names.join(",")))
                .ok_or_else(|| Error::invalid_value(format!("{name} must be a list of names")))
        }
        Some(_) => Err(Error::invalid_value(format!("{name} must be a list of names"))),
    };
    Ok(ListQuery {
        filter: text("filter")?,
        start_index: number("startIndex")?,
        count: number("count")?,
        cursor: text("cursor")?,
        attributes: names("attributes")?,
        excluded_attributes: names("excludedAttributes")?,
        sort_by: text("sortBy")?,
        sort_order: text("sortOrder")?,
    })
}

impl FromRequestParts<Facade> for Query {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Facade) -> Result<Self, Refusal> {
        Ok(Self::from_uri(&parts.uri)?)
    }
}

/// The last parameter of the path. A text that is not even UTF-8 is the id of nothing, and comes out empty.
#[derive(Debug)]
pub(crate) struct Id(pub(crate) String);

impl FromRequestParts<Facade> for Id {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, facade: &Facade) -> Result<Self, Infallible> {
        // A path that was collapsed has an earlier parameter: what the unknown path matched.
        let path = Path::<Vec<(String, String)>>::from_request_parts(parts, facade).await;
        let last = path.ok().and_then(|Path(mut parameters)| parameters.pop());
        Ok(Self(last.map(|(_, value)| value).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use scim::ScimType;
    use serde_json::json;

    use super::*;

    fn refused(body: &[u8]) -> String {
        let error = document(body).unwrap_err();
        assert_eq!((error.status, error.scim_type), (400, Some(ScimType::InvalidSyntax)));
        error.detail
    }

    fn nested(levels: usize) -> Vec<u8> {
        [vec![b'['; levels], vec![b']'; levels]].concat()
    }

    #[test]
    fn one_byte_order_mark_is_passed_over() {
        assert_eq!(document("\u{feff}{\"a\":1}".as_bytes()).unwrap(), json!({"a": 1}));
        assert!(refused("\u{feff}\u{feff}{}".as_bytes()).contains("line 1 column 1"));
    }

    #[test]
    fn a_refusal_says_what_is_wrong_with_the_body() {
        for (body, words) in [
            (&b""[..], "no body"),
            (b" \r\n\t", "no body"),
            ("\u{feff}".as_bytes(), "no body"),
            (b"{\"a\":\"\xff\"}", "not UTF-8 from byte 7 on"),
            (b"{\"a\":\"\xc0\x80\"}", "not UTF-8 from byte 7 on"),
            (b"\xff\xfe{\0}\0", "not UTF-8 from byte 1 on"),
            (b"{\"a\":", "EOF while parsing a value at line 1 column 5"),
            (b"{}\n{}", "trailing characters at line 2 column 1"),
            (b"{} x", "trailing characters"),
            (b"{\"a\":\"\\ud800\"}", "hex escape"),
            (b"1e400", "number out of range"),
        ] {
            let detail = refused(body);
            assert!(detail.contains(words), "{detail}");
        }
    }

    #[test]
    fn values_nest_127_levels_deep() {
        assert!(document(&nested(127)).is_ok());
        for levels in [128, 129, 1_000, 100_000] {
            assert!(refused(&nested(levels)).contains("nested too deeply"), "{levels}");
        }
    }

    #[test]
    fn of_members_with_one_name_the_last_counts() {
        assert_eq!(document(br#"{"a":1,"b":2,"a":3}"#).unwrap(), json!({"a": 3, "b": 2}));
    }
}
