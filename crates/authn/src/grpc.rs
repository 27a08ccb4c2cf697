//! Authentication and scopes in front of a gRPC service, in one place for all its methods.

use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ::http::{Request, Response, header::AUTHORIZATION};
use ids::TenantId;
use proto::Peer;
use secrecy::{ExposeSecret, SecretString};
use tonic::{Code, Status, body::Body, metadata::MetadataValue, server::NamedService};
use tonic_types::{ErrorDetails, StatusExt};
use tower::Service;

use crate::{
    Authenticator, Error, Principal, Scope, Source,
    access::{self, Row},
};

/// Where calls come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Where everybody calls, with a credential.
    Public,
    /// Where Rollcall's services call each other.
    Internal(Callers),
}

/// What an internal listener knows of its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callers {
    /// Which service each is, by its certificate or because it runs in the same process ([`Peer`]).
    Known,
    /// Nothing: the listener speaks plaintext, and who reaches it is for the network to decide.
    Unknown,
}

/// Puts the check of callers in front of a service: `Layer::public(authenticator).layer(UserServiceServer::new(users))`. To stand on the
/// server's side of every channel, in-process ones included. Who may call what stands in [`access::ROWS`].
#[derive(Clone, Debug)]
pub struct Layer {
    listener: Listener,
    /// None where no method asks for a credential.
    authenticator: Option<Authenticator>,
}

impl Layer {
    /// A layer that lets clients in.
    #[must_use]
    pub const fn public(authenticator: Authenticator) -> Self {
        Self { listener: Listener::Public, authenticator: Some(authenticator) }
    }

    /// A layer that lets services in which call on behalf of somebody.
    #[must_use]
    pub const fn internal(callers: Callers, authenticator: Authenticator) -> Self {
        Self { listener: Listener::Internal(callers), authenticator: Some(authenticator) }
    }

    /// A layer that lets services in which call on their own behalf: a method that asks for a credential is refused.
    #[must_use]
    pub const fn services_alone(callers: Callers) -> Self {
        Self { listener: Listener::Internal(callers), authenticator: None }
    }

    /// Lets `request` in, with its principal in its extensions if it has one, or says why not.
    async fn admit(&self, request: &mut Request<Body>) -> Result<(), Status> {
        let path = request.uri().path();
        let Some(row) = access::row(path) else {
            tracing::error!(rpc.method = path, "a method has no row in the access table");
            return Err(nobody());
        };
        let scopes = match self.listener {
            Listener::Public if row.scopes.is_empty() => return Err(nobody()),
            Listener::Public => row.scopes,
            Listener::Internal(callers) => {
                check_service(row, callers, request.extensions().get())?;
                row.on_behalf_of
            }
        };
        if scopes.is_empty() { Ok(()) } else { self.authenticate(request, row, scopes).await }
    }

    async fn authenticate(
        &self,
        request: &mut Request<Body>,
        row: &Row,
        scopes: &'static [Scope],
    ) -> Result<(), Status> {
        let Some(authenticator) = &self.authenticator else {
            tracing::error!(
                rpc.method = request.uri().path(),
                "a method that asks for a credential stands where none is checked"
            );
            return Err(nobody());
        };
        let bearer = crate::http::bearer(request.headers()).map_err(status)?;
        let source = match self.listener {
            Listener::Public => Source::Client(request.extensions().get().and_then(|peer: &Peer| peer.address)),
            Listener::Internal(_) => Source::Service,
        };
        let principal = authenticator.authenticate(&bearer, source).await.map_err(status)?;
        check_scopes(&principal, scopes)?;
        if let (true, Source::Client(address)) = (row.long_lived, source) {
            let (authenticator, tenant) = (authenticator.clone(), principal.tenant);
            let standing = Standing { authenticator, bearer, source: Source::Standing(address), scopes, tenant };
            request.extensions_mut().insert(Arc::new(standing));
        }
        // Where the operator names another, the service records that.
        tracing::Span::current().record("tenant.id", tracing::field::display(principal.tenant));
        // Nothing behind this point sees the credential, so nothing can log it.
        request.headers_mut().remove(AUTHORIZATION);
        request.extensions_mut().insert(principal);
        Ok(())
    }
}

/// Whether this row lets the caller's service in (rule R7).
fn check_service(row: &Row, callers: Callers, peer: Option<&Peer>) -> Result<(), Status> {
    let allowed = match callers {
        Callers::Known => peer.and_then(|peer| peer.service).is_some_and(|service| row.services.contains(&service)),
        Callers::Unknown => !row.services.is_empty(),
    };
    if allowed { Ok(()) } else { Err(nobody()) }
}

impl<S> tower::Layer<S> for Layer {
    type Service = Authenticated<S>;

    fn layer(&self, inner: S) -> Authenticated<S> {
        Authenticated { layer: self.clone(), inner }
    }
}

/// A service behind [`Layer`].
#[derive(Clone)]
pub struct Authenticated<S> {
    layer: Layer,
    inner: S,
}

impl<S> fmt::Debug for Authenticated<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticated").finish_non_exhaustive()
    }
}

impl<S: NamedService> NamedService for Authenticated<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Authenticated<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let layer = self.layer.clone();
        // The service that was polled ready is the one to be called; its clone may not be ready.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        Box::pin(async move {
            match layer.admit(&mut request).await {
                Ok(()) => inner.call(request).await,
                Err(status) => Ok(status.into_http()),
            }
        })
    }
}

/// Who sent `request`, within a service behind [`Layer`].
///
/// # Errors
/// `INTERNAL` when the service stands behind no layer, or the method is public.
pub fn principal<T>(request: &tonic::Request<T>) -> Result<&Arc<Principal>, Status> {
    request.extensions().get().ok_or_else(|| {
        tracing::error!("a method that needs a principal stands behind no authentication");
        Status::internal("internal error")
    })
}

/// A caller who was let in, and is still there: for calls that go on for longer than a credential may live (rule R1).
pub struct Standing {
    authenticator: Authenticator,
    bearer: SecretString,
    source: Source,
    scopes: &'static [Scope],
    tenant: TenantId,
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl Standing {
    /// Lets the caller in once more, as at the beginning of the call. It costs no exchange while the token that was got last is good.
    ///
    /// # Errors
    /// Those of the beginning: the credential has ended, may less, or cannot be checked now.
    pub async fn check(&self) -> Result<(), Status> {
        let principal = self.authenticator.authenticate(&self.bearer, self.source).await.map_err(status)?;
        if principal.tenant != self.tenant {
            return Err(status(Error::Unauthenticated));
        }
        check_scopes(&principal, self.scopes)
    }
}

/// The standing of the caller, within a method whose row is [`Row::long_lived`] behind a public [`Layer`].
///
/// # Errors
/// `INTERNAL` when the service stands behind no such layer, or the method has another row.
pub fn standing<T>(request: &tonic::Request<T>) -> Result<Arc<Standing>, Status> {
    request.extensions().get().map(Arc::clone).ok_or_else(|| {
        tracing::error!("a long-lived method stands behind no authentication, or its row does not say that it is one");
        Status::internal("internal error")
    })
}

fn check_scopes(principal: &Principal, scopes: &'static [Scope]) -> Result<(), Status> {
    if scopes.iter().any(|scope| principal.scopes.allows(*scope)) { Ok(()) } else { Err(denied(scopes)) }
}

/// Makes `request` one on behalf of `principal`.
pub fn authorise<T>(request: &mut tonic::Request<T>, principal: &Principal) {
    let value = format!("Bearer {}", principal.token.expose_secret());
    // A token was read from a header or signed here: both are ASCII. Without it the call would be refused, never let
    // in.
    match MetadataValue::try_from(value) {
        Ok(mut value) => {
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
        }
        Err(_) => tracing::error!("a token is not ASCII"),
    }
}

/// The one mapping of [`Error`] to gRPC.
fn status(error: Error) -> Status {
    match error {
        Error::Unauthenticated => Status::unauthenticated("the credential is missing or not valid"),
        Error::AddressRefused => Status::permission_denied("the key may not be used from this address"),
        Error::OverBudget { retry_after } => Status::with_error_details(
            Code::ResourceExhausted,
            "the tenant sends more requests than it may",
            ErrorDetails::with_retry_info(Some(retry_after)),
        ),
        Error::Unavailable { retry_after } => Status::with_error_details(
            Code::Unavailable,
            "credentials cannot be checked now",
            ErrorDetails::with_retry_info(Some(retry_after)),
        ),
    }
}

/// The same for a method that is not there, one that is not for this listener and one that is not for this service.
fn nobody() -> Status {
    Status::permission_denied("this method is not for its caller here")
}

fn denied(scopes: &[Scope]) -> Status {
    let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
    Status::permission_denied(format!("the key needs one of these scopes: {}", scopes.join(", ")))
}
