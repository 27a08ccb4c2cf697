//! `UserService`.

use std::collections::HashMap;

use ids::{TenantId, UserId};
use pbjson_types::Empty;
use proto::identity::v1::{
    self as wire, ConfirmUserRolesRequest, CreateUserRequest, DeleteUserRequest, EraseUserRequest, GetUserRequest,
    ListUsersRequest, ListUsersResponse, ReplaceUserRequest, RestoreUserRequest, SuspendUserRequest, UserView,
    user_service_server::UserService,
};
use tonic::{Request, Response, Status, async_trait};

use crate::{
    domain::{
        Catalogue, DisplayName, Error, ExternalId, InvalidField, MemberOf, Profile, Timestamp, User, UserDraft,
        UserName,
    },
    rpc::{
        Rpc,
        call::Read,
        filters, notes,
        paging::{self, Asked, Digest},
        roles, user_attributes,
    },
    store::{DeleteUser, ERASE_USER, ReplaceUser, RestoreUser},
};

#[async_trait]
impl UserService for Rpc {
    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<wire::User>, Status> {
        let caller =
            self.writer(&request, &request.get_ref().tenant_id, "/rollcall.identity.v1.UserService/CreateUser")?;
        let mut draft = draft(request.into_inner().user).map_err(Error::from)?;
        // There is no earlier word that could go on to decide.
        draft.provisioned_active.get_or_insert(true);
        let user = self.store.create_user(&caller, draft).await?;
        Ok(notes::response(&caller, user.into()))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<wire::User>, Status> {
        let GetUserRequest { tenant_id, user_id, .. } = request.get_ref();
        let view = request.get_ref().view();
        let user = id(user_id)?;
        let read = Read::Begun { subject: user_id };
        let tenant = self.reader(&request, tenant_id, "/rollcall.identity.v1.UserService/GetUser", read).await?;
        let user = self.store.user(tenant, user).await?;
        let mut viewed = self.viewed(tenant, vec![user], view).await?;
        Ok(Response::new(viewed.pop().ok_or(Error::NotFound("user"))?))
    }

    async fn list_users(&self, request: Request<ListUsersRequest>) -> Result<Response<ListUsersResponse>, Status> {
        let ListUsersRequest { tenant_id, filter, page_token, page_size, skip, order, .. } = request.get_ref();
        let read = Read::list(page_token);
        let tenant = self.reader(&request, tenant_id, "/rollcall.identity.v1.UserService/ListUsers", read).await?;
        let digest = Digest::of("users", filter.as_ref(), order.as_ref());
        let defined = if filters::names_user_attribute(filter.as_ref(), order.as_ref()) {
            self.store.user_attributes(tenant).await?
        } else {
            Vec::new()
        };
        let selection = filters::selection(filter.clone(), order.clone(), Catalogue::Users(&defined))?;
        let asked = Asked { page_size: *page_size, page_token, skip: *skip };
        let slice = asked.slice(digest, &selection.order)?;
        let listed = self.store.list_users(tenant, &selection, slice).await?;
        let next_page_token = paging::next_token(listed.next, digest)?;
        Ok(Response::new(ListUsersResponse {
            users: self.viewed(tenant, listed.rows, request.get_ref().view()).await?,
            next_page_token,
            total_size: listed.total.map_or(0, |total| i64::try_from(total).unwrap_or(i64::MAX)),
        }))
    }

    async fn replace_user(&self, request: Request<ReplaceUserRequest>) -> Result<Response<wire::User>, Status> {
        let caller =
            self.writer(&request, &request.get_ref().tenant_id, "/rollcall.identity.v1.UserService/ReplaceUser")?;
        let view = request.get_ref().view();
        let ReplaceUserRequest { user, expected_version, .. } = request.into_inner();
        let user_id = id(user.as_ref().map_or("", |user| user.id.as_str()))?;
        let draft = draft(user).map_err(Error::from)?;
        let user = self.store.replace_user(&caller, ReplaceUser { user: user_id, draft, expected_version }).await?;
        // It is written: an answer without its groups is better than word that it failed.
        match self.viewed(caller.tenant, vec![user.clone()], view).await.map(|mut viewed| viewed.pop()) {
            Ok(Some(viewed)) => Ok(notes::response(&caller, viewed)),
            Ok(None) | Err(_) => Ok(notes::response(&caller, user.into())),
        }
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Result<Response<Empty>, Status> {
        let DeleteUserRequest { tenant_id, user_id, expected_version } = request.get_ref();
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.UserService/DeleteUser")?;
        let delete = DeleteUser { user: id(user_id)?, expected_version: *expected_version };
        self.store.delete_user(&caller, delete).await?;
        Ok(notes::response(&caller, Empty {}))
    }

    async fn suspend_user(&self, request: Request<SuspendUserRequest>) -> Result<Response<wire::User>, Status> {
        let SuspendUserRequest { tenant_id, user_id } = request.get_ref();
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.UserService/SuspendUser")?;
        let user = self.store.suspend_user(&caller, id(user_id)?).await?;
        Ok(Response::new(user.into()))
    }

    async fn erase_user(&self, request: Request<EraseUserRequest>) -> Result<Response<Empty>, Status> {
        let EraseUserRequest { tenant_id, user_id } = request.get_ref();
        let caller = self.writer(&request, tenant_id, ERASE_USER)?;
        self.store.erase_user(&caller, id(user_id)?).await?;
        Ok(Response::new(Empty {}))
    }

    async fn restore_user(&self, request: Request<RestoreUserRequest>) -> Result<Response<wire::User>, Status> {
        let RestoreUserRequest { tenant_id, user_id, instead_of_user_id } = request.get_ref();
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.UserService/RestoreUser")?;
        let instead_of = Some(instead_of_user_id).filter(|id| !id.is_empty()).map(|text| id(text)).transpose()?;
        let user = id(user_id)?;
        if instead_of == Some(user) {
            let problem = "names the user that is to be restored itself";
            return Err(Error::from(InvalidField::new("instead_of_user_id", problem)).into());
        }
        let user = self.store.restore_user(&caller, RestoreUser { user, instead_of }).await?;
        Ok(Response::new(user.into()))
    }

    async fn confirm_user_roles(
        &self,
        request: Request<ConfirmUserRolesRequest>,
    ) -> Result<Response<wire::User>, Status> {
        let ConfirmUserRolesRequest { tenant_id, user_id } = request.get_ref();
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.UserService/ConfirmUserRoles")?;
        let user = self.store.confirm_user_roles(&caller, id(user_id)?).await?;
        Ok(Response::new(user.into()))
    }
}

impl Rpc {
    /// Users as a view shows them.
    pub(super) async fn viewed(
        &self,
        tenant: TenantId,
        users: Vec<User>,
        view: UserView,
    ) -> Result<Vec<wire::User>, Error> {
        let mut groups = match view {
            UserView::Full if !users.is_empty() => {
                let ids: Vec<UserId> = users.iter().map(|user| user.id).collect();
                self.store.groups_of(tenant, &ids).await?
            }
            UserView::Full | UserView::Basic | UserView::Unspecified => HashMap::new(),
        };
        let viewed = users.into_iter().map(|user| {
            let groups = groups.remove(&user.id).unwrap_or_default();
            wire::User { groups: groups.into_iter().map(Into::into).collect(), ..user.into() }
        });
        Ok(viewed.collect())
    }
}

/// An id that no user can have is an id that no user has.
pub(super) fn id(text: &str) -> Result<UserId, Error> {
    text.parse().map_err(|_| Error::NotFound("user"))
}

fn draft(user: Option<wire::User>) -> Result<UserDraft, InvalidField> {
    let user = user.ok_or_else(|| InvalidField::new("user", "must be set"))?;
    let known = |text: Option<String>| text.filter(|text| !text.is_empty());
    let draft = UserDraft {
        user_name: UserName::parse(user.user_name)?,
        external_id: known(user.external_id).map(ExternalId::parse).transpose()?,
        display_name: known(user.display_name).map(DisplayName::parse).transpose()?,
        provisioned_active: user.provisioned_active,
        profile: user.profile.map(Profile::try_from).transpose()?.unwrap_or_default(),
        attributes: user_attributes::values(user.user_attributes)?,
    };
    draft.check()?;
    Ok(draft)
}

impl From<User> for wire::User {
    fn from(user: User) -> Self {
        let active = user.active();
        let role_source = match user.role.as_ref().map(|role| role.source) {
            None => wire::RoleSource::Unspecified,
            Some(source) => roles::source(source),
        };
        Self {
            id: user.id.to_string(),
            user_name: user.provisioned.user_name.as_str().to_owned(),
            external_id: user.provisioned.external_id.map(|id| id.as_str().to_owned()),
            display_name: user.provisioned.display_name.map(|name| name.as_str().to_owned()),
            profile: Some(user.provisioned.profile.into()),
            active,
            provisioned_active: user.provisioned.provisioned_active,
            suspended: user.suspended,
            role: user.role.map_or_else(String::new, |role| role.role.as_str().to_owned()),
            role_source: role_source.into(),
            version: user.version,
            create_time: Some(user.created_at.into()),
            update_time: Some(user.updated_at.into()),
            user_attributes: user_attributes::to_wire(user.provisioned.attributes),
            groups: Vec::new(),
            role_assignments: user.role_assignments.into_iter().map(Into::into).collect(),
            roles_held_time: user.roles_held_at.map(Into::into),
            directory_time: user.directory_since.map(Into::into),
            delete_time: user.deleted_at.map(Into::into),
        }
    }
}

impl From<MemberOf> for wire::MemberOf {
    fn from(group: MemberOf) -> Self {
        Self { group_id: group.group.to_string(), display_name: group.display_name }
    }
}

impl From<Timestamp> for pbjson_types::Timestamp {
    fn from(timestamp: Timestamp) -> Self {
        let nanos = i32::try_from(timestamp.0.rem_euclid(1_000_000) * 1000).unwrap_or(0);
        Self { seconds: timestamp.0.div_euclid(1_000_000), nanos }
    }
}
