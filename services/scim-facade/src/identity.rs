//! Identity, as the caller of one request sees it: every call carries that caller's token.
//!
//! A restart of identity is waited out for a few seconds (rule R14). A call that may have arrived is made again only
//! when that does no harm: a second create would find the first one's name taken.

use std::{error::Error as _, sync::Arc, time::Duration};

use authn::{Authenticator, Principal, Scope};
use proto::identity::v1::{
    CreateGroupRequest, CreateUserRequest, DeleteGroupRequest, DeleteUserRequest, GetGroupRequest, GetTenantRequest,
    GetUserRequest, ListMembersRequest, ListMembersResponse, ListUserAttributesRequest, ProvisionedType,
    ReplaceUserRequest, Tenant, UserAttribute, group_service_client::GroupServiceClient,
    tenant_service_client::TenantServiceClient, user_attribute_service_client::UserAttributeServiceClient,
    user_service_client::UserServiceClient,
};
use secrecy::SecretString;
use telemetry::RequestId;
use tokio::time::Instant;
use tonic::{Code, ConnectError, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{log::Recorder, shares::Shares};

// The messages that handlers pass between the mapping and these calls; nothing else names the wire's types.
pub(crate) use proto::{
    Channel,
    identity::v1::{
        ChangeGroupRequest, ErrorReason, Group, GroupChange, ListGroupsRequest, ListGroupsResponse, ListUsersRequest,
        ListUsersResponse, Member, ProvisioningState, User, UserView,
    },
};

/// How long a request is held while identity does not answer.
pub(crate) const HOLD: Duration = Duration::from_secs(5);
/// The first pause before a call is made again; each later one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(25);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(400);
/// How many attributes a tenant may define, and more.
const USER_ATTRIBUTES_MAX: i32 = 1_000;
/// The largest answer: a page of 1,000 users with long profiles.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The generated clients over one channel, and each tenant's share of it.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    shares: Arc<Shares>,
    users: UserServiceClient<Channel>,
    groups: GroupServiceClient<Channel>,
    tenants: TenantServiceClient<Channel>,
    user_attributes: UserAttributeServiceClient<Channel>,
}

impl Clients {
    pub(crate) fn new(channel: Channel) -> Self {
        Self {
            shares: Arc::new(Shares::new()),
            users: UserServiceClient::new(channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX),
            groups: GroupServiceClient::new(channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX),
            tenants: TenantServiceClient::new(channel.clone()),
            user_attributes: UserAttributeServiceClient::new(channel),
        }
    }
}

/// Identity on behalf of one caller.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    clients: Clients,
    authenticator: Authenticator,
    principal: Arc<Principal>,
    /// The caller's key, to ask anew for a token that ended while the request was worked on.
    bearer: SecretString,
    request_id: Option<RequestId>,
    recorder: Recorder,
}

/// What a second call of the same kind does after a first that may have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// The same again, or nothing.
    Repeatable,
    /// Something else: it finds what the first has done.
    Once,
}

impl Directory {
    pub(crate) fn new(
        clients: Clients,
        authenticator: Authenticator,
        (principal, bearer): (Arc<Principal>, SecretString),
        recorder: Recorder,
    ) -> Self {
        Self { clients, authenticator, principal, bearer, request_id: RequestId::current(), recorder }
    }

    /// The same caller, whose next calls are another entry of the log.
    pub(crate) fn recorded_by(&self, recorder: Recorder) -> Self {
        Self { recorder, ..self.clone() }
    }

    /// Where the request says of itself what the log is to say of it.
    pub(crate) const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Who calls.
    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The caller's tenant. It is refused while its provisioning is off.
    pub(crate) async fn tenant(&self) -> Result<Tenant, Status> {
        let act = |mut clients: Clients, request| async move { clients.tenants.get_tenant(request).await };
        self.call(Call::Repeatable, GetTenantRequest { by: None }, act).await.map_err(gone)
    }

    /// The attributes that the caller's tenant defined. There are so few that they are one page.
    pub(crate) async fn user_attributes(&self) -> Result<Vec<UserAttribute>, Status> {
        let act =
            |mut clients: Clients, request| async move { clients.user_attributes.list_user_attributes(request).await };
        let request =
            ListUserAttributesRequest { page_size: USER_ATTRIBUTES_MAX, ..ListUserAttributesRequest::default() };
        Ok(self.call(Call::Repeatable, request, act).await.map_err(gone)?.user_attributes)
    }

    pub(crate) async fn create_user(&self, user: User) -> Result<User, Status> {
        let request = CreateUserRequest { user: Some(user), ..CreateUserRequest::default() };
        let act = |mut clients: Clients, request| async move { clients.users.create_user(request).await };
        let made = self.call(Call::Once, request, act).await.map_err(gone)?;
        self.recorder.user(&made);
        Ok(made)
    }

    pub(crate) async fn get_user(&self, id: &str, view: UserView) -> Result<User, Status> {
        let request = GetUserRequest { user_id: id.to_owned(), view: view.into(), ..GetUserRequest::default() };
        let act = |mut clients: Clients, request| async move { clients.users.get_user(request).await };
        let read = self.call(Call::Repeatable, request, act).await?;
        self.recorder.user(&read);
        Ok(read)
    }

    pub(crate) async fn list_users(&self, request: ListUsersRequest) -> Result<ListUsersResponse, Status> {
        self.recorder.asked(ProvisionedType::User, request.filter.as_ref());
        let act = |mut clients: Clients, request| async move { clients.users.list_users(request).await };
        let listed = self.call(Call::Repeatable, request, act).await.map_err(gone)?;
        self.recorder.found_users(&listed.users, listed.total_size);
        Ok(listed)
    }

    pub(crate) async fn replace_user(
        &self,
        user: User,
        expected_version: Option<i64>,
        view: UserView,
    ) -> Result<User, Status> {
        let (user, view) = (Some(user), view.into());
        let request = ReplaceUserRequest { user, expected_version, view, ..ReplaceUserRequest::default() };
        let act = |mut clients: Clients, request| async move { clients.users.replace_user(request).await };
        let replaced = self.call(unless_versioned(expected_version), request, act).await?;
        self.recorder.user(&replaced);
        Ok(replaced)
    }

    pub(crate) async fn delete_user(&self, id: &str, expected_version: Option<i64>) -> Result<(), Status> {
        let request = DeleteUserRequest { user_id: id.to_owned(), expected_version, ..DeleteUserRequest::default() };
        let act = |mut clients: Clients, request| async move { clients.users.delete_user(request).await };
        self.call(Call::Once, request, act).await.map(drop)
    }

    pub(crate) async fn create_group(&self, group: Group, member_ids: Vec<String>) -> Result<Group, Status> {
        let request = CreateGroupRequest { group: Some(group), member_ids, ..CreateGroupRequest::default() };
        let act = |mut clients: Clients, request| async move { clients.groups.create_group(request).await };
        let made = self.call(Call::Once, request, act).await.map_err(gone)?;
        self.recorder.group(&made);
        Ok(made)
    }

    pub(crate) async fn get_group(&self, id: &str) -> Result<Group, Status> {
        let request = GetGroupRequest { group_id: id.to_owned(), ..GetGroupRequest::default() };
        let act = |mut clients: Clients, request| async move { clients.groups.get_group(request).await };
        let read = self.call(Call::Repeatable, request, act).await?;
        self.recorder.group(&read);
        Ok(read)
    }

    pub(crate) async fn list_groups(&self, request: ListGroupsRequest) -> Result<ListGroupsResponse, Status> {
        self.recorder.asked(ProvisionedType::Group, request.filter.as_ref());
        let act = |mut clients: Clients, request| async move { clients.groups.list_groups(request).await };
        let listed = self.call(Call::Repeatable, request, act).await.map_err(gone)?;
        self.recorder.found_groups(&listed.groups, listed.total_size);
        Ok(listed)
    }

    pub(crate) async fn change_group(&self, request: ChangeGroupRequest) -> Result<Group, Status> {
        let act = |mut clients: Clients, request| async move { clients.groups.change_group(request).await };
        let call = unless_versioned(request.expected_version);
        self.recorder.group_changes(&request.changes);
        let changed = self.call(call, request, act).await?;
        self.recorder.group(&changed);
        Ok(changed)
    }

    pub(crate) async fn delete_group(&self, id: &str, expected_version: Option<i64>) -> Result<(), Status> {
        let request = DeleteGroupRequest { group_id: id.to_owned(), expected_version, ..DeleteGroupRequest::default() };
        let act = |mut clients: Clients, request| async move { clients.groups.delete_group(request).await };
        self.call(Call::Once, request, act).await.map(drop)
    }

    /// One page of a group's members; 0 is the largest page.
    pub(crate) async fn list_members(&self, group_id: &str, page_token: String) -> Result<ListMembersResponse, Status> {
        let request = ListMembersRequest { group_id: group_id.to_owned(), page_token, ..ListMembersRequest::default() };
        let act = |mut clients: Clients, request| async move { clients.groups.list_members(request).await };
        self.call(Call::Repeatable, request, act).await
    }

    async fn call<T, R, F, A>(&self, call: Call, message: T, act: A) -> Result<R, Status>
    where
        T: Clone,
        A: Fn(Clients, Request<T>) -> F,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let held_until = Instant::now() + HOLD;
        let place = self.clients.shares.take(self.principal.tenant, held_until).await;
        let _place = place.ok_or_else(|| Status::unavailable("the tenant has as many calls under way as it may"))?;
        let (mut principal, mut pause, mut is_renewed) = (Arc::clone(&self.principal), PAUSE_FIRST, false);
        loop {
            let request = self.request(message.clone(), &principal);
            let status = match act(self.clients.clone(), request).await {
                Ok(response) => {
                    self.recorder.answered_with(response.metadata());
                    return Ok(response.into_inner());
                }
                Err(status) => status,
            };
            let is_refused = status.code() == Code::Unauthenticated;
            if !is_refused && !may_call_again(call, &status) {
                return Err(status);
            }
            if Instant::now() + pause >= held_until {
                return Err(if is_refused { unsettled() } else { status });
            }
            // After the first renewal a call is made at once: mostly the token had just ended.
            if !is_refused || is_renewed {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            if is_refused {
                principal = self.renewed(&principal).await?;
                is_renewed = true;
            }
        }
    }

    /// The caller with another token than the one that identity has refused: that has ended since the request was let in, or identity has heard
    /// sooner of a change. The credential may still be good, and only api-keys says that it is not.
    async fn renewed(&self, refused: &Arc<Principal>) -> Result<Arc<Principal>, Status> {
        let principal = self.authenticator.renew(&self.bearer, refused).await.map_err(credential_status)?;
        // What the credential lacks now, the next request is told when it comes in.
        if principal.scopes.allows(Scope::Scim) { Ok(principal) } else { Err(unsettled()) }
    }

    fn request<T>(&self, message: T, principal: &Principal) -> Request<T> {
        let mut request = Request::new(message);
        authn::grpc::authorise(&mut request, principal);
        // A body that is streamed is no longer within the request's task, and its calls find no id there.
        if let Some(id) = &self.request_id {
            request.extensions_mut().insert(id.clone());
        }
        request
    }
}

/// Whether identity refused for this reason.
pub(crate) fn has_reason(status: &Status, reason: ErrorReason) -> bool {
    status.get_details_error_info().is_some_and(|info| info.reason == reason.as_str_name())
}

/// A write that sets things to what they shall be, whatever they were; a version that it names would be outdated by
/// its own first arrival.
const fn unless_versioned(expected_version: Option<i64>) -> Call {
    match expected_version {
        None => Call::Repeatable,
        Some(_) => Call::Once,
    }
}

fn may_call_again(call: Call, status: &Status) -> bool {
    if status.code() != Code::Unavailable {
        return false;
    }
    match call {
        Call::Repeatable => true,
        Call::Once => never_arrived(status),
    }
}

fn never_arrived(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A call that names no resource finds all but the caller's own tenant: its keys are about to end.
fn gone(status: Status) -> Status {
    if status.code() == Code::NotFound { Status::unauthenticated("the tenant is gone") } else { status }
}

/// What the credential opens changes at this very moment: who comes again is told how it stands.
fn unsettled() -> Status {
    let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
    Status::with_error_details(Code::Unavailable, "credentials cannot be checked now", details)
}

fn credential_status(error: authn::Error) -> Status {
    match error {
        authn::Error::Unauthenticated => Status::unauthenticated("the key is no longer valid"),
        // Neither is asked of a request that was let in already.
        authn::Error::AddressRefused => Status::permission_denied("the key may not be used from this address"),
        authn::Error::OverBudget { retry_after } | authn::Error::Unavailable { retry_after } => {
            Status::with_error_details(
                Code::Unavailable,
                "credentials cannot be checked now",
                ErrorDetails::with_retry_info(Some(retry_after)),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_that_does_harm_twice_is_repeated_only_if_it_never_arrived() {
        // Nobody listens on the discard port, and the connection is refused before anything is sent.
        let mut users = UserServiceClient::new(Channel::connect("http://127.0.0.1:9").unwrap());
        let refused = users.create_user(CreateUserRequest::default()).await.unwrap_err();
        assert!(may_call_again(Call::Once, &refused), "{refused:?}");
        let ambiguous = Status::unavailable("the connection was lost");
        assert!(!may_call_again(Call::Once, &ambiguous) && may_call_again(Call::Repeatable, &ambiguous));
        assert!(!may_call_again(Call::Repeatable, &Status::internal("")));
    }
}
