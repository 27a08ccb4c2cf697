//! What ends with those who leave: the keys that a person owns, and everything of a tenant that was deleted (`rules.md` R8, D9).
//!
//! Each step may be done again, by every replica: what is revoked is not revoked twice.

use std::collections::BTreeSet;

use ::audit::{Content, Values};
use authn::CredentialId;
use ids::{ApiKeyId, TenantId, TrustId, UserId};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use super::{
    Outcome, Running, Store,
    audit::{self, Note},
    entity::{api_key, deleted_tenant, trust},
    revocations, unavailable, unwritten,
};
use crate::domain::{Caller, Departure, Ended, Ending, Error, RevocationSubject, Timestamp, Who};

/// How many credentials one transaction revokes: it holds the row that orders revocations.
pub(crate) const BATCH: u64 = 100;

type Keys = (Caller, UserId, Ending, Timestamp);
type Tenant = (Caller, Timestamp);

impl Store {
    /// Ends what ends with a departure. What was ended before it failed stays so.
    pub(crate) async fn depart(&self, departure: Departure) -> Result<Ended, Error> {
        let caller = Caller::identity(departure.tenant);
        let mut ended = Ended::default();
        match departure.who {
            Who::Person(user, ending) => {
                let keys = (caller, user, ending, departure.at);
                while let found @ 1.. = self.write(keys.clone(), revoke_owned).await.map_err(unwritten)? {
                    ended.revoked += found;
                }
                while let found @ 1.. = self.write(keys.clone(), mark_made).await.map_err(unwritten)? {
                    ended.to_rotate += found;
                }
            }
            Who::Tenant => {
                let tenant = (caller, departure.at);
                // From this commit on nothing is made for it, so that the rest finds everything.
                self.write(tenant.clone(), close).await.map_err(unwritten)?;
                while let found @ 1.. = self.write(tenant.clone(), revoke_keys).await.map_err(unwritten)? {
                    ended.revoked += found;
                }
                while let found @ 1.. = self.write(tenant.clone(), revoke_trusts).await.map_err(unwritten)? {
                    ended.revoked += found;
                }
            }
        }
        Ok(ended)
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

/// Refuses what is made for a tenant that is no more. It comes after the entry in the tenant's log: whoever holds the row that orders the log comes
/// before the end of the tenant, whose keys are looked for after it, or finds it here.
pub(super) async fn refuse_if_deleted(tx: &DatabaseTransaction, tenant: TenantId) -> Outcome<()> {
    match deleted_tenant::Entity::find_by_id(tenant.uuid()).one(tx).await? {
        Some(_) => Err(database::Error::Refused(Error::NotFound)),
        None => Ok(()),
    }
}

/// The person by whose key `caller` calls, or by whose the caller's key was made in turn.
pub(super) async fn person_of(tx: &DatabaseTransaction, caller: &Caller) -> Outcome<Option<UserId>> {
    let Some(key) = caller.key else { return Ok(None) };
    let row: Option<(Option<Uuid>, Option<Uuid>)> = api_key::Entity::find_by_id((caller.tenant.uuid(), key.uuid()))
        .select_only()
        .columns([api_key::Column::Owner, api_key::Column::CreatorUser])
        .into_tuple()
        .one(tx)
        .await?;
    Ok(row.and_then(|(owner, creator)| owner.or(creator)).map(UserId::from))
}

fn close<'a>(tx: &'a DatabaseTransaction, (caller, at): &'a Tenant) -> Running<'a, ()> {
    Box::pin(async move {
        let row = deleted_tenant::ActiveModel { tenant_id: Set(caller.tenant.uuid()), deleted_at_us: Set(at.0) };
        let once = OnConflict::column(deleted_tenant::Column::TenantId).do_nothing().to_owned();
        let closed = deleted_tenant::Entity::insert(row).on_conflict(once).exec_without_returning(tx).await?;
        if closed > 0 {
            audit::append(tx, caller, Note::of(caller.tenant, Content::detail("the tenant was deleted"))).await?;
        }
        Ok(())
    })
}

fn revoke_owned<'a>(tx: &'a DatabaseTransaction, (caller, user, ending, _): &'a Keys) -> Running<'a, u64> {
    let owned = until(*ending).add(api_key::Column::Owner.eq(user.uuid()));
    Box::pin(revoke_those(tx, caller, owned, "its owner has left"))
}

fn revoke_keys<'a>(tx: &'a DatabaseTransaction, (caller, _): &'a Tenant) -> Running<'a, u64> {
    Box::pin(revoke_those(tx, caller, Condition::all(), "the tenant was deleted"))
}

/// Revokes a batch of the tenant's keys of which this holds, and answers how many were found. Only a look that takes no lock and finds none says
/// that there are none: one that waits passes over the successor of a key that is rotated meanwhile.
async fn revoke_those(tx: &DatabaseTransaction, caller: &Caller, which: Condition, why: &'static str) -> Outcome<u64> {
    let which =
        which.add(api_key::Column::TenantId.eq(caller.tenant.uuid())).add(api_key::Column::RevokedAtUs.is_null());
    let found = found_keys(tx, which.clone()).await?;
    let ids = locked_keys(tx, which.add(api_key::Column::Id.is_in(found.iter().copied()))).await?;
    set_keys(tx, caller, &ids, api_key::Column::RevokedAtUs, Timestamp::now()).await?;
    for id in &ids {
        let state = |state| Values::new().with("state", state);
        let content = Content { detail: why.to_owned(), ..Content::change(state("active"), state("revoked")) };
        audit::append(tx, caller, Note::of(ApiKeyId::from(*id), content)).await?;
    }
    for id in &ids {
        let key = CredentialId::ApiKey((*id).into());
        revocations::append(tx, &RevocationSubject::Credential(key, None)).await?;
    }
    Ok(found.len() as u64)
}

fn revoke_trusts<'a>(tx: &'a DatabaseTransaction, (caller, _): &'a Tenant) -> Running<'a, u64> {
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
            let state = |state| Values::new().with("state", state);
            let detail = "the tenant was deleted".to_owned();
            let content = Content { detail, ..Content::change(state("active"), state("revoked")) };
            audit::append(tx, caller, Note::of(TrustId::from(*id), content)).await?;
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
        let which = until(*ending)
            .add(api_key::Column::TenantId.eq(caller.tenant.uuid()))
            .add(api_key::Column::CreatorUser.eq(user.uuid()))
            .add(api_key::Column::CreatorDepartedAtUs.is_null())
            .add(api_key::Column::RevokedAtUs.is_null());
        let found = found_keys(tx, which.clone()).await?;
        let ids = locked_keys(tx, which.add(api_key::Column::Id.is_in(found.iter().copied()))).await?;
        set_keys(tx, caller, &ids, api_key::Column::CreatorDepartedAtUs, *at).await?;
        for id in &ids {
            let content = Content::detail("the person who made it has left: rotate it");
            audit::append(tx, caller, Note::of(ApiKeyId::from(*id), content)).await?;
        }
        Ok(found.len() as u64)
    })
}

fn until(ending: Ending) -> Condition {
    match ending {
        Ending::All => Condition::all(),
        Ending::MadeUntil(time) => Condition::all().add(api_key::Column::CreatedAtUs.lte(time.0)),
    }
}

async fn found_keys<C: ConnectionTrait>(db: &C, which: Condition) -> Outcome<Vec<Uuid>> {
    let select = api_key::Entity::find().filter(which).order_by_asc(api_key::Column::Id).limit(BATCH);
    Ok(select.select_only().column(api_key::Column::Id).into_tuple().all(db).await?)
}

/// In the order of their ids, as everybody who locks several.
async fn locked_keys(tx: &DatabaseTransaction, which: Condition) -> Outcome<Vec<Uuid>> {
    let select = api_key::Entity::find().filter(which).order_by_asc(api_key::Column::Id).lock_exclusive();
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
