//! Who calls: an API key with the scope `scim`, or an access token that was issued for one, in front of every route.

use authn::{Scope, Source};
use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::Response,
};
use bootstrap::forwarded::Origin;
use http::{header::AUTHORIZATION, request::Parts};
use scim::Error;
use tracing::Span;

use crate::{Facade, error::Refusal, identity::Directory, log::Recorder};

/// Lets a request in, or says why not. A token that is neither a key nor an access token is foreign here, even one of ours (rule R9).
pub(crate) async fn admit(State(facade): State<Facade>, request: Request, next: Next) -> Result<Response, Refusal> {
    let bearer = authn::http::bearer(request.headers())?;
    let (parts, body) = request.into_parts();
    let address = Origin::of(&parts, facade.trusted_proxies()).client;
    let mut request = Request::from_parts(parts, body);
    let recorder: Recorder = request.extensions().get().cloned().unwrap_or_default();
    let authenticated = facade.authenticator().authenticate_client(&bearer, Source::Client(address)).await;
    if let (Err(_), Some((tenant, credential))) = (&authenticated, facade.authenticator().holder(&bearer).await) {
        // Whose administrator wants to know that it is refused.
        recorder.holder(tenant, credential);
    }
    let principal = authenticated?;
    recorder.caller(&principal);
    facade.ending().mention(&principal, &recorder).await;
    if !principal.scopes.allows(Scope::Scim) {
        return Err(Error::forbidden("this API key lacks the scope `scim`: make a key that has it").into());
    }
    Span::current().record("tenant.id", tracing::field::display(principal.tenant));
    // Nothing behind this point needs the key, so nothing can log it.
    request.headers_mut().remove(AUTHORIZATION);
    let directory =
        Directory::new(facade.clients().clone(), facade.authenticator().clone(), (principal, bearer), recorder);
    request.extensions_mut().insert(directory);
    Ok(next.run(request).await)
}

impl FromRequestParts<Facade> for Directory {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Facade) -> Result<Self, Refusal> {
        parts.extensions.get().cloned().ok_or_else(|| {
            tracing::error!("a route stands behind no authentication");
            Refusal::internal()
        })
    }
}
