//! Events that a receiver fetches, and acknowledges one by one (RFC 8936).
//!
//! An endpoint's position is what all before was dealt with. What is acknowledged beyond it is noted until the position comes by; what is refused is a
//! dead letter, and counts as dealt with.

use std::collections::HashSet;

use ids::{EventEndpointId, TenantId};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, sea_query::OnConflict,
};
use uuid::Uuid;

use crate::{
    domain::{Caller, Change, EndpointKind, Error, EventKinds, EventProfile, OutOfRange, Position, Stop, Timestamp},
    store::{
        Outcome, Running, Store, changes,
        entity::{change, event_ack, event_delivery, event_endpoint},
        events::{NOT_FOUND, kinds, lock, of, sending::is_told},
        refuse,
        tx::{ROWS_PER_STATEMENT, Tx},
        unavailable,
    },
};

/// How many changes are read at once.
const PAGE: u64 = 200;
/// How many pages of them are looked at in one poll.
const PAGES_MAX: usize = 10;

/// What a receiver says.
#[derive(Clone, Debug)]
pub(crate) struct Poll {
    pub(crate) endpoint: EventEndpointId,
    pub(crate) acknowledged: Vec<Position>,
    /// What it cannot take, and why.
    pub(crate) refused: Vec<(Position, String)>,
    /// How many it asks for.
    pub(crate) size: u64,
}

/// What a receiver is answered.
#[derive(Clone, Debug)]
pub(crate) struct Polled {
    pub(crate) events: Vec<Change>,
    pub(crate) more: bool,
    pub(crate) audience: String,
    pub(crate) profile: EventProfile,
    /// Everything up to here was looked at.
    pub(crate) position: Position,
}

/// What an endpoint asks for.
struct Wanted {
    kinds: EventKinds,
    profile: EventProfile,
}

impl Wanted {
    fn has(&self, change: &Change) -> bool {
        self.kinds.has(&change.kind) && is_told(EndpointKind::SetPoll, self.profile, change)
    }
}

impl Store {
    /// Notes what a receiver has dealt with.
    pub(crate) async fn acknowledge_events(&self, caller: &Caller, poll: Poll) -> Result<(), Error> {
        if poll.acknowledged.is_empty() && poll.refused.is_empty() {
            return Ok(());
        }
        self.write(caller, poll, acknowledge_in).await
    }

    /// What waits for a receiver, oldest first.
    pub(crate) async fn poll_events(
        &self,
        tenant: TenantId,
        id: EventEndpointId,
        size: u64,
        now: Timestamp,
    ) -> Result<Polled, Error> {
        let read = self.database.read();
        let row = event_endpoint::Entity::find_by_id((tenant.uuid(), id.uuid())).one(read).await;
        let row = row.map_err(|error| unavailable(&error))?.filter(is_polled).ok_or(NOT_FOUND)?;
        if let Some(stop) = row.stop.as_deref().and_then(Stop::stored) {
            return Err(Error::EventEndpointDisabled { stop: stop.as_str() });
        }
        let head = self.feed_head(tenant).await?;
        let stands = Position { epoch: row.epoch, number: row.position };
        let after = match head.resume(Some(stands)) {
            Ok(after) => after,
            Err(Error::PositionOutOfRange { cause, .. }) => return Err(self.stop_polled(row, cause, now).await?),
            Err(other) => return Err(other),
        };
        let wanted = wanted(&row).map_err(|error| unavailable(&error))?;
        let mut polled = Polled {
            events: self.due_polled((tenant, id), (size, now), row.epoch).await?,
            more: false,
            audience: row.audience,
            profile: wanted.profile,
            position: stands,
        };
        let acknowledged = acknowledged(read, (tenant.uuid(), id.uuid())).await.map_err(|error| unavailable(&error))?;
        let mut last = after;
        for _ in 0..PAGES_MAX {
            if last >= head.position.number {
                break;
            }
            for change in self.changes(tenant, &head, last, PAGE).await? {
                let number = change.position.number;
                if wanted.has(&change) && !acknowledged.contains(&number) {
                    if polled.events.len() as u64 >= size {
                        polled.more = true;
                        return Ok(polled);
                    }
                    polled.events.push(change);
                }
                (last, polled.position.number) = (number, number);
            }
        }
        polled.more = last < head.position.number;
        if polled.events.is_empty() && last > after && size > 0 {
            // Nothing of this is anything to the endpoint: it need not be looked at again.
            self.pass_over((tenant, id), stands, last).await?;
        }
        Ok(polled)
    }

    /// What an administrator wants to be fetched again.
    async fn due_polled(
        &self,
        (tenant, id): (TenantId, EventEndpointId),
        (size, now): (u64, Timestamp),
        epoch: Uuid,
    ) -> Result<Vec<Change>, Error> {
        let read = self.database.read();
        let due: Vec<i64> = event_delivery::Entity::find()
            .filter(of(tenant.uuid(), id))
            .filter(event_delivery::Column::NextAttemptUs.lte(now.0))
            .order_by_asc(event_delivery::Column::Position)
            .limit(size)
            .select_only()
            .column(event_delivery::Column::Position)
            .into_tuple()
            .all(read)
            .await
            .map_err(|error| unavailable(&error))?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let rows = change::Entity::find()
            .filter(change::Column::TenantId.eq(tenant.uuid()))
            .filter(change::Column::Position.is_in(due))
            .order_by_asc(change::Column::Position)
            .all(read)
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(rows.into_iter().map(|row| changes::from_row(epoch, row)).collect())
    }

    /// Disables an endpoint that cannot go on, and answers how that is refused.
    async fn stop_polled(&self, row: event_endpoint::Model, cause: OutOfRange, now: Timestamp) -> Result<Error, Error> {
        let stop = match cause {
            OutOfRange::Epoch | OutOfRange::Ahead => Stop::Restored,
            OutOfRange::Retention => Stop::Behind,
        };
        let update = event_endpoint::ActiveModel {
            stop: Set(Some(stop.as_str().to_owned())),
            state_since_us: Set(now.0),
            ..Default::default()
        };
        let stands = Position { epoch: row.epoch, number: row.position };
        self.update_polled((row.tenant_id, row.id), stands, update).await?;
        tracing::warn!(tenant.id = %row.tenant_id, event_endpoint.id = %row.id, stop = stop.as_str(), "an event endpoint was disabled");
        Ok(Error::EventEndpointDisabled { stop: stop.as_str() })
    }

    async fn pass_over(
        &self,
        (tenant, id): (TenantId, EventEndpointId),
        stands: Position,
        until: i64,
    ) -> Result<(), Error> {
        let update = event_endpoint::ActiveModel { position: Set(until), ..Default::default() };
        self.update_polled((tenant.uuid(), id.uuid()), stands, update).await
    }

    /// Changes an endpoint that stands where it was read.
    async fn update_polled(
        &self,
        (tenant, id): (Uuid, Uuid),
        stands: Position,
        update: event_endpoint::ActiveModel,
    ) -> Result<(), Error> {
        let written = self.database.write(move |db| {
            let update = update.clone();
            Box::pin(async move {
                event_endpoint::Entity::update_many()
                    .set(update)
                    .filter(event_endpoint::Column::TenantId.eq(tenant))
                    .filter(event_endpoint::Column::Id.eq(id))
                    .filter(event_endpoint::Column::Epoch.eq(stands.epoch))
                    .filter(event_endpoint::Column::Position.eq(stands.number))
                    .exec(db)
                    .await?;
                Outcome::Ok(())
            })
        });
        written.await.map_err(|error| match error {
            database::Error::Refused(error) => error,
            database::Error::Database(error) => unavailable(&error),
        })
    }
}

fn acknowledge_in<'a>(tx: &'a Tx<'a>, poll: &'a Poll) -> Running<'a, ()> {
    Box::pin(async move {
        let row = lock(tx, poll.endpoint).await?;
        if !is_polled(&row) {
            return refuse(NOT_FOUND);
        }
        let Some(head) = changes::head(tx.db, tx.tenant()).await? else { return refuse(Error::NotFound("tenant")) };
        // What is of another epoch, or not yet there, was never answered.
        let is_ours = |position: &Position| {
            position.epoch == row.epoch
                && position.epoch == head.position.epoch
                && position.number <= head.position.number
        };
        let refused: Vec<&(Position, String)> = poll.refused.iter().filter(|(at, _)| is_ours(at)).collect();
        let taken: Vec<i64> = poll.acknowledged.iter().filter(|at| is_ours(at)).map(|at| at.number).collect();
        clear(tx, poll, &taken).await?;
        bury(tx, poll, &refused).await?;
        let dealt_with = taken.iter().copied().chain(refused.iter().map(|(at, _)| at.number));
        let ahead: Vec<i64> = dealt_with.filter(|number| *number > row.position).collect();
        note(tx, poll, &ahead).await?;
        let new_last = refused.last().map(|(_, what)| what.clone());
        let taken = i64::try_from(taken.len()).unwrap_or(i64::MAX);
        advance(tx, row, head.position.number, (taken, new_last)).await
    })
}

/// What was fetched again and is dealt with now.
async fn clear(tx: &Tx<'_>, poll: &Poll, taken: &[i64]) -> Outcome<()> {
    for taken in taken.chunks(ROWS_PER_STATEMENT) {
        event_delivery::Entity::delete_many()
            .filter(of(tx.tenant(), poll.endpoint))
            .filter(event_delivery::Column::Position.is_in(taken.iter().copied()))
            .exec(tx.db)
            .await?;
    }
    Ok(())
}

/// What is refused is a dead letter.
async fn bury(tx: &Tx<'_>, poll: &Poll, refused: &[&(Position, String)]) -> Outcome<()> {
    let key = [event_delivery::Column::TenantId, event_delivery::Column::EndpointId, event_delivery::Column::Position];
    for (position, what) in refused {
        let letter = event_delivery::ActiveModel {
            tenant_id: Set(tx.tenant()),
            endpoint_id: Set(poll.endpoint.uuid()),
            position: Set(position.number),
            attempts: Set(1),
            next_attempt_us: Set(None),
            last_attempt_us: Set(tx.now.0),
            last_failure: Set(what.clone()),
        };
        let again = OnConflict::columns(key)
            .update_columns([
                event_delivery::Column::NextAttemptUs,
                event_delivery::Column::LastAttemptUs,
                event_delivery::Column::LastFailure,
            ])
            .to_owned();
        event_delivery::Entity::insert(letter).on_conflict(again).exec_without_returning(tx.db).await?;
    }
    Ok(())
}

async fn note(tx: &Tx<'_>, poll: &Poll, ahead: &[i64]) -> Outcome<()> {
    let key = [event_ack::Column::TenantId, event_ack::Column::EndpointId, event_ack::Column::Position];
    let distinct: HashSet<i64> = ahead.iter().copied().collect();
    let rows: Vec<_> = distinct
        .into_iter()
        .map(|position| event_ack::ActiveModel {
            tenant_id: Set(tx.tenant()),
            endpoint_id: Set(poll.endpoint.uuid()),
            position: Set(position),
        })
        .collect();
    for rows in rows.chunks(ROWS_PER_STATEMENT) {
        let known = OnConflict::columns(key).do_nothing().to_owned();
        event_ack::Entity::insert_many(rows.to_vec()).on_conflict(known).exec_without_returning(tx.db).await?;
    }
    Ok(())
}

/// Moves the position past all that is dealt with.
async fn advance(
    tx: &Tx<'_>,
    row: event_endpoint::Model,
    head: i64,
    (taken, last_failure): (i64, Option<String>),
) -> Outcome<()> {
    let acknowledged = acknowledged(tx.db, (row.tenant_id, row.id)).await?;
    let wanted = wanted(&row)?;
    let mut position = row.position;
    'pages: for _ in 0..PAGES_MAX {
        let rows = changes::page(tx.tenant(), (position, head)).limit(PAGE).all(tx.db).await?;
        if rows.is_empty() {
            break;
        }
        for change in rows {
            let number = change.position;
            if !acknowledged.contains(&number) && wanted.has(&changes::from_row(row.epoch, change)) {
                break 'pages;
            }
            position = number;
        }
    }
    event_ack::Entity::delete_many()
        .filter(of_acks((row.tenant_id, row.id)))
        .filter(event_ack::Column::Position.lte(position))
        .exec(tx.db)
        .await?;
    let mut update = event_endpoint::ActiveModel {
        position: Set(position),
        delivered: Set(row.delivered.saturating_add(taken)),
        ..row.into_active_model()
    };
    if taken > 0 {
        update.last_delivery_us = Set(Some(tx.now.0));
    }
    if let Some(what) = last_failure {
        update.last_failure = Set(what);
    }
    update.update(tx.db).await?;
    Ok(())
}

/// What is acknowledged beyond an endpoint's position.
async fn acknowledged<C: sea_orm::ConnectionTrait>(
    db: &C,
    endpoint: (Uuid, Uuid),
) -> Result<HashSet<i64>, sea_orm::DbErr> {
    let positions: Vec<i64> = event_ack::Entity::find()
        .filter(of_acks(endpoint))
        .select_only()
        .column(event_ack::Column::Position)
        .into_tuple()
        .all(db)
        .await?;
    Ok(positions.into_iter().collect())
}

fn of_acks((tenant, id): (Uuid, Uuid)) -> Condition {
    Condition::all().add(event_ack::Column::TenantId.eq(tenant)).add(event_ack::Column::EndpointId.eq(id))
}

fn is_polled(row: &event_endpoint::Model) -> bool {
    row.kind == EndpointKind::SetPoll.as_str()
}

fn wanted(row: &event_endpoint::Model) -> Result<Wanted, sea_orm::DbErr> {
    let unknown = || sea_orm::DbErr::Type("an event endpoint has a profile that this release does not know".into());
    Ok(Wanted { kinds: kinds(&row.kinds)?, profile: EventProfile::stored(&row.profile).ok_or_else(unknown)? })
}
