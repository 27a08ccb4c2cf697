//! Sends requests as Entra does and waits when the endpoint asks for it.
//!
//! No User-Agent; `Accept: */*`; a Content-Type only where there is a body; no redirects, for Entra follows none with a key.
//! 429 and 503 with Retry-After pause all requests of the client, not only the one that was refused.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::{
    Method, Response, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use time::{OffsetDateTime, PrimitiveDateTime, macros::format_description};

use crate::{
    Error,
    answer::Answer,
    meter::Meter,
    wire::{Kind, query},
};

/// How often one request is sent before its refusals end the run.
const ATTEMPTS_MAX: u32 = 6;
/// The longest wait that is honoured.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);
/// How long a connection may lie idle: less than the shortest keep-alive of common servers, so that none is reused in the
/// moment in which the server closes it.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// The largest answer that is read: a group with 500,000 members still fits.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One request, without the address and the key.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: Method,
    kind: Kind,
    id: Option<String>,
    query: Option<String>,
    body: Option<Value>,
}

impl Request {
    /// Looks for a resource by the attribute that Entra matches on.
    pub(crate) fn find(kind: Kind, value: &str) -> Self {
        Self { method: Method::GET, kind, id: None, query: Some(query::match_query(kind, value)), body: None }
    }

    pub(crate) fn create(kind: Kind, body: Value) -> Self {
        Self { method: Method::POST, kind, id: None, query: None, body: Some(body) }
    }

    /// Reads a resource by its cached id; a group without its members.
    pub(crate) fn read(kind: Kind, id: &str) -> Self {
        let query = match kind {
            Kind::User => None,
            Kind::Group => Some(query::WITHOUT_MEMBERS.to_owned()),
        };
        Self { method: Method::GET, kind, id: Some(id.to_owned()), query, body: None }
    }

    /// Reads a group with its members, which Entra never does.
    pub(crate) fn read_with_members(id: &str) -> Self {
        Self { query: None, ..Self::read(Kind::Group, id) }
    }

    pub(crate) fn patch(kind: Kind, id: &str, body: Value) -> Self {
        Self { method: Method::PATCH, kind, id: Some(id.to_owned()), query: None, body: Some(body) }
    }

    pub(crate) fn delete(kind: Kind, id: &str) -> Self {
        Self { method: Method::DELETE, kind, id: Some(id.to_owned()), query: None, body: None }
    }

    fn url(&self, base: &Url) -> Url {
        let mut url = base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(self.kind.collection()).extend(&self.id);
        }
        url.set_query(self.query.as_deref());
        url
    }
}

/// Where an endpoint is; one on this machine is never reached through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Loopback,
    Network,
}

/// The connection to one endpoint.
pub(crate) struct Transport {
    http: reqwest::Client,
    base: Url,
    key: SecretString,
    paused_until: Mutex<Option<Instant>>,
}

impl Transport {
    /// `base` has neither a query nor a slash at its end.
    pub(crate) fn new(base: Url, key: SecretString, timeout: Duration, reach: Reach) -> Result<Self, Error> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", key.expose_secret())).map_err(|_| Error::Key)?;
        bearer.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, bearer);
        let mut builder = reqwest::Client::builder()
            .default_headers(headers)
            .timeout(timeout)
            .pool_idle_timeout(IDLE_MAX)
            .redirect(reqwest::redirect::Policy::none());
        if reach == Reach::Loopback {
            builder = builder.no_proxy();
        }
        if base.scheme() == "http" {
            // Without TLS no root certificates are needed, and a machine that has none can still play against itself.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(Error::Setup)?;
        Ok(Self { http, base, key, paused_until: Mutex::default() })
    }

    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// Sends a request, again after each wait that the endpoint asks for, and reads its answer.
    pub(crate) async fn send(&self, request: &Request, meter: &Meter) -> Result<Answer<'_>, Error> {
        let url = request.url(&self.base);
        let body = request.body.as_ref().map(Value::to_string);
        let mut attempts = 0;
        loop {
            attempts += 1;
            self.wait_while_paused().await;
            let started = Instant::now();
            let (answer, retry_after) = self.send_once(request, &url, body.clone()).await?;
            meter.answered(started.elapsed());
            let Some(retry_after) = retry_after else { return Ok(answer) };
            if attempts >= ATTEMPTS_MAX || retry_after > RETRY_AFTER_MAX {
                let (method, path, status) = (answer.method, answer.path, answer.status);
                return Err(Error::Throttled { method, path, status, attempts, retry_after_s: retry_after.as_secs() });
            }
            meter.retried();
            self.pause(retry_after);
        }
    }

    async fn send_once(
        &self,
        request: &Request,
        url: &Url,
        body: Option<String>,
    ) -> Result<(Answer<'_>, Option<Duration>), Error> {
        let path = shown(url);
        let unreachable = |source: reqwest::Error| Error::Unreachable {
            method: request.method.to_string(),
            path: path.clone(),
            source: source.without_url(),
        };
        let mut call = self.http.request(request.method.clone(), url.clone());
        if let Some(body) = body {
            call = call.header(CONTENT_TYPE, "application/scim+json; charset=utf-8").body(body);
        }
        let mut response = call.send().await.map_err(unreachable)?;
        let retry_after = retry_after(&response);
        let mut answer = Answer {
            key: &self.key,
            method: request.method.to_string(),
            path: path.clone(),
            status: response.status().as_u16(),
            content_type: header(&response, &CONTENT_TYPE),
            location: header(&response, &LOCATION),
            body: Vec::new(),
        };
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if answer.body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(answer.difference("an answer of at most 64 MiB", "more"));
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok((answer, retry_after))
    }

    async fn wait_while_paused(&self) {
        loop {
            let until = *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
            match until.and_then(|until| until.checked_duration_since(Instant::now())) {
                Some(left) if !left.is_zero() => tokio::time::sleep(left).await,
                _ => return,
            }
        }
    }

    fn pause(&self, wait: Duration) {
        let mut until = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = (*until).max(Some(Instant::now() + wait));
    }
}

/// Path and query as they were sent; the host is the caller's own and the key stands in neither.
fn shown(url: &Url) -> String {
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

fn header(response: &Response, name: &HeaderName) -> Option<String> {
    response.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The wait that a 429 or 503 asks for.
fn retry_after(response: &Response) -> Option<Duration> {
    let asks = matches!(response.status().as_u16(), 429 | 503);
    let value = asks.then(|| header(response, &RETRY_AFTER)).flatten()?;
    parse_retry_after(value.trim(), OffsetDateTime::now_utc())
}

/// Seconds or a date (RFC 9110 section 10.2.3); a date that has passed asks for no wait.
fn parse_retry_after(value: &str, now: OffsetDateTime) -> Option<Duration> {
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let format =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    let at = PrimitiveDateTime::parse(value, format).ok()?.assume_utc();
    Some(Duration::try_from(at - now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn check_url(request: &Request, expected: &str) {
        let base = Url::parse("https://host/api/scim/v2").unwrap();
        assert_eq!(shown(&request.url(&base)), expected);
    }

    #[test]
    fn requests_go_to_the_recorded_paths() {
        check_url(&Request::find(Kind::User, "a+b'@x.y"), "/api/scim/v2/Users?filter=userName+eq+%22a%2Bb%27%40x.y%22");
        check_url(
            &Request::find(Kind::Group, "EDU All"),
            "/api/scim/v2/Groups?excludedAttributes=members&filter=displayName+eq+%22EDU+All%22",
        );
        check_url(&Request::create(Kind::User, Value::Null), "/api/scim/v2/Users");
        check_url(&Request::read(Kind::User, "7"), "/api/scim/v2/Users/7");
        check_url(&Request::read(Kind::Group, "7"), "/api/scim/v2/Groups/7?excludedAttributes=members");
        check_url(&Request::read_with_members("7"), "/api/scim/v2/Groups/7");
        check_url(&Request::delete(Kind::Group, "7"), "/api/scim/v2/Groups/7");
    }

    #[test]
    fn id_cannot_leave_its_path_segment() {
        check_url(&Request::read(Kind::User, "../a?b#c"), "/api/scim/v2/Users/..%2Fa%3Fb%23c");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = datetime!(2026-11-23 10:00:00 UTC);
        let check = |value, expected| assert_eq!(parse_retry_after(value, now), expected);
        check("7", Some(Duration::from_secs(7)));
        check("Mon, 23 Nov 2026 10:00:09 GMT", Some(Duration::from_secs(9)));
        check("Mon, 23 Nov 2026 09:00:00 GMT", Some(Duration::ZERO));
        check("soon", None);
        check("-1", None);
    }
}
