//! What tests of roles do and look at.

use ids::{GroupId, UserId};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::{
    domain::{
        Caller, ContactPoint, Error, GroupChange, GroupName, MappedGroup, RoleDraft, RoleId, UserDraft, WriteNote,
    },
    store::{
        ChangeGroup, CreateRoleMapping, DeleteGroup, DeleteUser, Doing, Moved, ReplaceUser, SetManualRole,
        entity::{change, role_batch, role_mapping},
        tests::{World, user},
    },
};

/// A user as a directory says it, with the values of its roles.
pub(super) fn with_roles(name: &str, active: bool, roles: &[&str]) -> UserDraft {
    let role = |value: &&str| ContactPoint { value: Some((*value).to_owned()), ..ContactPoint::default() };
    let mut draft = UserDraft { provisioned_active: Some(active), ..user(name) };
    draft.profile.roles = roles.iter().map(role).collect();
    draft
}

pub(super) fn role(id: &str) -> RoleId {
    RoleId::parse(id).unwrap()
}

impl World {
    /// The role in effect and where it comes from: `developer by group`; `none` without access.
    pub(super) async fn role_of(&self, user: UserId) -> String {
        let user = self.store.user(self.tenant, user).await.unwrap();
        user.role
            .map_or_else(|| "none".to_owned(), |role| format!("{} by {}", role.role.as_str(), role.source.as_str()))
    }

    pub(super) async fn set_role(&self, user: UserId, to: &str) -> Result<(), Error> {
        let set = SetManualRole { user, role: role(to) };
        self.store.set_manual_role(&self.administrator(), set).await.map(drop)
    }

    pub(super) async fn clear_role(&self, user: UserId) -> Result<(), Error> {
        self.store.clear_manual_role(&self.administrator(), user).await.map(drop)
    }

    pub(super) async fn replace_as(&self, caller: &Caller, user: UserId, draft: UserDraft) -> Result<(), Error> {
        let replace = ReplaceUser { user, draft, expected_version: None };
        self.store.replace_user(caller, replace).await.map(drop)
    }

    /// The directory says this of a user.
    pub(super) async fn says(&self, user: UserId, draft: UserDraft) {
        self.replace_as(&self.directory(), user, draft).await.unwrap();
    }

    pub(super) async fn change_as(&self, caller: &Caller, group: GroupId, change: GroupChange) -> Result<(), Error> {
        let change = ChangeGroup { group, changes: vec![change], expected_version: None };
        self.store.change_group(caller, change).await.map(drop)
    }

    pub(super) async fn joins(&self, user: UserId, group: GroupId) {
        let change = GroupChange::AddMembers(vec![user.to_string()]);
        self.change_as(&self.directory(), group, change).await.unwrap();
    }

    pub(super) async fn leaves(&self, user: UserId, group: GroupId) {
        let change = GroupChange::RemoveMembers(vec![user.to_string()]);
        self.change_as(&self.directory(), group, change).await.unwrap();
    }

    pub(super) async fn is_renamed(&self, group: GroupId, name: &str) {
        let change = GroupChange::SetDisplayName(GroupName::parse(name.to_owned()).unwrap());
        self.change_as(&self.directory(), group, change).await.unwrap();
    }

    pub(super) async fn map(&self, group: GroupId, to: &str) -> Result<Moved<Uuid>, Error> {
        self.map_as(Doing::Act, MappedGroup::Id(group), to).await
    }

    pub(super) async fn map_name(&self, name: &str, to: &str) -> Result<Moved<Uuid>, Error> {
        self.map_as(Doing::Act, MappedGroup::Name(GroupName::parse(name.to_owned()).unwrap()), to).await
    }

    pub(super) async fn map_as(&self, doing: Doing, group: MappedGroup, to: &str) -> Result<Moved<Uuid>, Error> {
        let create = CreateRoleMapping { group, role: role(to) };
        let created = self.store.create_role_mapping(&self.administrator(), doing, create).await?;
        Ok(Moved { value: created.value.id, people: created.people })
    }

    pub(super) async fn unmap(&self, mapping: Uuid) -> Result<Option<u64>, Error> {
        let deleted = self.store.delete_role_mapping(&self.administrator(), Doing::Act, mapping).await?;
        Ok(deleted.people)
    }

    pub(super) async fn set_default(&self, to: &str) -> Result<Option<u64>, Error> {
        Ok(self.store.set_default_role(&self.administrator(), Doing::Act, role(to)).await?.people)
    }

    pub(super) async fn directory_admin(&self, counts: bool) -> Result<Option<u64>, Error> {
        Ok(self.store.set_directory_admin(&self.administrator(), Doing::Act, counts).await?.people)
    }

    pub(super) async fn add_role(&self, id: &str, rank: i32) -> Result<(), Error> {
        let draft = RoleDraft::parse(id, rank, String::new()).unwrap();
        self.store.create_role(&self.administrator(), draft).await.map(drop)
    }

    pub(super) async fn delete_as(&self, caller: &Caller, user: UserId) -> Result<(), Error> {
        self.store.delete_user(caller, DeleteUser { user, expected_version: None }).await
    }

    pub(super) async fn delete_group_as(&self, caller: &Caller, group: GroupId) -> Result<(), Error> {
        self.store.delete_group(caller, DeleteGroup { group, expected_version: None }).await
    }

    /// What the feed says of roles of a user, in order: `explorer by default -> none`.
    pub(super) async fn told(&self, user: UserId) -> Vec<String> {
        let said = |values: &str| {
            let values: serde_json::Value = serde_json::from_str(values).unwrap();
            match (values["role"].as_str(), values["role_source"].as_str()) {
                (Some(role), Some(source)) => format!("{role} by {source}"),
                _ => "none".to_owned(),
            }
        };
        let changes = change::Entity::find()
            .filter(change::Column::TenantId.eq(self.tenant.uuid()))
            .filter(change::Column::Kind.eq("role.changed"))
            .filter(change::Column::SubjectId.eq(user.uuid()))
            .order_by_asc(change::Column::Position)
            .all(self.store.database.read())
            .await
            .unwrap();
        let told = changes.iter().map(|row| format!("{} -> {}", said(&row.before_values), said(&row.after_values)));
        // What was given by hand and made no difference.
        told.filter(|told| told != "none -> none").collect()
    }

    /// How many batches and deleted mappings are still there.
    pub(super) async fn left_over(&self) -> (usize, usize) {
        let db = self.store.database.read();
        let batches = role_batch::Entity::find().all(db).await.unwrap();
        let deleted = role_mapping::Entity::find().filter(role_mapping::Column::DeletedAtUs.is_not_null());
        (batches.len(), deleted.all(db).await.unwrap().len())
    }
}

/// What a write by this caller notes.
pub(super) fn noted(caller: &Caller) -> Vec<WriteNote> {
    caller.notes.take()
}
