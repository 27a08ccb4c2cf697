//! What is written down of a batch that was sent.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, DatabaseTransaction, EntityTrait, ExprTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};

use crate::{
    domain::{Receipt, Stop, Timestamp},
    store::{
        Outcome,
        entity::{event_delivery, event_endpoint},
        events::{
            of,
            sending::{LEASE, Leased, Sent, Work, held},
        },
    },
};

/// What is written down of a batch.
#[derive(Clone, Debug)]
pub(super) struct Record {
    leased: Leased,
    endpoint: event_endpoint::ActiveModel,
    taken: i64,
    /// What is not to be tried again.
    done: Vec<i64>,
    failed: Vec<event_delivery::ActiveModel>,
    pub(super) stop: Option<Stop>,
}

impl Record {
    pub(super) fn of(leased: &Leased, work: &Work, sent: Vec<Sent>, now: Timestamp) -> Self {
        let taken = sent.iter().filter(|sent| sent.receipt == Receipt::Taken).count();
        let health = leased.health.after((taken, sent.len() - taken), now);
        let is_gone = sent.iter().any(|sent| sent.receipt == Receipt::Gone);
        let stop = match (is_gone, health.is_over(now)) {
            (true, _) => Some(Stop::Gone),
            (false, true) => Some(Stop::Failing),
            (false, false) => None,
        };
        let keeps = work.is_part && stop.is_none();
        let mut endpoint = event_endpoint::ActiveModel {
            position: Set(work.until),
            failures_in_row: Set(health.failures_in_row),
            failing_since_us: Set(health.failing_since.map(|since| since.0)),
            waits_until_us: Set(health.waits_until.0),
            lease_holder: Set(keeps.then_some(leased.holder)),
            lease_until_us: Set(if keeps { now.after(LEASE).0 } else { now.0 }),
            ..event_endpoint::ActiveModel::default()
        };
        if taken > 0 {
            endpoint.last_delivery_us = Set(Some(now.0));
        }
        if let Some(stop) = stop {
            endpoint.stop = Set(Some(stop.as_str().to_owned()));
            endpoint.state_since_us = Set(now.0);
        }
        let (mut done, mut failed) = (work.lost.clone(), Vec::new());
        for Sent { position, attempts, receipt, next_attempt } in sent {
            let what = match receipt {
                Receipt::Taken => {
                    done.push(position);
                    continue;
                }
                Receipt::Gone => "status 410".to_owned(),
                Receipt::Failed(failure) => failure.what().to_owned(),
            };
            endpoint.last_failure = Set(what.clone());
            failed.push(event_delivery::ActiveModel {
                tenant_id: Set(leased.tenant.uuid()),
                endpoint_id: Set(leased.id.uuid()),
                position: Set(position),
                attempts: Set(attempts),
                next_attempt_us: Set(next_attempt.map(|at| at.0)),
                last_attempt_us: Set(now.0),
                last_failure: Set(what),
            });
        }
        let taken = i64::try_from(taken).unwrap_or(i64::MAX);
        Self { leased: leased.clone(), endpoint, taken, done, failed, stop }
    }

    /// Whether the endpoint was still held.
    pub(super) async fn write(self, db: &DatabaseTransaction) -> Outcome<bool> {
        let updated = event_endpoint::Entity::update_many()
            .set(self.endpoint)
            .col_expr(event_endpoint::Column::Delivered, Expr::col(event_endpoint::Column::Delivered).add(self.taken))
            .filter(held(&self.leased))
            .exec(db)
            .await?;
        if updated.rows_affected == 0 {
            return Ok(false);
        }
        if !self.done.is_empty() {
            event_delivery::Entity::delete_many()
                .filter(of(self.leased.tenant.uuid(), self.leased.id))
                .filter(event_delivery::Column::Position.is_in(self.done))
                .exec(db)
                .await?;
        }
        if !self.failed.is_empty() {
            let key = [
                event_delivery::Column::TenantId,
                event_delivery::Column::EndpointId,
                event_delivery::Column::Position,
            ];
            let again = OnConflict::columns(key)
                .update_columns([
                    event_delivery::Column::Attempts,
                    event_delivery::Column::NextAttemptUs,
                    event_delivery::Column::LastAttemptUs,
                    event_delivery::Column::LastFailure,
                ])
                .to_owned();
            event_delivery::Entity::insert_many(self.failed).on_conflict(again).exec_without_returning(db).await?;
        }
        Ok(true)
    }
}
