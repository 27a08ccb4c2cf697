//! The alarm for a directory that takes access from many people at once (rule R19).
//!
//! It is looked at in the transaction of the write that takes access, which has locked the tenant against other such writes: so the numbers are exact, and
//! where the tenant wants it, the write that rings is the last one that is taken.

use ::audit::{Content, Values};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter,
    sea_query::{Alias, Expr, Func, Query},
};

use crate::{
    domain::{ALARM_WINDOW, Caller, DeactivationAlarm, Error, ProvisioningState, Tenant, WriteNote},
    store::{
        Outcome, Running, Store,
        entity::{tenant, user},
        refuse,
        tx::{ChangeKind, Tx},
    },
};

impl Store {
    /// Sets what a tenant wants.
    pub(crate) async fn set_deactivation_alarm(
        &self,
        caller: &Caller,
        alarm: DeactivationAlarm,
    ) -> Result<Tenant, Error> {
        self.write(caller, alarm, set).await
    }
}

/// Rings if too many have lost access, this write's person included. To be called after the row was written, under the lock of roles.
pub(super) async fn look(tx: &Tx<'_>) -> Outcome<()> {
    if !tx.caller.provisioning {
        return Ok(());
    }
    let Some(row) = tenant::Entity::find_by_id(tx.tenant()).one(tx.db).await? else {
        return refuse(Error::NotFound("tenant"));
    };
    let alarm = DeactivationAlarm::stored(row.deactivation_alarm_percent, row.deactivation_alarm_pauses);
    let is_on = ProvisioningState::stored(&row.provisioning_state) == ProvisioningState::On;
    let hour = tx.now.before(ALARM_WINDOW).0;
    let rang_lately = row.deactivation_alarm_rang_at_us.is_some_and(|at| at >= hour);
    // Whoever turned it on again after it was paused meant those who had left by then.
    let since = Ord::max(hour, row.provisioning_state_since_us);
    let will_pause = alarm.pauses && is_on;
    if !is_on || (rang_lately && !will_pause) {
        return Ok(());
    }
    let ended = user::Entity::find()
        .filter(user::Column::TenantId.eq(tx.tenant()))
        .filter(user::Column::AccessEndedAtUs.gte(since))
        .count(tx.db)
        .await?;
    let Some(quiet) = alarm.quiet_from(ended) else { return Ok(()) };
    let active = with_access(tx, quiet).await?;
    if active >= quiet {
        return Ok(());
    }
    let users = ended + active;
    tracing::warn!(
        tenant.id = %tx.caller.tenant,
        request.id = tx.caller.request_id,
        ended,
        users,
        paused = will_pause,
        "a directory has taken access from many people within an hour: `rollcall scim status`"
    );
    tx.note(WriteNote::MassDeactivation { ended, users, paused: will_pause });
    let said = format!("{ended} of {users} people lost access within an hour");
    let mut columns =
        tenant::ActiveModel { deactivation_alarm_rang_at_us: Set(Some(tx.now.0)), ..tenant::ActiveModel::default() };
    let (mut before, mut after) = (Values::new(), Values::new().with("deactivation_alarm", &*said));
    if will_pause {
        let paused = ProvisioningState::Paused.as_str();
        before = before.with("provisioning", &*row.provisioning_state);
        after = after.with("provisioning", paused).with("reason", &*said);
        columns.provisioning_state = Set(paused.to_owned());
        columns.provisioning_state_since_us = Set(tx.now.0);
        columns.provisioning_state_reason = Set(said);
    }
    tenant::Entity::update_many().set(columns).filter(tenant::Column::Id.eq(tx.tenant())).exec(tx.db).await?;
    let what = Content { detail: "rang".to_owned(), ..Content::change(before, after) };
    if will_pause {
        tx.pauses(tx.caller.tenant, what.clone());
    }
    tx.changed(ChangeKind::TenantChanged, tx.tenant(), 0, what);
    Ok(())
}

/// How many people have access, counted up to a number.
async fn with_access(tx: &Tx<'_>, up_to: u64) -> Outcome<u64> {
    let mut some = Query::select();
    some.expr_as(Expr::value(1), Alias::new("one"))
        .from(user::Entity)
        .and_where(user::Column::TenantId.eq(tx.tenant()))
        .and_where(user::Column::DeletedAtUs.is_null())
        .and_where(user::Column::ProvisionedActive.eq(true))
        .and_where(user::Column::SuspendedAtUs.is_null())
        .limit(up_to);
    let mut count = Query::select();
    count.expr(Func::count(Expr::col(Alias::new("one")))).from_subquery(some, Alias::new("some"));
    let Some(row) = tx.db.query_one(&count).await? else { return refuse(Error::Internal) };
    let counted: i64 = row.try_get_by_index(0)?;
    Ok(u64::try_from(counted).unwrap_or_default())
}

fn set<'a>(tx: &'a Tx<'a>, alarm: &'a DeactivationAlarm) -> Running<'a, Tenant> {
    Box::pin(async move {
        let row = tx.lock_tenant().await?;
        let said = |percent: i32, pauses: bool| {
            Values::new().with("percent", percent.to_string()).with("pauses", pauses.to_string())
        };
        let before = said(row.deactivation_alarm_percent, row.deactivation_alarm_pauses);
        tx.audit(tx.caller.tenant, || Content::change(before, said(alarm.percent(), alarm.pauses)));
        tenant::Entity::update_many()
            .set(tenant::ActiveModel {
                deactivation_alarm_percent: Set(alarm.percent()),
                deactivation_alarm_pauses: Set(alarm.pauses),
                ..tenant::ActiveModel::default()
            })
            .filter(tenant::Column::Id.eq(tx.tenant()))
            .exec(tx.db)
            .await?;
        let row = tenant::Model {
            deactivation_alarm_percent: alarm.percent(),
            deactivation_alarm_pauses: alarm.pauses,
            ..row
        };
        Ok(row.into())
    })
}
