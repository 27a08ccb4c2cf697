//! The audit log: its entries, chained so that a change of them is found (rule R24), reading it, and the entry that an operator's read leaves.

use std::net::IpAddr;

use ::audit::{Content, Entry, Hash, Link, Log, Salt, UNREADABLE, Values};
use ids::TenantId;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use uuid::Uuid;

use crate::{
    domain::{Caller, Error, Timestamp},
    store::{
        Outcome, Running, Store,
        entity::{audit_entry, tenant_position},
        erasure::ERASE_USER,
        refuse,
        tx::{ROWS_PER_STATEMENT, Tx},
        unavailable,
    },
};

/// The service's name in the chain: it stands in every hash and never changes.
const LOG: &str = "identity";

/// One entry of a tenant's audit log.
#[derive(Clone, Debug)]
pub(crate) struct AuditEntry {
    pub(crate) position: i64,
    pub(crate) at: Timestamp,
    pub(crate) actor: String,
    pub(crate) address: String,
    pub(crate) action: String,
    pub(crate) subject: String,
    pub(crate) content: Content,
    /// Empty after an erasure.
    pub(crate) salt: Vec<u8>,
    /// Empty, as the hash, in entries from before the chain.
    pub(crate) values_digest: Vec<u8>,
    pub(crate) hash: Vec<u8>,
}

/// Where the chain of a tenant's log begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AuditChain {
    pub(crate) anchor: Link,
    pub(crate) head: Link,
}

impl Store {
    /// Records that the caller read something (rule R5: each use of the operator credential stands in the tenant's log).
    pub(crate) async fn record_read(&self, caller: &Caller, subject: String) -> Result<(), Error> {
        self.write(caller, subject, record_read).await
    }

    /// Records that the caller read the audit log, of a deleted tenant too.
    pub(crate) async fn record_log_read(&self, caller: &Caller) -> Result<(), Error> {
        let caller = std::sync::Arc::new(caller.clone());
        // `Store::write` asks for a tenant that is there.
        let written = self.database.write(move |db| {
            let caller = std::sync::Arc::clone(&caller);
            Box::pin(async move {
                let tx = Tx::of_log(db, &caller);
                tx.audit("", || Content::detail("read"));
                tx.record().await
            })
        });
        written.await.map_err(|error| match error {
            database::Error::Refused(error) => error,
            database::Error::Database(error) => unavailable(&error),
        })
    }

    /// Entries after a position, oldest first, and the chain as it was before they were read.
    pub(crate) async fn list_audit_entries(
        &self,
        tenant: TenantId,
        after: i64,
        size: u64,
    ) -> Result<(Vec<AuditEntry>, AuditChain), Error> {
        let chain = self.audit_chain(tenant.uuid()).await.map_err(|error| unavailable(&error))?;
        let rows = audit_entry::Entity::find()
            .filter(audit_entry::Column::TenantId.eq(tenant.uuid()))
            .filter(audit_entry::Column::Position.gt(after))
            .order_by_asc(audit_entry::Column::Position)
            .limit(size)
            .all(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        Ok((rows.into_iter().map(AuditEntry::from).collect(), chain))
    }

    async fn audit_chain(&self, tenant: Uuid) -> Result<AuditChain, DbErr> {
        let Some(row) = tenant_position::Entity::find_by_id(tenant).one(self.database.read()).await? else {
            return Ok(AuditChain { anchor: Link::START, head: Link::START });
        };
        let anchor = Link { position: row.anchor_position, hash: stored_hash(row.anchor_hash.as_deref())? };
        let head = Link { position: row.audit_position, hash: stored_hash(row.audit_hash.as_deref())? };
        Ok(AuditChain { anchor, head })
    }
}

fn record_read<'a>(tx: &'a Tx<'a>, subject: &'a String) -> Running<'a, ()> {
    Box::pin(async move {
        tx.audit(subject, || Content::detail("read"));
        Ok(())
    })
}

/// Writes an entry of a tenant's log that follows the one of hash `previous`, and answers its hash.
pub(super) async fn append(
    db: &DatabaseTransaction,
    tenant: Uuid,
    previous: &Hash,
    entry: &Entry<'_>,
    content: &Content,
) -> Outcome<Hash> {
    let Ok(salt) = Salt::generate() else { return refuse(Error::Internal) };
    let content_digest = content.digest(salt.as_bytes());
    let hash = Log::new(LOG, tenant).hash(previous, entry, &content_digest);
    let row = audit_entry::ActiveModel {
        tenant_id: Set(tenant),
        position: Set(entry.position),
        at_us: Set(entry.at_us),
        actor: Set(entry.actor.to_owned()),
        action: Set(entry.action.to_owned()),
        subject: Set(entry.subject.to_owned()),
        detail: Set(content.detail.clone()),
        address: Set(entry.address.to_owned()),
        before_values: Set(json(&content.before)?),
        after_values: Set(json(&content.after)?),
        salt: Set(Some(salt.as_bytes().to_vec())),
        values_digest: Set(Some(content_digest.as_bytes().to_vec())),
        hash: Set(Some(hash.as_bytes().to_vec())),
    };
    audit_entry::Entity::insert(row).exec_without_returning(db).await?;
    Ok(hash)
}

/// The positions of the entries about `subject` that say values of it, ascending.
pub(super) async fn with_values(tx: &Tx<'_>, subject: &str) -> Outcome<Vec<i64>> {
    let positions = audit_entry::Entity::find()
        .filter(audit_entry::Column::TenantId.eq(tx.tenant()))
        .filter(audit_entry::Column::Subject.eq(subject))
        .filter(audit_entry::Column::Salt.is_not_null())
        .filter(audit_entry::Column::BeforeValues.ne("{}").or(audit_entry::Column::AfterValues.ne("{}")))
        // What an erasure tells of is needed to verify the log.
        .filter(audit_entry::Column::Action.ne(ERASE_USER.trim_start_matches('/')))
        .order_by_asc(audit_entry::Column::Position)
        .select_only()
        .column(audit_entry::Column::Position)
        .into_tuple()
        .all(tx.db)
        .await?;
    Ok(positions)
}

/// Blanks what the entries at these positions say of their acts. Their digests, and with them the chain, remain.
pub(super) async fn blank(tx: &Tx<'_>, positions: &[i64]) -> Outcome<()> {
    for positions in positions.chunks(ROWS_PER_STATEMENT) {
        audit_entry::Entity::update_many()
            .set(audit_entry::ActiveModel {
                detail: Set(String::new()),
                before_values: Set("{}".to_owned()),
                after_values: Set("{}".to_owned()),
                salt: Set(None),
                ..audit_entry::ActiveModel::default()
            })
            .filter(audit_entry::Column::TenantId.eq(tx.tenant()))
            .filter(audit_entry::Column::Position.is_in(positions.iter().copied()))
            .exec(tx.db)
            .await?;
    }
    Ok(())
}

/// An address as an entry has it.
pub(super) fn address(address: Option<IpAddr>) -> String {
    address.map(|address| address.to_string()).unwrap_or_default()
}

/// A hash as it is stored: none stands before the first entry.
pub(super) fn stored_hash(stored: Option<&[u8]>) -> Result<Hash, DbErr> {
    let hash = stored.map_or(Some(Hash::START), Hash::from_bytes);
    hash.ok_or_else(|| DbErr::Type("the hash of an audit log has another length than hashes have".into()))
}

/// Values as they are stored.
pub(super) fn json(values: &Values) -> Result<String, DbErr> {
    serde_json::to_string(values).map_err(|error| DbErr::Json(error.to_string()))
}

/// Whatever stands in a row is shown and verified, so that a change of it is found.
pub(super) fn values(json: String) -> Values {
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
