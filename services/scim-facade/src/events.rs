//! Security event tokens for those who fetch them: the poll of RFC 8936, and the public keys that tokens are signed with. Not SCIM: what is
//! refused here is told as RFC 8935 section 2.3 has it.
//!
//! A receiver shows an API key with the scope `identity.read`; its tenant is the key's (rule R5).

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use authn::{Principal, Scope, Source};
use axum::{
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use bootstrap::forwarded::Origin;
use http::{
    HeaderValue, Request, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::{BodyExt as _, Limited};
use proto::identity::v1::{
    GetEventJwksRequest, PollEventsRequest, PollEventsResponse, SetError, event_service_client::EventServiceClient,
};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::{sync::Mutex, time::timeout};
use tonic::{Code, Status};

use crate::{Facade, http::answer, identity::Channel};

/// Where the public keys are.
pub(crate) const JWKS_PATH: &str = "/api/events/v1/jwks";
/// Where a receiver polls.
pub(crate) const POLL_PATH: &str = "/api/events/v1/streams/{id}/poll";

/// The largest request: 1,000 acknowledgements and more.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// How long a client may take to send it.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How many events a receiver acknowledges or refuses at once.
const ACKNOWLEDGED_MAX: usize = 1000;
/// How old an answer about keys may be, here and where it is kept on its way.
const KEYS_AGE_MAX: Duration = Duration::from_secs(60);
/// How long is waited for them.
const KEYS_TIMEOUT: Duration = Duration::from_secs(5);
/// When a receiver comes again that could not be answered.
const RETRY_AFTER_OUTAGE: Duration = Duration::from_secs(5);

/// What of identity is asked for here.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    client: EventServiceClient<Channel>,
    /// The keys as they were read last: whoever asks for them is nobody known, and costs identity nothing.
    keys: Arc<Mutex<Option<(Instant, String)>>>,
}

/// A poll (RFC 8936 section 2.2). What else may stand in it is passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Poll {
    max_events: Option<i32>,
    return_immediately: bool,
    ack: Vec<String>,
    set_errs: BTreeMap<String, Refused>,
}

/// Why a token is not taken. Its description is nobody's business.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refused {
    err: String,
}

/// Why a request is not answered.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    err: &'static str,
    description: String,
    retry_after: Option<Duration>,
}

impl Events {
    pub(crate) fn new(identity: Channel) -> Self {
        Self { client: EventServiceClient::new(identity), keys: Arc::default() }
    }

    async fn keys(&self) -> Result<String, Status> {
        // One call at a time; who would wait for longer than a call may take is told to come later.
        let kept = timeout(KEYS_TIMEOUT, self.keys.lock()).await;
        let mut kept = kept.map_err(|_| Status::unavailable("the keys cannot be read now"))?;
        if let Some((read_at, keys)) = &*kept
            && read_at.elapsed() < KEYS_AGE_MAX
        {
            return Ok(keys.clone());
        }
        let mut client = self.client.clone();
        let read = client.get_event_jwks(GetEventJwksRequest::default());
        let read = timeout(KEYS_TIMEOUT, read).await.map_err(|_| Status::unavailable("the keys cannot be read now"))?;
        let keys = read?.into_inner().jwks;
        *kept = Some((Instant::now(), keys.clone()));
        Ok(keys)
    }
}

/// Answers the public keys.
pub(crate) async fn jwks(State(facade): State<Facade>) -> Result<Response, Refusal> {
    let keys = facade.events().keys().await?;
    let age = format!("public, max-age={}", KEYS_AGE_MAX.as_secs());
    Ok((StatusCode::OK, [(CONTENT_TYPE, "application/jwk-set+json".to_owned()), (CACHE_CONTROL, age)], keys)
        .into_response())
}

/// Answers a receiver that asks for events.
pub(crate) async fn poll(
    State(facade): State<Facade>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let bearer = authn::http::bearer(&parts.headers)?;
    let address = Origin::of(&parts, facade.trusted_proxies()).client;
    let principal = facade.authenticator().authenticate_client(&bearer, Source::Client(address)).await?;
    if !principal.scopes.allows(Scope::IdentityRead) {
        let description = "this API key lacks the scope `identity.read`: make a key that has it".to_owned();
        return Err(Refusal::new(StatusCode::FORBIDDEN, "access_denied", description));
    }
    tracing::Span::current().record("tenant.id", tracing::field::display(principal.tenant));
    let message = read(body).await?.message(id)?;
    let polled = call(&facade, (&bearer, principal), message).await?;
    let sets: Map<String, Value> = polled.tokens.into_iter().map(|set| (set.jti, set.token.into())).collect();
    let mut body = json!({ "sets": sets });
    if polled.more_available {
        body["moreAvailable"] = true.into();
    }
    Ok((StatusCode::OK, [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], body.to_string())
        .into_response())
}

/// Answers every other method.
pub(crate) async fn method_not_allowed() -> Response {
    let description = "this is not offered by this method".to_owned();
    let mut response = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", description).into_response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
    response
}

/// One call on behalf of the receiver. A token that has just ended is exchanged once.
async fn call(
    facade: &Facade,
    (bearer, principal): (&SecretString, Arc<Principal>),
    message: PollEventsRequest,
) -> Result<PollEventsResponse, Refusal> {
    let ask = async |principal: &Principal| {
        let mut request = tonic::Request::new(message.clone());
        authn::grpc::authorise(&mut request, principal);
        facade.events().client.clone().poll_events(request).await
    };
    let answered = match ask(&principal).await {
        Err(status) if status.code() == Code::Unauthenticated => {
            let renewed = facade.authenticator().renew(bearer, &principal).await?;
            ask(&renewed).await
        }
        answered => answered,
    };
    Ok(answered?.into_inner())
}

async fn read(body: Body) -> Result<Poll, Refusal> {
    let invalid = |what: &str| Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", what.to_owned());
    let whole = timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES_MAX).collect()).await;
    let body = whole.map_err(|_| invalid("the request did not come in time"))?;
    let body = body.map_err(|_| invalid("the request is too long or broke off"))?.to_bytes();
    // An empty body is a poll that says nothing.
    if body.is_empty() {
        return Ok(Poll::default());
    }
    serde_json::from_slice(&body).map_err(|_| invalid("the body is not a poll of RFC 8936 section 2.2"))
}

impl Poll {
    fn message(self, event_endpoint_id: String) -> Result<PollEventsRequest, Refusal> {
        if self.ack.len().max(self.set_errs.len()) > ACKNOWLEDGED_MAX {
            let description = format!("more than {ACKNOWLEDGED_MAX} events are acknowledged at once");
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", description));
        }
        let error = |(jti, refused): (String, Refused)| SetError { jti, err: refused.err };
        Ok(PollEventsRequest {
            tenant_id: String::new(),
            event_endpoint_id,
            max_events: self.max_events,
            return_immediately: self.return_immediately,
            ack: self.ack,
            set_errors: self.set_errs.into_iter().map(error).collect(),
        })
    }
}

impl Refusal {
    const fn new(status: StatusCode, err: &'static str, description: String) -> Self {
        Self { status, err, description, retry_after: None }
    }

    fn later(status: StatusCode, description: &str, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(status, "temporarily_unavailable", description.to_owned()) }
    }
}

impl From<authn::Error> for Refusal {
    fn from(error: authn::Error) -> Self {
        match error {
            authn::Error::Unauthenticated => {
                Self::new(StatusCode::UNAUTHORIZED, "authentication_failed", error.to_string())
            }
            authn::Error::AddressRefused => Self::new(StatusCode::FORBIDDEN, "access_denied", error.to_string()),
            authn::Error::OverBudget { retry_after } => {
                Self::later(StatusCode::TOO_MANY_REQUESTS, &error.to_string(), retry_after)
            }
            authn::Error::Unavailable { retry_after } => {
                Self::later(StatusCode::SERVICE_UNAVAILABLE, &error.to_string(), retry_after)
            }
        }
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let message = || status.message().to_owned();
        match status.code() {
            Code::NotFound => Self::new(StatusCode::NOT_FOUND, "invalid_request", "there is no such stream".to_owned()),
            Code::InvalidArgument => Self::new(StatusCode::BAD_REQUEST, "invalid_request", message()),
            Code::FailedPrecondition | Code::PermissionDenied => {
                Self::new(StatusCode::FORBIDDEN, "access_denied", message())
            }
            Code::Unauthenticated => authn::Error::Unauthenticated.into(),
            Code::Internal | Code::Unimplemented | Code::DataLoss => {
                tracing::error!(rpc.code = ?status.code(), rpc.message = status.message(), "identity failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "internal error".to_owned())
            }
            code => {
                tracing::warn!(rpc.code = ?code, rpc.message = status.message(), "identity does not answer");
                Self::later(StatusCode::SERVICE_UNAVAILABLE, "events cannot be read now", RETRY_AFTER_OUTAGE)
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "err": self.err, "description": self.description });
        let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
        let mut response = (self.status, headers, body.to_string()).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(after) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, answer::retry_after(after));
        }
        response
    }
}
