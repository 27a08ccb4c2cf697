//! Users: reading and writing one.

use std::collections::HashMap;

use ::audit::{Content, Values};
use ids::{TenantId, UserId};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, SqlErr,
};
use uuid::Uuid;

use crate::{
    domain::{
        Caller, CaseKey, Error, InvalidField, Listed, MemberOf, Selection, Slice, User, UserDraft, WriteNote, search,
    },
    store::{
        Outcome, Running, Store,
        admins::{self, Before},
        check_version, deactivation_alarm, directory_roles,
        entity::{user, user_email},
        memberships, refuse,
        resource::Subject,
        returns,
        tx::{ChangeKind, Tx},
        unavailable, user_attributes,
        user_rows::{self, StoredUser},
        user_values::{described, described_with_access, named},
    },
};

/// Of how many users with the same external id a directory is told.
const NAMESAKES_MAX: u64 = 5;

/// What replaces a user.
#[derive(Debug)]
pub(crate) struct ReplaceUser {
    pub(crate) user: UserId,
    pub(crate) draft: UserDraft,
    pub(crate) expected_version: Option<i64>,
}

/// Which user to bring back.
#[derive(Debug)]
pub(crate) struct RestoreUser {
    pub(crate) user: UserId,
    /// Another, live user that goes in the same transaction, so that its name is free.
    pub(crate) instead_of: Option<UserId>,
}

impl From<UserId> for RestoreUser {
    fn from(user: UserId) -> Self {
        Self { user, instead_of: None }
    }
}

/// Which user to delete.
#[derive(Debug)]
pub(crate) struct DeleteUser {
    pub(crate) user: UserId,
    pub(crate) expected_version: Option<i64>,
}

impl Store {
    pub(crate) async fn create_user(&self, caller: &Caller, draft: UserDraft) -> Result<User, Error> {
        let key = draft.user_name.key();
        let created = self.write(caller, draft, create).await;
        self.naming_holder(caller.tenant, created, &key).await
    }

    pub(crate) async fn user(&self, tenant: TenantId, user: UserId) -> Result<User, Error> {
        let found = find(self.database.read(), tenant, user).await.map_err(|error| unavailable(&error))?;
        found.ok_or(Error::NotFound("user"))
    }

    pub(crate) async fn list_users(
        &self,
        tenant: TenantId,
        selection: &Selection,
        slice: Slice,
    ) -> Result<Listed<User>, Error> {
        let select = user_rows::select(self.database.read().get_database_backend(), tenant);
        self.list((tenant, Subject::User), selection, select, slice, user_rows::user).await
    }

    /// The live groups of these users.
    pub(crate) async fn groups_of(
        &self,
        tenant: TenantId,
        users: &[UserId],
    ) -> Result<HashMap<UserId, Vec<MemberOf>>, Error> {
        memberships::of(self.database.read(), tenant, users).await.map_err(|error| unavailable(&error))
    }

    pub(crate) async fn replace_user(&self, caller: &Caller, replace: ReplaceUser) -> Result<User, Error> {
        let key = replace.draft.user_name.key();
        let replaced = self.write(caller, replace, replace_in).await;
        self.naming_holder(caller.tenant, replaced, &key).await
    }

    pub(crate) async fn delete_user(&self, caller: &Caller, delete: DeleteUser) -> Result<(), Error> {
        self.write(caller, delete, delete_in).await
    }

    pub(crate) async fn suspend_user(&self, caller: &Caller, user: UserId) -> Result<User, Error> {
        self.write(caller, user, suspend_in).await
    }

    pub(crate) async fn restore_user(&self, caller: &Caller, restore: impl Into<RestoreUser>) -> Result<User, Error> {
        let restore = restore.into();
        let user = restore.user;
        let restored = self.write(caller, restore, restore_in).await;
        match restored {
            Err(Error::UserNameTaken { .. }) => {
                let key = self.key_of_any(caller.tenant, user).await?;
                self.naming_holder(caller.tenant, restored, &CaseKey::of(&key)).await
            }
            restored => restored,
        }
    }

    /// Adds to a conflict which user holds the name. The transaction that met the conflict is over, so the holder may be gone again: the
    /// refusal stands, without a name.
    async fn naming_holder(
        &self,
        tenant: TenantId,
        outcome: Result<User, Error>,
        key: &CaseKey,
    ) -> Result<User, Error> {
        let Err(Error::UserNameTaken { .. }) = outcome else { return outcome };
        let holder: Result<Option<Uuid>, DbErr> = user::Entity::find()
            .filter(user::Column::TenantId.eq(tenant.uuid()))
            .filter(user::Column::DeletedAtUs.is_null())
            .filter(user::Column::UserNameKey.eq(key.as_str()))
            .select_only()
            .column(user::Column::Id)
            .into_tuple()
            .one(self.database.read())
            .await;
        let holder = holder.map_err(|error| unavailable(&error))?;
        Err(Error::UserNameTaken { holder: holder.map(|id| UserId::from(id).to_string()) })
    }

    async fn key_of_any(&self, tenant: TenantId, user: UserId) -> Result<String, Error> {
        let row = user::Entity::find_by_id((tenant.uuid(), user.uuid())).one(self.database.read()).await;
        Ok(row.map_err(|error| unavailable(&error))?.map(|row| row.user_name_key).unwrap_or_default())
    }
}

/// A live user.
pub(super) async fn find<C: ConnectionTrait>(db: &C, tenant: TenantId, user: UserId) -> Result<Option<User>, DbErr> {
    let mut select = user_rows::select(db.get_database_backend(), tenant);
    select.and_where(user::Column::Id.eq(user.uuid()));
    db.query_one(&select).await?.as_ref().map(user_rows::user).transpose()
}

/// The live user that this transaction has just written.
pub(super) async fn written(tx: &Tx<'_>, user: UserId) -> Outcome<User> {
    match find(tx.db, tx.caller.tenant, user).await? {
        Some(user) => Ok(user),
        None => refuse(Error::NotFound("user")),
    }
}

/// The row of a user, live or softly deleted, locked until the transaction ends.
pub(super) async fn lock(tx: &Tx<'_>, user: UserId) -> Outcome<StoredUser> {
    let row = user::Entity::find_by_id((tx.tenant(), user.uuid()))
        .select_only()
        .columns(user_rows::STORED)
        .lock_exclusive()
        .into_model()
        .one(tx.db)
        .await?;
    match row {
        Some(row) => Ok(row),
        None => refuse(Error::NotFound("user")),
    }
}

async fn lock_live(tx: &Tx<'_>, user: UserId) -> Outcome<StoredUser> {
    let row = lock(tx, user).await?;
    if row.deleted_at_us.is_some() { refuse(Error::NotFound("user")) } else { Ok(row) }
}

fn create<'a>(tx: &'a Tx<'a>, draft: &'a UserDraft) -> Running<'a, User> {
    Box::pin(async move {
        let id = UserId::generate();
        let draft = &*user_attributes::resolved(tx, draft).await?;
        let row = user::ActiveModel {
            tenant_id: Set(tx.tenant()),
            id: Set(id.uuid()),
            suspended_at_us: Set(None),
            // A directory that has said nothing yet means that the person is to have access.
            provisioned_active: Set(draft.provisioned_active.unwrap_or(true)),
            provisioned_active_withdrawn: Set(false),
            version: Set(1),
            created_at_us: Set(tx.now.0),
            updated_at_us: Set(tx.now.0),
            deleted_at_us: Set(None),
            directory_since_us: Set(tx.caller.provisioning.then_some(tx.now.0)),
            // Whose access has not begun is told from another by this (rule R18); it has not ended either.
            access_ended_external_id: Set(draft.external_id.as_ref().map(|id| id.as_str().to_owned())),
            ..columns(draft)?
        };
        user::Entity::insert(row).exec_without_returning(tx.db).await.map_err(name_taken)?;
        insert_emails(tx, id, draft).await?;
        note_namesakes(tx, id, draft).await?;
        directory_roles::insert(tx, id.uuid(), &draft.profile.roles).await?;
        let after = described_with_access(draft, draft.provisioned_active.unwrap_or(true));
        tx.changed(ChangeKind::UserCreated, id.uuid(), 1, Content::default().after(after));
        tx.audit(id, || Content::detail("created").after(described(draft)));
        written(tx, id).await
    })
}

fn replace_in<'a>(tx: &'a Tx<'a>, replace: &'a ReplaceUser) -> Running<'a, User> {
    Box::pin(async move {
        // Definitions before users, in every transaction: one that deletes a definition waits for this, or this for that.
        let draft = &*user_attributes::resolved(tx, &replace.draft).await?;
        let stored = lock_live(tx, replace.user).await?;
        check_version(stored.version, replace.expected_version)?;
        let before = user_rows::draft(&stored)?;
        tx.audit(replace.user, || Content::difference(described(&before), described(draft)));
        let adopted = adopted(tx, &stored);
        if before == *draft {
            if let Some(adopted) = adopted.filter(|_| !tx.is_rehearsal()) {
                tx.note(WriteNote::Adopted);
                update(tx, replace.user, adopted).await?;
            }
            return written(tx, replace.user).await;
        }
        // Where the directory takes its word back, what it said before goes on to decide.
        let governing = draft.provisioned_active.unwrap_or(stored.provisioned_active);
        let standing = if governing != stored.provisioned_active || before.profile.roles != draft.profile.roles {
            Some(lock_role(tx, replace.user).await?)
        } else {
            None
        };
        if adopted.is_some() {
            tx.note(WriteNote::Adopted);
        }
        let changed = user::ActiveModel {
            version: Set(stored.version + 1),
            updated_at_us: Set(tx.now.0),
            directory_since_us: adopted.map_or(NotSet, |adopted| adopted.directory_since_us),
            ..returns::access(tx, &stored, draft, columns(draft)?)
        };
        update(tx, replace.user, changed).await?;
        if before.profile.emails != draft.profile.emails {
            user_email::Entity::delete_many()
                .filter(user_email::Column::TenantId.eq(tx.tenant()))
                .filter(user_email::Column::UserId.eq(replace.user.uuid()))
                .exec(tx.db)
                .await?;
            insert_emails(tx, replace.user, draft).await?;
        }
        if before.profile.roles != draft.profile.roles {
            directory_roles::set(tx, replace.user.uuid(), &draft.profile.roles).await?;
        }
        returns::hold(tx, &stored, draft).await?;
        let what = Content::difference(
            described_with_access(&before, has_access(&stored)),
            described_with_access(draft, governing && stored.suspended_at_us.is_none()),
        );
        tx.changed(ChangeKind::UserChanged, replace.user.uuid(), stored.version + 1, what);
        if let Some(standing) = standing {
            standing.settle(tx).await?;
        }
        if stored.provisioned_active && !governing {
            deactivation_alarm::look(tx).await?;
        }
        written(tx, replace.user).await
    })
}

/// How a user stands, whose row is locked, and nobody's role in the tenant changes from here on but by this transaction.
pub(super) async fn lock_role(tx: &Tx<'_>, user: UserId) -> Outcome<Before> {
    tx.lock_roles().await?;
    admins::before(tx, &[user.uuid()]).await
}

fn delete_in<'a>(tx: &'a Tx<'a>, delete: &'a DeleteUser) -> Running<'a, ()> {
    Box::pin(async move {
        let stored = lock_live(tx, delete.user).await?;
        check_version(stored.version, delete.expected_version)?;
        let standing = lock_role(tx, delete.user).await?;
        remove(tx, &stored).await?;
        tx.audit(delete.user, || {
            Content::detail("deleted").before(Values::new().with("user_name", &*stored.user_name))
        });
        standing.settle(tx).await?;
        if has_access(&stored) {
            deactivation_alarm::look(tx).await?;
        }
        Ok(())
    })
}

/// Deletes a stored user softly.
async fn remove(tx: &Tx<'_>, stored: &StoredUser) -> Outcome<()> {
    let deleted = user::ActiveModel {
        deleted_at_us: Set(Some(tx.now.0)),
        ..returns::ended(tx, stored, stored.external_id.clone(), raised(tx, stored))
    };
    update(tx, UserId::from(stored.id), deleted).await?;
    let what = Content::default().before(named(stored, has_access(stored)));
    tx.changed(ChangeKind::UserDeleted, stored.id, stored.version + 1, what);
    Ok(())
}

/// What is written of a user to whom a directory has not written before.
fn adopted(tx: &Tx<'_>, stored: &StoredUser) -> Option<user::ActiveModel> {
    if !tx.caller.provisioning || stored.directory_since_us.is_some() {
        return None;
    }
    Some(user::ActiveModel { directory_since_us: Set(Some(tx.now.0)), ..user::ActiveModel::default() })
}

/// Notes the other users of an external id that a directory gives a new one (rule R17): one that is deleted may be the same person.
async fn note_namesakes(tx: &Tx<'_>, user: UserId, draft: &UserDraft) -> Outcome<()> {
    let Some(external_id) = draft.external_id.as_ref().filter(|_| tx.caller.provisioning) else { return Ok(()) };
    let others: Vec<(Uuid, Option<i64>)> = user::Entity::find()
        .filter(user::Column::TenantId.eq(tx.tenant()))
        .filter(user::Column::ExternalId.eq(external_id.as_str()))
        .filter(user::Column::Id.ne(user.uuid()))
        .order_by_desc(user::Column::Id)
        .limit(NAMESAKES_MAX)
        .select_only()
        .columns([user::Column::Id, user::Column::DeletedAtUs])
        .into_tuple()
        .all(tx.db)
        .await?;
    for (other, deleted_at_us) in others {
        let other = UserId::from(other);
        tx.note(deleted_at_us.map_or(WriteNote::ExternalIdShared(other), |_| WriteNote::DeletedNamesake(other)));
    }
    Ok(())
}

fn suspend_in<'a>(tx: &'a Tx<'a>, user: &'a UserId) -> Running<'a, User> {
    Box::pin(async move {
        let stored = lock_live(tx, *user).await?;
        let suspended = |suspended: bool| Values::new().with("suspended", suspended.to_string());
        tx.audit(user, || Content::change(suspended(stored.suspended_at_us.is_some()), suspended(true)));
        if stored.suspended_at_us.is_none() {
            let standing = lock_role(tx, *user).await?;
            let columns = user::ActiveModel { suspended_at_us: Set(Some(tx.now.0)), ..raised(tx, &stored) };
            update(tx, *user, columns).await?;
            let before = suspended(false).with("active", has_access(&stored).to_string());
            let what = Content::difference(before, suspended(true).with("active", "false"));
            tx.changed(ChangeKind::UserChanged, user.uuid(), stored.version + 1, what);
            standing.settle(tx).await?;
        }
        written(tx, *user).await
    })
}

fn restore_in<'a>(tx: &'a Tx<'a>, restore: &'a RestoreUser) -> Running<'a, User> {
    Box::pin(async move {
        let RestoreUser { user, instead_of } = restore;
        let stored = lock(tx, *user).await?;
        if instead_of.is_some() && stored.deleted_at_us.is_none() {
            let problem = "cannot be set for a user who is not deleted";
            return refuse(InvalidField::new("instead_of_user_id", problem).into());
        }
        let other = match instead_of {
            Some(other) => Some(lock_live(tx, *other).await?),
            None => None,
        };
        let state = |suspended: bool, deleted: bool| {
            Values::new().with("suspended", suspended.to_string()).with("deleted", deleted.to_string())
        };
        tx.audit(user, || {
            let before = state(stored.suspended_at_us.is_some(), stored.deleted_at_us.is_some());
            let detail =
                instead_of.map_or_else(|| "restored".to_owned(), |other| format!("restored instead of {other}"));
            Content { detail, ..Content::difference(before, state(false, false)) }
        });
        tx.lock_roles().await?;
        let whom: Vec<Uuid> = other.iter().map(|other| other.id).chain([user.uuid()]).collect();
        let standing = admins::before(tx, &whom).await?;
        if let Some(other) = &other {
            remove(tx, other).await?;
        }
        if stored.suspended_at_us.is_some() || stored.deleted_at_us.is_some() {
            let restored = user::ActiveModel {
                suspended_at_us: Set(None),
                deleted_at_us: Set(None),
                ..returns::restored(&stored, raised(tx, &stored))
            };
            update(tx, *user, restored).await?;
            let what = Content::default().after(named(&stored, stored.provisioned_active));
            tx.changed(ChangeKind::UserRestored, user.uuid(), stored.version + 1, what);
        }
        standing.settle(tx).await?;
        written(tx, *user).await
    })
}

/// Whether a stored user has access.
const fn has_access(stored: &StoredUser) -> bool {
    stored.provisioned_active && stored.suspended_at_us.is_none()
}

/// The next version of a stored user, and nothing else.
pub(super) fn raised(tx: &Tx<'_>, stored: &StoredUser) -> user::ActiveModel {
    user::ActiveModel { version: Set(stored.version + 1), updated_at_us: Set(tx.now.0), ..user::ActiveModel::default() }
}

pub(super) async fn update(tx: &Tx<'_>, user: UserId, columns: user::ActiveModel) -> Outcome<()> {
    user::Entity::update_many()
        .set(columns)
        .filter(user::Column::TenantId.eq(tx.tenant()))
        .filter(user::Column::Id.eq(user.uuid()))
        .exec(tx.db)
        .await
        .map_err(name_taken)?;
    Ok(())
}

/// The columns that hold what the directory says.
fn columns(draft: &UserDraft) -> Outcome<user::ActiveModel> {
    let unwritable = |error: serde_json::Error| DbErr::Type(error.to_string());
    let profile = serde_json::to_string(&draft.profile).map_err(unwritable)?;
    let attributes = serde_json::to_string(&draft.attributes).map_err(unwritable)?;
    let search = search::document(&draft.profile, &draft.attributes).map_err(unwritable)?;
    Ok(user::ActiveModel {
        user_name: Set(draft.user_name.as_str().to_owned()),
        user_name_key: Set(draft.user_name.key().into_string()),
        external_id: Set(draft.external_id.as_ref().map(|id| id.as_str().to_owned())),
        display_name: Set(draft.display_name.as_ref().map(|name| name.as_str().to_owned())),
        display_name_key: Set(draft.display_name.as_ref().map(|name| name.key().into_string())),
        // Where the directory takes its word back, what it said before goes on to decide.
        provisioned_active: draft.provisioned_active.map_or(NotSet, Set),
        provisioned_active_withdrawn: Set(draft.provisioned_active.is_none()),
        profile: Set(profile),
        user_attributes: Set(attributes),
        search: Set(search),
        ..user::ActiveModel::default()
    })
}

async fn insert_emails(tx: &Tx<'_>, user: UserId, draft: &UserDraft) -> Outcome<()> {
    let rows = (0..).zip(&draft.profile.emails).filter_map(|(ordinal, email)| {
        Some(user_email::ActiveModel {
            tenant_id: Set(tx.tenant()),
            user_id: Set(user.uuid()),
            ordinal: Set(ordinal),
            value_key: Set(CaseKey::of(email.value.as_deref()?).into_string()),
            kind_key: Set(email.kind.as_deref().map(|kind| CaseKey::of(kind).into_string())),
        })
    });
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        user_email::Entity::insert_many(rows).exec_without_returning(tx.db).await?;
    }
    Ok(())
}

/// The one unique constraint that a user can meet is that of the name.
fn name_taken(error: DbErr) -> database::Error<Error> {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => database::Error::Refused(Error::UserNameTaken { holder: None }),
        _ => database::Error::Database(error),
    }
}
