//! Everything that is kept of one person, for the person's right to a copy of it (rule R26).

use ::audit::Content;
use ids::{TenantId, UserId};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::{
    domain::{Caller, Change, Error, User},
    store::{
        AuditEntry, Outcome, Running, Store, changes,
        entity::{audit_entry, change, tenant_position, user},
        refuse,
        tx::Tx,
        unavailable, user_rows,
    },
};

impl Store {
    /// The user, live or softly deleted, whose export begins: that stands in the audit log.
    pub(crate) async fn export_user(&self, caller: &Caller, user: UserId) -> Result<User, Error> {
        self.write(caller, user, begin).await
    }

    /// At most `size` changes of a user, or of a membership of the user, after the number `after`.
    pub(crate) async fn changes_about(
        &self,
        tenant: TenantId,
        user: UserId,
        after: i64,
        size: u64,
    ) -> Result<Vec<Change>, Error> {
        let db = self.database.read();
        let about = Condition::any()
            .add(change::Column::SubjectId.eq(user.uuid()))
            .add(change::Column::ObjectId.eq(user.uuid()));
        let rows = change::Entity::find()
            .filter(change::Column::TenantId.eq(tenant.uuid()))
            .filter(change::Column::Position.gt(after))
            .filter(about)
            .order_by_asc(change::Column::Position)
            .limit(size)
            .all(db)
            .await
            .map_err(|error| unavailable(&error))?;
        let positions = tenant_position::Entity::find_by_id(tenant.uuid()).one(db).await;
        let positions = positions.map_err(|error| unavailable(&error))?;
        let epoch = positions.and_then(|positions| positions.epoch).unwrap_or_default();
        Ok(rows.into_iter().map(|row| changes::from_row(epoch, row)).collect())
    }

    /// At most `size` entries of the audit log about a user, after the position `after`.
    pub(crate) async fn audit_entries_about(
        &self,
        tenant: TenantId,
        user: UserId,
        after: i64,
        size: u64,
    ) -> Result<Vec<AuditEntry>, Error> {
        let rows = audit_entry::Entity::find()
            .filter(audit_entry::Column::TenantId.eq(tenant.uuid()))
            .filter(audit_entry::Column::Subject.eq(user.to_string()))
            .filter(audit_entry::Column::Position.gt(after))
            .order_by_asc(audit_entry::Column::Position)
            .limit(size)
            .all(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(rows.into_iter().map(AuditEntry::from).collect())
    }
}

fn begin<'a>(tx: &'a Tx<'a>, user: &'a UserId) -> Running<'a, User> {
    Box::pin(async move {
        let found = any(tx, *user).await?;
        tx.audit(user, || Content::detail("exported"));
        Ok(found)
    })
}

async fn any(tx: &Tx<'_>, user: UserId) -> Outcome<User> {
    let mut select = user_rows::select_any(tx.db.get_database_backend(), tx.caller.tenant);
    select.and_where(user::Column::Id.eq(user.uuid()));
    match tx.db.query_one(&select).await? {
        Some(row) => Ok(user_rows::user(&row)?),
        None => refuse(Error::NotFound("user")),
    }
}
