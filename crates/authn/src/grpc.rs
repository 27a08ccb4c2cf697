//! Authentication and scopes in front of a gRPC service, in one place for all its methods.

use std::{
    collections::HashMap,
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ::http::{Request, Response, header::AUTHORIZATION};
use secrecy::ExposeSecret;
use tonic::{Code, Status, body::Body, metadata::MetadataValue, server::NamedService};
use tonic_types::{ErrorDetails, StatusExt};
use tower::Service;

use crate::{Authenticator, Error, Principal, Scope};

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone, without a credential.
    Public,
    /// A caller that has one of these scopes, itself or implied.
    AnyOf(&'static [Scope]),
}

/// Who may call which method. A method without a row is refused.
#[derive(Clone, Debug, Default)]
pub struct AccessTable(HashMap<&'static str, Access>);

impl AccessTable {
    /// The table with these rows: the method's full path, as in `/rollcall.identity.v1.UserService/GetUser`, and who
    /// may call it.
    #[must_use]
    pub fn new(rows: impl IntoIterator<Item = (&'static str, Access)>) -> Self {
        Self(rows.into_iter().collect())
    }

    /// The row of a method, for tests that walk a service's methods.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Access> {
        self.0.get(path).copied()
    }
}

/// Puts authentication in front of a service: `Layer::new(authenticator, table).layer(UserServiceServer::new(users))`.
/// To stand on the server's side of every channel, in-process ones included.
#[derive(Clone, Debug)]
pub struct Layer {
    authenticator: Authenticator,
    table: Arc<AccessTable>,
}

impl Layer {
    /// A layer that lets in whom `table` names.
    #[must_use]
    pub fn new(authenticator: Authenticator, table: AccessTable) -> Self {
        Self { authenticator, table: Arc::new(table) }
    }

    /// Lets `request` in, with its principal in its extensions, or says why not.
    async fn admit(&self, request: &mut Request<Body>) -> Result<(), Status> {
        let path = request.uri().path();
        let Some(access) = self.table.get(path) else {
            tracing::error!(rpc.method = path, "a method has no row in the access table");
            return Err(Status::permission_denied("nobody may call this method"));
        };
        let Access::AnyOf(scopes) = access else { return Ok(()) };
        let bearer = crate::http::bearer(request.headers()).map_err(status)?;
        let principal = self.authenticator.authenticate(&bearer).await.map_err(status)?;
        if !scopes.iter().any(|scope| principal.scopes.allows(*scope)) {
            return Err(denied(scopes));
        }
        // Where the operator names another, the service records that.
        tracing::Span::current().record("tenant.id", tracing::field::display(principal.tenant));
        // Nothing behind this point needs the credential, so nothing can log it.
        request.headers_mut().remove(AUTHORIZATION);
        request.extensions_mut().insert(principal);
        Ok(())
    }
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
        Error::Unavailable { retry_after } => Status::with_error_details(
            Code::Unavailable,
            "credentials cannot be checked now",
            ErrorDetails::with_retry_info(Some(retry_after)),
        ),
    }
}

fn denied(scopes: &[Scope]) -> Status {
    let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
    Status::permission_denied(format!("the key needs one of these scopes: {}", scopes.join(", ")))
}
