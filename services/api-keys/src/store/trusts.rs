//! Trusts.

use ::audit::{Content, Values};
use authn::CredentialId;
use ids::{TenantId, TrustId};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};

use super::{
    Outcome, Running, Store,
    audit::{self, Note},
    departures,
    entity::trust,
    revocations, unavailable, unwritten,
};
use crate::domain::{
    Caller, ClaimText, Error, Issuer, RevocationSubject, Terms, Timestamp, Trust, TrustChange, WARNING,
};

/// How many trusts a tenant may have that are not revoked, give or take those that are made at the same moment: each may make this service call its
/// issuer.
pub(crate) const TRUSTS_MAX: u64 = 100;

type Insert = (Caller, Trust);
type Find = (Caller, TrustId);
type List = (Caller, Option<TrustId>, u64);
type Update = (Caller, TrustId, TrustChange);

impl Store {
    /// Stores a new trust of `caller`'s tenant.
    pub(crate) async fn create_trust(&self, caller: &Caller, trust: Trust) -> Result<(), Error> {
        self.write((caller.clone(), trust), create).await.map_err(unwritten)?
    }

    /// A trust of `caller`'s tenant.
    pub(crate) async fn get_trust(&self, caller: &Caller, id: TrustId) -> Result<Option<Trust>, Error> {
        if caller.is_operator {
            return self.write((caller.clone(), id), get_and_note).await.map_err(unwritten);
        }
        find(self.database.read(), caller.tenant, id).await.map_err(unwritten)
    }

    /// At most `size` trusts of `caller`'s tenant after one of them, in the order of their ids.
    pub(crate) async fn list_trusts(
        &self,
        caller: &Caller,
        after: Option<TrustId>,
        size: u64,
    ) -> Result<Vec<Trust>, Error> {
        if caller.is_operator {
            return self.write((caller.clone(), after, size), list_and_note).await.map_err(unwritten);
        }
        page(self.database.read(), caller.tenant, after, size).await.map_err(unwritten)
    }

    /// Changes a trust of `caller`'s tenant, if there is one and it is not revoked, and answers it as it is then.
    pub(crate) async fn update_trust(
        &self,
        caller: &Caller,
        id: TrustId,
        change: TrustChange,
    ) -> Result<Option<Trust>, Error> {
        let found = self.write((caller.clone(), id, change), update).await.map_err(unwritten)?;
        if found.as_ref().is_some_and(|trust| trust.revoked_at.is_some()) {
            return Err(Error::TrustRevoked);
        }
        Ok(found)
    }

    /// At most `size` trusts of all tenants that are in force and end soon, those that end first before others.
    pub(crate) async fn expiring_trusts(&self, now: Timestamp, size: u64) -> Result<Vec<Trust>, Error> {
        let rows = trust::Entity::find()
            .filter(trust::Column::RevokedAtUs.is_null())
            .filter(trust::Column::ExpiresAtUs.gt(now.0))
            .filter(trust::Column::ExpiresAtUs.lte(now.after(WARNING).0))
            .order_by_asc(trust::Column::ExpiresAtUs)
            .limit(size)
            .all(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        rows.into_iter().map(|row| Trust::try_from(row).map_err(|error| unavailable(&error))).collect()
    }

    /// Revokes a trust of `caller`'s tenant, if there is one and it is not revoked already, and answers it.
    pub(crate) async fn revoke_trust(&self, caller: &Caller, id: TrustId) -> Result<Option<Trust>, Error> {
        self.write((caller.clone(), id), revoke).await.map_err(unwritten)
    }

    /// The trust that a client signs in by, whosever it is (`rules.md` R9).
    pub(crate) async fn trust_of_client(&self, id: TrustId) -> Result<Option<Trust>, Error> {
        let row = trust::Entity::find().filter(trust::Column::Id.eq(id.uuid())).one(self.database.read()).await;
        let row = row.map_err(|error| unavailable(&error))?;
        row.map(|row| Trust::try_from(row).map_err(|error| unavailable(&error))).transpose()
    }
}

fn create<'a>(tx: &'a DatabaseTransaction, (caller, trust): &'a Insert) -> Running<'a, Result<(), Error>> {
    Box::pin(async move {
        let live = trust::Entity::find()
            .filter(trust::Column::TenantId.eq(caller.tenant.uuid()))
            .filter(trust::Column::RevokedAtUs.is_null())
            .count(tx)
            .await?;
        if live >= TRUSTS_MAX {
            note_unchanged(tx, caller, trust.id, "refused: there are too many").await?;
            return Ok(Err(Error::TooManyTrusts));
        }
        trust::Entity::insert(row(trust)).exec_without_returning(tx).await?;
        audit::append(tx, caller, Note::of(trust.id, Content::default().after(described(trust)))).await?;
        departures::refuse_departed(tx, caller, None).await?;
        Ok(Ok(()))
    })
}

fn get_and_note<'a>(tx: &'a DatabaseTransaction, (caller, id): &'a Find) -> Running<'a, Option<Trust>> {
    Box::pin(async move {
        let found = find(tx, caller.tenant, *id).await?;
        let detail = if found.is_some() { "" } else { "not found" };
        audit::append(tx, caller, Note::of(id, Content::detail(detail))).await?;
        Ok(found)
    })
}

fn list_and_note<'a>(tx: &'a DatabaseTransaction, (caller, after, size): &'a List) -> Running<'a, Vec<Trust>> {
    Box::pin(async move {
        let trusts = page(tx, caller.tenant, *after, *size).await?;
        audit::append(tx, caller, Note::default()).await?;
        Ok(trusts)
    })
}

fn update<'a>(tx: &'a DatabaseTransaction, (caller, id, change): &'a Update) -> Running<'a, Option<Trust>> {
    Box::pin(async move {
        // Locked, so that of two changes at once the later one begins with what the earlier one left.
        let found = trust::Entity::find_by_id((caller.tenant.uuid(), id.uuid())).lock_exclusive().one(tx).await?;
        let Some(before) = found.map(Trust::try_from).transpose()? else {
            note_unchanged(tx, caller, *id, "not found").await?;
            return Ok(None);
        };
        if before.revoked_at.is_some() {
            note_unchanged(tx, caller, *id, "already revoked").await?;
            return Ok(Some(before));
        }
        let after = before.changed(change, Timestamp::now());
        if after == before {
            note_unchanged(tx, caller, *id, "unchanged").await?;
            return Ok(Some(before));
        }
        trust::Entity::update(row(&after)).exec(tx).await?;
        let content = Content::difference(described(&before), described(&after));
        audit::append(tx, caller, Note::of(id, content)).await?;
        if after.version != before.version {
            // What was issued under the earlier terms ends (rule R9).
            let subject = RevocationSubject::Credential(CredentialId::Trust(*id), Some(after.version));
            revocations::append(tx, &subject).await?;
        }
        Ok(Some(after))
    })
}

fn revoke<'a>(tx: &'a DatabaseTransaction, (caller, id): &'a Find) -> Running<'a, Option<Trust>> {
    Box::pin(async move {
        let now = Timestamp::now();
        // The condition makes of two that revoke at once the later one find nothing to do.
        let updated = trust::Entity::update_many()
            .col_expr(trust::Column::RevokedAtUs, Expr::value(now.0))
            .col_expr(trust::Column::UpdatedAtUs, Expr::value(now.0))
            .filter(trust::Column::TenantId.eq(caller.tenant.uuid()))
            .filter(trust::Column::Id.eq(id.uuid()))
            .filter(trust::Column::RevokedAtUs.is_null())
            .exec(tx)
            .await?;
        let found = find(tx, caller.tenant, *id).await?;
        if updated.rows_affected == 0 {
            let detail = if found.is_some() { "already revoked" } else { "not found" };
            note_unchanged(tx, caller, *id, detail).await?;
            return Ok(found);
        }
        let state = |state| Values::new().with("state", state);
        audit::append(tx, caller, Note::of(id, Content::change(state("active"), state("revoked")))).await?;
        revocations::append(tx, &RevocationSubject::Credential(CredentialId::Trust(*id), None)).await?;
        Ok(found)
    })
}

/// Of what changes nothing, only the operator's use is logged (`rules.md` R5).
async fn note_unchanged(tx: &DatabaseTransaction, caller: &Caller, id: TrustId, detail: &str) -> Outcome<()> {
    if caller.is_operator {
        audit::append(tx, caller, Note::of(id, Content::detail(detail))).await?;
    }
    Ok(())
}

/// What the log says of a trust.
fn described(trust: &Trust) -> Values {
    let Terms { issuer, audience, subject, scopes, expires_at } = &trust.terms;
    Values::new()
        .with("name", &*trust.name)
        .with("issuer", issuer.as_str())
        .with("audience", audience.as_str())
        .with("subject", subject.as_str())
        .with("scopes", scopes.to_string())
        .with_some("expires", expires_at.map(Timestamp::to_rfc3339))
}

async fn find<C: ConnectionTrait>(db: &C, tenant: TenantId, id: TrustId) -> Outcome<Option<Trust>> {
    let row = trust::Entity::find_by_id((tenant.uuid(), id.uuid())).one(db).await?;
    Ok(row.map(Trust::try_from).transpose()?)
}

async fn page<C: ConnectionTrait>(db: &C, tenant: TenantId, after: Option<TrustId>, size: u64) -> Outcome<Vec<Trust>> {
    let mut select = trust::Entity::find().filter(trust::Column::TenantId.eq(tenant.uuid()));
    if let Some(after) = after {
        select = select.filter(trust::Column::Id.gt(after.uuid()));
    }
    let rows = select.order_by_asc(trust::Column::Id).limit(size).all(db).await?;
    Ok(rows.into_iter().map(Trust::try_from).collect::<Result<_, _>>()?)
}

fn row(trust: &Trust) -> trust::ActiveModel {
    trust::ActiveModel {
        tenant_id: Set(trust.tenant.uuid()),
        id: Set(trust.id.uuid()),
        name: Set(trust.name.clone()),
        issuer: Set(trust.terms.issuer.clone().into()),
        audience: Set(trust.terms.audience.clone().into()),
        subject: Set(trust.terms.subject.clone().into()),
        scopes: Set(trust.terms.scopes.to_string()),
        version: Set(trust.version),
        creator: Set(trust.creator.clone()),
        created_at_us: Set(trust.created_at.0),
        updated_at_us: Set(trust.updated_at.0),
        expires_at_us: Set(trust.terms.expires_at.map(|at| at.0)),
        revoked_at_us: Set(trust.revoked_at.map(|at| at.0)),
    }
}

impl TryFrom<trust::Model> for Trust {
    type Error = DbErr;

    fn try_from(row: trust::Model) -> Result<Self, DbErr> {
        let terms = Terms {
            issuer: Issuer::new(row.issuer).map_err(unreadable)?,
            audience: ClaimText::new(row.audience, "audience").map_err(unreadable)?,
            subject: ClaimText::new(row.subject, "subject").map_err(unreadable)?,
            scopes: row.scopes.parse().map_err(unreadable)?,
            expires_at: row.expires_at_us.map(Timestamp),
        };
        Ok(Self {
            id: row.id.into(),
            tenant: row.tenant_id.into(),
            name: row.name,
            terms,
            version: row.version,
            creator: row.creator,
            created_at: Timestamp(row.created_at_us),
            updated_at: Timestamp(row.updated_at_us),
            revoked_at: row.revoked_at_us.map(Timestamp),
        })
    }
}

fn unreadable(error: impl std::fmt::Display) -> DbErr {
    DbErr::Type(format!("a trust cannot be read: {error}"))
}
