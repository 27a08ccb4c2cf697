//! What is to be sent to which endpoint, by whom, and what became of it.
//!
//! One process at a time sends to an endpoint: it holds the endpoint's lease. A process that has lost its lease changes nothing any more; what it sent
//! is sent again by the next one, so events arrive at least once.

use std::time::Duration;

use ids::{EventEndpointId, TenantId};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, Order, Query, SelectStatement},
};
use uuid::Uuid;

use crate::{
    domain::{
        Change, EndpointKind, EndpointUrl, Error, EventKinds, EventProfile, Health, OutOfRange, Position, Receipt,
        SecurityEvent, Stop, Timestamp,
    },
    store::{
        Outcome, Store, changes,
        entity::{change, event_delivery, event_endpoint, tenant, tenant_position},
        events::{health, kinds, of, record::Record},
        unavailable,
    },
};

/// For how long a process has an endpoint to itself. It writes down what became of a batch before that ends, or not at all.
pub(crate) const LEASE: Duration = Duration::from_secs(75);
/// How many events are sent before it is written down what became of them.
pub(crate) const BATCH: u64 = 24;
/// How many changes are looked at for that, where an endpoint asks for some kinds alone.
const LOOKED_AT: u64 = 200;

/// An endpoint that a process has to itself for a while.
#[derive(Clone, Debug)]
pub(crate) struct Leased {
    pub(crate) tenant: TenantId,
    pub(crate) id: EventEndpointId,
    pub(crate) kind: EndpointKind,
    pub(crate) url: EndpointUrl,
    pub(crate) sealed_secret: Vec<u8>,
    /// What is signed with too.
    pub(crate) sealed_previous_secret: Option<Vec<u8>>,
    /// Of security event tokens; else empty.
    pub(crate) audience: String,
    pub(crate) profile: EventProfile,
    pub(super) holder: Uuid,
    kinds: EventKinds,
    position: Position,
    pub(super) health: Health,
}

/// An event to be sent again.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) change: Change,
    /// How often it was sent before.
    pub(crate) attempts: i32,
}

/// What is to be sent now.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    /// What failed before.
    pub(crate) due: Vec<Due>,
    /// What is new.
    pub(crate) new: Vec<Change>,
    /// What cannot be sent any more, for its change is kept no more.
    pub(super) lost: Vec<i64>,
    /// The position up to which new events were looked at.
    pub(super) until: i64,
    /// Whether more waits behind it.
    pub(crate) is_part: bool,
}

/// What became of one event.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) position: i64,
    /// How often it was sent, this time included.
    pub(crate) attempts: i32,
    pub(crate) receipt: Receipt,
    /// When it is to be tried again if it was not taken; none where it is not.
    pub(crate) next_attempt: Option<Timestamp>,
}

impl Leased {
    /// Whether a change is to be sent at all.
    fn wants(&self, change: &Change) -> bool {
        self.kinds.has(&change.kind) && is_told(self.kind, self.profile, change)
    }

    /// Whether most changes are.
    const fn wants_all(&self) -> bool {
        self.kinds.is_all() && matches!((self.kind, self.profile), (EndpointKind::Webhook, _) | (_, EventProfile::Scim))
    }
}

/// Whether a change is anything to an endpoint of this kind.
pub(super) fn is_told(kind: EndpointKind, profile: EventProfile, change: &Change) -> bool {
    match kind {
        EndpointKind::Webhook => true,
        EndpointKind::SetPush | EndpointKind::SetPoll => SecurityEvent::of(change, profile, "").is_some(),
    }
}

impl Work {
    /// Takes out what was not sent, and answers what was: new events up to the first that was not, so that the endpoint goes on there, and everything
    /// that had failed before. Others get their turn first.
    pub(crate) fn cut(&mut self, sent: Vec<Sent>) -> Vec<Sent> {
        let was_sent = |position: i64| sent.iter().any(|sent| sent.position == position);
        let unsent = self.new.iter().map(|change| change.position.number).find(|position| !was_sent(*position));
        if let Some(first) = unsent {
            self.new.retain(|change| change.position.number < first);
            self.until = first - 1;
        }
        self.is_part = false;
        let is_due = |position: i64| self.due.iter().any(|due| due.change.position.number == position);
        sent.into_iter().filter(|sent| sent.position <= self.until || is_due(sent.position)).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.due.is_empty() && self.new.is_empty()
    }
}

impl Store {
    /// Endpoints that something is to be sent to and nobody sends to now, those first that were longest left alone.
    pub(crate) async fn endpoints_with_work(
        &self,
        now: Timestamp,
        size: u64,
    ) -> Result<Vec<(TenantId, EventEndpointId)>, Error> {
        let rows = self.database.read().query_all(&with_work(now, size)).await;
        let found = rows.and_then(|rows| {
            let found = rows.iter().map(|row| {
                let (tenant, id): (Uuid, Uuid) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                Ok((tenant.into(), id.into()))
            });
            found.collect()
        });
        found.map_err(|error: DbErr| unavailable(&error))
    }

    /// Takes an endpoint for `holder`; none where another has it, or nothing is to be sent to it.
    pub(crate) async fn lease_event_endpoint(
        &self,
        (tenant, id): (TenantId, EventEndpointId),
        holder: Uuid,
        now: Timestamp,
    ) -> Result<Option<Leased>, Error> {
        let leased = self.database.write(move |db| {
            Box::pin(async move {
                let taken = event_endpoint::Entity::update_many()
                    .set(event_endpoint::ActiveModel {
                        lease_holder: Set(Some(holder)),
                        lease_until_us: Set(now.after(LEASE).0),
                        ..event_endpoint::ActiveModel::default()
                    })
                    .filter(is(tenant, id))
                    .filter(event_endpoint::Column::Stop.is_null())
                    .filter(event_endpoint::Column::LeaseUntilUs.lte(now.0))
                    .exec(db)
                    .await?;
                Outcome::Ok(taken.rows_affected > 0)
            })
        });
        if !leased.await.map_err(failed)? {
            return Ok(None);
        }
        self.leased((tenant, id), holder, now).await
    }

    /// The endpoint as it is now, if `holder` still has it.
    async fn leased(
        &self,
        (tenant, id): (TenantId, EventEndpointId),
        holder: Uuid,
        now: Timestamp,
    ) -> Result<Option<Leased>, Error> {
        let row = event_endpoint::Entity::find()
            .filter(is(tenant, id))
            .filter(event_endpoint::Column::Stop.is_null())
            .filter(event_endpoint::Column::LeaseHolder.eq(holder))
            .one(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        row.map(|row| leased_from(row, now)).transpose().map_err(|error| unavailable(&error))
    }

    /// What is to be sent to an endpoint; none where it cannot go on, and stops.
    pub(crate) async fn event_work(&self, leased: &Leased, now: Timestamp) -> Result<Option<Work>, Error> {
        let head = self.feed_head(leased.tenant).await?;
        let after = match head.resume(Some(leased.position)) {
            Ok(after) => after,
            Err(Error::PositionOutOfRange { cause, .. }) => {
                let stop = match cause {
                    OutOfRange::Epoch | OutOfRange::Ahead => Stop::Restored,
                    OutOfRange::Retention => Stop::Behind,
                };
                self.stop_event_endpoint(leased, stop, now).await?;
                return Ok(None);
            }
            Err(other) => return Err(other),
        };
        let (due, lost) = self.due(leased, now).await?;
        let is_full = due.len() as u64 >= BATCH;
        let mut work = Work { due, lost, new: Vec::new(), until: after, is_part: is_full };
        if leased.health.waits_until > now || after == head.position.number {
            return Ok(Some(work));
        }
        // Together they are no more than a batch has the time for.
        let size = if leased.health.is_down() { 1 } else { BATCH - work.due.len() as u64 };
        if size == 0 {
            return Ok(Some(work));
        }
        let looked_at = if leased.wants_all() { size } else { LOOKED_AT };
        for change in self.changes(leased.tenant, &head, after, looked_at).await? {
            work.until = change.position.number;
            if leased.wants(&change) {
                work.new.push(change);
            }
            if work.new.len() as u64 >= size {
                break;
            }
        }
        work.is_part |= work.until < head.position.number;
        Ok(Some(work))
    }

    /// What is to be tried again now, and what of it cannot be.
    async fn due(&self, leased: &Leased, now: Timestamp) -> Result<(Vec<Due>, Vec<i64>), Error> {
        let read = self.database.read();
        let rows = event_delivery::Entity::find()
            .filter(of(leased.tenant.uuid(), leased.id))
            .filter(event_delivery::Column::NextAttemptUs.lte(now.0))
            .order_by_asc(event_delivery::Column::NextAttemptUs)
            .limit(BATCH)
            .all(read)
            .await
            .map_err(|error| unavailable(&error))?;
        if rows.is_empty() {
            return Ok(Default::default());
        }
        let changes = change::Entity::find()
            .filter(change::Column::TenantId.eq(leased.tenant.uuid()))
            .filter(change::Column::Position.is_in(rows.iter().map(|row| row.position)))
            .all(read)
            .await
            .map_err(|error| unavailable(&error))?;
        let (mut due, mut lost) = (Vec::new(), Vec::new());
        for row in rows {
            match changes.iter().find(|change| change.position == row.position) {
                Some(change) => {
                    let change = changes::from_row(leased.position.epoch, change.clone());
                    due.push(Due { change, attempts: row.attempts });
                }
                None => lost.push(row.position),
            }
        }
        Ok((due, lost))
    }

    /// Writes down what became of a batch, and answers the endpoint as it is then, for the next. None where it was given back, is stopped, or was
    /// lost to another meanwhile.
    pub(crate) async fn record_sent(
        &self,
        leased: &Leased,
        (work, sent): (&Work, Vec<Sent>),
        now: Timestamp,
    ) -> Result<Option<Leased>, Error> {
        let record = Record::of(leased, work, sent, now);
        let (is_part, key, holder) = (work.is_part, (leased.tenant, leased.id), leased.holder);
        let stop = record.stop;
        let written = self.database.write(move |db| {
            let record = record.clone();
            Box::pin(async move { record.write(db).await })
        });
        if !written.await.map_err(failed)? {
            return Ok(None);
        }
        if let Some(stop) = stop {
            warn_of(leased, stop);
        }
        if is_part { self.leased(key, holder, now).await } else { Ok(None) }
    }

    /// Gives an endpoint back, so that others need not wait for the end of the lease.
    pub(crate) async fn release_event_endpoint(&self, leased: &Leased, now: Timestamp) -> Result<(), Error> {
        let row = event_endpoint::ActiveModel {
            lease_holder: Set(None),
            lease_until_us: Set(now.0),
            ..event_endpoint::ActiveModel::default()
        };
        self.write_held(leased, row).await.map(drop)
    }

    async fn stop_event_endpoint(&self, leased: &Leased, stop: Stop, now: Timestamp) -> Result<(), Error> {
        let row = event_endpoint::ActiveModel {
            stop: Set(Some(stop.as_str().to_owned())),
            state_since_us: Set(now.0),
            lease_holder: Set(None),
            lease_until_us: Set(now.0),
            ..event_endpoint::ActiveModel::default()
        };
        if self.write_held(leased, row).await? {
            warn_of(leased, stop);
        }
        Ok(())
    }

    /// Whether the endpoint was still held.
    async fn write_held(&self, leased: &Leased, row: event_endpoint::ActiveModel) -> Result<bool, Error> {
        let shared = (leased.clone(), row);
        let written = self.database.write(move |db| {
            let (leased, row) = shared.clone();
            Box::pin(async move {
                let update = event_endpoint::Entity::update_many().set(row).filter(held(&leased));
                Outcome::Ok(update.exec(db).await?.rows_affected > 0)
            })
        });
        written.await.map_err(failed)
    }
}

fn warn_of(leased: &Leased, stop: Stop) {
    tracing::warn!(
        tenant.id = %leased.tenant,
        event_endpoint.id = %leased.id,
        stop = stop.as_str(),
        "an event endpoint was disabled: `rollcall events list` shows why"
    );
}

/// See [`Store::endpoints_with_work`]. It looks at endpoints and heads, and at no change.
pub(super) fn with_work(now: Timestamp, size: u64) -> SelectStatement {
    let endpoint = |column: event_endpoint::Column| Expr::col((event_endpoint::Entity, column));
    let position = |column: tenant_position::Column| Expr::col((tenant_position::Entity, column));
    let mut due = Query::select();
    due.expr(Expr::value(1))
        .from(event_delivery::Entity)
        .and_where(
            Expr::col((event_delivery::Entity, event_delivery::Column::TenantId))
                .equals((event_endpoint::Entity, event_endpoint::Column::TenantId)),
        )
        .and_where(
            Expr::col((event_delivery::Entity, event_delivery::Column::EndpointId))
                .equals((event_endpoint::Entity, event_endpoint::Column::Id)),
        )
        .and_where(Expr::col((event_delivery::Entity, event_delivery::Column::NextAttemptUs)).lte(now.0));
    // Another position than the head's is one behind it, or ahead of a feed that was set back: then the endpoint stops.
    let is_behind = position(tenant_position::Column::ChangePosition)
        .ne(endpoint(event_endpoint::Column::Position))
        .or(position(tenant_position::Column::Epoch).ne(endpoint(event_endpoint::Column::Epoch)));
    let has_new = endpoint(event_endpoint::Column::WaitsUntilUs).lte(now.0).and(is_behind);
    let mut select = Query::select();
    select
        .column((event_endpoint::Entity, event_endpoint::Column::TenantId))
        .column((event_endpoint::Entity, event_endpoint::Column::Id))
        .from(event_endpoint::Entity)
        .inner_join(
            tenant_position::Entity,
            position(tenant_position::Column::TenantId)
                .equals((event_endpoint::Entity, event_endpoint::Column::TenantId)),
        )
        .inner_join(
            tenant::Entity,
            Expr::col((tenant::Entity, tenant::Column::Id))
                .equals((event_endpoint::Entity, event_endpoint::Column::TenantId)),
        )
        .and_where(Expr::col((tenant::Entity, tenant::Column::DeletedAtUs)).is_null())
        .and_where(endpoint(event_endpoint::Column::Stop).is_null())
        // Who polls comes by himself.
        .and_where(endpoint(event_endpoint::Column::Kind).ne(EndpointKind::SetPoll.as_str()))
        .and_where(endpoint(event_endpoint::Column::LeaseUntilUs).lte(now.0))
        .cond_where(Condition::any().add(has_new).add(Expr::exists(due)))
        .order_by((event_endpoint::Entity, event_endpoint::Column::LeaseUntilUs), Order::Asc)
        .limit(size);
    select
}

fn is(tenant: TenantId, id: EventEndpointId) -> Condition {
    Condition::all()
        .add(event_endpoint::Column::TenantId.eq(tenant.uuid()))
        .add(event_endpoint::Column::Id.eq(id.uuid()))
}

/// The endpoint, as long as its holder has it and nobody has moved it.
pub(super) fn held(leased: &Leased) -> Condition {
    is(leased.tenant, leased.id)
        .add(event_endpoint::Column::LeaseHolder.eq(leased.holder))
        .add(event_endpoint::Column::Epoch.eq(leased.position.epoch))
        .add(event_endpoint::Column::Position.eq(leased.position.number))
}

fn leased_from(row: event_endpoint::Model, now: Timestamp) -> Result<Leased, DbErr> {
    let kind = EndpointKind::stored(&row.kind)
        .ok_or_else(|| DbErr::Type("an event endpoint has a kind that this release does not know".into()))?;
    let overlaps = row.previous_secret_until_us.is_some_and(|until| until > now.0);
    Ok(Leased {
        tenant: row.tenant_id.into(),
        id: row.id.into(),
        kind,
        health: health(&row),
        holder: row.lease_holder.unwrap_or_default(),
        kinds: kinds(&row.kinds)?,
        profile: EventProfile::stored(&row.profile)
            .ok_or_else(|| DbErr::Type("an event endpoint has a profile that this release does not know".into()))?,
        audience: row.audience,
        position: Position { epoch: row.epoch, number: row.position },
        url: EndpointUrl::stored(row.url),
        sealed_secret: row.sealed_secret,
        sealed_previous_secret: row.sealed_previous_secret.filter(|_| overlaps),
    })
}

fn failed(error: database::Error<Error>) -> Error {
    match error {
        database::Error::Refused(error) => error,
        database::Error::Database(error) => unavailable(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(number: i64) -> Change {
        Change {
            position: Position { epoch: Uuid::nil(), number },
            at: Timestamp(0),
            kind: "user.changed".to_owned(),
            subject: Uuid::nil(),
            object: None,
            version: 1,
            actor: String::new(),
            request_id: String::new(),
            before: audit::Values::new(),
            after: audit::Values::new(),
        }
    }

    #[test]
    fn a_batch_that_was_cut_short_keeps_what_was_sent_up_to_the_first_that_was_not() {
        let due = [3, 4].map(|number| Due { change: change(number), attempts: 1 });
        let mut work = Work {
            due: due.into(),
            new: [10, 11, 13, 14].map(change).into(),
            lost: Vec::new(),
            until: 15,
            is_part: true,
        };
        let sent = |position| Sent { position, attempts: 1, receipt: Receipt::Taken, next_attempt: None };
        let kept: Vec<i64> = work.cut([4, 10, 11, 14].map(sent).into()).into_iter().map(|sent| sent.position).collect();
        assert_eq!(kept, [4, 10, 11]);
        assert_eq!((work.until, work.new.len(), work.is_part), (12, 2, false));
        let mut due_alone = Work { new: Vec::new(), until: 9, ..work };
        assert_eq!(due_alone.cut(vec![sent(3)]).len(), 1);
        assert_eq!(due_alone.until, 9);
    }
}
