//! Each tenant's log of what was done with its keys.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict, Query},
};

use super::{
    Outcome, Running, Store,
    entity::{audit_entry, audit_position},
    unavailable, unwritten,
};
use crate::domain::{AuditCursor, AuditEntry, Caller, Error, Timestamp};

/// What an entry says beside who and when.
pub(super) struct Note<'a> {
    pub(super) subject: String,
    pub(super) detail: &'a str,
}

impl Store {
    /// Entries at a place in the log, and that place: an operator's reading is logged first and ends the log for its
    /// further pages.
    pub(crate) async fn audit_entries(
        &self,
        caller: &Caller,
        mut cursor: AuditCursor,
        size: u64,
    ) -> Result<(Vec<AuditEntry>, AuditCursor), Error> {
        if caller.is_operator {
            let logged = self.write(caller.clone(), note_reading).await.map_err(unwritten)?;
            cursor.until = Ord::min(cursor.until, logged);
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
        Ok((rows.into_iter().map(AuditEntry::from).collect(), cursor))
    }
}

fn note_reading<'a>(tx: &'a DatabaseTransaction, caller: &'a Caller) -> Running<'a, i64> {
    Box::pin(append(tx, caller, Note { subject: String::new(), detail: "" }))
}

/// Appends an entry and answers its position, which it takes from the row that orders a tenant's entries: so this comes
/// last in a transaction, but for the revocation list's own row.
pub(super) async fn append(tx: &DatabaseTransaction, caller: &Caller, note: Note<'_>) -> Outcome<i64> {
    let tenant = caller.tenant.uuid();
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
        .returning_col(audit_position::Column::Position);
    let row = tx.query_one(&take).await?;
    let position: i64 = match row {
        Some(row) => row.try_get_by_index(0)?,
        None => return Err(sea_orm::DbErr::RecordNotFound("an audit position".into()).into()),
    };
    let entry = audit_entry::ActiveModel {
        tenant_id: Set(tenant),
        position: Set(position),
        at_us: Set(Timestamp::now().0),
        actor: Set(caller.actor.clone()),
        action: Set(caller.action.to_owned()),
        subject: Set(note.subject),
        detail: Set(note.detail.to_owned()),
    };
    audit_entry::Entity::insert(entry).exec_without_returning(tx).await?;
    Ok(position)
}

impl From<audit_entry::Model> for AuditEntry {
    fn from(row: audit_entry::Model) -> Self {
        Self {
            position: row.position,
            at: Timestamp(row.at_us),
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            detail: row.detail,
        }
    }
}
