//! `/Users` (RFC 7644 section 3).

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use http::{HeaderMap, StatusCode};
use scim::{Definition, Error, Projection, Resource, ResourceType, Schemas, patch::Operation};
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
/// A PATCH of more operations is computed apart from the threads that serve other requests.
const OPERATIONS_HERE_MAX: usize = 256;

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
    Ok(answer::located(rendering.written(StatusCode::CREATED, user).await?, &location))
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
    query: Query,
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

/// As [`list`], with the parameters in the body.
pub(crate) async fn search(
    facade: State<Facade>,
    directory: Directory,
    base: Base,
    Search(query): Search,
) -> Result<Response, Refusal> {
    list(facade, directory, base, query).await
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
        directory.replace_user(to_wire(id, resource), expected).await.map_err(refused)?
    } else {
        rendering.change(&facade, &id, &if_match, &Edit::Replace(resource)).await?
    };
    rendering.written(StatusCode::OK, user).await
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
    let operations = operations(&facade, &directory, rendering.definition(), body.clone()).await?;
    let if_match = IfMatch::from_headers(&headers);
    let user = rendering.change(&facade, &id, &if_match, &Edit::Patch { operations, body }).await?;
    rendering.written(StatusCode::OK, user).await
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

/// Thousands of operations on long lists take a while, and would hold up whoever shares the thread.
async fn patched_apart(
    schemas: Arc<Schemas>,
    body: Value,
    stored: Map<String, Value>,
) -> Result<Map<String, Value>, Refusal> {
    let work = move || {
        let definition = schemas.of(ResourceType::User);
        let (operations, _) = scim_entra::patch(definition, body)?;
        let stored = Resource::from_trusted_object(definition, stored);
        Ok(scim::patch::apply(&stored, &operations)?.into_object())
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(patched) => patched.map_err(|error: Error| error.into()),
        Err(_) => {
            tracing::error!("computing a PATCH ended in a panic");
            Err(Refusal::internal())
        }
    }
}

/// What a user becomes that has to be read first.
enum Edit<'s> {
    /// This, but for `active`, of which nothing was said. Silence says nothing of access: a leaver does not come back because a client leaves
    /// the attribute away.
    Replace(Resource<'s>),
    /// What these operations make of it; the body that they were read from is for computing it elsewhere.
    Patch { operations: Vec<Operation<'s>>, body: Value },
}

impl<'s> Edit<'s> {
    async fn applied_to(&self, schemas: &Arc<Schemas>, stored: Resource<'s>) -> Result<Resource<'s>, Refusal> {
        match self {
            Self::Replace(resource) => {
                let mut object = resource.as_object().clone();
                if let Some(active) = stored.get("active") {
                    object.insert("active".to_owned(), active.clone());
                }
                Ok(Resource::from_trusted_object(stored.definition(), object))
            }
            Self::Patch { operations, .. } if operations.len() <= OPERATIONS_HERE_MAX => {
                Ok(scim::patch::apply(&stored, operations)?)
            }
            Self::Patch { body, .. } => {
                let definition = stored.definition();
                let patched = patched_apart(Arc::clone(schemas), body.clone(), stored.into_object()).await?;
                Ok(Resource::from_trusted_object(definition, patched))
            }
        }
    }
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
        let directory = self.directory;
        let _turn = facade.turns().take(directory.principal().tenant, id).await;
        let mut attempt = 0;
        loop {
            let stored = directory.get_user(id, UserView::Basic).await.map_err(refused)?;
            let version = stored.version;
            if_match.check(Version(version))?;
            let edited = edit.applied_to(&self.schemas, to_resource(self.definition(), stored)).await?;
            let status = match directory.replace_user(to_wire(id.to_owned(), edited), Some(version)).await {
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

    /// A user that this request has written.
    async fn written(&self, status: StatusCode, user: User) -> Result<Response, Refusal> {
        match self.view()? {
            UserView::Full => {
                let user = self.directory.get_user(&user.id, UserView::Full).await.map_err(refused)?;
                self.user(status, user)
            }
            UserView::Basic | UserView::Unspecified => self.user(status, user),
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
