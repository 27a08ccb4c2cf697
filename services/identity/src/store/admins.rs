//! The last admin (rule R20), and word of every role in effect that a write changes.
//!
//! A write that can change somebody's role locks the tenant, after the rows of groups and users that it locks and before it acts; notes how those
//! stand whom it concerns; acts; and settles: whoever has another role in effect is told of in the change feed, and if somebody ceased to be an
//! admin, another must be left. A directory is never refused that; it is warned of.
//!
//! Whom a batch is still to tell of something that concerns many (rule R22) was last told of the role before it, and the write may take away what the
//! batch would know them by. So the write notes that role too, and whoever then has another is told of it here.

use std::collections::HashMap;

use ::audit::{Content, Values};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QuerySelect,
    sea_query::{Expr, LockType, Query, SelectStatement},
};
use uuid::Uuid;

use crate::{
    domain::{ADMIN, EffectiveRole, Error, RoleSource, WriteNote},
    store::{
        Outcome,
        effective_roles::{self, Lens, Standing, beside_tenant},
        entity::{directory_role, membership, role_assignment, role_mapping, tenant, user},
        refuse, role_batches,
        tx::{ChangeKind, Tx},
    },
};

/// Through how many lenses a write looks at most, however many batches there are: the oldest always, and of the others every so many.
const LENSES_MAX: usize = 32;

/// How people stood before an act.
#[derive(Debug)]
pub(super) struct Before {
    now: HashMap<Uuid, Standing>,
    /// What those may have been told of last whom batches are still to tell, where it is not what they have now: oldest first.
    told: HashMap<Uuid, Vec<Option<EffectiveRole>>>,
}

impl Tx<'_> {
    /// Lets one after another change roles of people of the tenant. It comes after every other lock, so that nobody waits for another in a circle, and
    /// holds up no write that changes no role: the references of new rows to the tenant go beside it.
    pub(super) async fn lock_roles(&self) -> Outcome<()> {
        let row: Option<Uuid> = tenant::Entity::find_by_id(self.tenant())
            .select_only()
            .column(tenant::Column::Id)
            .lock(LockType::NoKeyUpdate)
            .into_tuple()
            .one(self.db)
            .await?;
        if row.is_some() { Ok(()) } else { refuse(Error::NotFound("tenant")) }
    }
}

/// Notes how these users stand. To be called with the tenant locked: no batch comes or goes until the transaction ends.
pub(super) async fn before(tx: &Tx<'_>, users: &[Uuid]) -> Outcome<Before> {
    let now = effective_roles::of(tx.db, tx.caller.tenant, users).await?;
    let mut told: HashMap<Uuid, Vec<Option<EffectiveRole>>> = HashMap::new();
    let pending = role_batches::pending(tx, Uuid::nil()).await?;
    // Somebody may have been told by another write between any two causes: what they were told then is undone by none of the earlier ones.
    for first in (0..pending.len()).step_by(pending.len().div_ceil(LENSES_MAX).max(1)) {
        let Some(causes @ [batch, ..]) = pending.get(first..) else { break };
        let untold = now.iter().filter(|(id, standing)| batch.is_to_tell(**id, standing.created_at_us));
        let untold: Vec<Uuid> = untold.map(|(id, _)| *id).collect();
        if untold.is_empty() {
            continue;
        }
        let lens = role_batches::before(tx, causes);
        for (id, standing) in effective_roles::through(tx.db, tx.caller.tenant, &untold, &lens).await? {
            told.entry(id).or_default().push(standing.role);
        }
    }
    Ok(Before { now, told })
}

impl Before {
    /// The role in effect of one of them.
    pub(super) fn role(&self, user: Uuid) -> Option<&EffectiveRole> {
        self.now.get(&user).and_then(|standing| standing.role.as_ref())
    }

    /// The role that one of them is to be told to have no longer, where `after` is another than they had or were told of.
    pub(super) fn moved_from(&self, user: Uuid, after: Option<&EffectiveRole>) -> Option<Option<&EffectiveRole>> {
        let told = self.told.get(&user).into_iter().flatten().map(Option::as_ref);
        told.chain([self.role(user)]).find(|before| is_another(*before, after))
    }

    /// Tells of everybody whose role in effect is another now, and refuses to leave no admin.
    pub(super) async fn settle(self, tx: &Tx<'_>) -> Outcome<()> {
        let mut ids: Vec<Uuid> = self.now.keys().copied().collect();
        ids.sort_unstable();
        let after = effective_roles::of(tx.db, tx.caller.tenant, &ids).await?;
        let mut lost_admin = false;
        for id in &ids {
            let role = after.get(id).and_then(|standing| standing.role.as_ref());
            lost_admin |= EffectiveRole::is_admin(self.role(*id)) && !EffectiveRole::is_admin(role);
            // Who is gone, is told of as deleted.
            if let Some(Standing { version, .. }) = after.get(id)
                && let Some(before) = self.moved_from(*id, role)
            {
                let what = Content::change(described(before), described(role));
                tx.changed(ChangeKind::RoleChanged, *id, *version, what);
            }
        }
        if lost_admin { keep_one(tx).await } else { Ok(()) }
    }
}

/// Whether somebody's role is another, wherever it comes from.
pub(super) fn is_another(before: Option<&EffectiveRole>, after: Option<&EffectiveRole>) -> bool {
    before.map(|role| &role.role) != after.map(|role| &role.role)
}

/// Refuses unless the tenant has an admin, or never had to.
pub(super) async fn keep_one(tx: &Tx<'_>) -> Outcome<()> {
    if any(tx).await? {
        return Ok(());
    }
    if !tx.caller.provisioning {
        return refuse(Error::LastAdmin);
    }
    tracing::warn!(
        tenant.id = %tx.caller.tenant,
        request.id = tx.caller.request_id,
        "a directory has taken access or its role from the last active admin of a tenant: give the role to somebody by hand"
    );
    tx.note(WriteNote::LastAdmin);
    Ok(())
}

/// Whether anybody is an admin.
pub(super) async fn any(tx: &Tx<'_>) -> Outcome<bool> {
    Ok(tx.db.query_one(&admins(tx)).await?.is_some())
}

/// One live user with access whose role in effect is admin. It is asked only of those to whom some source gives it, whom indexes find.
pub(super) fn admins(tx: &Tx<'_>) -> SelectStatement {
    let (tenant, engine) = (tx.tenant(), tx.db.get_database_backend());
    let mut candidates = Query::select();
    candidates
        .column(role_assignment::Column::UserId)
        .from(role_assignment::Entity)
        .and_where(role_assignment::Column::TenantId.eq(tenant))
        .and_where(role_assignment::Column::Role.eq(ADMIN))
        .and_where(role_assignment::Column::Source.eq(RoleSource::MANUAL));
    let mut given = Query::select();
    given
        .column(directory_role::Column::UserId)
        .from(directory_role::Entity)
        .and_where(directory_role::Column::TenantId.eq(tenant))
        .and_where(directory_role::Column::RoleKey.eq(ADMIN));
    let mut joined = Query::select();
    joined
        .column((membership::Entity, membership::Column::UserId))
        .from(role_mapping::Entity)
        .inner_join(
            membership::Entity,
            Expr::col((membership::Entity, membership::Column::TenantId))
                .equals((role_mapping::Entity, role_mapping::Column::TenantId))
                .and(
                    Expr::col((membership::Entity, membership::Column::GroupId))
                        .equals((role_mapping::Entity, role_mapping::Column::GroupId)),
                ),
        )
        .and_where(role_mapping::Column::TenantId.eq(tenant))
        .and_where(role_mapping::Column::Role.eq(ADMIN))
        .and_where(role_mapping::Column::DeletedAtUs.is_null());
    candidates.union(sea_orm::sea_query::UnionType::Distinct, given);
    candidates.union(sea_orm::sea_query::UnionType::Distinct, joined);
    let mut admins = Query::select();
    admins
        .column((user::Entity, user::Column::Id))
        .from(user::Entity)
        .inner_join(tenant::Entity, beside_tenant())
        .and_where(user::Column::TenantId.eq(tenant))
        .and_where(Expr::col((user::Entity, user::Column::Id)).in_subquery(candidates))
        .and_where(user::Column::DeletedAtUs.is_null())
        .and_where(user::Column::ProvisionedActive.eq(true))
        .and_where(user::Column::SuspendedAtUs.is_null())
        .and_where(user::Column::RolesHeldAtUs.is_null())
        .and_where(Lens::now(engine, tx.caller.tenant).role().eq(ADMIN))
        .limit(1);
    admins
}

/// What the change feed says of a role in effect.
pub(super) fn described(role: Option<&EffectiveRole>) -> Values {
    described_beside(Values::new(), role)
}

/// As [`described`], beside other values.
pub(super) fn described_beside(values: Values, role: Option<&EffectiveRole>) -> Values {
    match role {
        Some(role) => values.with("role", role.role.as_str()).with("role_source", role.source.as_str()),
        None => values,
    }
}
