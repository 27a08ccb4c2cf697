//! Groups: reading and writing one.

use ::audit::{Content, Values};
use ids::{GroupId, TenantId, UserId};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QueryResult, QuerySelect, SqlErr,
    sea_query::{Asterisk, Query},
};
use uuid::Uuid;

use crate::{
    domain::{
        Caller, CaseKey, Error, ExternalId, Group, GroupChange, GroupDraft, GroupName, Listed, Selection, Slice,
        Timestamp,
    },
    store::{
        Outcome, Running, Store, check_version,
        entity::group,
        group_roles, members, refuse,
        resource::Subject,
        role_mappings,
        tx::{ChangeKind, Tx},
        unavailable,
    },
};

/// A group to make.
#[derive(Debug)]
pub(crate) struct CreateGroup {
    pub(crate) draft: GroupDraft,
    pub(crate) member_ids: Vec<String>,
}

/// Changes of one group, in the order of their effect.
#[derive(Debug)]
pub(crate) struct ChangeGroup {
    pub(crate) group: GroupId,
    pub(crate) changes: Vec<GroupChange>,
    pub(crate) expected_version: Option<i64>,
}

/// Which group to delete.
#[derive(Debug)]
pub(crate) struct DeleteGroup {
    pub(crate) group: GroupId,
    pub(crate) expected_version: Option<i64>,
}

impl Store {
    pub(crate) async fn create_group(&self, caller: &Caller, create: CreateGroup) -> Result<Group, Error> {
        let key = create.draft.display_name.key();
        let created = self.write(caller, create, create_in).await;
        self.naming_group(caller.tenant, created, &key).await
    }

    pub(crate) async fn group(&self, tenant: TenantId, group: GroupId) -> Result<Group, Error> {
        let row = group::Entity::find_by_id((tenant.uuid(), group.uuid()))
            .filter(group::Column::DeletedAtUs.is_null())
            .one(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        row.map(Group::from).ok_or(Error::NotFound("group"))
    }

    pub(crate) async fn list_groups(
        &self,
        tenant: TenantId,
        selection: &Selection,
        slice: Slice,
    ) -> Result<Listed<Group>, Error> {
        let mut select = Query::select();
        select
            .column((group::Entity, Asterisk))
            .from(group::Entity)
            .and_where(group::Column::TenantId.eq(tenant.uuid()))
            .and_where(group::Column::DeletedAtUs.is_null());
        self.list((tenant, Subject::Group), selection, select, slice, from_row).await
    }

    pub(crate) async fn change_group(&self, caller: &Caller, change: ChangeGroup) -> Result<Group, Error> {
        let renamed = change.changes.iter().rev().find_map(|change| match change {
            GroupChange::SetDisplayName(name) => Some(name.key()),
            _ => None,
        });
        let changed = self.write(caller, change, change_in).await;
        match renamed {
            Some(key) => self.naming_group(caller.tenant, changed, &key).await,
            None => changed,
        }
    }

    pub(crate) async fn delete_group(&self, caller: &Caller, delete: DeleteGroup) -> Result<(), Error> {
        self.write(caller, delete, delete_in).await
    }

    /// As for users: adds to a conflict which group holds the name.
    async fn naming_group(
        &self,
        tenant: TenantId,
        outcome: Result<Group, Error>,
        key: &CaseKey,
    ) -> Result<Group, Error> {
        let Err(Error::GroupNameTaken { .. }) = outcome else { return outcome };
        let holder: Result<Option<Uuid>, DbErr> = group::Entity::find()
            .filter(group::Column::TenantId.eq(tenant.uuid()))
            .filter(group::Column::DeletedAtUs.is_null())
            .filter(group::Column::DisplayNameKey.eq(key.as_str()))
            .select_only()
            .column(group::Column::Id)
            .into_tuple()
            .one(self.database.read())
            .await;
        let holder = holder.map_err(|error| unavailable(&error))?;
        Err(Error::GroupNameTaken { holder: holder.map(|id| GroupId::from(id).to_string()) })
    }
}

fn create_in<'a>(tx: &'a Tx<'a>, create: &'a CreateGroup) -> Running<'a, Group> {
    Box::pin(async move {
        members::check_known(tx, [create.member_ids.as_slice()]).await?;
        let id = GroupId::generate();
        let row = group::Model {
            tenant_id: tx.tenant(),
            id: id.uuid(),
            display_name: create.draft.display_name.as_str().to_owned(),
            display_name_key: create.draft.display_name.key().into_string(),
            external_id: create.draft.external_id.as_ref().map(|id| id.as_str().to_owned()),
            version: 1,
            created_at_us: tx.now.0,
            updated_at_us: tx.now.0,
            deleted_at_us: None,
        };
        let insert = group::Entity::insert(group::ActiveModel::from(row.clone()));
        insert.exec_without_returning(tx.db).await.map_err(name_taken)?;
        tx.changed(ChangeKind::GroupCreated, id.uuid(), 1, Content::default().after(described(&row)));
        // A name may be mapped ahead of its group.
        let standing = group_roles::before_create(tx, &row, &create.member_ids).await?;
        let joined = members::add(tx, id, &create.member_ids).await?;
        tx.audit(id, || {
            let after = described(&row).with_some("members_added", Moved::of(&joined).named());
            Content::detail("created").after(after)
        });
        members::record(tx, ChangeKind::MemberAdded, id, &joined, 1);
        if let Some(standing) = standing {
            standing.settle(tx).await?;
        }
        Ok(Group::from(row))
    })
}

fn change_in<'a>(tx: &'a Tx<'a>, change: &'a ChangeGroup) -> Running<'a, Group> {
    Box::pin(async move {
        // The group's row is the lock that puts changes of one group in order; members come after it in every transaction.
        let mut row = lock(tx, change.group).await?;
        check_version(row.version, change.expected_version)?;
        members::check_known(tx, change.changes.iter().map(GroupChange::joining)).await?;
        let standing = group_roles::before_change(tx, &row, &change.changes).await?;
        let before = described(&row);
        let (mut joined, mut left) = (Moved::default(), Moved::default());
        let next_version = row.version + 1;
        let mut changed = false;
        for one in &change.changes {
            changed |= apply(tx, change.group, one, &mut row, next_version, (&mut joined, &mut left)).await?;
        }
        tx.audit(change.group, || {
            let changed = Content::difference(before, described(&row));
            let after = changed.after.with_some("members_added", joined.named());
            Content::change(changed.before, after.with_some("members_removed", left.named()))
        });
        if !changed {
            return Ok(Group::from(row));
        }
        row.version = next_version;
        row.updated_at_us = tx.now.0;
        group::Entity::update_many()
            .set(group::ActiveModel {
                display_name: Set(row.display_name.clone()),
                display_name_key: Set(row.display_name_key.clone()),
                external_id: Set(row.external_id.clone()),
                version: Set(row.version),
                updated_at_us: Set(row.updated_at_us),
                ..group::ActiveModel::default()
            })
            .filter(group::Column::TenantId.eq(tx.tenant()))
            .filter(group::Column::Id.eq(change.group.uuid()))
            .exec(tx.db)
            .await
            .map_err(name_taken)?;
        if let Some(standing) = standing {
            standing.settle(tx).await?;
            group_roles::tell(tx, &row).await?;
        }
        Ok(Group::from(row))
    })
}

/// Applies one change, to the members at once and to the row in memory. Answers whether it changed anything.
async fn apply(
    tx: &Tx<'_>,
    id: GroupId,
    change: &GroupChange,
    row: &mut group::Model,
    version: i64,
    (all_joined, all_left): (&mut Moved, &mut Moved),
) -> Outcome<bool> {
    let (joined, left) = match change {
        GroupChange::AddMembers(ids) => (members::add(tx, id, ids).await?, Vec::new()),
        GroupChange::RemoveMembers(ids) => (Vec::new(), members::remove(tx, id, ids).await?),
        GroupChange::ReplaceMembers(ids) => members::replace(tx, id, ids).await?,
        GroupChange::ClearMembers => (Vec::new(), members::clear(tx, id).await?),
        GroupChange::SetDisplayName(name) => {
            let before = described(row);
            row.display_name = name.as_str().to_owned();
            row.display_name_key = name.key().into_string();
            return Ok(noted(tx, id, Content::difference(before, described(row)), version));
        }
        GroupChange::SetExternalId(external_id) => {
            let before = described(row);
            row.external_id = external_id.as_ref().map(|id| id.as_str().to_owned());
            return Ok(noted(tx, id, Content::difference(before, described(row)), version));
        }
    };
    all_joined.add(&joined);
    all_left.add(&left);
    members::record(tx, ChangeKind::MemberRemoved, id, &left, version);
    members::record(tx, ChangeKind::MemberAdded, id, &joined, version);
    Ok(!joined.is_empty() || !left.is_empty())
}

fn noted(tx: &Tx<'_>, id: GroupId, what: Content, version: i64) -> bool {
    let changed = !what.is_empty();
    if changed {
        tx.changed(ChangeKind::GroupChanged, id.uuid(), version, what);
    }
    changed
}

fn delete_in<'a>(tx: &'a Tx<'a>, delete: &'a DeleteGroup) -> Running<'a, ()> {
    Box::pin(async move {
        let row = lock(tx, delete.group).await?;
        check_version(row.version, delete.expected_version)?;
        let standing = group_roles::before_delete(tx, &row).await?;
        group::Entity::update_many()
            .set(group::ActiveModel {
                version: Set(row.version + 1),
                updated_at_us: Set(tx.now.0),
                deleted_at_us: Set(Some(tx.now.0)),
                ..group::ActiveModel::default()
            })
            .filter(group::Column::TenantId.eq(tx.tenant()))
            .filter(group::Column::Id.eq(delete.group.uuid()))
            .exec(tx.db)
            .await?;
        let what = Content::default().before(described(&row));
        tx.changed(ChangeKind::GroupDeleted, delete.group.uuid(), row.version + 1, what);
        tx.audit(delete.group, || Content::detail("deleted").before(described(&row)));
        if let Some(standing) = standing {
            role_mappings::end_with(tx, row.id).await?;
            standing.settle(tx).await?;
        }
        Ok(())
    })
}

/// What the audit log says of a group, its members apart.
fn described(row: &group::Model) -> Values {
    Values::new().with("display_name", &*row.display_name).with_some("external_id", row.external_id.as_deref())
}

/// How many ids of members an audit entry names; the change feed names all.
const MEMBERS_NAMED_MAX: usize = 20;

/// Users who became members, or ceased to be, as the audit log says it.
#[derive(Default)]
struct Moved {
    count: usize,
    first: Vec<Uuid>,
}

impl Moved {
    fn of(users: &[Uuid]) -> Self {
        let mut moved = Self::default();
        moved.add(users);
        moved
    }

    fn add(&mut self, users: &[Uuid]) {
        self.count += users.len();
        self.first.extend(users.iter().take(MEMBERS_NAMED_MAX.saturating_sub(self.first.len())));
    }

    /// None where nobody moved.
    fn named(&self) -> Option<String> {
        let names: Vec<String> = self.first.iter().map(|user| UserId::from(*user).to_string()).collect();
        let names = names.join(", ");
        match self.count - self.first.len() {
            _ if self.count == 0 => None,
            0 => Some(names),
            more => Some(format!("{names} and {more} more")),
        }
    }
}

async fn lock(tx: &Tx<'_>, id: GroupId) -> Outcome<group::Model> {
    let row = group::Entity::find_by_id((tx.tenant(), id.uuid()))
        .filter(group::Column::DeletedAtUs.is_null())
        .lock_exclusive()
        .one(tx.db)
        .await?;
    match row {
        Some(row) => Ok(row),
        None => refuse(Error::NotFound("group")),
    }
}

/// The one unique constraint that a group can meet is that of the name.
fn name_taken(error: DbErr) -> database::Error<Error> {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => database::Error::Refused(Error::GroupNameTaken { holder: None }),
        _ => database::Error::Database(error),
    }
}

fn from_row(row: &QueryResult) -> Result<Group, DbErr> {
    group::Model::from_query_result(row, "").map(Group::from)
}

impl From<group::Model> for Group {
    fn from(row: group::Model) -> Self {
        Self {
            id: GroupId::from(row.id),
            provisioned: GroupDraft {
                display_name: GroupName::stored(row.display_name),
                external_id: row.external_id.map(ExternalId::stored),
            },
            version: row.version,
            created_at: Timestamp(row.created_at_us),
            updated_at: Timestamp(row.updated_at_us),
        }
    }
}
