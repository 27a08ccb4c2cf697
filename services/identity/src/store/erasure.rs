//! Removing a person for good, and what is said of the person elsewhere (rule R26).

use ::audit::{Content, Values};
use ids::UserId;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use crate::{
    domain::{Caller, Error},
    store::{
        Outcome, Running, Store, audit,
        entity::{change, erasure, user},
        provisioning_erasure, refuse,
        tx::{ChangeKind, Tx},
        user_rows, users,
    },
};

/// The RPC that does it.
pub(crate) const ERASE_USER: &str = "/rollcall.identity.v1.UserService/EraseUser";

impl Store {
    /// Erases a user, live, softly deleted or erased before: the row with all that hangs on it, and the values in changes, audit entries and entries of
    /// the provisioning log about the user. Ids remain, and the ledger of whom was erased.
    pub(crate) async fn erase_user(&self, caller: &Caller, user: UserId) -> Result<(), Error> {
        // One audit entry tells of as many others as fit.
        while self.write(caller, user, erase_in).await? == Rest::Some {}
        Ok(())
    }
}

/// Whether audit entries about the user are still to be blanked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    None,
    Some,
}

fn erase_in<'a>(tx: &'a Tx<'a>, user: &'a UserId) -> Running<'a, Rest> {
    Box::pin(async move {
        let names = if is_erased(tx, *user).await? { Vec::new() } else { remove(tx, *user).await? };
        provisioning_erasure::blank(tx, *user, &names).await?;
        let personal = audit::with_values(tx, &user.to_string()).await?;
        let (after, told) = Values::new().with_erased(&personal);
        audit::blank(tx, personal.get(..told).unwrap_or_default()).await?;
        tx.audit(user, || Content::detail("erased").after(after));
        Ok(if told < personal.len() { Rest::Some } else { Rest::None })
    })
}

async fn is_erased(tx: &Tx<'_>, user: UserId) -> Outcome<bool> {
    Ok(erasure::Entity::find_by_id((tx.tenant(), user.uuid())).one(tx.db).await?.is_some())
}

/// Answers the names under which the person may stand in the provisioning log.
async fn remove(tx: &Tx<'_>, user: UserId) -> Outcome<Vec<String>> {
    // Whoever else writes about the user holds this lock until what is said of it is committed.
    let stored = match users::lock(tx, user).await {
        // Another has erased it while this one waited.
        Err(database::Error::Refused(Error::NotFound(_))) if is_erased(tx, user).await? => return Ok(Vec::new()),
        locked => locked?,
    };
    let standing = users::lock_role(tx, user).await?;
    let emails = user_rows::draft(&stored)?.profile.emails.into_iter().filter_map(|email| email.value);
    let names = emails.chain([stored.user_name.clone()]).chain(stored.external_id.clone()).collect();
    let removed = user::Entity::delete_many()
        .filter(user::Column::TenantId.eq(tx.tenant()))
        .filter(user::Column::Id.eq(user.uuid()))
        .exec(tx.db)
        .await?;
    if removed.rows_affected == 0 {
        return refuse(Error::NotFound("user"));
    }
    erasure::Entity::insert(erasure::ActiveModel {
        tenant_id: Set(tx.tenant()),
        user_id: Set(user.uuid()),
        erased_at_us: Set(tx.now.0),
    })
    .exec_without_returning(tx.db)
    .await?;
    change::Entity::update_many()
        .set(change::ActiveModel {
            before_values: Set("{}".to_owned()),
            after_values: Set("{}".to_owned()),
            ..change::ActiveModel::default()
        })
        .filter(change::Column::TenantId.eq(tx.tenant()))
        .filter(change::Column::SubjectId.eq(user.uuid()))
        .exec(tx.db)
        .await?;
    tx.changed(ChangeKind::UserErased, user.uuid(), stored.version + 1, Content::default());
    standing.settle(tx).await?;
    Ok(names)
}
