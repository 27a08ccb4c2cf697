//! Keys.

use std::collections::HashSet;

use ::audit::{Content, Values};
use authn::{CredentialId, Grant, Scopes};
use ids::{ApiKeyId, TenantId, UserId};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
    sea_query::{Expr, OnConflict},
};

use super::{
    Outcome, Running, Store,
    audit::{self, Note},
    departures,
    entity::api_key,
    revocations, unavailable, unwritten,
};
use crate::domain::{
    About, ApiKey, Asked, Caller, Credential, Error, Field, LastUse, RevocationSubject, Rotation, State, Timestamp,
    WARNING, given,
};

/// How many uses are noted in one transaction.
const USES_PER_TRANSACTION: usize = 100;

type Insert = (Caller, ApiKey, String);
type Update = (Caller, ApiKeyId, Change);
type Rotate = (Caller, Successor);
/// A key, or none, or why it is refused: an answer and no failure, so that an operator's use stands in the log.
type Found = Result<Option<ApiKey>, Error>;
type Find = (Caller, ApiKeyId);
type List = (Caller, Option<ApiKeyId>, u64);

/// What is asked of a key that is there.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) asked: Asked,
    pub(crate) fields: HashSet<Field>,
}

/// A key that takes another's place.
#[derive(Clone, Debug)]
pub(crate) struct Successor {
    pub(crate) id: ApiKeyId,
    pub(crate) hash: String,
    pub(crate) previous: ApiKeyId,
    pub(crate) rotation: Rotation,
}

/// The latest use of a key that a verifier tells of.
#[derive(Clone, Debug)]
pub(crate) struct Used {
    pub(crate) key: ApiKeyId,
    pub(crate) last_use: LastUse,
}

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

    /// Changes a key of `caller`'s tenant, if there is one, and answers it.
    pub(crate) async fn update(&self, caller: &Caller, id: ApiKeyId, change: Change) -> Result<Option<ApiKey>, Error> {
        self.write((caller.clone(), id, change), update).await.map_err(unwritten)?
    }

    /// Stores a successor, whose predecessor is in `caller`'s tenant and can still be used, and answers it and the predecessor.
    pub(crate) async fn rotate(
        &self,
        caller: &Caller,
        successor: Successor,
    ) -> Result<Option<(ApiKey, ApiKey)>, Error> {
        self.write((caller.clone(), successor), rotate).await.map_err(unwritten)?
    }

    /// Revokes a key of `caller`'s tenant, if there is one and it is not revoked already, and answers it.
    pub(crate) async fn revoke(&self, caller: &Caller, id: ApiKeyId) -> Result<Option<ApiKey>, Error> {
        self.write((caller.clone(), id), revoke).await.map_err(unwritten)
    }

    /// Puts a hash in another's place, unless that has been done already. What the key grants stays as it is.
    pub(crate) async fn rehash(&self, id: ApiKeyId, old: String, new: String) -> Result<(), Error> {
        self.write((id, old, new), rehash).await.map_err(unwritten)
    }

    /// Notes when keys were used last. Rows are locked in the order of their ids, and few at a time: whoever changes a key waits for no more.
    pub(crate) async fn record_uses(&self, mut uses: Vec<Used>) -> Result<(), Error> {
        uses.sort_unstable_by_key(|used| used.key);
        for uses in uses.chunks(USES_PER_TRANSACTION) {
            self.write(uses.to_vec(), record_uses).await.map_err(unwritten)?;
        }
        Ok(())
    }

    /// At most `size` keys of all tenants that can be used and end soon, those that end first before others.
    pub(crate) async fn expiring(&self, now: Timestamp, size: u64) -> Result<Vec<ApiKey>, Error> {
        let rows = api_key::Entity::find()
            .filter(api_key::Column::RevokedAtUs.is_null())
            // The end of one that was rotated is wanted.
            .filter(api_key::Column::ReplacedBy.is_null())
            .filter(api_key::Column::ExpiresAtUs.gt(now.0))
            .filter(api_key::Column::ExpiresAtUs.lte(now.after(WARNING).0))
            .order_by_asc(api_key::Column::ExpiresAtUs)
            .limit(size)
            .all(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        rows.into_iter().map(|row| ApiKey::try_from(row).map_err(|error| unavailable(&error))).collect()
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
        let (creator_user, creator_departed_at) = departures::maker(tx, caller).await?;
        let key = ApiKey { creator_user, creator_departed_at, ..key.clone() };
        api_key::Entity::insert(row(&key, hash)).exec_without_returning(tx).await?;
        audit::append(tx, caller, Note::of(key.id, Content::default().after(described(&key.about)))).await?;
        departures::refuse_departed(tx, caller, key.about.owner).await
    })
}

fn install<'a>(tx: &'a DatabaseTransaction, (caller, key, hash): &'a Insert) -> Running<'a, ()> {
    Box::pin(async move {
        // Whichever constraint another replica that installs the same key is met by.
        let once = OnConflict::new().do_nothing().to_owned();
        let inserted = api_key::Entity::insert(row(key, hash)).on_conflict(once).exec_without_returning(tx).await?;
        if inserted > 0 {
            audit::append(tx, caller, Note::of(key.id, Content::detail("installed").after(described(&key.about))))
                .await?;
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

fn update<'a>(tx: &'a DatabaseTransaction, (caller, id, change): &'a Update) -> Running<'a, Found> {
    Box::pin(async move {
        let key = match locked(tx, caller, *id).await? {
            Ok(Some(key)) => key,
            refused => return Ok(refused),
        };
        let now = Timestamp::now();
        let about = match key.about.changed(change.asked.clone(), &change.fields, now) {
            Ok(about) => about,
            Err(error) => {
                if caller.is_operator {
                    audit::append(tx, caller, Note::of(id, Content::detail("refused"))).await?;
                }
                return Ok(Err(error));
            }
        };
        // A life that is made longer gives anew all that the key may do.
        refuse_unless_given(about.scopes, caller)?;
        let version = if about.grants_other_than(&key.about) { key.version + 1 } else { key.version };
        let changed = ApiKey { about, version, ..key.clone() };
        if changed.about == key.about {
            return Ok(Ok(Some(changed)));
        }
        api_key::Entity::update(values(&changed)).exec_without_returning(tx).await?;
        let content = Content::difference(described(&key.about), described(&changed.about));
        audit::append(tx, caller, Note::of(id, content)).await?;
        if version != key.version {
            revocations::append(tx, &RevocationSubject::Credential(CredentialId::ApiKey(*id), Some(version))).await?;
        }
        Ok(Ok(Some(changed)))
    })
}

fn rotate<'a>(
    tx: &'a DatabaseTransaction,
    (caller, successor): &'a Rotate,
) -> Running<'a, Result<Option<(ApiKey, ApiKey)>, Error>> {
    Box::pin(async move {
        let previous = match locked(tx, caller, successor.previous).await? {
            Ok(Some(previous)) => previous,
            refused => return Ok(refused.map(|_| None)),
        };
        refuse_unless_given(previous.about.scopes, caller)?;
        // What the new key is follows from the old one as it is now: a narrowing that came meanwhile counts for both.
        let now = Timestamp::now();
        let (about, previous_ends) = successor.rotation.of(&previous, now);
        let key = ApiKey::new(successor.id, caller.tenant, about, caller.actor.clone(), now);
        let (creator_user, creator_departed_at) = departures::maker(tx, caller).await?;
        let key = ApiKey { creator_user, creator_departed_at, ..key };
        api_key::Entity::insert(row(&key, &successor.hash)).exec_without_returning(tx).await?;
        let ending = About { expires_at: Some(previous_ends), ..previous.about.clone() };
        let version = previous.version + i64::from(ending.grants_other_than(&previous.about));
        let rotated = ApiKey { about: ending, version, replaced_by: Some(key.id), ..previous.clone() };
        api_key::Entity::update(values(&rotated)).exec_without_returning(tx).await?;
        let content = Content::change(described(&previous.about), described(&rotated.about));
        let content = Content { detail: format!("replaced by {}", key.id), ..content };
        audit::append(tx, caller, Note::of(previous.id, content)).await?;
        departures::refuse_departed(tx, caller, key.about.owner).await?;
        if version != previous.version {
            // Tokens of the old key that would live beyond its new end.
            let subject = RevocationSubject::Credential(CredentialId::ApiKey(previous.id), Some(version));
            revocations::append(tx, &subject).await?;
        }
        Ok(Ok(Some((key, rotated))))
    })
}

fn rehash<'a>(tx: &'a DatabaseTransaction, (id, old, new): &'a (ApiKeyId, String, String)) -> Running<'a, ()> {
    Box::pin(async move {
        api_key::Entity::update_many()
            .col_expr(api_key::Column::Hash, Expr::value(new.clone()))
            .filter(api_key::Column::Id.eq(id.uuid()))
            .filter(api_key::Column::Hash.eq(old.clone()))
            .exec(tx)
            .await?;
        Ok(())
    })
}

fn record_uses<'a>(tx: &'a DatabaseTransaction, uses: &'a Vec<Used>) -> Running<'a, ()> {
    Box::pin(async move {
        for used in uses {
            // Several verifiers tell of one key, in any order.
            let earlier = Condition::any()
                .add(api_key::Column::LastUsedAtUs.is_null())
                .add(api_key::Column::LastUsedAtUs.lt(used.last_use.at.0));
            api_key::Entity::update_many()
                .col_expr(api_key::Column::LastUsedAtUs, Expr::value(used.last_use.at.0))
                .col_expr(api_key::Column::LastUsedFrom, Expr::value(used.last_use.address.clone()))
                .filter(api_key::Column::Id.eq(used.key.uuid()))
                .filter(earlier)
                .exec(tx)
                .await?;
        }
        Ok(())
    })
}

/// A key of `caller`'s tenant that can be used, which nobody else changes until the transaction ends.
async fn locked(tx: &DatabaseTransaction, caller: &Caller, id: ApiKeyId) -> Outcome<Found> {
    let row = api_key::Entity::find_by_id((caller.tenant.uuid(), id.uuid())).lock_exclusive().one(tx).await?;
    let key = row.map(ApiKey::try_from).transpose()?;
    let ended = key.as_ref().is_some_and(|key| key.state(Timestamp::now()) != State::Active);
    if caller.is_operator && (ended || key.is_none()) {
        let detail = if ended { "refused: it has ended" } else { "not found" };
        audit::append(tx, caller, Note::of(id, Content::detail(detail))).await?;
    }
    Ok(if ended { Err(Error::Ended) } else { Ok(key) })
}

fn refuse_unless_given(scopes: Scopes, caller: &Caller) -> Outcome<()> {
    // The operator credential is the installation's: who holds it may put another in its place.
    if caller.tenant == TenantId::OPERATOR {
        return Ok(());
    }
    given(scopes, caller.scopes).map_err(database::Error::Refused)
}

/// What the log says of a key.
fn described(about: &About) -> Values {
    let About { name, description, scopes, networks, expires_at, owner } = about;
    let text = |text: String| Some(text).filter(|text| !text.is_empty());
    Values::new()
        .with("name", &**name)
        .with_some("description", text(description.clone()))
        .with("scopes", scopes.to_string())
        .with_some("networks", text(networks.to_string()))
        .with_some("expires", expires_at.map(Timestamp::to_rfc3339))
        .with_some("owner", owner.map(|owner| owner.to_string()))
}

fn state(state: &str) -> Values {
    Values::new().with("state", state)
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
            revocations::append(tx, &RevocationSubject::Credential(CredentialId::ApiKey(*id), None)).await?;
        }
        Ok(found)
    })
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
    api_key::ActiveModel { hash: Set(hash.to_owned()), ..values(key) }
}

/// All of a key but its hash.
fn values(key: &ApiKey) -> api_key::ActiveModel {
    let ApiKey { id, tenant, about, version, creator, created_at, revoked_at, replaced_by, last_use, .. } = key;
    let last_use = last_use.as_ref();
    api_key::ActiveModel {
        tenant_id: Set(tenant.uuid()),
        id: Set(id.uuid()),
        name: Set(about.name.clone()),
        description: Set(about.description.clone()),
        scopes: Set(about.scopes.to_string()),
        allowed_networks: Set(about.networks.to_string()),
        version: Set(*version),
        hash: NotSet,
        creator: Set(creator.clone()),
        created_at_us: Set(created_at.0),
        expires_at_us: Set(about.expires_at.map(|at| at.0)),
        revoked_at_us: Set(revoked_at.map(|at| at.0)),
        replaced_by: Set(replaced_by.map(ApiKeyId::uuid)),
        last_used_at_us: Set(last_use.map(|used| used.at.0)),
        last_used_from: Set(last_use.map(|used| used.address.clone()).unwrap_or_default()),
        owner: Set(about.owner.map(UserId::uuid)),
        creator_user: Set(key.creator_user.map(UserId::uuid)),
        creator_departed_at_us: Set(key.creator_departed_at.map(|at| at.0)),
    }
}

impl TryFrom<api_key::Model> for ApiKey {
    type Error = DbErr;

    fn try_from(row: api_key::Model) -> Result<Self, DbErr> {
        let about = About {
            name: row.name,
            description: row.description,
            scopes: row.scopes.parse().map_err(|_| unreadable())?,
            networks: row.allowed_networks.parse().map_err(|_| unreadable())?,
            expires_at: row.expires_at_us.map(Timestamp),
            owner: row.owner.map(UserId::from),
        };
        let address = row.last_used_from;
        Ok(Self {
            id: row.id.into(),
            tenant: row.tenant_id.into(),
            about,
            version: row.version,
            creator: row.creator,
            creator_user: row.creator_user.map(UserId::from),
            creator_departed_at: row.creator_departed_at_us.map(Timestamp),
            created_at: Timestamp(row.created_at_us),
            revoked_at: row.revoked_at_us.map(Timestamp),
            replaced_by: row.replaced_by.map(ApiKeyId::from),
            last_use: row.last_used_at_us.map(|at| LastUse { at: Timestamp(at), address }),
        })
    }
}

impl TryFrom<api_key::Model> for Credential {
    type Error = DbErr;

    fn try_from(row: api_key::Model) -> Result<Self, DbErr> {
        let (expires_at, revoked_at) = (row.expires_at_us.map(Timestamp), row.revoked_at_us.map(Timestamp));
        let grant = Grant {
            tenant: row.tenant_id.into(),
            credential: CredentialId::ApiKey(row.id.into()),
            version: row.version,
            scopes: row.scopes.parse().map_err(|_| unreadable())?,
            networks: row.allowed_networks.parse().map_err(|_| unreadable())?,
            ends: expires_at.map(Timestamp::system_time),
        };
        Ok(Self { grant, hash: row.hash, expires_at, revoked_at })
    }
}

fn unreadable() -> DbErr {
    DbErr::Type("what a key may do cannot be read".into())
}
