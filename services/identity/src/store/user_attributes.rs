//! The attributes of users that a tenant defined.

use std::borrow::Cow;

use ::audit::{Content, Values};
use ids::TenantId;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    SqlErr, Statement,
};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{
    domain::{
        AttributeName, AttributeType, Caller, Error, Timestamp, USER_ATTRIBUTES, USER_ATTRIBUTES_MAX, UserAttribute,
        UserAttributeDraft, UserDraft, resolve,
    },
    store::{
        Outcome, Running, Store,
        entity::{user, user_attribute},
        refuse,
        tx::{ChangeKind, Tx},
        unavailable,
    },
};

/// How many users one statement takes a value from: it bounds how long it takes.
const USERS_PER_STATEMENT: u64 = 5000;

impl Store {
    pub(crate) async fn create_user_attribute(
        &self,
        caller: &Caller,
        draft: UserAttributeDraft,
    ) -> Result<UserAttribute, Error> {
        self.write(caller, draft, create).await
    }

    /// Definitions by name, after one of a name.
    pub(crate) async fn list_user_attributes(
        &self,
        tenant: TenantId,
        after: &str,
        size: u64,
    ) -> Result<Vec<UserAttribute>, Error> {
        let rows = user_attribute::Entity::find()
            .filter(user_attribute::Column::TenantId.eq(tenant.uuid()))
            .filter(user_attribute::Column::NameKey.gt(after.to_ascii_lowercase()))
            .order_by_asc(user_attribute::Column::NameKey)
            .limit(size)
            .all(self.database.read())
            .await;
        let defined = rows.and_then(|rows| rows.into_iter().map(UserAttribute::try_from).collect());
        defined.map_err(|error: DbErr| unavailable(&error))
    }

    /// Every definition.
    pub(crate) async fn user_attributes(&self, tenant: TenantId) -> Result<Vec<UserAttribute>, Error> {
        self.list_user_attributes(tenant, "", USER_ATTRIBUTES_MAX).await
    }

    pub(crate) async fn delete_user_attribute(&self, caller: &Caller, name: AttributeName) -> Result<(), Error> {
        // Many users may have a value: the work goes on when its caller has given up waiting, and is there at the next try.
        let (store, caller) = (self.clone(), caller.clone());
        let deleting = async move { store.write(&caller, name, delete).await };
        tokio::spawn(deleting.in_current_span()).await.unwrap_or(Err(Error::Internal))
    }
}

/// A draft with its attributes' values under the names as they are defined. The definitions are held until the transaction ends, so that none
/// is deleted while a value of it is written.
pub(super) async fn resolved<'d>(tx: &Tx<'_>, draft: &'d UserDraft) -> Outcome<Cow<'d, UserDraft>> {
    if draft.attributes.is_empty() {
        return Ok(Cow::Borrowed(draft));
    }
    let keys = draft.attributes.keys().map(|name| name.to_ascii_lowercase());
    let rows = user_attribute::Entity::find()
        .filter(user_attribute::Column::TenantId.eq(tx.tenant()))
        .filter(user_attribute::Column::NameKey.is_in(keys))
        .lock_shared()
        .all(tx.db)
        .await?;
    let defined = rows.into_iter().map(UserAttribute::try_from).collect::<Result<Vec<_>, _>>()?;
    match resolve(&draft.attributes, &defined) {
        Ok(attributes) => Ok(Cow::Owned(UserDraft { attributes, ..draft.clone() })),
        Err(invalid) => refuse(invalid.into()),
    }
}

fn create<'a>(tx: &'a Tx<'a>, draft: &'a UserAttributeDraft) -> Running<'a, UserAttribute> {
    Box::pin(async move {
        tx.lock_tenant().await?;
        let defined = user_attribute::Entity::find()
            .filter(user_attribute::Column::TenantId.eq(tx.tenant()))
            .count(tx.db)
            .await?;
        if defined >= USER_ATTRIBUTES_MAX {
            return refuse(Error::TooManyUserAttributes);
        }
        let row = user_attribute::Model {
            tenant_id: tx.tenant(),
            name_key: draft.name.key(),
            name: draft.name.as_str().to_owned(),
            kind: draft.kind.as_str().to_owned(),
            description: draft.description.clone(),
            created_at_us: tx.now.0,
        };
        let insert = user_attribute::Entity::insert(user_attribute::ActiveModel::from(row.clone()));
        insert.exec_without_returning(tx.db).await.map_err(|error| match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => database::Error::Refused(Error::UserAttributeTaken),
            _ => database::Error::Database(error),
        })?;
        tx.audit(&row.name, || Content::default().after(described(&row)));
        tx.changed(ChangeKind::TenantChanged, tx.tenant(), 0, Content::default().after(named(&row)));
        Ok(UserAttribute::try_from(row)?)
    })
}

fn delete<'a>(tx: &'a Tx<'a>, name: &'a AttributeName) -> Running<'a, ()> {
    Box::pin(async move {
        let key = (tx.tenant(), name.key());
        let row = user_attribute::Entity::find_by_id(key.clone()).lock_exclusive().one(tx.db).await?;
        let Some(row) = row else { return refuse(Error::NotFound("user attribute")) };
        user_attribute::Entity::delete_by_id(key).exec(tx.db).await?;
        remove_values(tx, &row.name).await?;
        tx.audit(&row.name, || Content::default().before(described(&row)));
        tx.changed(ChangeKind::TenantChanged, tx.tenant(), 0, Content::default().before(named(&row)));
        Ok(())
    })
}

/// What the change feed says of a definition.
fn named(row: &user_attribute::Model) -> Values {
    described(row).with("user_attribute", &*row.name)
}

/// What the audit log says of a definition.
fn described(row: &user_attribute::Model) -> Values {
    Values::new().with("type", &*row.kind).with("description", &*row.description)
}

/// Takes every value of an attribute away, from users who are softly deleted too: a restore must not bring it back.
async fn remove_values(tx: &Tx<'_>, name: &str) -> Outcome<()> {
    let mut after = Uuid::nil();
    loop {
        let ids: Vec<Uuid> = user::Entity::find()
            .filter(user::Column::TenantId.eq(tx.tenant()))
            .filter(user::Column::Id.gt(after))
            .select_only()
            .column(user::Column::Id)
            .order_by_asc(user::Column::Id)
            .limit(USERS_PER_STATEMENT)
            .into_tuple()
            .all(tx.db)
            .await?;
        let Some(last) = ids.last() else { return Ok(()) };
        tx.db.execute_raw(removal(tx, name, after, *last)).await?;
        after = *last;
    }
}

/// From users whose ids are greater than `after` and at most `last`.
fn removal(tx: &Tx<'_>, name: &str, after: Uuid, last: Uuid) -> Statement {
    const POSTGRES: &str = "UPDATE users SET
            user_attributes = CAST(CAST(user_attributes AS jsonb) - $1 AS text),
            search = jsonb_set(search, '{user_attributes}', (search -> 'user_attributes') - $1),
            version = version + 1,
            updated_at_us = $2
        WHERE tenant_id = $3 AND id > $4 AND id <= $5 AND jsonb_exists(search -> 'user_attributes', $1)";
    const SQLITE: &str = "UPDATE users SET
            user_attributes = json_remove(user_attributes, '$.\"' || $1 || '\"'),
            search = json_remove(search, '$.user_attributes.\"' || $1 || '\"'),
            version = version + 1,
            updated_at_us = $2
        WHERE tenant_id = $3 AND id > $4 AND id <= $5 AND json_type(user_attributes, '$.\"' || $1 || '\"') IS NOT NULL";
    let engine = tx.db.get_database_backend();
    let sql = if engine == DbBackend::Postgres { POSTGRES } else { SQLITE };
    let values = [name.into(), tx.now.0.into(), tx.tenant().into(), after.into(), last.into()];
    Statement::from_sql_and_values(engine, sql, values)
}

impl TryFrom<user_attribute::Model> for UserAttribute {
    type Error = DbErr;

    fn try_from(row: user_attribute::Model) -> Result<Self, DbErr> {
        let kind = AttributeType::stored(&row.kind);
        let unknown =
            || DbErr::Type(format!("{USER_ATTRIBUTES} of a type that this release does not know: {}", row.kind));
        Ok(Self {
            kind: kind.ok_or_else(unknown)?,
            name: AttributeName::stored(row.name),
            description: row.description,
            created_at: Timestamp(row.created_at_us),
        })
    }
}
