//! An identity that keeps one tenant's directory in memory, refuses as the real one does, and can be told to fail.

mod others;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use ids::{GroupId, UserId};
use pbjson_types::Empty;
use prost::Message as _;
use proto::{
    Channel,
    identity::v1::{
        ChangeGroupRequest, ConfirmUserRolesRequest, CreateGroupRequest, CreateUserRequest, DeleteGroupRequest,
        DeleteUserRequest, EraseUserRequest, ErrorReason, Filter, GetGroupRequest, GetUserRequest, Group, GroupChange,
        ListGroupsRequest, ListGroupsResponse, ListMembersRequest, ListMembersResponse, ListUsersRequest,
        ListUsersResponse, Member, ProvisioningEntry, ProvisioningState, ReplaceUserRequest, RestoreUserRequest,
        SuspendUserRequest, User, UserAttribute, WriteNote, WriteNotes,
        filter::Kind,
        group_change::Kind as Change,
        group_service_server::{GroupService, GroupServiceServer},
        provisioning_log_service_server::ProvisioningLogServiceServer,
        tenant_service_server::TenantServiceServer,
        user_attribute_service_server::UserAttributeServiceServer,
        user_service_server::{UserService, UserServiceServer},
        value, write_note,
    },
};
use tonic::{Code, Request, Response, Status, async_trait, metadata::MetadataValue, service::RoutesBuilder};
use tonic_types::{ErrorDetails, StatusExt as _};

/// How many members stand on a page.
pub(crate) const MEMBERS_PAGE: usize = 3;

/// What to do instead of answering a call.
pub(crate) enum Fault {
    /// None: answer as usual.
    None,
    /// Refuse.
    Status(Status),
    /// Let another write of the user happen first.
    WriteBetween,
    /// Fall over.
    Panic,
}

/// See the module.
#[derive(Clone, Default)]
pub(crate) struct Identity(Arc<Mutex<Directory>>);

#[derive(Default)]
pub(crate) struct Directory {
    pub(crate) state: ProvisioningState,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) groups: BTreeMap<String, (Group, BTreeSet<String>)>,
    pub(crate) user_attributes: Vec<UserAttribute>,
    /// The provisioning log.
    pub(crate) log: Vec<ProvisioningEntry>,
    /// What the next answer of a write notes.
    pub(crate) notes: Vec<write_note::Kind>,
    /// How often each method was called.
    pub(crate) calls: HashMap<&'static str, usize>,
    /// Faults of the next calls of a method.
    pub(crate) faults: HashMap<&'static str, VecDeque<Fault>>,
}

impl Identity {
    pub(crate) fn channel(&self) -> Channel {
        let mut routes = RoutesBuilder::default();
        routes
            .add_service(UserServiceServer::new(self.clone()))
            .add_service(GroupServiceServer::new(self.clone()))
            .add_service(TenantServiceServer::new(self.clone()))
            .add_service(UserAttributeServiceServer::new(self.clone()))
            .add_service(ProvisioningLogServiceServer::new(self.clone()));
        Channel::in_process(routes.routes(), proto::Peer::default())
    }

    pub(crate) fn directory(&self) -> MutexGuard<'_, Directory> {
        self.0.lock().unwrap()
    }

    /// Begins a call: a write is refused while provisioning is paused, any call while it is off.
    fn begin<T>(
        &self,
        method: &'static str,
        request: &Request<T>,
        is_write: bool,
    ) -> Result<MutexGuard<'_, Directory>, Status> {
        let token = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        if !token.is_some_and(|token| token.starts_with("Bearer ey")) {
            return Err(Status::unauthenticated("no token"));
        }
        let mut directory = self.directory();
        *directory.calls.entry(method).or_default() += 1;
        match directory.faults.get_mut(method).and_then(VecDeque::pop_front) {
            None | Some(Fault::None) => {}
            Some(Fault::Status(status)) => return Err(status),
            Some(Fault::WriteBetween) => directory.users.values_mut().for_each(|user| user.version += 1),
            Some(Fault::Panic) => {
                drop(directory);
                panic!("a fault that a test asked for");
            }
        }
        match directory.state {
            ProvisioningState::Off => Err(refused(Code::FailedPrecondition, ErrorReason::ProvisioningOff, "off", &[])),
            ProvisioningState::Paused if is_write => {
                Err(refused(Code::FailedPrecondition, ErrorReason::ProvisioningPaused, "paused", &[]))
            }
            ProvisioningState::Preview if is_write => {
                let would = [("would", "change something")];
                Err(refused(Code::FailedPrecondition, ErrorReason::ProvisioningPreview, "preview", &would))
            }
            ProvisioningState::Paused
            | ProvisioningState::Preview
            | ProvisioningState::On
            | ProvisioningState::Unspecified => Ok(directory),
        }
    }
}

pub(crate) fn refused(code: Code, reason: ErrorReason, message: &str, metadata: &[(&str, &str)]) -> Status {
    let metadata: HashMap<_, _> =
        metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Status::with_error_details(
        code,
        message,
        ErrorDetails::with_error_info(reason.as_str_name(), "identity.rollcall", metadata),
    )
}

fn not_found() -> Status {
    refused(Code::NotFound, ErrorReason::NotFound, "no such resource", &[])
}

fn check_version(expected: Option<i64>, stored: i64) -> Result<(), Status> {
    match expected {
        Some(version) if version != stored => {
            Err(refused(Code::Aborted, ErrorReason::VersionMismatch, "other", &[("version", &stored.to_string())]))
        }
        Some(_) | None => Ok(()),
    }
}

impl Directory {
    /// An answer of a write, with what it is to note.
    fn noting<T>(&mut self, answer: T) -> Response<T> {
        let mut response = Response::new(answer);
        let notes = std::mem::take(&mut self.notes).into_iter().map(|kind| WriteNote { kind: Some(kind) });
        let notes = WriteNotes { notes: notes.collect() };
        if !notes.notes.is_empty() {
            let value = MetadataValue::from_bytes(&notes.encode_to_vec());
            response.metadata_mut().insert_bin("rollcall-notes-bin", value);
        }
        response
    }

    fn check_user_name(&self, user: &User) -> Result<(), Status> {
        let name = user.user_name.to_lowercase();
        match self.users.values().find(|other| other.id != user.id && other.user_name.to_lowercase() == name) {
            Some(holder) => {
                Err(refused(Code::AlreadyExists, ErrorReason::UserNameTaken, "taken", &[("holder", &holder.id)]))
            }
            None => Ok(()),
        }
    }

    fn check_display_name(&self, id: &str, name: &str) -> Result<(), Status> {
        let same = |group: &&Group| group.id != id && group.display_name.to_lowercase() == name.to_lowercase();
        match self.groups.values().map(|(group, _)| group).find(same) {
            Some(holder) => {
                Err(refused(Code::AlreadyExists, ErrorReason::GroupNameTaken, "taken", &[("holder", &holder.id)]))
            }
            None => Ok(()),
        }
    }

    fn check_members(&self, ids: &[String]) -> Result<(), Status> {
        let named = |reason, found: Vec<&str>| {
            let metadata = [("ids", &*found.join(",")), ("count", &*found.len().to_string())];
            Err(refused(Code::InvalidArgument, reason, "members", &metadata))
        };
        let groups: Vec<_> = ids.iter().filter(|id| self.groups.contains_key(*id)).map(String::as_str).collect();
        if !groups.is_empty() {
            return named(ErrorReason::NestedGroup, groups);
        }
        let unknown: Vec<_> = ids.iter().filter(|id| !self.users.contains_key(*id)).map(String::as_str).collect();
        if unknown.is_empty() { Ok(()) } else { named(ErrorReason::UnknownMember, unknown) }
    }

    fn change(&mut self, id: &str, changes: Vec<GroupChange>) -> Result<Group, Status> {
        let (mut group, mut members) = self.groups.get(id).cloned().ok_or_else(not_found)?;
        let before = (group.clone(), members.clone());
        for change in changes.into_iter().filter_map(|change| change.kind) {
            match change {
                Change::AddMembers(ids) => {
                    self.check_members(&ids.user_ids)?;
                    members.extend(ids.user_ids);
                }
                Change::RemoveMembers(ids) => members.retain(|id| !ids.user_ids.contains(id)),
                Change::ReplaceMembers(ids) => {
                    self.check_members(&ids.user_ids)?;
                    members = ids.user_ids.into_iter().collect();
                }
                Change::ClearMembers(_) => members.clear(),
                Change::SetDisplayName(name) => {
                    self.check_display_name(id, &name)?;
                    group.display_name = name;
                }
                Change::SetExternalId(external_id) => group.external_id = Some(external_id),
                Change::ClearExternalId(_) => group.external_id = None,
            }
        }
        if before != (group.clone(), members.clone()) {
            group.version += 1;
        }
        self.groups.insert(id.to_owned(), (group.clone(), members));
        Ok(group)
    }
}

/// Whether a filter holds, for a few fields; others are refused by name.
fn holds(filter: &Filter, list: &str, value_of: &dyn Fn(&str) -> Option<Vec<value::Kind>>) -> Result<bool, Status> {
    let path = |field: &str| if list.is_empty() { field.to_owned() } else { format!("{list}.{field}") };
    let unsupported = |field: &str| {
        let message = format!("{field} cannot be filtered so: no such field can be asked for");
        refused(Code::InvalidArgument, ErrorReason::UnsupportedFilter, &message, &[("field", field)])
    };
    let folded = |kind: &value::Kind| match kind {
        value::Kind::String(text) => value::Kind::String(text.to_lowercase()),
        other => other.clone(),
    };
    match filter.kind.as_ref().unwrap() {
        Kind::AllOf(terms) => {
            terms.filters.iter().try_fold(true, |all, filter| Ok(holds(filter, list, value_of)? && all))
        }
        Kind::AnyOf(terms) => {
            terms.filters.iter().try_fold(false, |any, filter| Ok(holds(filter, list, value_of)? || any))
        }
        Kind::Not(filter) => Ok(!holds(filter, list, value_of)?),
        Kind::Comparison(comparison) => {
            let field = path(&comparison.field);
            let values = value_of(&field).ok_or_else(|| unsupported(&field))?;
            let asked = folded(comparison.value.as_ref().unwrap().kind.as_ref().unwrap());
            Ok(values.iter().any(|value| folded(value) == asked))
        }
        Kind::Present(field) => {
            let field = path(field);
            Ok(!value_of(&field).ok_or_else(|| unsupported(&field))?.is_empty())
        }
        Kind::Element(element) => holds(element.filter.as_ref().unwrap(), &element.field, value_of),
    }
}

fn text(text: &str) -> Vec<value::Kind> {
    vec![value::Kind::String(text.to_owned())]
}

fn user_holds(filter: Option<&Filter>, user: &User) -> Result<bool, Status> {
    let value_of = |field: &str| match field {
        "id" => Some(text(&user.id)),
        "user_name" => Some(text(&user.user_name)),
        "external_id" => Some(user.external_id.iter().flat_map(|id| text(id)).collect()),
        "display_name" => Some(user.display_name.iter().flat_map(|name| text(name)).collect()),
        "provisioned_active" => Some(user.provisioned_active.map(value::Kind::Boolean).into_iter().collect()),
        "profile.emails.value" => {
            let emails = user.profile.iter().flat_map(|profile| &profile.emails);
            Some(emails.flat_map(|email| email.value.as_deref().map(text).unwrap_or_default()).collect())
        }
        "profile.emails.type" => Some(text("work")),
        "profile.enterprise.manager_id" => {
            let enterprise = user.profile.as_ref().and_then(|profile| profile.enterprise.as_ref());
            Some(enterprise.and_then(|enterprise| enterprise.manager_id.as_deref()).map(text).unwrap_or_default())
        }
        _ => None,
    };
    filter.map_or(Ok(true), |filter| holds(filter, "", &value_of))
}

fn group_holds(filter: Option<&Filter>, group: &Group, members: &BTreeSet<String>) -> Result<bool, Status> {
    let value_of = |field: &str| match field {
        "id" => Some(text(&group.id)),
        "display_name" => Some(text(&group.display_name)),
        "external_id" => Some(group.external_id.iter().flat_map(|id| text(id)).collect()),
        "members.user_id" => Some(members.iter().flat_map(|id| text(id)).collect()),
        _ => None,
    };
    filter.map_or(Ok(true), |filter| holds(filter, "", &value_of))
}

/// One page, the token of the next (how many rows came before it), and how many rows there are.
fn paged<T>(rows: Vec<T>, page_size: i32, page_token: &str, skip: i32) -> Result<(Vec<T>, String, i64), Status> {
    let (size, total) = (usize::try_from(page_size).unwrap(), i64::try_from(rows.len()).unwrap());
    let token = if page_token.is_empty() { Ok(0) } else { page_token.parse() };
    let token: usize = token.map_err(|_| {
        refused(Code::InvalidArgument, ErrorReason::InvalidField, "page_token is not one", &[("field", "page_token")])
    })?;
    let begin = token + usize::try_from(skip).unwrap();
    let end = begin.saturating_add(size);
    let next = if size > 0 && end < rows.len() { end.to_string() } else { String::new() };
    Ok((rows.into_iter().skip(begin).take(size).collect(), next, total))
}

#[async_trait]
impl UserService for Identity {
    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<User>, Status> {
        let mut directory = self.begin("CreateUser", &request, true)?;
        let mut user = User { id: UserId::generate().to_string(), version: 1, ..request.into_inner().user.unwrap() };
        user.provisioned_active = user.provisioned_active.or(Some(true));
        if user.user_name.len() > 256 {
            let message = "user_name is longer than 256 characters";
            return Err(refused(Code::InvalidArgument, ErrorReason::InvalidField, message, &[("field", "user_name")]));
        }
        directory.check_user_name(&user)?;
        directory.users.insert(user.id.clone(), user.clone());
        Ok(directory.noting(user))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        let directory = self.begin("GetUser", &request, false)?;
        directory.users.get(&request.get_ref().user_id).cloned().map(Response::new).ok_or_else(not_found)
    }

    async fn list_users(&self, request: Request<ListUsersRequest>) -> Result<Response<ListUsersResponse>, Status> {
        let directory = self.begin("ListUsers", &request, false)?;
        let ListUsersRequest { filter, page_size, page_token, skip, .. } = request.into_inner();
        // A filter is checked even where there is nobody to apply it to.
        user_holds(filter.as_ref(), &User::default())?;
        let matching = directory.users.values().filter(|user| user_holds(filter.as_ref(), user).unwrap()).cloned();
        let (users, next_page_token, total_size) = paged(matching.collect(), page_size, &page_token, skip)?;
        Ok(Response::new(ListUsersResponse { users, next_page_token, total_size }))
    }

    async fn replace_user(&self, request: Request<ReplaceUserRequest>) -> Result<Response<User>, Status> {
        let mut directory = self.begin("ReplaceUser", &request, true)?;
        let ReplaceUserRequest { user, expected_version, .. } = request.into_inner();
        let user = user.unwrap();
        let stored = directory.users.get(&user.id).cloned().ok_or_else(not_found)?;
        check_version(expected_version, stored.version)?;
        directory.check_user_name(&user)?;
        let mut replaced = User { version: stored.version, ..user };
        if replaced != stored {
            replaced.version += 1;
        }
        directory.users.insert(replaced.id.clone(), replaced.clone());
        Ok(directory.noting(replaced))
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Result<Response<Empty>, Status> {
        let mut directory = self.begin("DeleteUser", &request, true)?;
        let DeleteUserRequest { user_id, expected_version, .. } = request.into_inner();
        let stored = directory.users.get(&user_id).ok_or_else(not_found)?;
        check_version(expected_version, stored.version)?;
        directory.users.remove(&user_id);
        Ok(directory.noting(Empty {}))
    }

    async fn suspend_user(&self, _: Request<SuspendUserRequest>) -> Result<Response<User>, Status> {
        Err(Status::permission_denied("not for a directory"))
    }

    async fn erase_user(&self, _: Request<EraseUserRequest>) -> Result<Response<Empty>, Status> {
        Err(Status::permission_denied("not for a directory"))
    }

    async fn restore_user(&self, _: Request<RestoreUserRequest>) -> Result<Response<User>, Status> {
        Err(Status::permission_denied("not for a directory"))
    }

    async fn confirm_user_roles(&self, _: Request<ConfirmUserRolesRequest>) -> Result<Response<User>, Status> {
        Err(Status::permission_denied("not for a directory"))
    }
}

#[async_trait]
impl GroupService for Identity {
    async fn create_group(&self, request: Request<CreateGroupRequest>) -> Result<Response<Group>, Status> {
        let mut directory = self.begin("CreateGroup", &request, true)?;
        let CreateGroupRequest { group, member_ids, .. } = request.into_inner();
        let group = Group { id: GroupId::generate().to_string(), version: 1, ..group.unwrap() };
        directory.check_display_name("", &group.display_name)?;
        directory.check_members(&member_ids)?;
        directory.groups.insert(group.id.clone(), (group.clone(), member_ids.into_iter().collect()));
        Ok(Response::new(group))
    }

    async fn get_group(&self, request: Request<GetGroupRequest>) -> Result<Response<Group>, Status> {
        let directory = self.begin("GetGroup", &request, false)?;
        let found = directory.groups.get(&request.get_ref().group_id).ok_or_else(not_found)?;
        Ok(Response::new(found.0.clone()))
    }

    async fn list_groups(&self, request: Request<ListGroupsRequest>) -> Result<Response<ListGroupsResponse>, Status> {
        let directory = self.begin("ListGroups", &request, false)?;
        let ListGroupsRequest { filter, page_size, page_token, skip, .. } = request.into_inner();
        group_holds(filter.as_ref(), &Group::default(), &BTreeSet::new())?;
        let matching =
            directory.groups.values().filter(|(group, members)| group_holds(filter.as_ref(), group, members).unwrap());
        let rows = matching.map(|(group, _)| group.clone()).collect();
        let (groups, next_page_token, total_size) = paged(rows, page_size, &page_token, skip)?;
        Ok(Response::new(ListGroupsResponse { groups, next_page_token, total_size }))
    }

    async fn change_group(&self, request: Request<ChangeGroupRequest>) -> Result<Response<Group>, Status> {
        let mut directory = self.begin("ChangeGroup", &request, true)?;
        let ChangeGroupRequest { group_id, changes, expected_version, .. } = request.into_inner();
        let stored = directory.groups.get(&group_id).ok_or_else(not_found)?.0.version;
        check_version(expected_version, stored)?;
        let changed = directory.change(&group_id, changes)?;
        Ok(directory.noting(changed))
    }

    async fn delete_group(&self, request: Request<DeleteGroupRequest>) -> Result<Response<Empty>, Status> {
        let mut directory = self.begin("DeleteGroup", &request, true)?;
        directory.groups.remove(&request.get_ref().group_id).ok_or_else(not_found)?;
        Ok(directory.noting(Empty {}))
    }

    async fn list_members(
        &self,
        request: Request<ListMembersRequest>,
    ) -> Result<Response<ListMembersResponse>, Status> {
        let directory = self.begin("ListMembers", &request, false)?;
        let ListMembersRequest { group_id, page_token, .. } = request.into_inner();
        let (_, ids) = directory.groups.get(&group_id).ok_or_else(not_found)?;
        let member = |id: &String| Member { user_id: id.clone(), display_name: directory.users[id].user_name.clone() };
        let size = i32::try_from(MEMBERS_PAGE).unwrap();
        let (members, next_page_token, _) = paged(ids.iter().map(member).collect(), size, &page_token, 0)?;
        Ok(Response::new(ListMembersResponse { members, next_page_token }))
    }
}
