//! Dead letters: what an endpoint did not take, however often it was sent.

use ::audit::{Content, Values};
use ids::{EventEndpointId, TenantId};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, ExprTrait, QueryFilter,
    sea_query::{Expr, Order, Query},
};

use crate::{
    domain::{Caller, DeadLetter, Error, Position, Timestamp},
    store::{
        Outcome, Running, Store,
        entity::{change, event_delivery, tenant_position},
        events::{NOT_FOUND, lock, of},
        tx::{ROWS_PER_STATEMENT, Tx},
        unavailable,
    },
};

/// Some dead letters of an endpoint.
#[derive(Clone, Debug)]
pub(crate) struct DeadLetters {
    pub(crate) endpoint: EventEndpointId,
    /// Where their changes are; none: all there are.
    pub(crate) positions: Option<Vec<Position>>,
}

/// How many rows a purge takes at once.
const PURGE_BATCH: u64 = 1_000;
/// The key of a delivery.
const KEY: [event_delivery::Column; 3] =
    [event_delivery::Column::TenantId, event_delivery::Column::EndpointId, event_delivery::Column::Position];

impl Store {
    /// Dead letters, oldest first, after the number of a position.
    pub(crate) async fn list_dead_letters(
        &self,
        tenant: TenantId,
        endpoint: EventEndpointId,
        after: i64,
        size: u64,
    ) -> Result<Vec<DeadLetter>, Error> {
        let epoch = self.event_endpoint(tenant, endpoint).await?.position.epoch;
        let column = |column: event_delivery::Column| (event_delivery::Entity, column);
        let mut select = Query::select();
        select
            .columns([
                column(event_delivery::Column::Position),
                column(event_delivery::Column::Attempts),
                column(event_delivery::Column::LastAttemptUs),
                column(event_delivery::Column::LastFailure),
            ])
            .columns([
                (change::Entity, change::Column::Kind),
                (change::Entity, change::Column::SubjectId),
                (change::Entity, change::Column::AtUs),
            ])
            .from(event_delivery::Entity)
            .left_join(
                change::Entity,
                Expr::col((change::Entity, change::Column::TenantId))
                    .equals(column(event_delivery::Column::TenantId))
                    .and(
                        Expr::col((change::Entity, change::Column::Position))
                            .equals(column(event_delivery::Column::Position)),
                    ),
            )
            .and_where(Expr::col(column(event_delivery::Column::TenantId)).eq(tenant.uuid()))
            .and_where(Expr::col(column(event_delivery::Column::EndpointId)).eq(endpoint.uuid()))
            .and_where(Expr::col(column(event_delivery::Column::Position)).gt(after))
            .and_where(Expr::col(column(event_delivery::Column::NextAttemptUs)).is_null())
            .order_by(column(event_delivery::Column::Position), Order::Asc)
            .limit(size);
        let rows = self.database.read().query_all(&select).await.map_err(|error| unavailable(&error))?;
        let letters = rows.iter().map(|row| {
            let kind: Option<String> = row.try_get_by_index(4)?;
            let at_us: Option<i64> = row.try_get_by_index(6)?;
            Ok(DeadLetter {
                position: Position { epoch, number: row.try_get_by_index(0)? },
                attempts: row.try_get_by_index(1)?,
                last_attempt_at: Timestamp(row.try_get_by_index(2)?),
                last_failure: row.try_get_by_index(3)?,
                kind: kind.unwrap_or_default(),
                subject: row.try_get_by_index(5)?,
                at: at_us.map(Timestamp),
            })
        });
        letters.collect::<Result<_, DbErr>>().map_err(|error| unavailable(&error))
    }

    /// Sends dead letters again at once, as if for the first time, and answers how many there were.
    pub(crate) async fn retry_dead_letters(&self, caller: &Caller, letters: DeadLetters) -> Result<u64, Error> {
        self.write(caller, letters, retry_in).await
    }

    /// Forgets dead letters, and answers how many there were.
    pub(crate) async fn drop_dead_letters(&self, caller: &Caller, letters: DeadLetters) -> Result<u64, Error> {
        self.write(caller, letters, drop_in).await
    }

    /// Forgets what cannot be sent any more because its change is kept no more, of every tenant. To be run by any number of replicas.
    pub(crate) async fn purge_event_deliveries(&self) -> Result<u64, Error> {
        let mut purged = 0;
        loop {
            let written = self.database.write(|db| Box::pin(async move { purge(db).await })).await;
            let gone = written.map_err(|error| match error {
                database::Error::Refused(error) => error,
                database::Error::Database(error) => unavailable(&error),
            })?;
            purged += gone;
            if gone < PURGE_BATCH {
                return Ok(purged);
            }
        }
    }
}

/// Takes away a batch of them: a write of others waits for no more than that.
async fn purge(db: &DatabaseTransaction) -> Outcome<u64> {
    let delivery = |column| (event_delivery::Entity, column);
    let mut kept_no_more = Query::select();
    kept_no_more
        .columns(KEY.map(delivery))
        .from(event_delivery::Entity)
        .inner_join(
            tenant_position::Entity,
            Expr::col((tenant_position::Entity, tenant_position::Column::TenantId))
                .equals(delivery(event_delivery::Column::TenantId)),
        )
        .and_where(
            Expr::col(delivery(event_delivery::Column::Position))
                .lte(Expr::col((tenant_position::Entity, tenant_position::Column::ChangeFloor))),
        )
        .limit(PURGE_BATCH);
    let key = Expr::tuple(KEY.map(Expr::col));
    let gone = event_delivery::Entity::delete_many().filter(key.in_subquery(kept_no_more)).exec(db).await?;
    Ok(gone.rows_affected)
}

fn retry_in<'a>(tx: &'a Tx<'a>, letters: &'a DeadLetters) -> Running<'a, u64> {
    Box::pin(async move {
        let mut count = 0;
        for some in dead(tx, letters).await? {
            let again = event_delivery::ActiveModel {
                attempts: Set(0),
                next_attempt_us: Set(Some(tx.now.0)),
                ..event_delivery::ActiveModel::default()
            };
            count += event_delivery::Entity::update_many().set(again).filter(some).exec(tx.db).await?.rows_affected;
        }
        tx.audit(letters.endpoint, || counted("sent dead letters again", count));
        Ok(count)
    })
}

fn drop_in<'a>(tx: &'a Tx<'a>, letters: &'a DeadLetters) -> Running<'a, u64> {
    Box::pin(async move {
        let mut count = 0;
        for some in dead(tx, letters).await? {
            count += event_delivery::Entity::delete_many().filter(some).exec(tx.db).await?.rows_affected;
        }
        tx.audit(letters.endpoint, || counted("dropped dead letters", count));
        Ok(count)
    })
}

fn counted(what: &str, count: u64) -> Content {
    Content { detail: what.to_owned(), ..Content::default().after(Values::new().with("count", count.to_string())) }
}

/// The rows that are meant, a statement's worth at a time, of an endpoint that is held until the transaction ends.
async fn dead(tx: &Tx<'_>, letters: &DeadLetters) -> Outcome<Vec<Condition>> {
    let endpoint = lock(tx, letters.endpoint).await?;
    let all = || of(tx.tenant(), letters.endpoint).add(event_delivery::Column::NextAttemptUs.is_null());
    let Some(positions) = &letters.positions else { return Ok(vec![all()]) };
    if positions.iter().any(|position| position.epoch != endpoint.epoch) {
        return Err(database::Error::Refused(NOT_FOUND));
    }
    let numbers: Vec<i64> = positions.iter().map(|position| position.number).collect();
    let some = numbers.chunks(ROWS_PER_STATEMENT);
    Ok(some.map(|some| all().add(event_delivery::Column::Position.is_in(some.iter().copied()))).collect())
}
