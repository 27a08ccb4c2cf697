//! Keys.

use ::audit::{Content, Values};
use ids::{ApiKeyId, TenantId};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict},
};

use super::{
    Outcome, Running, Store,
    audit::{self, Note},
    entity::api_key,
    revocations, unavailable, unwritten,
};
use crate::domain::{ApiKey, Caller, Credential, Error, RevocationSubject, Timestamp};

type Insert = (Caller, ApiKey, String);
type Find = (Caller, ApiKeyId);
type List = (Caller, Option<ApiKeyId>, u64);

impl Store {
    /// Stores a new key of `caller`'s tenant with its hash.
    pub(crate) async fn create(&self, caller: &Caller, key: ApiKey, hash: String) -> Result<(), Error> {
        self.write((caller.clone(), key, hash), create).await.map_err(unwritten)
    }

    /// Stores a key with its hash, unless one of its id is there.
    pub(crate) async fn install(&self, caller: &Caller, key: ApiKey, hash: String) -> Result<(), Error> {
        self.write((caller.clone(), key, hash), install).await.map_err(unwritten)
    }

    /// A key of `caller`'s tenant.
    pub(crate) async fn get(&self, caller: &Caller, id: ApiKeyId) -> Result<Option<ApiKey>, Error> {
        if caller.is_operator {
            return self.write((caller.clone(), id), get_and_note).await.map_err(unwritten);
        }
        find(self.database.read(), caller.tenant, id).await.map_err(unwritten)
    }

    /// At most `size` keys of `caller`'s tenant after one of them, in the order of their ids.
    pub(crate) async fn list(&self, caller: &Caller, after: Option<ApiKeyId>, size: u64) -> Result<Vec<ApiKey>, Error> {
        if caller.is_operator {
            return self.write((caller.clone(), after, size), list_and_note).await.map_err(unwritten);
        }
        page(self.database.read(), caller.tenant, after, size).await.map_err(unwritten)
    }

    /// Revokes a key of `caller`'s tenant, if there is one and it is not revoked already, and answers it.
    pub(crate) async fn revoke(&self, caller: &Caller, id: ApiKeyId) -> Result<Option<ApiKey>, Error> {
        self.write((caller.clone(), id), revoke).await.map_err(unwritten)
    }

    /// What verifying the key `id` takes, whosever it is.
    pub(crate) async fn credential(&self, id: ApiKeyId) -> Result<Option<Credential>, Error> {
        let row = api_key::Entity::find().filter(api_key::Column::Id.eq(id.uuid())).one(self.database.read()).await;
        let row = row.map_err(|error| unavailable(&error))?;
        row.map(|row| Credential::try_from(row).map_err(|error| unavailable(&error))).transpose()
    }
}

fn create<'a>(tx: &'a DatabaseTransaction, (caller, key, hash): &'a Insert) -> Running<'a, ()> {
    Box::pin(async move {
        api_key::Entity::insert(row(key, hash)).exec_without_returning(tx).await?;
        audit::append(tx, caller, Note::of(key.id, Content::default().after(described(key)))).await?;
        Ok(())
    })
}

fn install<'a>(tx: &'a DatabaseTransaction, (caller, key, hash): &'a Insert) -> Running<'a, ()> {
    Box::pin(async move {
        // Whichever constraint another replica that installs the same key is met by.
        let once = OnConflict::new().do_nothing().to_owned();
        let inserted = api_key::Entity::insert(row(key, hash)).on_conflict(once).exec_without_returning(tx).await?;
        if inserted > 0 {
            audit::append(tx, caller, Note::of(key.id, Content::detail("installed").after(described(key)))).await?;
        }
        Ok(())
    })
}

fn get_and_note<'a>(tx: &'a DatabaseTransaction, (caller, id): &'a Find) -> Running<'a, Option<ApiKey>> {
    Box::pin(async move {
        let found = find(tx, caller.tenant, *id).await?;
        let detail = if found.is_some() { "" } else { "not found" };
        audit::append(tx, caller, Note::of(id, Content::detail(detail))).await?;
        Ok(found)
    })
}

fn list_and_note<'a>(tx: &'a DatabaseTransaction, (caller, after, size): &'a List) -> Running<'a, Vec<ApiKey>> {
    Box::pin(async move {
        let keys = page(tx, caller.tenant, *after, *size).await?;
        audit::append(tx, caller, Note::default()).await?;
        Ok(keys)
    })
}

fn revoke<'a>(tx: &'a DatabaseTransaction, (caller, id): &'a Find) -> Running<'a, Option<ApiKey>> {
    Box::pin(async move {
        // The condition makes of two that revoke at once the later one find nothing to do.
        let updated = api_key::Entity::update_many()
            .col_expr(api_key::Column::RevokedAtUs, Expr::value(Timestamp::now().0))
            .filter(api_key::Column::TenantId.eq(caller.tenant.uuid()))
            .filter(api_key::Column::Id.eq(id.uuid()))
            .filter(api_key::Column::RevokedAtUs.is_null())
            .exec(tx)
            .await?;
        let revoked = updated.rows_affected > 0;
        let found = find(tx, caller.tenant, *id).await?;
        if revoked || caller.is_operator {
            let content = match (revoked, &found) {
                (true, _) => Content::change(state("active"), state("revoked")),
                (false, Some(_)) => Content::detail("already revoked"),
                (false, None) => Content::detail("not found"),
            };
            audit::append(tx, caller, Note::of(id, content)).await?;
        }
        if revoked {
            revocations::append(tx, &RevocationSubject::ApiKey(*id)).await?;
        }
        Ok(found)
    })
}

/// What the log says of a key.
fn described(key: &ApiKey) -> Values {
    Values::new()
        .with("name", &*key.name)
        .with("scopes", key.scopes.to_string())
        .with_some("expires", key.expires_at.map(Timestamp::to_rfc3339))
}

fn state(state: &str) -> Values {
    Values::new().with("state", state)
}

async fn find<C: ConnectionTrait>(db: &C, tenant: TenantId, id: ApiKeyId) -> Outcome<Option<ApiKey>> {
    let row = api_key::Entity::find_by_id((tenant.uuid(), id.uuid())).one(db).await?;
    Ok(row.map(ApiKey::try_from).transpose()?)
}

async fn page<C: ConnectionTrait>(
    db: &C,
    tenant: TenantId,
    after: Option<ApiKeyId>,
    size: u64,
) -> Outcome<Vec<ApiKey>> {
    let mut select = api_key::Entity::find().filter(api_key::Column::TenantId.eq(tenant.uuid()));
    if let Some(after) = after {
        select = select.filter(api_key::Column::Id.gt(after.uuid()));
    }
    let rows = select.order_by_asc(api_key::Column::Id).limit(size).all(db).await?;
    Ok(rows.into_iter().map(ApiKey::try_from).collect::<Result<_, _>>()?)
}

fn row(key: &ApiKey, hash: &str) -> api_key::ActiveModel {
    api_key::ActiveModel {
        tenant_id: Set(key.tenant.uuid()),
        id: Set(key.id.uuid()),
        name: Set(key.name.clone()),
        scopes: Set(key.scopes.to_string()),
        hash: Set(hash.to_owned()),
        creator: Set(key.creator.clone()),
        created_at_us: Set(key.created_at.0),
        expires_at_us: Set(key.expires_at.map(|at| at.0)),
        revoked_at_us: Set(key.revoked_at.map(|at| at.0)),
    }
}

impl TryFrom<api_key::Model> for ApiKey {
    type Error = DbErr;

    fn try_from(row: api_key::Model) -> Result<Self, DbErr> {
        Ok(Self {
            id: row.id.into(),
            tenant: row.tenant_id.into(),
            name: row.name,
            scopes: row.scopes.parse().map_err(|_| unreadable())?,
            creator: row.creator,
            created_at: Timestamp(row.created_at_us),
            expires_at: row.expires_at_us.map(Timestamp),
            revoked_at: row.revoked_at_us.map(Timestamp),
        })
    }
}

impl TryFrom<api_key::Model> for Credential {
    type Error = DbErr;

    fn try_from(row: api_key::Model) -> Result<Self, DbErr> {
        Ok(Self {
            id: row.id.into(),
            tenant: row.tenant_id.into(),
            scopes: row.scopes.parse().map_err(|_| unreadable())?,
            hash: row.hash,
            expires_at: row.expires_at_us.map(Timestamp),
            revoked_at: row.revoked_at_us.map(Timestamp),
        })
    }
}

fn unreadable() -> DbErr {
    DbErr::Type("the scopes of a key cannot be read".into())
}
