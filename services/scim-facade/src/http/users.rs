//! `/Users` (RFC 7644 section 3).

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use http::{HeaderMap, StatusCode};
use scim::{Definition, Error, Projection, Resource, ResourceType, Schemas, patch::Operation};
use scim_entra::Dropped;
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
    identity::{Directory, ErrorReason, ListUsersRequest, ListUsersResponse, User, UserView, has_reason},
    mapping::user::{to_resource, to_response, to_wire},
    precondition::{self, IfMatch, Version},
};

/// How often a user that changed meanwhile is read again, computed again and written again.
const RETRIES_MAX: u32 = 5;
/// The longest pause before the first of these; it grows with each.
const PAUSE_MAX: Duration = Duration::from_millis(16);
/// A PATCH that asks for more work is computed apart from the threads that serve other requests: so many short operations.
const WEIGHT_HERE_MAX: usize = 64;
/// How long the path and the text of a short operation are, in bytes.
const TEXT_OF_ONE: usize = 256;

pub(crate) async fn create(
    State(facade): State<Facade>,
    directory: Directory,
    base: Base,
    query: Query,
    Json(body): Json,
) -> Result<Response, Refusal> {
    let rendering = Rendering::new(&facade, &directory, &base, &query).await?;
    let resource = sent(&facade, &directory, rendering.definition(), body).await?;
    let user = directory.create_user(to_wire(String::new(), resource)).await.map_err(refused)?;
    let location = base.resource(ResourceType::User, &user.id);
    // Nobody is a member of anything before being there.
    Ok(answer::located(rendering.user(StatusCode::CREATED, user)?, &location))
}

pub(crate) async fn get(
    State(facade): State<Facade>,
    directory: Directory,
    base: Base,
    Id(id): Id,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let rendering = Rendering::new(&facade, &directory, &base, &query).await?;
    let user = directory.get_user(&id, rendering.view()?).await.map_err(refused)?;
    if precondition::is_known(&headers, Version(user.version)) {
        return Ok(answer::tagged(answer::empty(StatusCode::NOT_MODIFIED), Version(user.version)));
    }
    rendering.user(StatusCode::OK, user)
}

pub(crate) async fn list(
    State(facade): State<Facade>,
    directory: Directory,
    base: Base,
    Search(query): Search,
) -> Result<Response, Refusal> {
    let rendering = Rendering::new(&facade, &directory, &base, &query).await?;
    let Listing { filter, order, slice } = Listing::parse(rendering.definition(), query.list())?;
    let request = ListUsersRequest {
        filter,
        order,
        page_size: slice.page_size(),
        page_token: slice.page_token(),
        skip: slice.skip(),
        view: rendering.view()?.into(),
        ..ListUsersRequest::default()
    };
    let ListUsersResponse { users, next_page_token, total_size } = page(&directory, request).await?;
    let resources = rendering.users(users)?;
    let response = slice.response(&Answered { total: total_size, next_page_token }, resources);
    Ok(answer::json(StatusCode::OK, &Value::Object(response)))
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
    let rendering = Rendering::new(&facade, &directory, &base, &query).await?;
    let if_match = IfMatch::from_headers(&headers);
    let resource = sent(&facade, &directory, rendering.definition(), body).await?;
    let user = if resource.get("active").is_some() {
        let expected = expected(&directory, &id, &if_match).await?;
        directory.replace_user(to_wire(id, resource), expected, rendering.view()?).await.map_err(refused)?
    } else {
        rendering.change(&facade, &id, &if_match, &Edit::Replace(resource)).await?
    };
    rendering.user(StatusCode::OK, user)
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
    let rendering = Rendering::new(&facade, &directory, &base, &query).await?;
    let edit = if weight(&body) > WEIGHT_HERE_MAX {
        Edit::PatchApart(Arc::new(body))
    } else {
        Edit::Patch(operations(&facade, &directory, rendering.definition(), body).await?)
    };
    let user = rendering.change(&facade, &id, &IfMatch::from_headers(&headers), &edit).await?;
    rendering.user(StatusCode::OK, user)
}

pub(crate) async fn delete(directory: Directory, Id(id): Id, headers: HeaderMap) -> Result<Response, Refusal> {
    let expected = expected(&directory, &id, &IfMatch::from_headers(&headers)).await?;
    directory.delete_user(&id, expected).await.map_err(refused)?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

async fn expected(directory: &Directory, id: &str, if_match: &IfMatch) -> Result<Option<i64>, Refusal> {
    let stored = async { Ok(directory.get_user(id, UserView::Basic).await.map_err(refused)?.version) };
    precondition::expected(if_match, stored).await
}

/// How much work a body seems to ask for: its operations, a long filter in a path counting for several. Enough to know where to compute it, and no
/// judgement of the body.
fn weight(body: &Value) -> usize {
    let texts = |operation: &Value| {
        let members = operation.as_object().into_iter().flatten();
        members.filter_map(|(_, value)| value.as_str()).map(str::len).sum::<usize>()
    };
    let members = body.as_object().into_iter().flatten();
    let lists = members.filter_map(|(_, value)| value.as_array());
    lists.map(|list| list.iter().map(|operation| 1 + texts(operation) / TEXT_OF_ONE).sum()).max().unwrap_or(0)
}

/// What a user becomes that has to be read first.
enum Edit<'s> {
    /// This, but for `active`, of which nothing was said. Silence says nothing of access: a leaver does not come back because a client leaves
    /// the attribute away.
    Replace(Resource<'s>),
    /// What these operations make of it.
    Patch(Vec<Operation<'s>>),
    /// What the many operations of this body make of it, computed apart from the threads that serve other requests.
    PatchApart(Arc<Value>),
}

/// What a PATCH made of a user, and what was dropped from it.
type Patched = (Map<String, Value>, Vec<Dropped>);

impl<'s> Edit<'s> {
    async fn applied_to(
        &self,
        facade: &Facade,
        schemas: &Arc<Schemas>,
        directory: &Directory,
        stored: Resource<'s>,
    ) -> Result<Resource<'s>, Refusal> {
        match self {
            Self::Replace(resource) => {
                let mut object = resource.as_object().clone();
                if let Some(active) = stored.get("active") {
                    object.insert("active".to_owned(), active.clone());
                }
                Ok(Resource::from_trusted_object(stored.definition(), object))
            }
            Self::Patch(operations) => Ok(scim::patch::apply(&stored, operations)?),
            Self::PatchApart(body) => {
                let definition = stored.definition();
                let (schemas, body, stored) = (Arc::clone(schemas), Arc::clone(body), stored.into_object());
                let work = move || patched(&schemas, &body, stored);
                let (patched, dropped) = facade.apart().run(work).await??;
                facade.dropped().mention(directory, ResourceType::User, dropped).await;
                Ok(Resource::from_trusted_object(definition, patched))
            }
        }
    }
}

fn patched(schemas: &Schemas, body: &Value, stored: Map<String, Value>) -> Result<Patched, Error> {
    let definition = schemas.of(ResourceType::User);
    let (operations, dropped) = scim_entra::patch(definition, body.clone())?;
    let stored = Resource::from_trusted_object(definition, stored);
    Ok((scim::patch::apply(&stored, &operations)?.into_object(), dropped))
}

/// Replicas that lost to the same write come back at different times.
fn pause(attempt: u32) -> Duration {
    let [random, ..] = Uuid::new_v4().into_bytes();
    PAUSE_MAX * attempt * u32::from(random) / u32::from(u8::MAX)
}

/// A page that is too large for one message is asked for again with half as many users: a client may get fewer than
/// it wants.
pub(crate) async fn page(directory: &Directory, mut request: ListUsersRequest) -> Result<ListUsersResponse, Refusal> {
    loop {
        match directory.list_users(request.clone()).await {
            Err(status) if status.code() == Code::OutOfRange && request.page_size > 1 => request.page_size /= 2,
            listed => return listed.map_err(refused),
        }
    }
}

fn refused(status: Status) -> Refusal {
    Refusal::from_status(ResourceType::User, &status)
}

/// How users are answered to one request.
pub(crate) struct Rendering<'r> {
    schemas: Arc<Schemas>,
    directory: &'r Directory,
    base: &'r Base,
    query: &'r Query,
}

impl<'r> Rendering<'r> {
    pub(crate) async fn new(
        facade: &Facade,
        directory: &'r Directory,
        base: &'r Base,
        query: &'r Query,
    ) -> Result<Self, Refusal> {
        let rendering = Self { schemas: facade.schemas().of(directory).await?, directory, base, query };
        // Parameters that cannot be obeyed are refused before anything is written.
        rendering.projection()?;
        Ok(rendering)
    }

    pub(crate) fn definition(&self) -> Definition<'_> {
        self.schemas.of(ResourceType::User)
    }

    fn projection(&self) -> Result<Projection<'_>, Error> {
        self.query.projection(self.definition())
    }

    /// How much of a user has to be read.
    pub(crate) fn view(&self) -> Result<UserView, Error> {
        Ok(if self.projection()?.includes("groups") { UserView::Full } else { UserView::Basic })
    }

    /// Reads, computes and writes a user, again if another write came between (rule D3), or if it is not known whether
    /// the write arrived.
    async fn change<'s>(
        &'s self,
        facade: &Facade,
        id: &str,
        if_match: &IfMatch,
        edit: &Edit<'s>,
    ) -> Result<User, Refusal> {
        let (directory, view) = (self.directory, self.view()?);
        let tenant = directory.principal().tenant;
        let _turn = facade.turns().take(tenant, id).await;
        let mut attempt = 0;
        loop {
            let stored = directory.get_user(id, UserView::Basic).await.map_err(refused)?;
            let version = stored.version;
            if_match.check(Version(version))?;
            let stored = to_resource(self.definition(), stored);
            let before = directory.recorder().is_on().then(|| stored.as_object().clone());
            let edited = edit.applied_to(facade, &self.schemas, directory, stored).await?;
            if let Some(before) = before {
                directory.recorder().edited(&before, edited.as_object());
            }
            let written = directory.replace_user(to_wire(id.to_owned(), edited), Some(version), view).await;
            let status = match written {
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

    fn user(&self, status: StatusCode, user: User) -> Result<Response, Refusal> {
        let version = Version(user.version);
        let mut response = to_response(self.definition(), user, self.base);
        self.projection()?.apply(&mut response);
        Ok(answer::resource(status, response, version))
    }

    pub(crate) fn users(&self, users: Vec<User>) -> Result<Vec<Value>, Error> {
        let projection = self.projection()?;
        let resources = users.into_iter().map(|user| {
            let mut response = to_response(self.definition(), user, self.base);
            projection.apply(&mut response);
            Value::Object(response)
        });
        Ok(resources.collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn many_operations_and_long_filters_are_computed_apart() {
        let short = json!({"op": "replace", "path": "emails[type eq \"work\"].value", "value": "a@example.org"});
        let long = json!({"op": "remove", "path": format!("emails[{}]", vec!["value eq \"a\""; 100].join(" or "))});
        assert_eq!(weight(&json!({"Operations": vec![short.clone(); 36]})), 36);
        assert!(weight(&json!({"operations": vec![short; WEIGHT_HERE_MAX + 1]})) > WEIGHT_HERE_MAX);
        assert!(weight(&json!({"Operations": vec![long; 12]})) > WEIGHT_HERE_MAX);
        assert_eq!((weight(&json!([])), weight(&json!({"Operations": 1}))), (0, 0));
    }
}
