//! Endpoints that events are sent to: making, changing and ending them. What sends to them is [`sending`].
//!
//! No write of users or groups touches these tables: events are found in the change feed, so that no endpoint can hold a write up or make it fail.

mod letters;
mod polling;
mod record;
mod sending;

use std::collections::HashMap;

use ::audit::{Content, Values};
use ids::{EventEndpointId, TenantId};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
    sea_query::{Expr, ExprTrait, Func, Query},
};
use uuid::Uuid;

use crate::{
    domain::{
        Caller, EVENT_ENDPOINTS_MAX, EndpointKind, EndpointUrl, Error, EventEndpoint, EventEndpointChange,
        EventEndpointDraft, EventKinds, EventProfile, FeedHead, Health, InvalidField, Position, Stop, Timestamp,
    },
    store::{
        Outcome, Running, Store, changes,
        entity::{event_delivery, event_endpoint},
        refuse,
        tx::Tx,
        unavailable,
    },
};

pub(crate) use letters::DeadLetters;
pub(crate) use polling::Poll;
pub(crate) use sending::{BATCH, LEASE, Leased, Sent, Work};

/// An endpoint to be made, with its secret as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct CreateEventEndpoint {
    pub(crate) id: EventEndpointId,
    pub(crate) draft: EventEndpointDraft,
    pub(crate) sealed_secret: Vec<u8>,
}

/// A secret that takes another's place.
#[derive(Clone, Debug)]
pub(crate) struct RotateSecret {
    pub(crate) id: EventEndpointId,
    pub(crate) sealed_secret: Vec<u8>,
    /// Until when the one before is signed with too.
    pub(crate) previous_until: Timestamp,
}

impl Store {
    pub(crate) async fn create_event_endpoint(
        &self,
        caller: &Caller,
        create: CreateEventEndpoint,
    ) -> Result<EventEndpoint, Error> {
        self.write(caller, create, create_in).await
    }

    pub(crate) async fn event_endpoint(&self, tenant: TenantId, id: EventEndpointId) -> Result<EventEndpoint, Error> {
        let row = event_endpoint::Entity::find_by_id((tenant.uuid(), id.uuid())).one(self.database.read()).await;
        let row = row.map_err(|error| unavailable(&error))?.ok_or(NOT_FOUND)?;
        let counts =
            counts(self.database.read(), tenant.uuid(), Some(id)).await.map_err(|error| unavailable(&error))?;
        from_row(row, &counts).map_err(|error| unavailable(&error))
    }

    /// Endpoints by id, which is by age, after one.
    pub(crate) async fn list_event_endpoints(
        &self,
        tenant: TenantId,
        after: Option<EventEndpointId>,
        size: u64,
    ) -> Result<Vec<EventEndpoint>, Error> {
        let rows = event_endpoint::Entity::find()
            .filter(event_endpoint::Column::TenantId.eq(tenant.uuid()))
            .filter(event_endpoint::Column::Id.gt(after.map_or(Uuid::nil(), EventEndpointId::uuid)))
            .order_by_asc(event_endpoint::Column::Id)
            .limit(size)
            .all(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        let counts = counts(self.database.read(), tenant.uuid(), None).await.map_err(|error| unavailable(&error))?;
        let endpoints = rows.into_iter().map(|row| from_row(row, &counts)).collect::<Result<_, _>>();
        endpoints.map_err(|error| unavailable(&error))
    }

    pub(crate) async fn update_event_endpoint(
        &self,
        caller: &Caller,
        id: EventEndpointId,
        change: EventEndpointChange,
    ) -> Result<EventEndpoint, Error> {
        self.write(caller, (id, change), update_in).await
    }

    /// Lets an endpoint go on. Where it cannot go on after where it stands, `skip_missed` lets it go on at the head.
    pub(crate) async fn enable_event_endpoint(
        &self,
        caller: &Caller,
        id: EventEndpointId,
        skip_missed: bool,
    ) -> Result<EventEndpoint, Error> {
        self.write(caller, (id, skip_missed), enable_in).await
    }

    pub(crate) async fn disable_event_endpoint(
        &self,
        caller: &Caller,
        id: EventEndpointId,
    ) -> Result<EventEndpoint, Error> {
        self.write(caller, id, disable_in).await
    }

    pub(crate) async fn delete_event_endpoint(&self, caller: &Caller, id: EventEndpointId) -> Result<(), Error> {
        self.write(caller, id, delete_in).await
    }

    pub(crate) async fn rotate_event_secret(
        &self,
        caller: &Caller,
        rotate: RotateSecret,
    ) -> Result<EventEndpoint, Error> {
        self.write(caller, rotate, rotate_in).await
    }
}

const NOT_FOUND: Error = Error::NotFound("event endpoint");

fn create_in<'a>(tx: &'a Tx<'a>, create: &'a CreateEventEndpoint) -> Running<'a, EventEndpoint> {
    Box::pin(async move {
        tx.lock_tenant().await?;
        let of_tenant = event_endpoint::Entity::find().filter(event_endpoint::Column::TenantId.eq(tx.tenant()));
        if of_tenant.count(tx.db).await? >= EVENT_ENDPOINTS_MAX {
            return refuse(Error::TooManyEventEndpoints);
        }
        let CreateEventEndpoint { id, draft, sealed_secret } = create;
        let head = feed(tx).await?.position;
        let row = event_endpoint::Model {
            tenant_id: tx.tenant(),
            id: id.uuid(),
            kind: draft.kind.as_str().to_owned(),
            url: draft.url.as_str().to_owned(),
            description: draft.description.as_str().to_owned(),
            kinds: json(&draft.kinds)?,
            audience: draft.tokens.as_ref().map_or_else(String::new, |(audience, _)| audience.as_str().to_owned()),
            profile: draft.tokens.as_ref().map_or(EventProfile::default(), |(_, profile)| *profile).as_str().to_owned(),
            stop: None,
            state_since_us: tx.now.0,
            created_at_us: tx.now.0,
            created_by: tx.caller.actor.clone(),
            sealed_secret: sealed_secret.clone(),
            sealed_previous_secret: None,
            previous_secret_until_us: None,
            epoch: head.epoch,
            position: head.number,
            delivered: 0,
            last_delivery_us: None,
            failures_in_row: 0,
            failing_since_us: None,
            waits_until_us: 0,
            last_failure: String::new(),
            lease_holder: None,
            lease_until_us: 0,
        };
        event_endpoint::Entity::insert(row.clone().into_active_model()).exec_without_returning(tx.db).await?;
        tx.audit(id, || Content::default().after(told(&row).with("kind", &row.kind)));
        Ok(from_row(row, &HashMap::new())?)
    })
}

fn update_in<'a>(
    tx: &'a Tx<'a>,
    (id, change): &'a (EventEndpointId, EventEndpointChange),
) -> Running<'a, EventEndpoint> {
    Box::pin(async move {
        let before = lock(tx, *id).await?;
        let mut after = before.clone();
        if let Some(url) = &change.url {
            url.as_str().clone_into(&mut after.url);
        }
        if let Some(description) = &change.description {
            description.as_str().clone_into(&mut after.description);
        }
        if let Some(kinds) = &change.kinds {
            after.kinds = json(kinds)?;
        }
        if let Some(sealed) = &change.sealed_authorization {
            check_kind(&before, EndpointKind::SetPush, "authorization")?;
            after.sealed_secret.clone_from(sealed);
        }
        if change.url.is_some() && before.kind == EndpointKind::SetPoll.as_str() {
            return refuse(
                InvalidField::new("event_endpoint.url", "cannot be set: the receiver comes by itself").into(),
            );
        }
        let row = event_endpoint::ActiveModel {
            url: Set(after.url.clone()),
            description: Set(after.description.clone()),
            kinds: Set(after.kinds.clone()),
            sealed_secret: Set(after.sealed_secret.clone()),
            ..before.clone().into_active_model()
        };
        row.update(tx.db).await?;
        tx.audit(id, || Content::change(told(&before), told(&after)));
        shown(tx, after).await
    })
}

fn enable_in<'a>(tx: &'a Tx<'a>, (id, skip_missed): &'a (EventEndpointId, bool)) -> Running<'a, EventEndpoint> {
    Box::pin(async move {
        let before = lock(tx, *id).await?;
        if before.stop.is_none() {
            return shown(tx, before).await;
        }
        let head = feed(tx).await?;
        let stands = Position { epoch: before.epoch, number: before.position };
        let position = match head.resume(Some(stands)) {
            Ok(_) => stands,
            Err(_) if *skip_missed => head.position,
            Err(Error::PositionOutOfRange { cause, .. }) => return refuse(Error::EventsMissed { cause }),
            Err(other) => return refuse(other),
        };
        if position.epoch != before.epoch {
            // What waits to be tried again is of another history.
            event_delivery::Entity::delete_many().filter(of(tx.tenant(), *id)).exec(tx.db).await?;
        }
        let row = event_endpoint::ActiveModel {
            stop: Set(None),
            state_since_us: Set(tx.now.0),
            epoch: Set(position.epoch),
            position: Set(position.number),
            failures_in_row: Set(0),
            failing_since_us: Set(None),
            waits_until_us: Set(0),
            ..before.clone().into_active_model()
        };
        let after = row.update(tx.db).await?;
        tx.audit(id, || {
            let skipped = (position != stands).then_some("skipped");
            Content::change(state(&before), state(&after).with_some("missed", skipped))
        });
        shown(tx, after).await
    })
}

fn disable_in<'a>(tx: &'a Tx<'a>, id: &'a EventEndpointId) -> Running<'a, EventEndpoint> {
    Box::pin(async move {
        let before = lock(tx, *id).await?;
        if before.stop.is_some() {
            return shown(tx, before).await;
        }
        let row = event_endpoint::ActiveModel {
            stop: Set(Some(Stop::Administrator.as_str().to_owned())),
            state_since_us: Set(tx.now.0),
            ..before.clone().into_active_model()
        };
        let after = row.update(tx.db).await?;
        tx.audit(id, || Content::change(state(&before), state(&after)));
        shown(tx, after).await
    })
}

fn delete_in<'a>(tx: &'a Tx<'a>, id: &'a EventEndpointId) -> Running<'a, ()> {
    Box::pin(async move {
        let before = lock(tx, *id).await?;
        event_endpoint::Entity::delete_by_id((tx.tenant(), id.uuid())).exec(tx.db).await?;
        tx.audit(id, || Content { detail: "deleted".to_owned(), ..Content::change(told(&before), Values::new()) });
        Ok(())
    })
}

fn rotate_in<'a>(tx: &'a Tx<'a>, rotate: &'a RotateSecret) -> Running<'a, EventEndpoint> {
    Box::pin(async move {
        let before = lock(tx, rotate.id).await?;
        check_kind(&before, EndpointKind::Webhook, "secret")?;
        let overlaps = rotate.previous_until > tx.now;
        let row = event_endpoint::ActiveModel {
            sealed_secret: Set(rotate.sealed_secret.clone()),
            sealed_previous_secret: Set(overlaps.then(|| before.sealed_secret.clone())),
            previous_secret_until_us: Set(overlaps.then_some(rotate.previous_until.0)),
            ..before.into_active_model()
        };
        let after = row.update(tx.db).await?;
        tx.audit(rotate.id, || Content::detail("rotated the secret"));
        shown(tx, after).await
    })
}

/// Refuses what endpoints of one kind alone have.
fn check_kind(row: &event_endpoint::Model, kind: EndpointKind, what: &str) -> Outcome<()> {
    if row.kind == kind.as_str() {
        return Ok(());
    }
    refuse(InvalidField::new("event_endpoint_id", format!("is of an endpoint that has no {what}")).into())
}

/// The endpoint's row, locked until the transaction ends.
async fn lock(tx: &Tx<'_>, id: EventEndpointId) -> Outcome<event_endpoint::Model> {
    let row = event_endpoint::Entity::find_by_id((tx.tenant(), id.uuid())).lock_exclusive().one(tx.db).await?;
    match row {
        Some(row) => Ok(row),
        None => refuse(NOT_FOUND),
    }
}

async fn feed(tx: &Tx<'_>) -> Outcome<FeedHead> {
    match changes::head(tx.db, tx.tenant()).await? {
        Some(head) => Ok(head),
        None => refuse(Error::NotFound("tenant")),
    }
}

async fn shown(tx: &Tx<'_>, row: event_endpoint::Model) -> Outcome<EventEndpoint> {
    let counts = counts(tx.db, tx.tenant(), Some(row.id.into())).await?;
    Ok(from_row(row, &counts)?)
}

/// The deliveries of an endpoint.
fn of(tenant: Uuid, id: EventEndpointId) -> sea_orm::Condition {
    sea_orm::Condition::all()
        .add(event_delivery::Column::TenantId.eq(tenant))
        .add(event_delivery::Column::EndpointId.eq(id.uuid()))
}

/// What the audit log tells of an endpoint. Of its address only the origin: a path or query may hold a secret.
fn told(row: &event_endpoint::Model) -> Values {
    let url = EndpointUrl::stored(row.url.clone());
    Values::new().with("url", url.origin()).with("description", &row.description).with("kinds", &row.kinds)
}

fn state(row: &event_endpoint::Model) -> Values {
    Values::new()
        .with("state", row.stop.as_deref().map_or("enabled", |_| "disabled"))
        .with_some("stop", row.stop.clone())
}

/// How many events wait to be tried again, and how many are not any more.
type Counts = HashMap<Uuid, (i64, i64)>;

async fn counts<C: ConnectionTrait>(db: &C, tenant: Uuid, id: Option<EventEndpointId>) -> Result<Counts, DbErr> {
    let all = Func::count(Expr::col(event_delivery::Column::Position));
    let mut select = Query::select();
    select
        .column(event_delivery::Column::EndpointId)
        .expr(Func::count(Expr::col(event_delivery::Column::NextAttemptUs)))
        .expr(all)
        .from(event_delivery::Entity)
        .and_where(Expr::col(event_delivery::Column::TenantId).eq(tenant))
        .group_by_col(event_delivery::Column::EndpointId);
    if let Some(id) = id {
        select.and_where(Expr::col(event_delivery::Column::EndpointId).eq(id.uuid()));
    }
    let mut counts = Counts::new();
    for row in db.query_all(&select).await? {
        let (retrying, all): (i64, i64) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        counts.insert(row.try_get_by_index(0)?, (retrying, all - retrying));
    }
    Ok(counts)
}

fn json(kinds: &EventKinds) -> Result<String, DbErr> {
    serde_json::to_string(kinds.as_slice()).map_err(|error| DbErr::Json(error.to_string()))
}

fn kinds(json: &str) -> Result<EventKinds, DbErr> {
    serde_json::from_str(json).map(EventKinds::stored).map_err(|error| DbErr::Json(error.to_string()))
}

fn from_row(row: event_endpoint::Model, counts: &Counts) -> Result<EventEndpoint, DbErr> {
    let unknown = |what: &str| DbErr::Type(format!("an event endpoint has a {what} that this release does not know"));
    let (retrying, dead_letters) = counts.get(&row.id).copied().unwrap_or_default();
    Ok(EventEndpoint {
        id: row.id.into(),
        kind: EndpointKind::stored(&row.kind).ok_or_else(|| unknown("kind"))?,
        kinds: kinds(&row.kinds)?,
        profile: EventProfile::stored(&row.profile).ok_or_else(|| unknown("profile"))?,
        stop: row.stop.as_deref().map(|stop| Stop::stored(stop).ok_or_else(|| unknown("stop"))).transpose()?,
        state_since: Timestamp(row.state_since_us),
        created_at: Timestamp(row.created_at_us),
        position: Position { epoch: row.epoch, number: row.position },
        last_delivery_at: row.last_delivery_us.map(Timestamp),
        health: health(&row),
        previous_secret_until: row.previous_secret_until_us.map(Timestamp),
        url: EndpointUrl::stored(row.url),
        description: row.description,
        audience: row.audience,
        created_by: row.created_by,
        delivered: row.delivered,
        last_failure: row.last_failure,
        retrying,
        dead_letters,
    })
}

fn health(row: &event_endpoint::Model) -> Health {
    Health {
        failures_in_row: row.failures_in_row,
        failing_since: row.failing_since_us.map(Timestamp),
        waits_until: Timestamp(row.waits_until_us),
    }
}
