//! The table of routes, and what stands in front of all of them.

use std::{any::Any, convert::Infallible};

use authn::Authenticator;
use axum::{
    Router,
    extract::{Request, State},
    middleware,
    response::{IntoResponse, Response},
    routing::{MethodRouter, any, get, post},
};
use http::{
    Uri,
    uri::{Parts, PathAndQuery},
};
use scim::Error;
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    Config, Facade, ProvisioningLog, authentication,
    base::PATH,
    error::Refusal,
    events,
    http::{bulk, discovery, groups, me, root, users},
    identity::Channel,
    log, oauth,
};

/// The service, under `/api/scim/v2`, the token endpoint of its clients, `/api/oauth2/token`, and events to be fetched, under `/api/events/v1`. Each route of the service demands a
/// credential, the unknown ones too. Paths elsewhere are left to whatever it is merged with.
/// Each request of the service leaves an entry in `log`.
pub fn router(config: Config, authenticator: Authenticator, identity: Channel, log: ProvisioningLog) -> Router {
    let facade = Facade::new(&config, authenticator, identity, log);
    let known = known().with_state(facade.clone());
    let unknown = any(collapse).with_state(known.clone().fallback(no_endpoint));
    let all = [(format!("{PATH}/{{*rest}}"), unknown)];
    let known = paths().map(|(path, methods)| (path, methods.with_state(facade.clone())));
    let token = post(oauth::token)
        .fallback(oauth::method_not_allowed)
        .layer::<_, Infallible>(CatchPanicLayer::custom(panicked));
    let outside = |methods: MethodRouter<Facade>| {
        let methods = methods.fallback(events::method_not_allowed);
        methods.layer::<_, Infallible>(CatchPanicLayer::custom(panicked)).with_state(facade.clone())
    };
    let router = Router::new()
        .route(oauth::PATH, token.with_state(facade.clone()))
        .route(events::JWKS_PATH, outside(get(events::jwks)))
        .route(events::POLL_PATH, outside(post(events::poll)));
    known.chain(all).fold(router, |router, (path, methods)| router.route(&path, guarded(methods, &facade)))
}

/// The routes by themselves, for a path that was collapsed after its request was let in.
fn known() -> Router<Facade> {
    paths().fold(Router::new(), |router, (path, methods)| router.route(&path, methods))
}

/// The layers stand around each route and not around the router: that would take in its fallback, and with it the
/// paths of others.
fn guarded(methods: MethodRouter, facade: &Facade) -> MethodRouter {
    methods
        .layer::<_, Infallible>(middleware::from_fn_with_state(facade.clone(), authentication::admit))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(facade.clone(), log::record))
}

/// Every endpoint as a path, with and without a slash at its end.
fn paths() -> impl Iterator<Item = (String, MethodRouter<Facade>)> {
    endpoints().flat_map(|(endpoint, methods)| {
        [(format!("{PATH}{endpoint}"), methods.clone()), (format!("{PATH}{endpoint}/"), methods)]
    })
}

/// Every endpoint, relative to the tenant URL, with an answer to every method.
pub(crate) fn endpoints() -> impl Iterator<Item = (&'static str, MethodRouter<Facade>)> {
    let offered = offered().into_iter().map(|(endpoint, methods)| (endpoint, methods.fallback(method_not_allowed)));
    offered.chain([("/Me", any(me::not_offered))])
}

/// The endpoints that offer some methods and not others. A 405 lists them in `Allow`; HEAD goes with GET.
fn offered() -> [(&'static str, MethodRouter<Facade>); 14] {
    [
        ("", get(root::list)),
        ("/.search", post(root::list)),
        ("/Bulk", post(bulk::run)),
        ("/Users", get(users::list).post(users::create)),
        ("/Users/.search", post(users::list)),
        ("/Users/{id}", get(users::get).put(users::replace).patch(users::patch).delete(users::delete)),
        ("/Groups", get(groups::list).post(groups::create)),
        ("/Groups/.search", post(groups::list)),
        ("/Groups/{id}", get(groups::get).put(groups::replace).patch(groups::patch).delete(groups::delete)),
        ("/ServiceProviderConfig", get(discovery::service_provider_config)),
        ("/ResourceTypes", get(discovery::resource_types)),
        ("/ResourceTypes/{name}", get(discovery::resource_type)),
        ("/Schemas", get(discovery::schemas)),
        ("/Schemas/{urn}", get(discovery::schema)),
    ]
}

/// A path that no route has: with its doubled slashes made one it may still be known, else there is nothing.
///
/// Entra appends `/Users` to a tenant URL that may end in a slash (entra-wire 1.1).
async fn collapse(State(known): State<Router>, mut request: Request) -> Response {
    if let Some(uri) = collapsed(request.uri()) {
        *request.uri_mut() = uri;
    }
    match known.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn collapsed(uri: &Uri) -> Option<Uri> {
    let mut path = String::with_capacity(uri.path().len());
    for c in uri.path().chars() {
        if c != '/' || !path.ends_with('/') {
            path.push(c);
        }
    }
    if let Some(query) = uri.query() {
        path.push('?');
        path.push_str(query);
    }
    let mut parts: Parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

async fn no_endpoint() -> Refusal {
    Error::not_found("there is no such endpoint").into()
}

async fn method_not_allowed() -> Refusal {
    Error::method_not_allowed("this endpoint does not offer this method").into()
}

/// What panicked is told by the panic itself on standard error; here the request is told apart from others by its span.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request ended in a panic");
    Refusal::internal().into_response()
}
