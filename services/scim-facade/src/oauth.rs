//! The token endpoint: OAuth 2.0 client credentials (RFC 6749 section 4.4), by a secret, which is an API key, or by a client assertion (RFC
//! 7523 section 2.2), which is Entra's workload identity federation.
//!
//! - A client may send its secret in the header and in the body at once, as Entra can be told to do, if both say the same. RFC 6749 section 2.3
//!   wants one of them.
//! - `scope` is not heeded: there is one, `scim`, and the answer names it (RFC 6749 section 3.3).

use std::{collections::HashMap, time::Duration};

use authn::{
    Proof,
    client::ClientError,
    http::{Basic, BasicError},
};
use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bootstrap::forwarded::Origin;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::{Facade, http::answer};

/// Where clients ask for a token.
pub(crate) const PATH: &str = "/api/oauth2/token";

/// The largest request: an assertion of Entra's is some two thousand bytes long. Read before anybody is known, of as many connections as there are.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// How long a client may take to send it.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How many parameters are read.
const PARAMETERS_MAX: usize = 32;
/// The longest id of a client.
const CLIENT_ID_LENGTH_MAX: usize = 256;

const FORM: &str = "application/x-www-form-urlencoded";
const GRANT_TYPE: &str = "client_credentials";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Answers a client that asks for an access token.
pub(crate) async fn token(State(facade): State<Facade>, request: Request<Body>) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    check_content_type(&parts.headers)?;
    let form = Form::parse(&read(body).await?)?;
    let header = authn::http::basic(&parts.headers)?;
    let (client_id, proof) = form.client(header)?;
    let address = Origin::of(&parts, facade.trusted_proxies()).client;
    let token = facade.authenticator().issue_access_token(&client_id, &proof, address).await?;
    let body = json!({
        "access_token": token.text.expose_secret(),
        "token_type": "Bearer",
        "expires_in": token.expires_in.as_secs(),
        "scope": "scim",
    });
    Ok(uncached(StatusCode::OK, &body))
}

/// Answers every other method.
pub(crate) async fn method_not_allowed() -> Response {
    let mut response = Refusal::invalid_request("ask for a token by POST").into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

/// The parameters that are read. Others are passed over (RFC 6749 section 3.2).
struct Form {
    client_id: Option<String>,
    client_secret: Option<SecretString>,
    client_assertion: Option<SecretString>,
}

impl Form {
    fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut parameters: HashMap<String, SecretString> = HashMap::new();
        for (name, value) in form_urlencoded::parse(body) {
            if parameters.len() >= PARAMETERS_MAX {
                return Err(Refusal::invalid_request("there are too many parameters"));
            }
            if parameters.insert(name.into_owned(), value.into_owned().into()).is_some() {
                return Err(Refusal::invalid_request("a parameter stands twice"));
            }
        }
        // One without a value counts as not sent (RFC 6749 section 3.1).
        parameters.retain(|_, value| !value.expose_secret().is_empty());
        let text = |name: &str| parameters.get(name).map(|value| value.expose_secret().to_owned());
        match text("grant_type").as_deref() {
            Some(GRANT_TYPE) => {}
            Some(_) => return Err(Refusal::new(Code::UnsupportedGrantType, "only client_credentials is offered")),
            None => return Err(Refusal::invalid_request("grant_type is missing")),
        }
        match (text("client_assertion_type").as_deref(), parameters.contains_key("client_assertion")) {
            (Some(ASSERTION_TYPE), true) | (None, false) => {}
            (_, true) => return Err(Refusal::invalid_request("only assertions of the type jwt-bearer are read")),
            (Some(_), false) => return Err(Refusal::invalid_request("client_assertion is missing")),
        }
        Ok(Self {
            client_id: text("client_id"),
            client_secret: parameters.remove("client_secret"),
            client_assertion: parameters.remove("client_assertion"),
        })
    }

    /// Who the client is and what it proves that by, with what stands in the header.
    fn client(self, header: Option<Basic>) -> Result<(String, Proof), Refusal> {
        let differs = |here: &Option<String>, there: &str| here.as_deref().is_some_and(|here| here != there);
        let secret = self.client_secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        if let Some(header) = &header
            && (differs(&self.client_id, &header.id) || differs(&secret, header.secret.expose_secret()))
        {
            return Err(Refusal::invalid_request("the header and the body name different clients"));
        }
        let (in_header, secret_in_header) = header.map(|basic| (basic.id, basic.secret)).unzip();
        // One without a value counts as not sent, there as in the body.
        let in_header = in_header.filter(|id: &String| !id.is_empty());
        let secret_in_header = secret_in_header.filter(|secret: &SecretString| !secret.expose_secret().is_empty());
        let client_id = in_header.or(self.client_id).filter(|id| id.len() <= CLIENT_ID_LENGTH_MAX);
        let client_id = client_id.ok_or_else(|| Refusal::invalid_client("client_id is missing"))?;
        match (secret_in_header.or(self.client_secret), self.client_assertion) {
            (Some(secret), None) => Ok((client_id, Proof::Secret(secret))),
            (None, Some(assertion)) => Ok((client_id, Proof::Assertion(assertion))),
            (None, None) => Err(Refusal::invalid_client("client_secret or client_assertion is missing")),
            (Some(_), Some(_)) => Err(Refusal::invalid_request("send a secret or an assertion, not both")),
        }
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(FORM) {
        return Ok(());
    }
    Err(Refusal::invalid_request("send the parameters as application/x-www-form-urlencoded"))
}

async fn read(body: Body) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::invalid_request("the request is too large")),
        Ok(Err(_)) => Err(Refusal::invalid_request("the request could not be read to its end")),
        Err(_) => Err(Refusal::invalid_request("the request took too long to arrive")),
    }
}

/// Why no token is given (RFC 6749 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    code: Code,
    description: &'static str,
    retry_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    InvalidRequest,
    InvalidClient,
    UnauthorizedClient,
    UnsupportedGrantType,
    SlowDown,
    TemporarilyUnavailable,
}

impl Code {
    const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            // RFC 8628's word for it; this endpoint has none of its own.
            Self::SlowDown => "slow_down",
            // The authorization endpoint's word for it (RFC 6749 section 4.1.2.1); this endpoint has none of its own.
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest | Self::UnauthorizedClient | Self::UnsupportedGrantType => StatusCode::BAD_REQUEST,
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::SlowDown => StatusCode::TOO_MANY_REQUESTS,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Refusal {
    const fn new(code: Code, description: &'static str) -> Self {
        Self { code, description, retry_after: None }
    }

    const fn invalid_request(description: &'static str) -> Self {
        Self::new(Code::InvalidRequest, description)
    }

    const fn invalid_client(description: &'static str) -> Self {
        Self::new(Code::InvalidClient, description)
    }
}

impl From<BasicError> for Refusal {
    fn from(_: BasicError) -> Self {
        Self::invalid_client("the Authorization header is not one of Basic authentication")
    }
}

impl From<ClientError> for Refusal {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Invalid => Self::invalid_client("the client is not known, or what it sent does not prove it"),
            ClientError::NotForClients => {
                Self::new(Code::UnauthorizedClient, "the API key lacks the scope `scim`: make a key that has it")
            }
            ClientError::AddressRefused => {
                Self::new(Code::UnauthorizedClient, "the client may not be used from this address")
            }
            ClientError::OverBudget { retry_after } => Self {
                retry_after: Some(retry_after),
                ..Self::new(Code::SlowDown, "the tenant sends more requests a second than it may; try again later")
            },
            ClientError::Unavailable { retry_after } => Self {
                retry_after: Some(retry_after),
                ..Self::new(Code::TemporarilyUnavailable, "clients cannot be checked now; try again later")
            },
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"error": self.code.as_str(), "error_description": self.description});
        let mut response = uncached(self.code.status(), &body);
        if self.code == Code::InvalidClient {
            let scheme = HeaderValue::from_static("Basic realm=\"rollcall\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        if let Some(after) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, answer::retry_after(after));
        }
        response
    }
}

/// What has a token in it is kept nowhere on its way (RFC 6749 section 5.1).
fn uncached(status: StatusCode, body: &Value) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")];
    (status, headers, body.to_string()).into_response()
}
