//! `/Groups` (RFC 7644 section 3). A group is changed without being read, and its members are never held whole (rule
//! D7).

use axum::{extract::State, response::Response};
use http::{HeaderMap, StatusCode};
use scim::{Projection, ResourceType};
use serde_json::{Map, Value};
use tonic::Status;

use super::{
    answer,
    list::{Answered, Listing, Slice},
    members::{Document, Members},
    operations,
    request::{Id, Json, Query, Search},
    sent,
};
use crate::{
    Facade,
    base::Base,
    error::Refusal,
    identity::{ChangeGroupRequest, Directory, Group, GroupChange, ListGroupsRequest, ListGroupsResponse},
    mapping::group::{Sent, change_to_wire, to_response},
    precondition::{self, IfMatch, Version},
};

pub(crate) async fn create(
    State(facade): State<Facade>,
    directory: Directory,
    base: Base,
    query: Query,
    Json(body): Json,
) -> Result<Response, Refusal> {
    let projection = query.projection(ResourceType::Group)?;
    let Sent { group, member_ids } = sent(&facade, &directory, ResourceType::Group.into(), body).await?.into();
    let members = if member_ids.is_empty() { Members::None } else { Members::Listed };
    directory.recorder().members(&member_ids);
    let group = directory.create_group(group, member_ids).await.map_err(refused)?;
    let location = base.resource(ResourceType::Group, &group.id);
    let response = Rendering { directory, base, projection }.written(StatusCode::CREATED, group, members).await?;
    Ok(answer::located(response, &location))
}

pub(crate) async fn get(
    directory: Directory,
    base: Base,
    Id(id): Id,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let projection = query.projection(ResourceType::Group)?;
    let group = directory.get_group(&id).await.map_err(refused)?;
    if precondition::is_known(&headers, Version(group.version)) {
        return Ok(answer::tagged(answer::empty(StatusCode::NOT_MODIFIED), Version(group.version)));
    }
    Rendering { directory, base, projection }.group(StatusCode::OK, group, Members::Listed).await
}

pub(crate) async fn list(directory: Directory, base: Base, Search(query): Search) -> Result<Response, Refusal> {
    let projection = query.projection(ResourceType::Group)?;
    let Listing { filter, order, slice } = Listing::parse(ResourceType::Group.into(), query.list())?;
    let (page_size, page_token, skip) = (slice.page_size(), slice.page_token(), slice.skip());
    let request = ListGroupsRequest { filter, page_size, page_token, skip, order, ..ListGroupsRequest::default() };
    let ListGroupsResponse { groups, next_page_token, total_size } =
        directory.list_groups(request).await.map_err(refused)?;
    let answered = Answered { total: total_size, next_page_token };
    Rendering { directory, base, projection }.list(&slice, &answered, Vec::new(), groups).await
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
    let projection = query.projection(ResourceType::Group)?;
    let sent: Sent = sent(&facade, &directory, ResourceType::Group.into(), body).await?.into();
    let members = if sent.member_ids.is_empty() { Members::None } else { Members::Listed };
    let group = change(&directory, id, &headers, sent.replacing()).await?;
    Rendering { directory, base, projection }.written(StatusCode::OK, group, members).await
}

/// Answers without a body, as Entra advises: a group can be large, and whoever changes it knows what it changed
/// (entra-wire 3).
pub(crate) async fn patch(
    State(facade): State<Facade>,
    directory: Directory,
    Id(id): Id,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Refusal> {
    let operations = operations(&facade, &directory, ResourceType::Group.into(), body).await?;
    let changes = scim::patch::group_changes(&operations)?;
    // Without a change identity still says whether there is such a group, and whether it may be written now.
    let group = change(&directory, id, &headers, changes.into_iter().map(change_to_wire).collect()).await?;
    Ok(answer::tagged(answer::empty(StatusCode::NO_CONTENT), Version(group.version)))
}

pub(crate) async fn delete(directory: Directory, Id(id): Id, headers: HeaderMap) -> Result<Response, Refusal> {
    let expected = expected(&directory, &id, &headers).await?;
    directory.delete_group(&id, expected).await.map_err(refused)?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

async fn change(
    directory: &Directory,
    group_id: String,
    headers: &HeaderMap,
    changes: Vec<GroupChange>,
) -> Result<Group, Refusal> {
    let expected_version = expected(directory, &group_id, headers).await?;
    let request = ChangeGroupRequest { group_id, changes, expected_version, ..ChangeGroupRequest::default() };
    directory.change_group(request).await.map_err(refused)
}

async fn expected(directory: &Directory, id: &str, headers: &HeaderMap) -> Result<Option<i64>, Refusal> {
    let stored = async { Ok(directory.get_group(id).await.map_err(refused)?.version) };
    precondition::expected(&IfMatch::from_headers(headers), stored).await
}

fn refused(status: Status) -> Refusal {
    Refusal::from_status(ResourceType::Group, &status)
}

/// How groups are answered to one request.
pub(crate) struct Rendering {
    pub(crate) directory: Directory,
    pub(crate) base: Base,
    pub(crate) projection: Projection<'static>,
}

impl Rendering {
    /// A group that this request has written. Where its members cannot be read for the answer, the answer lacks them: word that the write failed
    /// would make the client write again.
    async fn written(self, status: StatusCode, group: Group, members: Members) -> Result<Response, Refusal> {
        let version = Version(group.version);
        let (_, head) = self.head(group.clone());
        match self.group(status, group, members).await {
            Ok(response) => Ok(response),
            Err(_) => Ok(answer::resource(status, head, version)),
        }
    }

    async fn group(self, status: StatusCode, group: Group, members: Members) -> Result<Response, Refusal> {
        let version = Version(group.version);
        let (id, head) = self.head(group);
        if !self.projection.includes("members") {
            return Ok(answer::resource(status, head, version));
        }
        let mut document = Document::default();
        document.group(id, &head, members);
        let body = document.into_body(self.directory, self.base, self.projection).await.map_err(refused)?;
        Ok(answer::tagged(answer::with_body(status, body), version))
    }

    /// A list of groups, after what else was found.
    pub(crate) async fn list(
        self,
        slice: &Slice,
        answered: &Answered,
        found: Vec<Value>,
        groups: Vec<Group>,
    ) -> Result<Response, Refusal> {
        if !self.projection.includes("members") {
            let groups = groups.into_iter().map(|group| Value::Object(self.head(group).1));
            let resources = found.into_iter().chain(groups).collect();
            return Ok(answer::json(StatusCode::OK, &Value::Object(slice.response(answered, resources))));
        }
        let mut document = Document::default();
        document.begin_list(&slice.response_without_resources(answered, found.len() + groups.len()));
        let groups_begin = found.len();
        for (at, resource) in found.iter().enumerate() {
            document.separate(at);
            document.resource(resource);
        }
        for (at, group) in (groups_begin..).zip(groups) {
            let (id, head) = self.head(group);
            document.separate(at);
            document.group(id, &head, Members::Listed);
        }
        document.end_list();
        let body = document.into_body(self.directory, self.base, self.projection).await.map_err(refused)?;
        Ok(answer::with_body(StatusCode::OK, body))
    }

    /// The group's id, and what is answered of it before its members.
    fn head(&self, group: Group) -> (String, Map<String, Value>) {
        let id = group.id.clone();
        let mut head = to_response(group, &self.base);
        self.projection.apply(&mut head);
        (id, head)
    }
}
