//! Each tenant's log of what was done with its keys, chained so that a change of it is found (rule R24).

use std::net::IpAddr;

use ::audit::{Content, Entry, Hash, Link, Log, Salt, UNREADABLE, Values};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect,
    sea_query::{Expr, OnConflict, Query},
};
use uuid::Uuid;

use super::{
    Outcome, Running, Store,
    entity::{audit_entry, audit_position},
    unavailable, unwritten,
};
use crate::domain::{AuditChain, AuditCursor, AuditEntry, Caller, Error, Timestamp};

/// The service's name in the chain: it stands in every hash and never changes.
const LOG: &str = "api-keys";
/// How many entries one transaction of the purge takes away: it holds up the tenant's acts meanwhile.
const PURGE_BATCH: u64 = 1000;
/// How many one run takes away.
pub(crate) const PURGE_MAX: u64 = 10_000;
/// How many tenants one run looks at.
const PURGE_TENANTS_MAX: u64 = 1000;

/// What an entry says beside who and when.
#[derive(Default)]
pub(super) struct Note {
    subject: String,
    content: Content,
}

impl Note {
    pub(super) fn of(subject: impl ToString, content: Content) -> Self {
        Self { subject: subject.to_string(), content }
    }
}

impl Store {
    /// Entries at a place in the log, the chain as it was before, and that place: an operator's reading is logged first and ends the log for its
    /// further pages.
    pub(crate) async fn audit_entries(
        &self,
        caller: &Caller,
        mut cursor: AuditCursor,
        size: u64,
    ) -> Result<(Vec<AuditEntry>, AuditChain, AuditCursor), Error> {
        if caller.is_operator {
            self.note(caller).await?;
        }
        let chain = self.audit_chain(caller.tenant.uuid()).await.map_err(|error| unavailable(&error))?;
        if caller.is_operator {
            cursor.until = Ord::min(cursor.until, chain.head.position);
        }
        let rows = audit_entry::Entity::find()
            .filter(audit_entry::Column::TenantId.eq(caller.tenant.uuid()))
            .filter(audit_entry::Column::Position.gt(cursor.after))
            .filter(audit_entry::Column::Position.lte(cursor.until))
            .order_by_asc(audit_entry::Column::Position)
            .limit(size)
            .all(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        Ok((rows.into_iter().map(AuditEntry::from).collect(), chain, cursor))
    }

    /// Notes what `caller` does, where the act itself changes nothing here.
    pub(crate) async fn note(&self, caller: &Caller) -> Result<(), Error> {
        self.write(caller.clone(), note_reading).await.map_err(unwritten)
    }

    async fn audit_chain(&self, tenant: Uuid) -> Result<AuditChain, DbErr> {
        let Some(row) = audit_position::Entity::find_by_id(tenant).one(self.database.read()).await? else {
            return Ok(AuditChain { anchor: Link::START, head: Link::START });
        };
        let anchor = Link { position: row.anchor_position, hash: hash(row.anchor_hash.as_deref())? };
        let head = Link { position: row.position, hash: hash(row.audit_hash.as_deref())? };
        Ok(AuditChain { anchor, head })
    }

    /// Takes away entries from before a time, oldest first and no more than [`PURGE_MAX`], and answers how many. What remains verifies from the
    /// anchor, which moves on with them.
    pub(crate) async fn purge_audit(&self, before: Timestamp) -> Result<u64, Error> {
        let tenants: Vec<Uuid> = audit_entry::Entity::find()
            .filter(audit_entry::Column::AtUs.lt(before.0))
            .select_only()
            .column(audit_entry::Column::TenantId)
            .distinct()
            .limit(PURGE_TENANTS_MAX)
            .into_tuple()
            .all(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        let mut purged = 0;
        for tenant in tenants {
            loop {
                let batch = Ord::min(PURGE_BATCH, PURGE_MAX - purged);
                let gone = self.write((tenant, before, batch), purge).await.map_err(unwritten)?;
                purged += gone;
                if purged >= PURGE_MAX {
                    return Ok(purged);
                }
                if gone < batch {
                    break;
                }
            }
        }
        Ok(purged)
    }
}

fn note_reading<'a>(tx: &'a DatabaseTransaction, caller: &'a Caller) -> Running<'a, ()> {
    Box::pin(append(tx, caller, Note::default()))
}

/// Appends an entry. It takes position and hash of the one before from the row that orders a tenant's entries, so that no two follow the same
/// one: so this comes last in a transaction, but for the revocation list's own row.
pub(super) async fn append(tx: &DatabaseTransaction, caller: &Caller, note: Note) -> Outcome<()> {
    let tenant = caller.tenant.uuid();
    let (position, previous) = take_position(tx, tenant).await?;
    let at = Timestamp::now();
    let Ok(salt) = Salt::generate() else { return Err(database::Error::Refused(Error::Internal)) };
    let content_digest = note.content.digest(salt.as_bytes());
    let address = caller.address.map(|address| IpAddr::to_string(&address)).unwrap_or_default();
    let entry = Entry {
        position,
        at_us: at.0,
        actor: &caller.actor,
        address: &address,
        action: caller.action,
        subject: &note.subject,
    };
    let hash = Log::new(LOG, tenant).hash(&previous, &entry, &content_digest).as_bytes().to_vec();
    let row = audit_entry::ActiveModel {
        tenant_id: Set(tenant),
        position: Set(position),
        at_us: Set(at.0),
        actor: Set(caller.actor.clone()),
        action: Set(caller.action.to_owned()),
        subject: Set(note.subject.clone()),
        detail: Set(note.content.detail.clone()),
        address: Set(address.clone()),
        before_values: Set(json(&note.content.before)?),
        after_values: Set(json(&note.content.after)?),
        salt: Set(Some(salt.as_bytes().to_vec())),
        values_digest: Set(Some(content_digest.as_bytes().to_vec())),
        hash: Set(Some(hash.clone())),
    };
    audit_entry::Entity::insert(row).exec_without_returning(tx).await?;
    audit_position::Entity::update_many()
        .col_expr(audit_position::Column::AuditHash, Expr::value(hash))
        .filter(audit_position::Column::TenantId.eq(tenant))
        .exec(tx)
        .await?;
    Ok(())
}

/// The next position, and the hash of the entry before it.
async fn take_position(tx: &DatabaseTransaction, tenant: Uuid) -> Outcome<(i64, Hash)> {
    let taken = Expr::col((audit_position::Entity, audit_position::Column::Position)).add(1);
    let mut take = Query::insert();
    take.into_table(audit_position::Entity)
        .columns([audit_position::Column::TenantId, audit_position::Column::Position])
        .values_panic([tenant.into(), 1_i64.into()])
        .on_conflict(
            OnConflict::column(audit_position::Column::TenantId)
                .value(audit_position::Column::Position, taken)
                .to_owned(),
        )
        .returning(Query::returning().columns([audit_position::Column::Position, audit_position::Column::AuditHash]));
    let Some(row) = tx.query_one(&take).await? else {
        return Err(DbErr::RecordNotFound("an audit position".into()).into());
    };
    let previous: Option<Vec<u8>> = row.try_get_by_index(1)?;
    Ok((row.try_get_by_index(0)?, hash(previous.as_deref())?))
}

/// Takes away a batch of a tenant's entries from before a time: those alone that no later entry comes before, by whatever clock.
fn purge<'a>(tx: &'a DatabaseTransaction, (tenant, before, batch): &'a (Uuid, Timestamp, u64)) -> Running<'a, u64> {
    Box::pin(async move {
        // Appending waits for this row, and so does another replica's purge.
        let head = audit_position::Entity::find_by_id(*tenant).lock_exclusive().one(tx).await?;
        let Some(head) = head else { return Ok(0) };
        let oldest: Vec<(i64, i64, Option<Vec<u8>>)> = audit_entry::Entity::find()
            .filter(audit_entry::Column::TenantId.eq(*tenant))
            .order_by_asc(audit_entry::Column::Position)
            .limit(*batch)
            .select_only()
            .columns([audit_entry::Column::Position, audit_entry::Column::AtUs, audit_entry::Column::Hash])
            .into_tuple()
            .all(tx)
            .await?;
        let old = oldest.iter().take_while(|(_, at_us, _)| *at_us < before.0);
        let Some((last, _, hash)) = old.last() else { return Ok(0) };
        if *last > head.anchor_position {
            audit_position::Entity::update_many()
                .col_expr(audit_position::Column::AnchorPosition, Expr::value(*last))
                .col_expr(audit_position::Column::AnchorHash, Expr::value(hash.clone()))
                .filter(audit_position::Column::TenantId.eq(*tenant))
                .exec(tx)
                .await?;
        }
        let gone = audit_entry::Entity::delete_many()
            .filter(audit_entry::Column::TenantId.eq(*tenant))
            .filter(audit_entry::Column::Position.lte(*last))
            .exec(tx)
            .await?;
        Ok(gone.rows_affected)
    })
}

/// A hash as it is stored: none stands before the first entry.
fn hash(stored: Option<&[u8]>) -> Result<Hash, DbErr> {
    let hash = stored.map_or(Some(Hash::START), Hash::from_bytes);
    hash.ok_or_else(|| DbErr::Type("the hash of an audit log has another length than hashes have".into()))
}

fn json(values: &Values) -> Result<String, DbErr> {
    serde_json::to_string(values).map_err(|error| DbErr::Json(error.to_string()))
}

/// Whatever stands in a row is shown and verified, so that a change of it is found.
fn values(json: String) -> Values {
    serde_json::from_str(&json).unwrap_or_else(|_| Values::new().with(UNREADABLE, json))
}

impl From<audit_entry::Model> for AuditEntry {
    fn from(row: audit_entry::Model) -> Self {
        Self {
            position: row.position,
            at: Timestamp(row.at_us),
            actor: row.actor,
            address: row.address,
            action: row.action,
            subject: row.subject,
            content: Content { detail: row.detail, before: values(row.before_values), after: values(row.after_values) },
            salt: row.salt.unwrap_or_default(),
            values_digest: row.values_digest.unwrap_or_default(),
            hash: row.hash.unwrap_or_default(),
        }
    }
}
