//! The provisioning log: adding to it, reading it, and taking away what is old.
//!
//! An entry is nobody's act and changes nothing that others follow, so a batch is not `Store::write`: it is wanted while provisioning is off, and a
//! change feed that told of each request would never be quiet.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use ids::TenantId;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, Order, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
    sea_query::{Expr, OnConflict},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    domain::{
        CaseKey, Error, FieldChange, LogEntry, LogFilter, LogMark, LogOrder, LoggedEntry, Note, Operation,
        ProvisionedType, ProvisioningOutcome, Subject, Timestamp, subject_key,
    },
    store::{
        Outcome, Store,
        entity::{erasure, group, provisioning_entry, provisioning_head, provisioning_subject, tenant, user},
        provisioning_cycles::{self, Census},
        unavailable,
    },
};

/// How many rows of these tables one INSERT carries: an entry has twenty values, and SQLite binds 32,766.
const ROWS_PER_STATEMENT: usize = 500;
/// How many entries one transaction takes away.
const PURGE_BATCH: u64 = 1000;
/// How many one run takes away of one tenant.
const PURGE_MAX: u64 = 100_000;
/// How many resources a name may stand for.
const NAMESAKES_MAX: u64 = 20;

/// A subject as it stands in a row.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredSubject {
    #[serde(rename = "type")]
    resource_type: String,
    attribute: String,
    value: String,
}

impl From<&Subject> for StoredSubject {
    fn from(subject: &Subject) -> Self {
        Self {
            resource_type: subject.resource_type.as_str().to_owned(),
            attribute: subject.attribute.clone(),
            value: subject.value.clone(),
        }
    }
}

impl Store {
    /// Adds what is new of a batch to a tenant's log, and answers how much that was. A tenant that is gone has no log.
    pub(crate) async fn append_to_log(&self, tenant: TenantId, entries: Vec<LogEntry>) -> Result<u64, Error> {
        let census = self.census(tenant, &entries).await?;
        let batch = std::sync::Arc::new((entries, census));
        let written = self.database.write(move |db| {
            let batch = std::sync::Arc::clone(&batch);
            Box::pin(async move { append(db, tenant.uuid(), &batch.0, &batch.1).await })
        });
        written.await.map_err(|error| match error {
            database::Error::Refused(error) => error,
            database::Error::Database(error) => unavailable(&error),
        })
    }

    /// A page of a tenant's log.
    pub(crate) async fn list_log(
        &self,
        tenant: TenantId,
        (filter, order): (&LogFilter, LogOrder),
        after: Option<LogMark>,
        size: u64,
    ) -> Result<Vec<LoggedEntry>, Error> {
        let listed = self.listed_log(tenant.uuid(), (filter, order), after, size).await;
        listed.map_err(|error| unavailable(&error))
    }

    /// The newest position of a tenant's log; 0 before its first entry.
    pub(crate) async fn log_head(&self, tenant: TenantId) -> Result<i64, Error> {
        let head = provisioning_head::Entity::find_by_id(tenant.uuid()).one(self.database.read()).await;
        Ok(head.map_err(|error| unavailable(&error))?.map_or(0, |head| head.position))
    }

    async fn listed_log(
        &self,
        tenant: Uuid,
        (filter, order): (&LogFilter, LogOrder),
        after: Option<LogMark>,
        size: u64,
    ) -> Result<Vec<LoggedEntry>, DbErr> {
        use provisioning_entry::Column;
        let db = self.database.read();
        let mut select = provisioning_entry::Entity::find().filter(Column::TenantId.eq(tenant));
        if let Some((resource_type, name)) = &filter.about {
            let keys = keys_of(db, tenant, *resource_type, name).await?;
            let positions = provisioning_subject::Entity::find()
                .filter(provisioning_subject::Column::TenantId.eq(tenant))
                .filter(provisioning_subject::Column::SubjectKey.is_in(keys))
                .filter(within(filter, (order, after), provisioning_subject::Column::AtUs))
                .select_only()
                .column(provisioning_subject::Column::Position);
            select = select.filter(Column::Position.in_subquery(positions.into_query()));
        }
        if let Some(outcome) = filter.outcome {
            select = select.filter(Column::Outcome.eq(outcome.as_str()));
        }
        select = select.filter(within(filter, (order, after), Column::AtUs));
        if let Some(mark) = after {
            select = select.filter(behind(order, mark));
        }
        let direction = if order == LogOrder::NewestFirst { Order::Desc } else { Order::Asc };
        if order != LogOrder::Arrival {
            select = select.order_by(Column::AtUs, direction.clone());
        }
        let rows = select.order_by(Column::Position, direction).limit(size).all(db).await?;
        Ok(rows.into_iter().map(LoggedEntry::from).collect())
    }

    /// Takes away what is from before a time, and answers how many rows that were. To be run by any number of replicas.
    pub(crate) async fn purge_log(&self, before: Timestamp) -> Result<u64, Error> {
        let mut purged = 0;
        let mut after = None;
        while let Some(tenant) = self.log_after(after).await.map_err(|error| unavailable(&error))? {
            after = Some(tenant);
            let mut of_tenant = 0;
            while of_tenant < PURGE_MAX {
                let written = self.database.write(move |db| Box::pin(purge(db, tenant, before)));
                let gone = written.await.map_err(|error| match error {
                    database::Error::Refused(error) => error,
                    database::Error::Database(error) => unavailable(&error),
                })?;
                of_tenant += gone;
                if gone < PURGE_BATCH {
                    break;
                }
            }
            purged += of_tenant;
        }
        Ok(purged)
    }

    /// The next tenant that has a log.
    async fn log_after(&self, after: Option<Uuid>) -> Result<Option<Uuid>, DbErr> {
        let mut select = provisioning_head::Entity::find();
        if let Some(after) = after {
            select = select.filter(provisioning_head::Column::TenantId.gt(after));
        }
        let select = select.order_by_asc(provisioning_head::Column::TenantId).limit(1).select_only();
        select.column(provisioning_head::Column::TenantId).into_tuple().one(self.database.read()).await
    }
}

/// What the time of an entry, in this column, must be. A page begins where the last one ended, which narrows the search.
fn within(filter: &LogFilter, (order, after): (LogOrder, Option<LogMark>), at: impl ColumnTrait) -> Condition {
    let mut condition = Condition::all();
    if let Some(from) = filter.from {
        condition = condition.add(at.gte(from.0));
    }
    if let Some(until) = filter.until {
        condition = condition.add(at.lt(until.0));
    }
    match (order, after) {
        (LogOrder::NewestFirst, Some(mark)) => condition.add(at.lte(mark.at.0)),
        (LogOrder::OldestFirst, Some(mark)) => condition.add(at.gte(mark.at.0)),
        (LogOrder::Arrival, _) | (_, None) => condition,
    }
}

/// Whether an entry comes after a mark.
fn behind(order: LogOrder, mark: LogMark) -> Condition {
    use provisioning_entry::Column::{AtUs, Position};
    match order {
        LogOrder::Arrival => Condition::all().add(Position.gt(mark.position)),
        LogOrder::OldestFirst => Condition::any()
            .add(AtUs.gt(mark.at.0))
            .add(Condition::all().add(AtUs.eq(mark.at.0)).add(Position.gt(mark.position))),
        LogOrder::NewestFirst => Condition::any()
            .add(AtUs.lt(mark.at.0))
            .add(Condition::all().add(AtUs.eq(mark.at.0)).add(Position.lt(mark.position))),
    }
}

/// The keys under which entries about a resource are found, of which a name or id is known: its id and its names too, as far as they are known here or
/// in the log.
async fn keys_of(
    db: &impl ConnectionTrait,
    tenant: Uuid,
    resource_type: ProvisionedType,
    name: &str,
) -> Result<BTreeSet<String>, DbErr> {
    let mut keys = BTreeSet::from([subject_key(resource_type, name)]);
    let resources = match resource_type {
        ProvisionedType::User => users_named(db, tenant, name).await?,
        ProvisionedType::Group => groups_named(db, tenant, name).await?,
    };
    for (id, names) in resources {
        keys.insert(subject_key(resource_type, &id.to_string()));
        keys.extend(names.iter().map(|name| subject_key(resource_type, name)));
    }
    // Whoever is no longer here, or has another name now, is known to the log alone.
    let logged: Vec<String> = provisioning_entry::Entity::find()
        .filter(provisioning_entry::Column::TenantId.eq(tenant))
        .filter(provisioning_entry::Column::ResourceType.eq(resource_type.as_str()))
        .filter(provisioning_entry::Column::ResourceId.ne(""))
        .filter(
            provisioning_entry::Column::Position.in_subquery(
                provisioning_subject::Entity::find()
                    .filter(provisioning_subject::Column::TenantId.eq(tenant))
                    .filter(provisioning_subject::Column::SubjectKey.eq(subject_key(resource_type, name)))
                    .select_only()
                    .column(provisioning_subject::Column::Position)
                    .into_query(),
            ),
        )
        .select_only()
        .column(provisioning_entry::Column::ResourceId)
        .distinct()
        .limit(NAMESAKES_MAX)
        .into_tuple()
        .all(db)
        .await?;
    keys.extend(logged.iter().map(|id| subject_key(resource_type, id)));
    Ok(keys)
}

type Named = Vec<(Uuid, Vec<String>)>;

async fn users_named(db: &impl ConnectionTrait, tenant: Uuid, name: &str) -> Result<Named, DbErr> {
    let mut is_named = Condition::any()
        .add(user::Column::UserNameKey.eq(CaseKey::of(name).into_string()))
        .add(user::Column::ExternalId.eq(name));
    if let Ok(id) = Uuid::try_parse(name) {
        is_named = is_named.add(user::Column::Id.eq(id));
    }
    let rows: Vec<(Uuid, String, Option<String>)> = user::Entity::find()
        .filter(user::Column::TenantId.eq(tenant))
        .filter(is_named)
        .select_only()
        .columns([user::Column::Id, user::Column::UserName, user::Column::ExternalId])
        .limit(NAMESAKES_MAX)
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|(id, name, external)| (id, external.into_iter().chain([name]).collect())).collect())
}

async fn groups_named(db: &impl ConnectionTrait, tenant: Uuid, name: &str) -> Result<Named, DbErr> {
    let mut is_named = Condition::any()
        .add(group::Column::DisplayNameKey.eq(CaseKey::of(name).into_string()))
        .add(group::Column::ExternalId.eq(name));
    if let Ok(id) = Uuid::try_parse(name) {
        is_named = is_named.add(group::Column::Id.eq(id));
    }
    let rows: Vec<(Uuid, String, Option<String>)> = group::Entity::find()
        .filter(group::Column::TenantId.eq(tenant))
        .filter(is_named)
        .select_only()
        .columns([group::Column::Id, group::Column::DisplayName, group::Column::ExternalId])
        .limit(NAMESAKES_MAX)
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|(id, name, external)| (id, external.into_iter().chain([name]).collect())).collect())
}

async fn append(db: &DatabaseTransaction, tenant: Uuid, entries: &[LogEntry], census: &Census) -> Outcome<u64> {
    let Some(head) = lock(db, tenant).await? else { return Ok(0) };
    let known: HashSet<Uuid> = provisioning_entry::Entity::find()
        .filter(provisioning_entry::Column::TenantId.eq(tenant))
        .filter(provisioning_entry::Column::Id.is_in(entries.iter().map(|entry| entry.id)))
        .select_only()
        .column(provisioning_entry::Column::Id)
        .into_tuple::<Uuid>()
        .all(db)
        .await?
        .into_iter()
        .collect();
    // By id, so that one that stands twice in the batch is added once.
    let fresh: BTreeMap<Uuid, &LogEntry> =
        entries.iter().filter(|entry| !known.contains(&entry.id)).map(|entry| (entry.id, entry)).collect();
    let mut fresh: Vec<&LogEntry> = fresh.into_values().collect();
    fresh.sort_by_key(|entry| (entry.at, entry.id));
    if fresh.is_empty() {
        return Ok(0);
    }
    // Whoever was erased since the request came is not named again (rule R26).
    let erased = erased(db, tenant, &fresh).await?;
    let blank = |entry: &&&LogEntry| erased.contains(&entry.resource_id);
    let blanked: HashMap<Uuid, LogEntry> =
        fresh.iter().filter(blank).map(|entry| (entry.id, entry.blanked())).collect();
    let fresh: Vec<&LogEntry> = fresh.into_iter().map(|entry| blanked.get(&entry.id).unwrap_or(entry)).collect();
    let count = u64::try_from(fresh.len()).unwrap_or(u64::MAX);
    let placed: Vec<(i64, &LogEntry)> = (head.position + 1..).zip(fresh.iter().copied()).collect();
    insert(db, tenant, &placed).await?;
    provisioning_cycles::count(db, tenant, &fresh, census).await?;
    update(db, &head, &placed).await?;
    Ok(count)
}

/// The ids of the users among those of these entries who were erased.
async fn erased(db: &DatabaseTransaction, tenant: Uuid, entries: &[&LogEntry]) -> Result<HashSet<String>, DbErr> {
    let users = entries.iter().filter(|entry| entry.resource_type == Some(ProvisionedType::User));
    let ids: BTreeSet<Uuid> = users.filter_map(|entry| Uuid::try_parse(&entry.resource_id).ok()).collect();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let erased: Vec<Uuid> = erasure::Entity::find()
        .filter(erasure::Column::TenantId.eq(tenant))
        .filter(erasure::Column::UserId.is_in(ids))
        .select_only()
        .column(erasure::Column::UserId)
        .into_tuple()
        .all(db)
        .await?;
    Ok(erased.into_iter().map(|id| id.to_string()).collect())
}

/// Locks the end of a tenant's log, which is made where there is none; none where there is no tenant.
async fn lock(db: &DatabaseTransaction, tenant: Uuid) -> Result<Option<provisioning_head::Model>, DbErr> {
    let find = || provisioning_head::Entity::find_by_id(tenant).lock_exclusive().one(db);
    if let Some(head) = find().await? {
        return Ok(Some(head));
    }
    let is_there = tenant::Entity::find_by_id(tenant).filter(tenant::Column::DeletedAtUs.is_null()).one(db).await?;
    if is_there.is_none() {
        return Ok(None);
    }
    let head = provisioning_head::ActiveModel {
        tenant_id: Set(tenant),
        position: Set(0),
        last_contact_us: Set(None),
        last_success_us: Set(None),
        lost: Set(0),
    };
    let nothing = OnConflict::column(provisioning_head::Column::TenantId).do_nothing().to_owned();
    provisioning_head::Entity::insert(head).on_conflict(nothing).exec_without_returning(db).await?;
    find().await
}

async fn insert(db: &DatabaseTransaction, tenant: Uuid, placed: &[(i64, &LogEntry)]) -> Outcome<()> {
    let rows = placed.iter().map(|(position, entry)| row(tenant, *position, entry));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    for rows in rows.chunks(ROWS_PER_STATEMENT) {
        provisioning_entry::Entity::insert_many(rows.to_vec()).exec_without_returning(db).await?;
    }
    let subjects = placed.iter().flat_map(|(position, entry)| {
        entry.keys().into_iter().map(|subject_key| provisioning_subject::ActiveModel {
            tenant_id: Set(tenant),
            subject_key: Set(subject_key),
            at_us: Set(entry.at.0),
            position: Set(*position),
        })
    });
    let subjects: Vec<_> = subjects.collect();
    for rows in subjects.chunks(ROWS_PER_STATEMENT) {
        provisioning_subject::Entity::insert_many(rows.to_vec()).exec_without_returning(db).await?;
    }
    Ok(())
}

fn row(tenant: Uuid, position: i64, entry: &LogEntry) -> Result<provisioning_entry::ActiveModel, DbErr> {
    let subjects: Vec<StoredSubject> = entry.subjects.iter().map(StoredSubject::from).collect();
    Ok(provisioning_entry::ActiveModel {
        tenant_id: Set(tenant),
        position: Set(position),
        id: Set(entry.id),
        at_us: Set(entry.at.0),
        elapsed_us: Set(entry.elapsed_us),
        credential: Set(entry.credential.clone()),
        request_id: Set(entry.request_id.clone()),
        trace_id: Set(entry.trace_id.clone()),
        operation: Set(entry.operation.map(|operation| operation.as_str().to_owned())),
        resource_type: Set(entry.resource_type.map(|resource_type| resource_type.as_str().to_owned())),
        resource_id: Set(entry.resource_id.clone()),
        subjects: Set(json(&subjects)?),
        status: Set(entry.status),
        outcome: Set(entry.outcome.as_str().to_owned()),
        scim_type: Set(entry.scim_type.clone()),
        reason: Set(entry.reason.clone()),
        cause: Set(entry.cause.clone()),
        fix: Set(entry.fix.clone()),
        changes: Set(json(&entry.changes)?),
        notes: Set(json(&entry.notes)?),
        item_count: Set(entry.count),
        lost: Set(entry.lost),
    })
}

async fn update(
    db: &DatabaseTransaction,
    head: &provisioning_head::Model,
    placed: &[(i64, &LogEntry)],
) -> Result<(), DbErr> {
    use provisioning_head::Column;
    let latest = |is: fn(&LogEntry) -> bool| {
        placed.iter().filter(|(_, entry)| is(entry)).map(|(_, entry)| entry.at.0).reduce(Ord::max)
    };
    let contact = Ord::max(latest(|entry| entry.operation.is_some()), head.last_contact_us);
    let success = Ord::max(latest(|entry| entry.outcome == ProvisioningOutcome::Succeeded), head.last_success_us);
    let lost = placed.iter().fold(head.lost, |sum, (_, entry)| sum.saturating_add(entry.lost));
    let position = placed.last().map_or(head.position, |(position, _)| *position);
    provisioning_head::Entity::update_many()
        .col_expr(Column::Position, Expr::value(position))
        .col_expr(Column::LastContactUs, Expr::value(contact))
        .col_expr(Column::LastSuccessUs, Expr::value(success))
        .col_expr(Column::Lost, Expr::value(lost))
        .filter(Column::TenantId.eq(head.tenant_id))
        .exec(db)
        .await?;
    Ok(())
}

/// Takes away a batch of a tenant's entries from before a time with their subjects; where none are left, of what credentials did that are no longer
/// used.
async fn purge(db: &DatabaseTransaction, tenant: Uuid, before: Timestamp) -> Outcome<u64> {
    use provisioning_entry::Column;
    // One replica after another, and none beside entries that arrive: what a credential did last is then known.
    provisioning_head::Entity::find_by_id(tenant).lock_exclusive().one(db).await?;
    let old: Vec<i64> = provisioning_entry::Entity::find()
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::AtUs.lt(before.0))
        .order_by_asc(Column::AtUs)
        .limit(PURGE_BATCH)
        .select_only()
        .column(Column::Position)
        .into_tuple()
        .all(db)
        .await?;
    let mut of_cycles = 0;
    if (old.len() as u64) < PURGE_BATCH {
        of_cycles = provisioning_cycles::purge(db, tenant, before).await?;
    }
    if old.is_empty() {
        return Ok(of_cycles);
    }
    provisioning_subject::Entity::delete_many()
        .filter(provisioning_subject::Column::TenantId.eq(tenant))
        .filter(provisioning_subject::Column::Position.is_in(old.iter().copied()))
        .exec(db)
        .await?;
    let gone = provisioning_entry::Entity::delete_many()
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::Position.is_in(old))
        .exec(db)
        .await?;
    Ok(gone.rows_affected + of_cycles)
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<String, DbErr> {
    serde_json::to_string(value).map_err(|error| DbErr::Json(error.to_string()))
}

/// What cannot be read, as after an erasure, is empty.
fn parsed<T: for<'de> Deserialize<'de>>(text: &str) -> Vec<T> {
    serde_json::from_str(text).unwrap_or_default()
}

impl From<provisioning_entry::Model> for LoggedEntry {
    fn from(row: provisioning_entry::Model) -> Self {
        let subjects = parsed::<StoredSubject>(&row.subjects).into_iter().filter_map(|subject| {
            let resource_type = ProvisionedType::stored(&subject.resource_type)?;
            Some(Subject { resource_type, attribute: subject.attribute, value: subject.value })
        });
        let entry = LogEntry {
            id: row.id,
            at: Timestamp(row.at_us),
            elapsed_us: row.elapsed_us,
            credential: row.credential,
            request_id: row.request_id,
            trace_id: row.trace_id,
            operation: row.operation.as_deref().and_then(Operation::stored),
            resource_type: row.resource_type.as_deref().and_then(ProvisionedType::stored),
            resource_id: row.resource_id,
            subjects: subjects.collect(),
            status: row.status,
            outcome: ProvisioningOutcome::stored(&row.outcome).unwrap_or(ProvisioningOutcome::Failed),
            scim_type: row.scim_type,
            reason: row.reason,
            cause: row.cause,
            fix: row.fix,
            changes: parsed::<FieldChange>(&row.changes),
            notes: parsed::<Note>(&row.notes),
            count: row.item_count,
            lost: row.lost,
            seen: Vec::new(),
        };
        Self { position: row.position, entry }
    }
}
