//! Blanking what the provisioning log says of a person (rule R26). That a request came, when, and what became of it remains.

use std::collections::BTreeSet;

use ids::UserId;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait, sea_query::Expr};

use crate::{
    domain::{LoggedEntry, ProvisionedType, Subject, subject_key},
    store::{
        Outcome,
        entity::{provisioning_entry, provisioning_sighting, provisioning_subject},
        provisioning_log::{StoredSubject, json},
        tx::{ROWS_PER_STATEMENT, Tx},
    },
};

/// What is blank in an entry that is about nobody else.
const BLANK: [(provisioning_entry::Column, &str); 4] = [
    (provisioning_entry::Column::Subjects, "[]"),
    (provisioning_entry::Column::Changes, "[]"),
    (provisioning_entry::Column::Notes, "[]"),
    (provisioning_entry::Column::Cause, ""),
];

/// Blanks the entries about a user that are found by its id, by the `names` that it had here, and by those that the log knows of it. Entries about
/// somebody else of the same name keep what they say.
pub(super) async fn blank(tx: &Tx<'_>, user: UserId, names: &[String]) -> Outcome<()> {
    let (id, own) = (user.to_string(), |name: &str| subject_key(ProvisionedType::User, name));
    let mut keys: BTreeSet<String> = names.iter().map(|name| own(name)).collect();
    let by_id = own(&id);
    let of_id: Vec<LoggedEntry> = found(tx, [by_id.clone()].into()).await?;
    for logged in of_id.iter().filter(|logged| logged.entry.resource_id == id) {
        let of_user = |subject: &&Subject| subject.resource_type == ProvisionedType::User;
        keys.extend(logged.entry.subjects.iter().filter(of_user).map(Subject::key));
    }
    keys.remove(&by_id);
    let by_name = found(tx, keys.clone()).await?;
    let is_own = |logged: &&LoggedEntry| {
        let entry = &logged.entry;
        entry.resource_id == id || (entry.resource_id.is_empty() && entry.resource_type != Some(ProvisionedType::Group))
    };
    let alone: BTreeSet<i64> = of_id.iter().chain(&by_name).filter(is_own).map(|logged| logged.position).collect();
    let alone: Vec<i64> = alone.into_iter().collect();
    for positions in alone.chunks(ROWS_PER_STATEMENT) {
        let mut update = provisioning_entry::Entity::update_many();
        for (column, blank) in BLANK {
            update = update.col_expr(column, Expr::value(blank));
        }
        update
            .filter(provisioning_entry::Column::TenantId.eq(tx.tenant()))
            .filter(provisioning_entry::Column::Position.is_in(positions.iter().copied()))
            .exec(tx.db)
            .await?;
        forget(tx, positions, None, &by_id).await?;
    }
    // A group's entry names others too.
    for logged in of_id.iter().filter(|logged| !is_own(logged)) {
        let rest = logged.entry.subjects.iter().filter(|subject| !keys.contains(&subject.key()));
        let rest: Vec<StoredSubject> = rest.map(StoredSubject::from).collect();
        provisioning_entry::Entity::update_many()
            .set(provisioning_entry::ActiveModel {
                subjects: Set(json(&rest)?),
                ..provisioning_entry::ActiveModel::default()
            })
            .filter(provisioning_entry::Column::TenantId.eq(tx.tenant()))
            .filter(provisioning_entry::Column::Position.eq(logged.position))
            .exec(tx.db)
            .await?;
        forget(tx, &[logged.position], Some(&keys), &by_id).await?;
    }
    provisioning_sighting::Entity::delete_many()
        .filter(provisioning_sighting::Column::TenantId.eq(tx.tenant()))
        .filter(provisioning_sighting::Column::UserId.eq(user.uuid()))
        .exec(tx.db)
        .await?;
    Ok(())
}

/// The entries found under any of these keys.
async fn found(tx: &Tx<'_>, keys: BTreeSet<String>) -> Outcome<Vec<LoggedEntry>> {
    let positions = provisioning_subject::Entity::find()
        .filter(provisioning_subject::Column::TenantId.eq(tx.tenant()))
        .filter(provisioning_subject::Column::SubjectKey.is_in(keys))
        .select_only()
        .column(provisioning_subject::Column::Position);
    let rows = provisioning_entry::Entity::find()
        .filter(provisioning_entry::Column::TenantId.eq(tx.tenant()))
        .filter(provisioning_entry::Column::Position.in_subquery(positions.into_query()))
        .all(tx.db)
        .await?;
    Ok(rows.into_iter().map(LoggedEntry::from).collect())
}

/// Lets entries be found no more under the keys, or under any but the user's id.
async fn forget(tx: &Tx<'_>, positions: &[i64], keys: Option<&BTreeSet<String>>, by_id: &str) -> Outcome<()> {
    let mut delete = provisioning_subject::Entity::delete_many()
        .filter(provisioning_subject::Column::TenantId.eq(tx.tenant()))
        .filter(provisioning_subject::Column::Position.is_in(positions.iter().copied()))
        .filter(provisioning_subject::Column::SubjectKey.ne(by_id));
    if let Some(keys) = keys {
        delete = delete.filter(provisioning_subject::Column::SubjectKey.is_in(keys.iter().cloned()));
    }
    delete.exec(tx.db).await?;
    Ok(())
}
