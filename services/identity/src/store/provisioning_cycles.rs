//! Counting the log: the last cycle of each credential, whom its directory named, and what follows from both (rule R19).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ids::TenantId;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Select,
    sea_query::{Expr, OnConflict, Query},
};
use uuid::Uuid;

use crate::{
    domain::{
        Cycle, Drift, Error, JudgedCycle, LogEntry, NotJudged, ProvisioningOutcome, Span, Summary, Timestamp,
        is_full_pass,
    },
    store::{
        Store,
        entity::{provisioning_cycle, provisioning_head, provisioning_sighting, user},
        unavailable,
    },
};

/// How many rows of sightings one INSERT carries.
const ROWS_PER_STATEMENT: usize = 1000;
/// How many credentials a summary tells of.
const CYCLES_MAX: u64 = 20;
/// How many sightings of a credential one transaction takes away.
const PURGE_BATCH: u64 = 1000;

/// Of credentials whose cycle is over when a batch comes: whether that was a full pass. It is found out before the batch is written: to count a
/// large tenant's users holds up nobody's write.
pub(super) type Census = HashMap<String, bool>;

/// The users who are active, and those of them whom a directory has named since a time.
struct Counted {
    active: i64,
    seen: i64,
}

impl Store {
    /// See [`Census`].
    pub(super) async fn census(&self, tenant: TenantId, entries: &[LogEntry]) -> Result<Census, Error> {
        let mut first: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for entry in entries.iter().filter(|entry| !entry.credential.is_empty()) {
            let at = first.entry(&entry.credential).or_insert(entry.at);
            *at = (*at).min(entry.at);
        }
        let mut census = Census::new();
        let db = self.database.read();
        for (credential, at) in first {
            let found = find(db, tenant.uuid(), credential).await.map_err(|error| unavailable(&error))?;
            if let Some(cycle) = found.filter(|cycle| cycle.is_over(at)) {
                // Where there are too many to be counted in time, drift is judged by an earlier pass.
                let counted = counted(db, tenant.uuid(), credential, &cycle).await;
                let was_full = counted.is_ok_and(|counted| is_full_pass(counted.seen, counted.active));
                census.insert(credential.to_owned(), was_full);
            }
        }
        Ok(census)
    }

    /// How a tenant's provisioning does at a time.
    pub(crate) async fn provisioning_summary(&self, tenant: TenantId, now: Timestamp) -> Result<Summary, Error> {
        self.summary(tenant.uuid(), now).await.map_err(|error| unavailable(&error))
    }

    async fn summary(&self, tenant: Uuid, now: Timestamp) -> Result<Summary, DbErr> {
        let db = self.database.read();
        let head = provisioning_head::Entity::find_by_id(tenant).one(db).await?;
        let rows = provisioning_cycle::Entity::find()
            .filter(provisioning_cycle::Column::TenantId.eq(tenant))
            .order_by_desc(provisioning_cycle::Column::LastAtUs)
            .limit(CYCLES_MAX)
            .all(db)
            .await?;
        let mut cycles = Vec::new();
        for row in rows {
            let (credential, cycle) = (row.credential.clone(), Cycle::from(row));
            let ended = cycle.is_over(now);
            let drift = match drift(db, tenant, &credential, (&cycle, ended)).await {
                Err(error) if database::ran_out_of_time(&error) => Err(NotJudged::TooMany),
                judged => judged?,
            };
            cycles.push(JudgedCycle { credential, cycle, ended, drift });
        }
        Ok(Summary {
            last_contact: head.as_ref().and_then(|head| head.last_contact_us).map(Timestamp),
            last_success: head.as_ref().and_then(|head| head.last_success_us).map(Timestamp),
            cycles,
            lost: head.map_or(0, |head| head.lost),
        })
    }
}

/// Drift by the last full pass, which may be the last cycle if that has ended.
async fn drift(
    db: &DatabaseConnection,
    tenant: Uuid,
    credential: &str,
    (cycle, ended): (&Cycle, bool),
) -> Result<Result<Drift, NotJudged>, DbErr> {
    if ended {
        let Counted { active, seen } = counted(db, tenant, credential, cycle).await?;
        if is_full_pass(seen, active) {
            return Ok(Ok(Drift { pass: cycle.span, active, unseen: active - seen }));
        }
    }
    let Some(pass) = cycle.full_pass else { return Ok(Err(NotJudged::NoFullPass)) };
    let active = count_users(active(tenant), db).await?;
    let seen = count_users(seen(tenant, credential, pass.begun), db).await?;
    Ok(Ok(Drift { pass, active, unseen: active - seen }))
}

/// The active users, and those of them whom a cycle named. Where these cannot be enough, they are not counted.
async fn counted(db: &DatabaseConnection, tenant: Uuid, credential: &str, cycle: &Cycle) -> Result<Counted, DbErr> {
    let active = count_users(active(tenant), db).await?;
    if !is_full_pass(cycle.seen_users, active) {
        return Ok(Counted { active, seen: 0 });
    }
    let seen = count_users(seen(tenant, credential, cycle.span.begun), db).await?;
    Ok(Counted { active, seen })
}

async fn count_users(select: Select<user::Entity>, db: &DatabaseConnection) -> Result<i64, DbErr> {
    Ok(i64::try_from(select.count(db).await?).unwrap_or(i64::MAX))
}

/// The users whom the directory has given access.
fn active(tenant: Uuid) -> Select<user::Entity> {
    user::Entity::find()
        .filter(user::Column::TenantId.eq(tenant))
        .filter(user::Column::DeletedAtUs.is_null())
        .filter(user::Column::ProvisionedActive.eq(true))
}

/// Those of them whom a credential's directory has named since a time.
fn seen(tenant: Uuid, credential: &str, since: Timestamp) -> Select<user::Entity> {
    use provisioning_sighting::Column;
    let mut sighting = Query::select();
    sighting
        .expr(Expr::value(1))
        .from(provisioning_sighting::Entity)
        .and_where(Expr::col((provisioning_sighting::Entity, Column::TenantId)).eq(tenant))
        .and_where(Expr::col((provisioning_sighting::Entity, Column::Credential)).eq(credential))
        .and_where(Expr::col((provisioning_sighting::Entity, Column::UserId)).equals((user::Entity, user::Column::Id)))
        .and_where(Expr::col((provisioning_sighting::Entity, Column::AtUs)).gte(since.0));
    active(tenant).filter(Expr::exists(sighting))
}

async fn find(db: &DatabaseConnection, tenant: Uuid, credential: &str) -> Result<Option<Cycle>, DbErr> {
    let row = provisioning_cycle::Entity::find_by_id((tenant, credential.to_owned())).one(db).await?;
    Ok(row.map(Cycle::from))
}

/// Counts new entries, which stand in the order of time, while the end of the log is locked.
pub(super) async fn count(
    db: &DatabaseTransaction,
    tenant: Uuid,
    entries: &[&LogEntry],
    census: &Census,
) -> Result<(), DbErr> {
    let mut of_credential: BTreeMap<&str, Vec<&LogEntry>> = BTreeMap::new();
    let of_requests = entries.iter().filter(|entry| entry.operation.is_some() && !entry.credential.is_empty());
    for entry in of_requests.filter(|entry| entry.outcome != ProvisioningOutcome::Lost) {
        of_credential.entry(&entry.credential).or_default().push(entry);
    }
    for (credential, entries) in of_credential {
        let id = (tenant, credential.to_owned());
        let stored = provisioning_cycle::Entity::find_by_id(id).one(db).await?.map(Cycle::from);
        let mut cycle = stored;
        let mut sighted = BTreeSet::new();
        for entry in entries {
            let mut current = match cycle.take() {
                Some(over) if over.is_over(entry.at) => {
                    let over = see(db, (tenant, credential), over, std::mem::take(&mut sighted)).await?;
                    let was_full = census.get(credential).copied().unwrap_or(false);
                    Cycle::begin(entry.at, if was_full { Some(over.span) } else { over.full_pass })
                }
                Some(going_on) => going_on,
                None => Cycle::begin(entry.at, None),
            };
            current.count(entry);
            sighted.extend(entry.seen.iter().copied());
            cycle = Some(current);
        }
        if let Some(cycle) = cycle {
            let cycle = see(db, (tenant, credential), cycle, sighted).await?;
            put(db, (tenant, credential), &cycle).await?;
        }
    }
    Ok(())
}

/// Notes whom a cycle named, and counts those whom it had not named before.
async fn see(
    db: &DatabaseTransaction,
    (tenant, credential): (Uuid, &str),
    mut cycle: Cycle,
    users: BTreeSet<Uuid>,
) -> Result<Cycle, DbErr> {
    use provisioning_sighting::Column;
    let rows = users.into_iter().map(|user| provisioning_sighting::ActiveModel {
        tenant_id: Set(tenant),
        credential: Set(credential.to_owned()),
        user_id: Set(user),
        at_us: Set(cycle.span.last.0),
    });
    let rows: Vec<_> = rows.collect();
    for rows in rows.chunks(ROWS_PER_STATEMENT) {
        // Those whom the cycle has named already stay as they are, and are not counted again.
        let again = OnConflict::columns([Column::TenantId, Column::Credential, Column::UserId])
            .update_column(Column::AtUs)
            .action_and_where(Expr::col((provisioning_sighting::Entity, Column::AtUs)).lt(cycle.span.begun.0))
            .to_owned();
        let insert = provisioning_sighting::Entity::insert_many(rows.to_vec()).on_conflict(again);
        let fresh = insert.exec_without_returning(db).await?;
        cycle.seen_users += i64::try_from(fresh).unwrap_or(i64::MAX);
    }
    Ok(cycle)
}

async fn put(db: &DatabaseTransaction, (tenant, credential): (Uuid, &str), cycle: &Cycle) -> Result<(), DbErr> {
    use provisioning_cycle::Column;
    let row = provisioning_cycle::ActiveModel {
        tenant_id: Set(tenant),
        credential: Set(credential.to_owned()),
        begun_at_us: Set(cycle.span.begun.0),
        last_at_us: Set(cycle.span.last.0),
        requests: Set(cycle.requests),
        created: Set(cycle.created),
        updated: Set(cycle.updated),
        disabled: Set(cycle.disabled),
        deleted: Set(cycle.deleted),
        failed: Set(cycle.failed),
        references_failed: Set(cycle.references_failed),
        seen_users: Set(cycle.seen_users),
        shut_out: Set(cycle.shut_out),
        full_pass_begun_at_us: Set(cycle.full_pass.map(|pass| pass.begun.0)),
        full_pass_last_at_us: Set(cycle.full_pass.map(|pass| pass.last.0)),
    };
    let replace = OnConflict::columns([Column::TenantId, Column::Credential])
        .update_columns([
            Column::BegunAtUs,
            Column::LastAtUs,
            Column::Requests,
            Column::Created,
            Column::Updated,
            Column::Disabled,
            Column::Deleted,
            Column::Failed,
            Column::ReferencesFailed,
            Column::SeenUsers,
            Column::ShutOut,
            Column::FullPassBegunAtUs,
            Column::FullPassLastAtUs,
        ])
        .to_owned();
    provisioning_cycle::Entity::insert(row).on_conflict(replace).exec_without_returning(db).await?;
    Ok(())
}

/// Forgets credentials that have not been used since a time, and whom their directories named; answers how many rows that were.
pub(super) async fn purge(db: &DatabaseTransaction, tenant: Uuid, before: Timestamp) -> Result<u64, DbErr> {
    use provisioning_cycle::Column;
    let mut gone = 0;
    let idle: Vec<String> = provisioning_cycle::Entity::find()
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::LastAtUs.lt(before.0))
        .select_only()
        .column(Column::Credential)
        .limit(CYCLES_MAX)
        .into_tuple()
        .all(db)
        .await?;
    for credential in idle {
        let left: Vec<Uuid> = provisioning_sighting::Entity::find()
            .filter(provisioning_sighting::Column::TenantId.eq(tenant))
            .filter(provisioning_sighting::Column::Credential.eq(credential.as_str()))
            .limit(PURGE_BATCH)
            .select_only()
            .column(provisioning_sighting::Column::UserId)
            .into_tuple()
            .all(db)
            .await?;
        let is_rest = (left.len() as u64) < PURGE_BATCH;
        if !left.is_empty() {
            let deleted = provisioning_sighting::Entity::delete_many()
                .filter(provisioning_sighting::Column::TenantId.eq(tenant))
                .filter(provisioning_sighting::Column::Credential.eq(credential.as_str()))
                .filter(provisioning_sighting::Column::UserId.is_in(left))
                .exec(db)
                .await?;
            gone += deleted.rows_affected;
        }
        // With the last of them: whoever purges has mostly nothing else left to do, and does not come again soon. It may be used again meanwhile.
        if is_rest {
            provisioning_cycle::Entity::delete_many()
                .filter(Column::TenantId.eq(tenant))
                .filter(Column::Credential.eq(credential))
                .filter(Column::LastAtUs.lt(before.0))
                .exec(db)
                .await?;
        }
    }
    Ok(gone)
}

impl From<provisioning_cycle::Model> for Cycle {
    fn from(row: provisioning_cycle::Model) -> Self {
        let full_pass = row.full_pass_begun_at_us.zip(row.full_pass_last_at_us);
        Self {
            span: Span { begun: Timestamp(row.begun_at_us), last: Timestamp(row.last_at_us) },
            requests: row.requests,
            created: row.created,
            updated: row.updated,
            disabled: row.disabled,
            deleted: row.deleted,
            failed: row.failed,
            references_failed: row.references_failed,
            seen_users: row.seen_users,
            shut_out: row.shut_out,
            full_pass: full_pass.map(|(begun, last)| Span { begun: Timestamp(begun), last: Timestamp(last) }),
        }
    }
}
