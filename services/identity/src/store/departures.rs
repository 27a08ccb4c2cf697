//! Who lost access, kept for api-keys until it has dealt with it.
//!
//! Each is a row that is written in the act's transaction and goes when it is acknowledged, so that none is passed over, however late its
//! transaction commits. A position to go on after would want one order over the commits of all tenants, and with it one row that they all wait for.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use ids::{TenantId, UserId};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, sea_query::OnConflict,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use uuid::Uuid;

use crate::{
    domain::{Access, DEPARTURES_MAX, Departure, Error, Holder, Timestamp},
    store::{
        Outcome, Store,
        entity::{departure, erasure, tenant, user},
        unavailable,
    },
};

/// The pause between looks for departures.
const INTERVAL: Duration = Duration::from_millis(200);
/// How long a listener hears nothing.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// After which time one that was not acknowledged is told again.
const REPEAT: Duration = Duration::from_secs(5);

/// Somebody who listens for departures.
#[derive(Debug)]
pub(crate) struct Departures {
    store: Store,
    ended: watch::Receiver<bool>,
    /// When each was told that is not acknowledged.
    told: HashMap<Uuid, Instant>,
}

impl Store {
    /// Listens for departures.
    pub(crate) fn departures(&self) -> Departures {
        Departures { store: self.clone(), ended: self.feeds.ended(), told: HashMap::new() }
    }

    /// At most [`DEPARTURES_MAX`] departures that are not acknowledged, the oldest first.
    pub(crate) async fn pending_departures(&self) -> Result<Vec<Departure>, Error> {
        let rows = departure::Entity::find()
            .order_by_asc(departure::Column::AtUs)
            .limit(DEPARTURES_MAX as u64)
            .all(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(rows.into_iter().map(Departure::from).collect())
    }

    /// Takes away departures that were dealt with. One of a holder that has departed again since stays.
    pub(crate) async fn acknowledge_departures(&self, mut departures: Vec<Departure>) -> Result<(), Error> {
        // In one order, as everybody who locks several.
        departures.sort_unstable_by_key(|departure| departure.holder);
        let departures = std::sync::Arc::new(departures);
        // It is nobody's act in a tenant, and the tenant may be gone: so this is not `Store::write`.
        let written = self.database.write(move |db| {
            let departures = std::sync::Arc::clone(&departures);
            Box::pin(async move { take_away(db, &departures).await })
        });
        written.await.map_err(|error| match error {
            database::Error::Refused(error) => error,
            database::Error::Database(error) => unavailable(&error),
        })
    }

    /// What access each of these has, in their order.
    pub(crate) async fn access(&self, holders: &[Holder]) -> Result<Vec<Access>, Error> {
        let known = self.known_access(holders).await.map_err(|error| unavailable(&error))?;
        Ok(holders.iter().map(|holder| known.get(holder).copied().unwrap_or(Access::Unknown)).collect())
    }

    async fn known_access(&self, holders: &[Holder]) -> Result<HashMap<Holder, Access>, DbErr> {
        let db = self.database.read();
        let of = |is_there: bool| if is_there { Access::Granted } else { Access::Lost };
        let all: HashSet<Uuid> = holders.iter().map(|holder| holder.tenant.uuid()).collect();
        let select = tenant::Entity::find().filter(tenant::Column::Id.is_in(all)).select_only();
        let tenants: Vec<(Uuid, Option<i64>)> =
            select.columns([tenant::Column::Id, tenant::Column::DeletedAtUs]).into_tuple().all(db).await?;
        let tenants: HashMap<Uuid, Access> =
            tenants.into_iter().map(|(id, deleted_at)| (id, of(deleted_at.is_none()))).collect();
        let mut known = HashMap::new();
        let mut users: HashMap<TenantId, Vec<UserId>> = HashMap::new();
        for holder in holders {
            match (tenants.get(&holder.tenant.uuid()).copied(), holder.user) {
                (Some(Access::Granted), Some(user)) => users.entry(holder.tenant).or_default().push(user),
                // Nobody of a tenant that is gone has access.
                (Some(access), _) => drop(known.insert(*holder, access)),
                (None, _) => {}
            }
        }
        for (tenant, users) in users {
            let ids = || users.iter().map(|user| user.uuid());
            let erased: Vec<Uuid> = erasure::Entity::find()
                .filter(erasure::Column::TenantId.eq(tenant.uuid()))
                .filter(erasure::Column::UserId.is_in(ids()))
                .select_only()
                .column(erasure::Column::UserId)
                .into_tuple()
                .all(db)
                .await?;
            let rows: Vec<(Uuid, bool, Option<i64>, Option<i64>)> = user::Entity::find()
                .filter(user::Column::TenantId.eq(tenant.uuid()))
                .filter(user::Column::Id.is_in(ids()))
                .select_only()
                .columns([
                    user::Column::Id,
                    user::Column::ProvisionedActive,
                    user::Column::SuspendedAtUs,
                    user::Column::DeletedAtUs,
                ])
                .into_tuple()
                .all(db)
                .await?;
            let holder = |user: Uuid| Holder { tenant, user: Some(user.into()) };
            known.extend(erased.into_iter().map(|user| (holder(user), Access::Lost)));
            known.extend(rows.into_iter().map(|(user, active, suspended_at, deleted_at)| {
                (holder(user), of(active && suspended_at.is_none() && deleted_at.is_none()))
            }));
        }
        Ok(known)
    }
}

impl Departures {
    /// The next departures: at once where some wait, and none within [`HEARTBEAT`] where none do.
    pub(crate) async fn next(&mut self) -> Result<Vec<Departure>, Error> {
        let began = Instant::now();
        loop {
            if *self.ended.borrow() {
                return Err(Error::Ending);
            }
            let pending = self.store.pending_departures().await?;
            let now = Instant::now();
            // What is pending no more is forgotten.
            let told = std::mem::take(&mut self.told);
            let recently = |departure: &Departure| told.get(&departure.id).filter(|at| now - **at < REPEAT).copied();
            let fresh: Vec<Departure> = pending.iter().filter(|one| recently(one).is_none()).copied().collect();
            self.told = pending.iter().map(|one| (one.id, recently(one).unwrap_or(now))).collect();
            if !fresh.is_empty() || began.elapsed() >= HEARTBEAT {
                return Ok(fresh);
            }
            tokio::select! {
                () = sleep(INTERVAL) => {}
                _ = self.ended.wait_for(|ended| *ended) => return Err(Error::Ending),
            }
        }
    }
}

/// Writes that these holders of a tenant have departed. Who had departed before, and is still to be told of, departs anew.
pub(super) async fn record(db: &DatabaseTransaction, holders: &[Holder], at: Timestamp) -> Outcome<()> {
    // In one order, as everybody who locks several.
    let holders: std::collections::BTreeSet<Holder> = holders.iter().copied().collect();
    let rows = holders.into_iter().map(|holder| departure::ActiveModel {
        tenant_id: Set(holder.tenant.uuid()),
        subject_id: Set(subject(holder)),
        id: Set(Uuid::now_v7()),
        at_us: Set(at.0),
    });
    let rows: Vec<_> = rows.collect();
    let anew = OnConflict::columns([departure::Column::TenantId, departure::Column::SubjectId])
        .update_columns([departure::Column::Id, departure::Column::AtUs])
        .to_owned();
    for rows in rows.chunks(super::tx::ROWS_PER_STATEMENT) {
        departure::Entity::insert_many(rows.to_vec()).on_conflict(anew.clone()).exec_without_returning(db).await?;
    }
    Ok(())
}

async fn take_away(db: &DatabaseTransaction, departures: &[Departure]) -> Outcome<()> {
    for departure in departures {
        let is_it = Condition::all()
            .add(departure::Column::TenantId.eq(departure.holder.tenant.uuid()))
            .add(departure::Column::SubjectId.eq(subject(departure.holder)))
            .add(departure::Column::Id.eq(departure.id));
        departure::Entity::delete_many().filter(is_it).exec(db).await?;
    }
    Ok(())
}

fn subject(holder: Holder) -> Uuid {
    holder.user.map_or_else(|| holder.tenant.uuid(), UserId::uuid)
}

impl From<departure::Model> for Departure {
    fn from(row: departure::Model) -> Self {
        let user = (row.subject_id != row.tenant_id).then(|| row.subject_id.into());
        Self { id: row.id, holder: Holder { tenant: row.tenant_id.into(), user }, at: Timestamp(row.at_us) }
    }
}
