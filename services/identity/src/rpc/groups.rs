//! `GroupService`.

use ids::{GroupId, UserId};
use pbjson_types::Empty;
use proto::identity::v1::{
    self as wire, ChangeGroupRequest, CreateGroupRequest, DeleteGroupRequest, GetGroupRequest, ListGroupsRequest,
    ListGroupsResponse, ListMembersRequest, ListMembersResponse, group_change::Kind,
    group_service_server::GroupService,
};
use tonic::{Request, Response, Status, async_trait};

use crate::{
    domain::{
        Catalogue, Error, ExternalId, GROUP_CHANGES_MAX, Group, GroupChange, GroupDraft, GroupName, InvalidField,
        LISTED_MAX, MEMBER_IDS_MAX, Member,
    },
    rpc::{
        Rpc,
        call::Read,
        filters, notes,
        paging::{self, Asked, Digest},
    },
    store::{ChangeGroup, CreateGroup, DeleteGroup, ListMembers},
};

#[async_trait]
impl GroupService for Rpc {
    async fn create_group(&self, request: Request<CreateGroupRequest>) -> Result<Response<wire::Group>, Status> {
        let caller =
            self.writer(&request, &request.get_ref().tenant_id, "/rollcall.identity.v1.GroupService/CreateGroup")?;
        let CreateGroupRequest { group, member_ids, .. } = request.into_inner();
        check_member_ids(member_ids.len())?;
        let create = CreateGroup { draft: draft(group).map_err(Error::from)?, member_ids };
        let group = self.store.create_group(&caller, create).await?;
        Ok(notes::response(&caller, group.into()))
    }

    async fn get_group(&self, request: Request<GetGroupRequest>) -> Result<Response<wire::Group>, Status> {
        let GetGroupRequest { tenant_id, group_id } = request.get_ref();
        let group = id(group_id)?;
        let read = Read::Begun { subject: group_id };
        let tenant = self.reader(&request, tenant_id, "/rollcall.identity.v1.GroupService/GetGroup", read).await?;
        let group = self.store.group(tenant, group).await?;
        Ok(Response::new(group.into()))
    }

    async fn list_groups(&self, request: Request<ListGroupsRequest>) -> Result<Response<ListGroupsResponse>, Status> {
        let ListGroupsRequest { tenant_id, filter, page_token, page_size, skip, order } = request.get_ref();
        let read = Read::list(page_token);
        let tenant = self.reader(&request, tenant_id, "/rollcall.identity.v1.GroupService/ListGroups", read).await?;
        let digest = Digest::of("groups", filter.as_ref(), order.as_ref());
        let selection = filters::selection(filter.clone(), order.clone(), Catalogue::Groups)?;
        let asked = Asked { page_size: *page_size, page_token, skip: *skip };
        let slice = asked.slice(digest, &selection.order)?;
        let listed = self.store.list_groups(tenant, &selection, slice).await?;
        let next_page_token = paging::next_token(listed.next, digest)?;
        Ok(Response::new(ListGroupsResponse {
            groups: listed.rows.into_iter().map(Into::into).collect(),
            next_page_token,
            total_size: listed.total.map_or(0, |total| i64::try_from(total).unwrap_or(i64::MAX)),
        }))
    }

    async fn change_group(&self, request: Request<ChangeGroupRequest>) -> Result<Response<wire::Group>, Status> {
        let caller =
            self.writer(&request, &request.get_ref().tenant_id, "/rollcall.identity.v1.GroupService/ChangeGroup")?;
        let ChangeGroupRequest { group_id, changes, expected_version, .. } = request.into_inner();
        let changes = group_changes(changes)?;
        let change = ChangeGroup { group: id(&group_id)?, changes, expected_version };
        let group = self.store.change_group(&caller, change).await?;
        Ok(notes::response(&caller, group.into()))
    }

    async fn delete_group(&self, request: Request<DeleteGroupRequest>) -> Result<Response<Empty>, Status> {
        let DeleteGroupRequest { tenant_id, group_id, expected_version } = request.get_ref();
        let caller = self.writer(&request, tenant_id, "/rollcall.identity.v1.GroupService/DeleteGroup")?;
        let delete = DeleteGroup { group: id(group_id)?, expected_version: *expected_version };
        self.store.delete_group(&caller, delete).await?;
        Ok(notes::response(&caller, Empty {}))
    }

    async fn list_members(
        &self,
        request: Request<ListMembersRequest>,
    ) -> Result<Response<ListMembersResponse>, Status> {
        let ListMembersRequest { tenant_id, group_id, page_size, page_token } = request.get_ref();
        let size = paging::size(*page_size, LISTED_MAX)?;
        let group = id(group_id)?;
        let (read, after) = match page_token.as_str() {
            "" => (Read::Begun { subject: group_id }, None),
            token => (Read::Continued, Some(UserId::from(paging::id(token)?))),
        };
        let tenant = self.reader(&request, tenant_id, "/rollcall.identity.v1.GroupService/ListMembers", read).await?;
        let list = ListMembers { group, after, size };
        let members = self.store.list_members(tenant, &list).await?;
        // A full page may be the last; the page after it is then empty.
        let full = members.len() as u64 == size;
        let next_page_token = members.last().filter(|_| full).map(|last| paging::token(last.user)).unwrap_or_default();
        Ok(Response::new(ListMembersResponse {
            members: members.into_iter().map(Into::into).collect(),
            next_page_token,
        }))
    }
}

/// An id that no group can have is an id that no group has.
pub(super) fn id(text: &str) -> Result<GroupId, Error> {
    text.parse().map_err(|_| Error::NotFound("group"))
}

fn draft(group: Option<wire::Group>) -> Result<GroupDraft, InvalidField> {
    let group = group.ok_or_else(|| InvalidField::new("group", "must be set"))?;
    let external_id = group.external_id.filter(|id| !id.is_empty()).map(ExternalId::parse).transpose()?;
    Ok(GroupDraft { display_name: GroupName::parse(group.display_name)?, external_id })
}

fn group_changes(changes: Vec<wire::GroupChange>) -> Result<Vec<GroupChange>, Error> {
    if changes.len() > GROUP_CHANGES_MAX {
        return Err(InvalidField::new("changes", format!("has more than {GROUP_CHANGES_MAX} entries")).into());
    }
    let changes = changes.into_iter().map(group_change).collect::<Result<Vec<_>, _>>()?;
    let ids = |change: &GroupChange| match change {
        GroupChange::AddMembers(ids) | GroupChange::RemoveMembers(ids) | GroupChange::ReplaceMembers(ids) => ids.len(),
        GroupChange::ClearMembers | GroupChange::SetDisplayName(_) | GroupChange::SetExternalId(_) => 0,
    };
    check_member_ids(changes.iter().map(ids).sum())?;
    Ok(changes)
}

fn group_change(change: wire::GroupChange) -> Result<GroupChange, InvalidField> {
    Ok(match change.kind.ok_or_else(|| InvalidField::new("changes", "has an empty entry"))? {
        Kind::AddMembers(ids) => GroupChange::AddMembers(ids.user_ids),
        Kind::RemoveMembers(ids) => GroupChange::RemoveMembers(ids.user_ids),
        Kind::ReplaceMembers(ids) => GroupChange::ReplaceMembers(ids.user_ids),
        Kind::ClearMembers(Empty {}) => GroupChange::ClearMembers,
        Kind::SetDisplayName(name) => GroupChange::SetDisplayName(GroupName::parse(name)?),
        Kind::SetExternalId(id) => GroupChange::SetExternalId(Some(ExternalId::parse(id)?)),
        Kind::ClearExternalId(Empty {}) => GroupChange::SetExternalId(None),
    })
}

fn check_member_ids(named: usize) -> Result<(), Error> {
    if named > MEMBER_IDS_MAX {
        return Err(InvalidField::new("members", format!("names more than {MEMBER_IDS_MAX} ids in one call")).into());
    }
    Ok(())
}

impl From<Group> for wire::Group {
    fn from(group: Group) -> Self {
        Self {
            id: group.id.to_string(),
            display_name: group.provisioned.display_name.as_str().to_owned(),
            external_id: group.provisioned.external_id.map(|id| id.as_str().to_owned()),
            version: group.version,
            create_time: Some(group.created_at.into()),
            update_time: Some(group.updated_at.into()),
        }
    }
}

impl From<Member> for wire::Member {
    fn from(member: Member) -> Self {
        Self { user_id: member.user.to_string(), display_name: member.display_name }
    }
}
