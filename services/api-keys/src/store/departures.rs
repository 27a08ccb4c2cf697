//! What ends with those who leave: the keys that a person owns, and everything of a tenant that was deleted (`rules.md` R8, D9).
//!
//! Each step may be done again, by every replica: what is revoked is not revoked twice.

use std::collections::BTreeSet;

use ::audit::{Content, Values};
use authn::CredentialId;
use ids::{ApiKeyId, TenantId, TrustId, UserId};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use super::{
    Outcome, Running, Store,
    audit::{self, Note},
    entity::{api_key, departed, trust},
    revocations, unavailable, unwritten,
};
use crate::domain::{Caller, Departure, Ended, Ending, Error, RevocationSubject, Timestamp, Who};

/// How many credentials one transaction revokes: it holds the row that orders revocations.
pub(crate) const BATCH: u64 = 100;

const TENANT_DELETED: &str = "the tenant was deleted";

type Keys = (Caller, UserId, Ending, Timestamp);
type Closing = (Caller, Uuid, Timestamp);
type Tenant = Caller;

impl Store {
    /// Ends what ends with a departure. What was ended before it failed stays so.
    pub(crate) async fn depart(&self, departure: Departure) -> Result<Ended, Error> {
        let caller = Caller::identity(departure.tenant);
        match departure.who {
            Who::Person(user, ending) => self.depart_person((caller, user, ending, departure.at)).await,
            Who::Tenant => {
                // From this commit on nothing is made for it, so that the rest finds everything.
                let closing = (caller.clone(), departure.tenant.uuid(), departure.at);
                self.write(closing, close).await.map_err(unwritten)?;
                let revoked = self.until_none(&caller, revoke_keys).await?;
                let revoked = revoked + self.until_none(&caller, revoke_trusts).await?;
                Ok(Ended { revoked, to_rotate: 0 })
            }
        }
    }

    async fn depart_person(&self, keys: Keys) -> Result<Ended, Error> {
        let (caller, user, _, at) = &keys;
        let mut ended = Ended::default();
        let closing = (caller.clone(), user.uuid(), *at);
        // Most people have no part in any key.
        let owns = self.has_live_key(caller.tenant, api_key::Column::Owner, *user).await?;
        if owns {
            // None takes another's place meanwhile: who rotates keys without a pause would always be ahead.
            self.write(closing.clone(), close).await.map_err(unwritten)?;
            ended.revoked = self.until_none(&keys, revoke_owned).await?;
        }
        // A run before this one may have revoked the last key, and ended before it opened.
        if owns || self.is_closed(caller.tenant, user.uuid()).await? {
            self.write(closing, open).await.map_err(unwritten)?;
        }
        if self.has_live_key(caller.tenant, api_key::Column::CreatorUser, *user).await? {
            ended.to_rotate = self.until_none(&keys, mark_made).await?;
        }
        Ok(ended)
    }

    /// Whether a key that is not revoked names this user here.
    async fn has_live_key(&self, tenant: TenantId, column: api_key::Column, user: UserId) -> Result<bool, Error> {
        let key = api_key::Entity::find()
            .filter(api_key::Column::TenantId.eq(tenant.uuid()))
            .filter(column.eq(user.uuid()))
            .filter(api_key::Column::RevokedAtUs.is_null())
            .limit(1)
            .one(self.database.read())
            .await;
        Ok(key.map_err(|error| unavailable(&error))?.is_some())
    }

    /// Whether nothing is made for this person or tenant now.
    async fn is_closed(&self, tenant: TenantId, subject: Uuid) -> Result<bool, Error> {
        let row = departed::Entity::find_by_id((tenant.uuid(), subject)).one(self.database.read()).await;
        Ok(row.map_err(|error| unavailable(&error))?.is_some())
    }

    /// Does something to a batch until none is left, and answers to how many it was done.
    async fn until_none<I, W>(&self, input: &I, work: W) -> Result<u64, Error>
    where
        I: Clone + Send + Sync + 'static,
        W: for<'a> Fn(&'a DatabaseTransaction, &'a I) -> Running<'a, u64> + Copy + Send + Sync + 'static,
    {
        let mut done = 0;
        loop {
            match self.write(input.clone(), work).await.map_err(unwritten)? {
                0 => return Ok(done),
                some => done += some,
            }
        }
    }

    /// At most `size` persons who own a key that is not revoked, after one of them in the order of tenants and persons.
    pub(crate) async fn owners(
        &self,
        after: Option<(TenantId, UserId)>,
        size: u64,
    ) -> Result<Vec<(TenantId, UserId)>, Error> {
        let key = || Expr::tuple([Expr::col(api_key::Column::TenantId), Expr::col(api_key::Column::Owner)]);
        let mut select = api_key::Entity::find()
            .filter(api_key::Column::Owner.is_not_null())
            .filter(api_key::Column::RevokedAtUs.is_null());
        if let Some((tenant, owner)) = after {
            use sea_orm::ExprTrait;
            select = select.filter(key().gt(Expr::tuple([tenant.uuid().into(), owner.uuid().into()])));
        }
        let owners: Vec<(Uuid, Uuid)> = select
            .select_only()
            .columns([api_key::Column::TenantId, api_key::Column::Owner])
            .distinct()
            .order_by_asc(api_key::Column::TenantId)
            .order_by_asc(api_key::Column::Owner)
            .limit(size)
            .into_tuple()
            .all(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(owners.into_iter().map(|(tenant, owner)| (tenant.into(), owner.into())).collect())
    }

    /// At most `size` tenants that have keys or trusts which are not revoked, after one of them in the order of their ids.
    pub(crate) async fn tenants_with_credentials(
        &self,
        after: Option<TenantId>,
        size: u64,
    ) -> Result<Vec<TenantId>, Error> {
        let after = after.map_or(Uuid::nil(), TenantId::uuid);
        let keys = api_key::Entity::find()
            .filter(api_key::Column::TenantId.gt(after))
            .filter(api_key::Column::RevokedAtUs.is_null())
            .select_only()
            .column(api_key::Column::TenantId)
            .distinct()
            .order_by_asc(api_key::Column::TenantId)
            .limit(size)
            .into_tuple::<Uuid>()
            .all(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        let trusts = trust::Entity::find()
            .filter(trust::Column::TenantId.gt(after))
            .filter(trust::Column::RevokedAtUs.is_null())
            .select_only()
            .column(trust::Column::TenantId)
            .distinct()
            .order_by_asc(trust::Column::TenantId)
            .limit(size)
            .into_tuple::<Uuid>()
            .all(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        let both: BTreeSet<Uuid> = keys.into_iter().chain(trusts).collect();
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        Ok(both.into_iter().take(size).map(TenantId::from).collect())
    }
}

/// Refuses what is made for somebody who has departed, or with a key that was revoked. It comes after the entry in the tenant's log: whoever holds
/// the row that orders the log comes before the departure's own entry, and what is made is found by what follows that; or finds the departure here.
pub(super) async fn refuse_departed(tx: &DatabaseTransaction, caller: &Caller, owner: Option<UserId>) -> Outcome<()> {
    let tenant = caller.tenant.uuid();
    let subjects = [Some(tenant), owner.map(UserId::uuid)];
    let departed: Vec<Uuid> = departed::Entity::find()
        .filter(departed::Column::TenantId.eq(tenant))
        .filter(departed::Column::SubjectId.is_in(subjects.into_iter().flatten()))
        .select_only()
        .column(departed::Column::SubjectId)
        .into_tuple()
        .all(tx)
        .await?;
    if !departed.is_empty() {
        let error = if departed.contains(&tenant) { Error::NotFound } else { Error::Ended };
        return Err(database::Error::Refused(error));
    }
    let Some(key) = caller.key else { return Ok(()) };
    let shown: Option<Option<i64>> = api_key::Entity::find_by_id((tenant, key.uuid()))
        .select_only()
        .column(api_key::Column::RevokedAtUs)
        .into_tuple()
        .one(tx)
        .await?;
    match shown {
        Some(Some(_)) => Err(database::Error::Refused(Error::Unauthenticated)),
        Some(None) | None => Ok(()),
    }
}

/// Who makes a key: the person by whose key `caller` calls, or by whose the caller's key was made in turn; and when that person left.
pub(super) async fn maker(tx: &DatabaseTransaction, caller: &Caller) -> Outcome<(Option<UserId>, Option<Timestamp>)> {
    let Some(key) = caller.key else { return Ok((None, None)) };
    let shown = api_key::Entity::find_by_id((caller.tenant.uuid(), key.uuid())).one(tx).await?;
    Ok(shown.map_or((None, None), |shown| match shown.owner {
        Some(owner) => (Some(owner.into()), None),
        None => (shown.creator_user.map(UserId::from), shown.creator_departed_at_us.map(Timestamp)),
    }))
}

fn close<'a>(tx: &'a DatabaseTransaction, (caller, subject, at): &'a Closing) -> Running<'a, ()> {
    Box::pin(async move {
        let tenant_id = caller.tenant.uuid();
        let row = departed::ActiveModel { tenant_id: Set(tenant_id), subject_id: Set(*subject), at_us: Set(at.0) };
        let once =
            OnConflict::columns([departed::Column::TenantId, departed::Column::SubjectId]).do_nothing().to_owned();
        let closed = departed::Entity::insert(row).on_conflict(once).exec_without_returning(tx).await?;
        if closed > 0 {
            let detail = if *subject == tenant_id { TENANT_DELETED } else { "a person who owns keys has left" };
            audit::append(tx, caller, Note::of(subject, Content::detail(detail))).await?;
        }
        Ok(())
    })
}

/// A person may come back.
fn open<'a>(tx: &'a DatabaseTransaction, (caller, subject, _): &'a Closing) -> Running<'a, ()> {
    Box::pin(async move {
        departed::Entity::delete_by_id((caller.tenant.uuid(), *subject)).exec(tx).await?;
        Ok(())
    })
}

fn revoke_owned<'a>(tx: &'a DatabaseTransaction, (caller, user, ending, _): &'a Keys) -> Running<'a, u64> {
    let owned = until(*ending).add(api_key::Column::Owner.eq(user.uuid()));
    Box::pin(revoke_those(tx, caller, owned, "its owner has left"))
}

fn revoke_keys<'a>(tx: &'a DatabaseTransaction, caller: &'a Tenant) -> Running<'a, u64> {
    Box::pin(revoke_those(tx, caller, Condition::all(), TENANT_DELETED))
}

/// Revokes a batch of the tenant's keys of which this holds, and answers how many.
async fn revoke_those(tx: &DatabaseTransaction, caller: &Caller, which: Condition, why: &'static str) -> Outcome<u64> {
    let ids = locked_keys(tx, caller, which).await?;
    set_keys(tx, caller, &ids, api_key::Column::RevokedAtUs, Timestamp::now()).await?;
    for id in &ids {
        audit::append(tx, caller, Note::of(ApiKeyId::from(*id), revoked(why))).await?;
    }
    for id in &ids {
        let key = CredentialId::ApiKey((*id).into());
        revocations::append(tx, &RevocationSubject::Credential(key, None)).await?;
    }
    Ok(ids.len() as u64)
}

fn revoked(why: &str) -> Content {
    let state = |state| Values::new().with("state", state);
    Content { detail: why.to_owned(), ..Content::change(state("active"), state("revoked")) }
}

fn revoke_trusts<'a>(tx: &'a DatabaseTransaction, caller: &'a Tenant) -> Running<'a, u64> {
    Box::pin(async move {
        let which = Condition::all()
            .add(trust::Column::TenantId.eq(caller.tenant.uuid()))
            .add(trust::Column::RevokedAtUs.is_null());
        let ids: Vec<Uuid> = trust::Entity::find()
            .filter(which)
            .order_by_asc(trust::Column::Id)
            .limit(BATCH)
            .select_only()
            .column(trust::Column::Id)
            .lock_exclusive()
            .into_tuple()
            .all(tx)
            .await?;
        let now = Timestamp::now();
        trust::Entity::update_many()
            .col_expr(trust::Column::RevokedAtUs, Expr::value(now.0))
            .col_expr(trust::Column::UpdatedAtUs, Expr::value(now.0))
            .filter(trust::Column::TenantId.eq(caller.tenant.uuid()))
            .filter(trust::Column::Id.is_in(ids.iter().copied()))
            .exec(tx)
            .await?;
        for id in &ids {
            audit::append(tx, caller, Note::of(TrustId::from(*id), revoked(TENANT_DELETED))).await?;
        }
        for id in &ids {
            let trust = CredentialId::Trust((*id).into());
            revocations::append(tx, &RevocationSubject::Credential(trust, None)).await?;
        }
        Ok(ids.len() as u64)
    })
}

/// Marks the keys that a person made and that live on.
fn mark_made<'a>(tx: &'a DatabaseTransaction, (caller, user, ending, at): &'a Keys) -> Running<'a, u64> {
    Box::pin(async move {
        let made = until(*ending)
            .add(api_key::Column::CreatorUser.eq(user.uuid()))
            .add(api_key::Column::CreatorDepartedAtUs.is_null());
        let ids = locked_keys(tx, caller, made).await?;
        set_keys(tx, caller, &ids, api_key::Column::CreatorDepartedAtUs, *at).await?;
        for id in &ids {
            let content = Content::detail("the person who made it has left: rotate it");
            audit::append(tx, caller, Note::of(ApiKeyId::from(*id), content)).await?;
        }
        Ok(ids.len() as u64)
    })
}

fn until(ending: Ending) -> Condition {
    match ending {
        Ending::All => Condition::all(),
        Ending::MadeUntil(time) => Condition::all().add(api_key::Column::CreatedAtUs.lte(time.0)),
    }
}

/// A batch of the tenant's keys that are not revoked and of which this holds, in the order of their ids, as everybody locks several.
async fn locked_keys(tx: &DatabaseTransaction, caller: &Caller, which: Condition) -> Outcome<Vec<Uuid>> {
    let select = api_key::Entity::find()
        .filter(which)
        .filter(api_key::Column::TenantId.eq(caller.tenant.uuid()))
        .filter(api_key::Column::RevokedAtUs.is_null())
        .order_by_asc(api_key::Column::Id)
        .limit(BATCH)
        .lock_exclusive();
    Ok(select.select_only().column(api_key::Column::Id).into_tuple().all(tx).await?)
}

async fn set_keys(
    tx: &DatabaseTransaction,
    caller: &Caller,
    ids: &[Uuid],
    column: api_key::Column,
    time: Timestamp,
) -> Outcome<()> {
    api_key::Entity::update_many()
        .col_expr(column, Expr::value(time.0))
        .filter(api_key::Column::TenantId.eq(caller.tenant.uuid()))
        .filter(api_key::Column::Id.is_in(ids.iter().copied()))
        .exec(tx)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use database::testing::Engine;
    use ids::ApiKeyId;
    use rstest::rstest;
    use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

    use super::{
        super::entity::audit_position, Caller, Departure, Ended, Ending, Error, Running, Store, TenantId, Timestamp,
        UserId, Who, close, revoke_owned,
    };
    use crate::{
        domain::{About, ApiKey, Asked},
        testing::World,
    };

    impl Store {
        /// Sets the newest hash of a tenant's log: to one that cannot be read, every act of the tenant fails.
        pub(crate) async fn set_log_hash(&self, tenant: TenantId, hash: Option<Vec<u8>>) {
            self.write((tenant, hash), set_hash).await.unwrap();
        }
    }

    fn set_hash<'a>(
        tx: &'a sea_orm::DatabaseTransaction,
        (tenant, hash): &'a (TenantId, Option<Vec<u8>>),
    ) -> Running<'a, ()> {
        Box::pin(async move {
            audit_position::Entity::update_many()
                .col_expr(audit_position::Column::AuditHash, Expr::value(hash.clone()))
                .filter(audit_position::Column::TenantId.eq(tenant.uuid()))
                .exec(tx)
                .await?;
            Ok(())
        })
    }

    fn nobody(tenant: TenantId) -> Caller {
        let installation = Caller::installation(ApiKeyId::generate());
        Caller { tenant, is_operator: false, actor: "key:test".into(), ..installation }
    }

    async fn make(store: &Store, tenant: TenantId, owner: UserId) -> Result<(), Error> {
        let asked = Asked {
            name: "n".into(),
            scopes: vec!["identity.read".into()],
            owner: owner.to_string(),
            ..Asked::default()
        };
        let about = About::new(asked, "operator".parse().unwrap(), Timestamp::now()).unwrap();
        let key = ApiKey::new(ApiKeyId::generate(), tenant, about, "key:test".into(), Timestamp::now());
        store.create(&nobody(tenant), key, "$argon2id$".into()).await
    }

    #[rstest]
    #[tokio::test]
    async fn who_comes_back_may_own_keys_though_the_end_of_the_old_ones_was_cut_short(
        #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    ) {
        let Some(world) = World::new(engine).await else { return };
        let replica = world.replica().await;
        let (store, tenant, ada) = (&replica.api_keys.0.store, TenantId::generate(), UserId::generate());
        make(store, tenant, ada).await.unwrap();
        // As far as a run comes whose process dies before it opens.
        let (caller, at) = (Caller::identity(tenant), Timestamp::now());
        store.write((caller.clone(), ada.uuid(), at), close).await.unwrap();
        let revoked = store.until_none(&(caller, ada, Ending::All, at), revoke_owned).await;
        assert_eq!(revoked, Ok(1));
        assert_eq!(make(store, tenant, ada).await, Err(Error::Ended));
        // Identity tells it again, for nobody acknowledged it.
        let again = Departure { tenant, who: Who::Person(ada, Ending::All), at };
        assert_eq!(store.depart(again).await, Ok(Ended::default()));
        assert_eq!(make(store, tenant, ada).await, Ok(()));
    }
}
