//! Reading the change feed, and how far its consumers are.

use ::audit::Content;
use ids::TenantId;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, FromQueryResult, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Select,
    sea_query::{Expr, Order, Query, SelectStatement},
};
use uuid::Uuid;

use crate::{
    domain::{Caller, Change, ChangeConsumer, ConsumerName, Error, FeedHead, OutOfRange, Position, Timestamp},
    store::{
        Outcome, Running, Store, audit,
        entity::{change, change_consumer, tenant, tenant_position},
        refuse,
        tx::Tx,
        unavailable,
    },
};

/// How many consumers a tenant has at most.
pub(crate) const CONSUMERS_MAX: u64 = 100;
/// How large a page is, in bytes of its values: a client that was told of no limit accepts 4 MiB.
const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How many changes are read at once.
const BATCH: u64 = 100;

/// That a consumer has dealt with everything up to a position.
#[derive(Debug)]
pub(crate) struct Acknowledge {
    pub(crate) consumer: ConsumerName,
    pub(crate) position: Position,
}

impl Store {
    /// Where the tenant's feed begins and ends now.
    pub(crate) async fn feed_head(&self, tenant: TenantId) -> Result<FeedHead, Error> {
        let head = head(self.database.read(), tenant.uuid()).await.map_err(|error| unavailable(&error))?;
        head.ok_or(Error::NotFound("tenant"))
    }

    /// At most `size` changes that follow the number `after`, up to `head`; fewer where they are large. Those up to a head are all there, for
    /// positions are taken in the order of commits.
    pub(crate) async fn changes(
        &self,
        tenant: TenantId,
        head: &FeedHead,
        after: i64,
        size: u64,
    ) -> Result<Vec<Change>, Error> {
        let (mut changes, mut last, mut bytes) = (Vec::new(), after, 0);
        while last < head.position.number && (changes.len() as u64) < size {
            let page = page(tenant.uuid(), (last, head.position.number));
            let page = page.limit(Ord::min(BATCH, size - changes.len() as u64));
            let rows = page.all(self.database.read()).await.map_err(|error| unavailable(&error))?;
            let Some(first) = rows.first() else { return Err(head.refuse(OutOfRange::Retention)) };
            // Taken away since the head was read.
            if first.position != last + 1 {
                return Err(head.refuse(OutOfRange::Retention));
            }
            for row in rows {
                let length = row.before_values.len() + row.after_values.len();
                if !changes.is_empty() && bytes + length > PAGE_BYTES_MAX {
                    return Ok(changes);
                }
                (last, bytes) = (row.position, bytes + length);
                changes.push(from_row(head.position.epoch, row));
            }
        }
        Ok(changes)
    }

    /// Notes how far a consumer is. It never goes back within an epoch.
    pub(crate) async fn acknowledge_changes(
        &self,
        caller: &Caller,
        acknowledge: Acknowledge,
    ) -> Result<ChangeConsumer, Error> {
        self.write(caller, acknowledge, acknowledge_in).await
    }

    /// The position that a consumer acknowledged last.
    pub(crate) async fn acknowledged(
        &self,
        tenant: TenantId,
        consumer: &ConsumerName,
    ) -> Result<Option<Position>, Error> {
        let row = change_consumer::Entity::find_by_id((tenant.uuid(), consumer.as_str().to_owned()))
            .one(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(row.map(|row| Position { epoch: row.epoch, number: row.position }))
    }

    /// Consumers by name, after the one of the name `after`.
    pub(crate) async fn list_change_consumers(
        &self,
        tenant: TenantId,
        after: &str,
        size: u64,
    ) -> Result<Vec<ChangeConsumer>, Error> {
        let mut select = consumers(tenant.uuid());
        select.and_where(Expr::col((change_consumer::Entity, change_consumer::Column::Name)).gt(after)).limit(size);
        let rows = self.database.read().query_all(&select).await;
        let consumers = rows.and_then(|rows| rows.iter().map(consumer).collect());
        consumers.map_err(|error| unavailable(&error))
    }

    pub(crate) async fn delete_change_consumer(&self, caller: &Caller, consumer: ConsumerName) -> Result<(), Error> {
        self.write(caller, consumer, delete_in).await
    }
}

/// The changes after one number and up to another, in order.
pub(super) fn page(tenant: Uuid, (after, until): (i64, i64)) -> Select<change::Entity> {
    change::Entity::find()
        .filter(change::Column::TenantId.eq(tenant))
        .filter(change::Column::Position.gt(after))
        .filter(change::Column::Position.lte(until))
        .order_by_asc(change::Column::Position)
}

/// Where the feed of a tenant that is not deleted begins and ends.
pub(super) async fn head<C: ConnectionTrait>(db: &C, tenant: Uuid) -> Result<Option<FeedHead>, DbErr> {
    let column = |column: tenant_position::Column| (tenant_position::Entity, column);
    let mut select = Query::select();
    select
        .columns([
            column(tenant_position::Column::Epoch),
            column(tenant_position::Column::ChangePosition),
            column(tenant_position::Column::ChangeFloor),
        ])
        .from(tenant_position::Entity)
        .inner_join(
            tenant::Entity,
            Expr::col((tenant::Entity, tenant::Column::Id)).equals(column(tenant_position::Column::TenantId)),
        )
        .and_where(Expr::col(column(tenant_position::Column::TenantId)).eq(tenant))
        .and_where(Expr::col((tenant::Entity, tenant::Column::DeletedAtUs)).is_null());
    let Some(row) = db.query_one(&select).await? else { return Ok(None) };
    let epoch: Option<Uuid> = row.try_get_by_index(0)?;
    let position = Position { epoch: epoch.unwrap_or_default(), number: row.try_get_by_index(1)? };
    Ok(Some(FeedHead { position, floor: row.try_get_by_index(2)? }))
}

pub(super) fn from_row(epoch: Uuid, row: change::Model) -> Change {
    Change {
        position: Position { epoch, number: row.position },
        at: Timestamp(row.at_us),
        kind: row.kind,
        subject: row.subject_id,
        object: row.object_id,
        version: row.version,
        actor: row.actor,
        request_id: row.request_id,
        before: audit::values(row.before_values),
        after: audit::values(row.after_values),
    }
}

fn acknowledge_in<'a>(tx: &'a Tx<'a>, acknowledge: &'a Acknowledge) -> Running<'a, ChangeConsumer> {
    Box::pin(async move {
        let Some(head) = head(tx.db, tx.tenant()).await? else { return refuse(Error::NotFound("tenant")) };
        head.resume(Some(acknowledge.position)).map_err(database::Error::Refused)?;
        let name = acknowledge.consumer.as_str();
        // Reading for others is no act of an administrator, and comes often; the operator's use of his credential is recorded (rule R5).
        if tx.caller.operator {
            tx.audit(name, || Content::detail("acknowledged changes"));
        }
        let mut stored = lock(tx, name).await?;
        if stored.is_none() {
            check_count(tx).await?;
            // Another may have been the first meanwhile.
            stored = lock(tx, name).await?;
        }
        let Position { epoch, number } = acknowledge.position;
        if stored.is_none_or(|stored| stored.epoch != epoch || stored.position < number) {
            note(tx, acknowledge).await?;
        }
        let mut select = consumers(tx.tenant());
        select.and_where(Expr::col((change_consumer::Entity, change_consumer::Column::Name)).eq(name));
        match tx.db.query_one(&select).await? {
            Some(row) => Ok(consumer(&row)?),
            None => refuse(Error::Internal),
        }
    })
}

async fn lock(tx: &Tx<'_>, name: &str) -> Outcome<Option<change_consumer::Model>> {
    let key = (tx.tenant(), name.to_owned());
    Ok(change_consumer::Entity::find_by_id(key).lock_exclusive().one(tx.db).await?)
}

/// Refuses one more consumer than there may be. Whoever else adds one waits.
async fn check_count(tx: &Tx<'_>) -> Outcome<()> {
    tx.lock_tenant().await?;
    let count =
        change_consumer::Entity::find().filter(change_consumer::Column::TenantId.eq(tx.tenant())).count(tx.db).await?;
    if count < CONSUMERS_MAX { Ok(()) } else { refuse(Error::TooManyChangeConsumers) }
}

async fn note(tx: &Tx<'_>, acknowledge: &Acknowledge) -> Outcome<()> {
    let row = change_consumer::ActiveModel {
        tenant_id: Set(tx.tenant()),
        name: Set(acknowledge.consumer.as_str().to_owned()),
        epoch: Set(acknowledge.position.epoch),
        position: Set(acknowledge.position.number),
        acknowledged_at_us: Set(tx.now.0),
        acknowledged_by: Set(tx.caller.actor.clone()),
    };
    let key =
        sea_orm::sea_query::OnConflict::columns([change_consumer::Column::TenantId, change_consumer::Column::Name])
            .update_columns([
                change_consumer::Column::Epoch,
                change_consumer::Column::Position,
                change_consumer::Column::AcknowledgedAtUs,
                change_consumer::Column::AcknowledgedBy,
            ])
            .to_owned();
    change_consumer::Entity::insert(row).on_conflict(key).exec_without_returning(tx.db).await?;
    Ok(())
}

fn delete_in<'a>(tx: &'a Tx<'a>, consumer: &'a ConsumerName) -> Running<'a, ()> {
    Box::pin(async move {
        let key = (tx.tenant(), consumer.as_str().to_owned());
        let gone = change_consumer::Entity::delete_by_id(key).exec(tx.db).await?;
        if gone.rows_affected == 0 {
            return refuse(Error::NotFound("consumer of changes"));
        }
        tx.audit(consumer.as_str(), || Content::detail("deleted"));
        Ok(())
    })
}

/// The consumers of a tenant by name, each with the time of the first change after its position.
pub(super) fn consumers(tenant: Uuid) -> SelectStatement {
    let of = |column: change_consumer::Column| (change_consumer::Entity, column);
    let next = Expr::col(of(change_consumer::Column::Position)).add(1);
    let mut select = Query::select();
    select
        .columns([
            of(change_consumer::Column::TenantId),
            of(change_consumer::Column::Name),
            of(change_consumer::Column::Epoch),
            of(change_consumer::Column::Position),
            of(change_consumer::Column::AcknowledgedAtUs),
            of(change_consumer::Column::AcknowledgedBy),
        ])
        .column((change::Entity, change::Column::AtUs))
        .from(change_consumer::Entity)
        .left_join(
            change::Entity,
            Expr::col((change::Entity, change::Column::TenantId))
                .equals(of(change_consumer::Column::TenantId))
                .and(Expr::col((change::Entity, change::Column::Position)).eq(next)),
        )
        .and_where(Expr::col(of(change_consumer::Column::TenantId)).eq(tenant))
        .order_by(of(change_consumer::Column::Name), Order::Asc);
    select
}

fn consumer(row: &sea_orm::QueryResult) -> Result<ChangeConsumer, DbErr> {
    let stored = change_consumer::Model::from_query_result(row, "")?;
    let behind_since: Option<i64> = row.try_get("", "at_us")?;
    Ok(ChangeConsumer {
        name: ConsumerName::stored(stored.name),
        position: Position { epoch: stored.epoch, number: stored.position },
        acknowledged_at: Timestamp(stored.acknowledged_at_us),
        acknowledged_by: stored.acknowledged_by,
        behind_since: behind_since.map(Timestamp),
    })
}
