//! Searching users and groups at once: at the root, by GET or `POST /.search` (RFC 7644 sections 3.4.2.1 and 3.4.3).
//!
//! Users come first, then groups. A resource has no value of an attribute that its type lacks, so a filter over both may leave one of them out.
//! A cursor says in its first letter among which of the two the walk is.

use axum::{extract::State, response::Response};
use scim::{Error, Filter, ResourceType, Schemas, filter::Restricted};

use super::{
    groups,
    list::{Answered, Slice, filter_text},
    request::{Query, Search},
    users,
};
use crate::{
    Facade,
    base::Base,
    error::Refusal,
    identity::{
        Directory, Group, ListGroupsRequest, ListGroupsResponse, ListUsersRequest, ListUsersResponse, User, UserView,
    },
    mapping::filter::{self, WireFilter},
};

/// What a cursor among users begins with.
const AMONG_USERS: char = 'U';
/// What a cursor among groups begins with.
const AMONG_GROUPS: char = 'G';

pub(crate) async fn list(
    State(facade): State<Facade>,
    directory: Directory,
    base: Base,
    Search(query): Search,
) -> Result<Response, Refusal> {
    if query.list().sort_by.as_deref().is_some_and(|name| !name.trim().is_empty()) {
        let detail = "sortBy is offered at /Users and at /Groups, and not across them";
        return Err(Error::invalid_path(detail).into());
    }
    let rendering = users::Rendering::new(&facade, &directory, &base, &query).await?;
    let schemas = facade.schemas().of(&directory).await?;
    let walk = Walk { directory: &directory, filters: Filters::parse(&schemas, &query)?, view: rendering.view()? };
    let slice = Slice::parse(query.list())?;
    let Found { users, groups, answered } = match slice.cursor() {
        Some(cursor) => walk.after(cursor, slice.page_size()).await?,
        None => walk.from(slice.skip(), slice.page_size()).await?,
    };
    let users = rendering.users(users)?;
    let projection = query.projection(ResourceType::Group)?;
    let rendering = groups::Rendering { directory: directory.clone(), base: base.clone(), projection };
    rendering.list(&slice, &answered, users, groups).await
}

/// What is asked of the resources of one type.
enum Asked {
    Everything,
    /// Those that match.
    Matching(WireFilter),
    /// Nothing can match, so nobody is asked.
    Nothing,
}

/// What is asked of both types.
struct Filters {
    users: Asked,
    groups: Asked,
}

impl Filters {
    fn parse(schemas: &Schemas, query: &Query) -> Result<Self, Error> {
        let definitions = schemas.definitions();
        let Some(text) = filter_text(query.list())? else {
            return Ok(Self { users: Asked::Everything, groups: Asked::Everything });
        };
        let filter = Filter::parse_over(&definitions, &scim_entra::filter(&definitions, text))?;
        let asked = |resource_type| -> Result<Asked, Error> {
            let definition = schemas.of(resource_type);
            Ok(match filter.restricted_to(definition) {
                Restricted::Everything => Asked::Everything,
                Restricted::Nothing => Asked::Nothing,
                Restricted::Filter(filter) => Asked::Matching(filter::to_wire(definition, &filter)?),
            })
        };
        Ok(Self { users: asked(ResourceType::User)?, groups: asked(ResourceType::Group)? })
    }
}

/// A page, and how much there is.
#[derive(Default)]
struct Found {
    users: Vec<User>,
    groups: Vec<Group>,
    answered: Answered,
}

struct Walk<'w> {
    directory: &'w Directory,
    filters: Filters,
    view: UserView,
}

impl Walk<'_> {
    /// The page after so many resources.
    async fn from(&self, skip: i32, size: i32) -> Result<Found, Refusal> {
        let listed = self.users(String::new(), skip, size).await?;
        // While users are left, a page holds users alone, even where identity answered fewer than asked.
        let left = if listed.next_page_token.is_empty() { size.saturating_sub(count(listed.users.len())) } else { 0 };
        // How many users a walk counts, those deleted meanwhile too: counting fewer would pass over groups (rule D12).
        let counted = if skip == 0 { listed.total_size } else { self.users(String::new(), 0, 1).await?.total_size };
        let passed = i32::try_from(i64::from(skip).saturating_sub(counted).max(0)).unwrap_or(i32::MAX);
        let groups = self.groups(String::new(), passed, left).await?;
        let total = listed.total_size.max(counted).saturating_add(groups.total_size);
        let answered = Answered { total, next_page_token: String::new() };
        Ok(Found { users: listed.users, groups: groups.groups, answered })
    }

    /// The page at a cursor; an empty one stands before the first user. A page ends with the last user.
    async fn after(&self, cursor: &str, size: i32) -> Result<Found, Refusal> {
        if let Some(token) = cursor.strip_prefix(AMONG_GROUPS) {
            let listed = self.groups(token.to_owned(), 0, size).await?;
            let next_page_token = next(AMONG_GROUPS, &listed.next_page_token);
            let answered = Answered { total: listed.total_size, next_page_token };
            return Ok(Found { groups: listed.groups, answered, ..Found::default() });
        }
        let token = match cursor.strip_prefix(AMONG_USERS) {
            Some(token) => token,
            None if cursor.is_empty() => "",
            None => return Err(Error::invalid_cursor("the cursor is not one that this service gave out").into()),
        };
        let listed = self.users(token.to_owned(), 0, size).await?;
        let groups = self.groups(String::new(), 0, 0).await?.total_size;
        let next_page_token = match next(AMONG_USERS, &listed.next_page_token) {
            token if token.is_empty() && groups > 0 => AMONG_GROUPS.to_string(),
            token => token,
        };
        let answered = Answered { total: listed.total_size.saturating_add(groups), next_page_token };
        Ok(Found { users: listed.users, answered, ..Found::default() })
    }

    async fn users(&self, page_token: String, skip: i32, page_size: i32) -> Result<ListUsersResponse, Refusal> {
        let filter = match &self.filters.users {
            Asked::Nothing => return Ok(ListUsersResponse::default()),
            Asked::Everything => None,
            Asked::Matching(filter) => Some(filter.clone()),
        };
        let view = self.view.into();
        let request = ListUsersRequest { filter, page_size, page_token, skip, view, ..ListUsersRequest::default() };
        users::page(self.directory, request).await
    }

    async fn groups(&self, page_token: String, skip: i32, page_size: i32) -> Result<ListGroupsResponse, Refusal> {
        let filter = match &self.filters.groups {
            Asked::Nothing => return Ok(ListGroupsResponse::default()),
            Asked::Everything => None,
            Asked::Matching(filter) => Some(filter.clone()),
        };
        let request = ListGroupsRequest { filter, page_size, page_token, skip, ..ListGroupsRequest::default() };
        let listed = self.directory.list_groups(request).await;
        listed.map_err(|status| Refusal::from_status(ResourceType::Group, &status))
    }
}

/// The cursor of identity's page token, which is empty at the end.
fn next(among: char, page_token: &str) -> String {
    if page_token.is_empty() { String::new() } else { format!("{among}{page_token}") }
}

fn count(found: usize) -> i32 {
    i32::try_from(found).unwrap_or(i32::MAX)
}
