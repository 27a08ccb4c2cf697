//! `/Users` (RFC 7644 section 3).

use std::time::Duration;

use axum::{extract::State, response::Response};
use http::{HeaderMap, StatusCode};
use scim::{Error, Projection, Resource, ResourceType};
use serde_json::{Map, Value};
use tonic::{Code, Status};
use uuid::Uuid;

use super::{
    answer,
    list::{Answered, Listing},
    operations,
    request::{Id, Json, Query, Search},
    sent,
};
use crate::{
    Facade,
    base::Base,
    error::Refusal,
    identity::{Directory, ErrorReason, ListUsersRequest, ListUsersResponse, User, has_reason},
    mapping::{
        filter,
        user::{to_resource, to_response, to_wire},
    },
    precondition::{self, IfMatch, Version},
};

/// How often a user that changed meanwhile is read again, computed again and written again.
const RETRIES_MAX: u32 = 5;
/// The longest pause before the first of these; it grows with each.
const PAUSE_MAX: Duration = Duration::from_millis(16);

pub(crate) async fn create(
    State(facade): State<Facade>,
    directory: Directory,
    base: Base,
    query: Query,
    Json(body): Json,
) -> Result<Response, Refusal> {
    let projection = query.projection(ResourceType::User)?;
    let resource = sent(&facade, &directory, ResourceType::User, body).await?;
    let user = directory.create_user(to_wire(String::new(), resource)).await.map_err(refused)?;
    let location = base.resource(ResourceType::User, &user.id);
    Ok(answer::located(rendered(StatusCode::CREATED, user, &base, &projection), &location))
}

pub(crate) async fn get(
    directory: Directory,
    base: Base,
    Id(id): Id,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let projection = query.projection(ResourceType::User)?;
    let user = directory.get_user(&id).await.map_err(refused)?;
    if precondition::is_known(&headers, Version(user.version)) {
        return Ok(answer::tagged(answer::empty(StatusCode::NOT_MODIFIED), Version(user.version)));
    }
    Ok(rendered(StatusCode::OK, user, &base, &projection))
}

pub(crate) async fn list(directory: Directory, base: Base, query: Query) -> Result<Response, Refusal> {
    let projection = query.projection(ResourceType::User)?;
    let listing = Listing::parse(ResourceType::User, query.list())?;
    let ListUsersResponse { users, next_page_token, total_size } = page(&directory, &listing, &base).await?;
    let resources = users.into_iter().map(|user| Value::Object(projected(user, &base, &projection))).collect();
    let response = listing.response(&Answered { total: total_size, next_page_token }, resources);
    Ok(answer::json(StatusCode::OK, &Value::Object(response)))
}

/// As [`list`], with the parameters in the body.
pub(crate) async fn search(directory: Directory, base: Base, Search(query): Search) -> Result<Response, Refusal> {
    list(directory, base, query).await
}

pub(crate) async fn replace(
    State(facade): State<Facade>,
    directory: Directory,
    base: Base,
    Id(id): Id,
    query: Query,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Refusal> {
    let projection = query.projection(ResourceType::User)?;
    let if_match = IfMatch::from_headers(&headers);
    let resource = sent(&facade, &directory, ResourceType::User, body).await?;
    let user = if resource.get("active").is_some() {
        let expected =
            precondition::expected(&if_match, async { Ok(directory.get_user(&id).await.map_err(refused)?.version) })
                .await?;
        directory.replace_user(to_wire(id, resource), expected).await.map_err(refused)?
    } else {
        change(&facade, &directory, &id, &if_match, |_| Ok(resource.clone())).await?
    };
    Ok(rendered(StatusCode::OK, user, &base, &projection))
}

pub(crate) async fn patch(
    State(facade): State<Facade>,
    directory: Directory,
    base: Base,
    Id(id): Id,
    query: Query,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Refusal> {
    let projection = query.projection(ResourceType::User)?;
    let operations = operations(&facade, &directory, ResourceType::User, body).await?;
    let if_match = IfMatch::from_headers(&headers);
    let user = change(&facade, &directory, &id, &if_match, |stored| scim::patch::apply(&stored, &operations)).await?;
    Ok(rendered(StatusCode::OK, user, &base, &projection))
}

pub(crate) async fn delete(directory: Directory, Id(id): Id, headers: HeaderMap) -> Result<Response, Refusal> {
    let if_match = IfMatch::from_headers(&headers);
    let expected =
        precondition::expected(&if_match, async { Ok(directory.get_user(&id).await.map_err(refused)?.version) })
            .await?;
    directory.delete_user(&id, expected).await.map_err(refused)?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Reads, computes and writes a user, again if another write came between (rule D3), or if it is not known whether
/// the write arrived.
async fn change(
    facade: &Facade,
    directory: &Directory,
    id: &str,
    if_match: &IfMatch,
    compute: impl Fn(Resource) -> Result<Resource, Error>,
) -> Result<User, Refusal> {
    let _turn = facade.turns().take(directory.principal().tenant, id).await;
    let mut attempt = 0;
    loop {
        let stored = directory.get_user(id).await.map_err(refused)?;
        let version = stored.version;
        if_match.check(Version(version))?;
        let stored = to_resource(stored);
        let active = stored.get("active").cloned();
        let mut computed = compute(stored)?.into_object();
        // What is silent about it, or takes it away, must not give a leaver access again.
        if let (None, Some(active)) = (computed.get("active"), active) {
            computed.insert("active".to_owned(), active);
        }
        let computed = Resource::from_trusted_object(ResourceType::User, computed);
        let status = match directory.replace_user(to_wire(id.to_owned(), computed), Some(version)).await {
            Ok(user) => return Ok(user),
            Err(status) => status,
        };
        let is_outdated = has_reason(&status, ErrorReason::VersionMismatch);
        let may_pass = *if_match == IfMatch::Any && (is_outdated || status.code() == Code::Unavailable);
        if !may_pass || attempt == RETRIES_MAX {
            return Err(if may_pass && is_outdated { Refusal::contended() } else { refused(status) });
        }
        attempt += 1;
        tokio::time::sleep(pause(attempt)).await;
    }
}

/// Replicas that lost to the same write come back at different times.
fn pause(attempt: u32) -> Duration {
    let [random, ..] = Uuid::new_v4().into_bytes();
    PAUSE_MAX * attempt * u32::from(random) / u32::from(u8::MAX)
}

async fn page(directory: &Directory, listing: &Listing, base: &Base) -> Result<ListUsersResponse, Refusal> {
    let unsupported = match listing.wire_filter() {
        Ok(filter) => {
            let (page_token, skip) = (listing.page_token(), listing.skip());
            let request = ListUsersRequest {
                filter,
                page_size: listing.page_size(),
                page_token,
                skip,
                ..ListUsersRequest::default()
            };
            match whole_page(directory, request).await {
                Ok(page) => return Ok(page),
                Err(status) if has_reason(&status, ErrorReason::UnsupportedFilter) => refused(status),
                Err(status) => return Err(refused(status)),
            }
        }
        Err(error) => error.into(),
    };
    one(directory, listing, base).await?.ok_or(unsupported)
}

/// A page that is too large for one message is asked for again with half as many users: a client may get fewer than
/// it wants.
async fn whole_page(directory: &Directory, mut request: ListUsersRequest) -> Result<ListUsersResponse, Status> {
    loop {
        match directory.list_users(request.clone()).await {
            Err(status) if status.code() == Code::OutOfRange && request.page_size > 1 => request.page_size /= 2,
            listed => return listed,
        }
    }
}

/// The answer to a filter that no index serves, where one of its terms leaves at most one user to look at.
async fn one(directory: &Directory, listing: &Listing, base: &Base) -> Result<Option<ListUsersResponse>, Refusal> {
    let Some(whole) = &listing.filter else { return Ok(None) };
    let Some(term) = filter::unique_term(whole) else { return Ok(None) };
    let term = filter::to_wire(ResourceType::User, term)?;
    let request = ListUsersRequest { filter: Some(term), page_size: 1, ..ListUsersRequest::default() };
    let mut found = directory.list_users(request).await.map_err(refused)?;
    found.users.retain(|user| whole.matches_resource(&to_response(user.clone(), base)));
    found.total_size = i64::try_from(found.users.len()).unwrap_or(0);
    if listing.skip() > 0 || listing.page_size() == 0 {
        found.users.clear();
    }
    Ok(Some(found))
}

fn refused(status: Status) -> Refusal {
    Refusal::from_status(ResourceType::User, &status)
}

fn rendered(status: StatusCode, user: User, base: &Base, projection: &Projection) -> Response {
    let version = Version(user.version);
    answer::resource(status, projected(user, base, projection), version)
}

fn projected(user: User, base: &Base, projection: &Projection) -> Map<String, Value> {
    let mut response = to_response(user, base);
    projection.apply(&mut response);
    response
}
