//! Word to everybody whose role in effect something has changed that concerns many (rule R22): the default role, a mapping, a role of the catalogue.
//!
//! The cause takes effect at its commit, and leaves one change of its own and a batch. The batch is worked off a page of people at a time: each page
//! and the place reached are one transaction, so that a crash repeats nothing and loses nothing, and any replica may go on.

use std::{collections::HashSet, sync::Arc, time::Duration};

use ::audit::Content;
use ids::TenantId;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, Order, Query, SelectStatement, SimpleExpr},
};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    domain::{ADMIN, Caller, Error, WriteNotes},
    store::{
        Outcome, Running, Store, admins,
        effective_roles::{self, LEADS_TO, Lens, literal},
        entity::{directory_role, role, role_batch, role_mapping, user},
        tx::{ChangeKind, Tx},
        unavailable,
    },
};

/// How many people one transaction looks at: it holds up the tenant's writes meanwhile.
const PAGE: u64 = 500;
/// How long a process waits before it looks for batches that another has left.
const INTERVAL: Duration = Duration::from_secs(10);

/// What changed, as far as it is needed to know what roles were before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cause {
    /// The tenant has another default role than `before`.
    DefaultRole {
        before: String,
    },
    /// `admin` from the directory counts or ceased to.
    DirectoryAdmin {
        before: bool,
    },
    RoleCreated {
        role: String,
    },
    RoleDeleted {
        role: String,
    },
    MappingCreated {
        mapping: Uuid,
    },
    MappingDeleted {
        mapping: Uuid,
    },
}

/// Tells of batches in this process.
#[derive(Clone, Debug, Default)]
pub(super) struct RoleBatches(Arc<Notify>);

impl RoleBatches {
    /// There may be one to work off.
    pub(super) fn begin(&self) {
        self.0.notify_one();
    }
}

impl Store {
    /// Waits until there may be batches: at once after an act in this process, and now and then.
    pub(crate) async fn wait_for_role_batches(&self) {
        let told = self.role_batches.0.notified();
        // Nobody being told is what mostly happens.
        let _ = tokio::time::timeout(INTERVAL, told).await;
    }

    /// Works off the batches that there are, and answers how many people were told. Each tenant has a page in turn, so that nobody waits for another
    /// tenant's many people. A tenant whose batch fails is left for the next time: within one they keep their order, for what the earlier look through
    /// goes with the later. The first failure is the answer, after the others' work is done.
    pub(crate) async fn work_role_batches(&self) -> Result<u64, Error> {
        let (mut told, mut left, mut failed) = (0, HashSet::new(), None);
        loop {
            // Whoever comes meanwhile has a turn too.
            let tenants: Vec<Uuid> = role_batch::Entity::find()
                .select_only()
                .column(role_batch::Column::TenantId)
                .distinct()
                .order_by_asc(role_batch::Column::TenantId)
                .into_tuple()
                .all(self.database.read())
                .await
                .map_err(|error| unavailable(&error))?;
            let mut worked = false;
            for tenant in tenants.into_iter().filter(|tenant| !left.contains(tenant)).collect::<Vec<_>>() {
                worked = true;
                match self.work_role_page(tenant).await {
                    Ok(count) => told += count,
                    // The tenant is gone, and so are its people.
                    Err(Error::NotFound(_)) => drop(left.insert(tenant)),
                    Err(error) => {
                        tracing::error!(
                            tenant.id = %TenantId::from(tenant),
                            error = &error as &dyn std::error::Error,
                            "people of a tenant whose role has changed with something else are still to be told of"
                        );
                        left.insert(tenant);
                        failed.get_or_insert(error);
                    }
                }
            }
            if !worked {
                return failed.map_or(Ok(told), Err);
            }
        }
    }

    /// Works off a page of the oldest batch of a tenant, and answers how many people were told.
    async fn work_role_page(&self, tenant: Uuid) -> Result<u64, Error> {
        let batch = role_batch::Entity::find()
            .filter(role_batch::Column::TenantId.eq(tenant))
            .order_by_asc(role_batch::Column::Id)
            .one(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        match batch {
            Some(batch) => self.write(&caller(&batch), batch.id, page).await,
            None => Ok(0),
        }
    }
}

/// Whoever caused it, tells of it.
fn caller(batch: &role_batch::Model) -> Caller {
    Caller {
        tenant: TenantId::from(batch.tenant_id),
        actor: batch.actor.clone(),
        address: None,
        action: "roles",
        request_id: batch.request_id.clone(),
        provisioning: false,
        administrator: true,
        operator: false,
        notes: WriteNotes::default(),
    }
}

/// Leaves a batch, to be worked off after the commit.
pub(super) async fn add(tx: &Tx<'_>, cause: Cause) -> Outcome<()> {
    let cause = serde_json::to_string(&cause).map_err(|error| sea_orm::DbErr::Type(error.to_string()))?;
    role_batch::Entity::insert(role_batch::ActiveModel {
        tenant_id: Set(tx.tenant()),
        id: Set(Uuid::now_v7()),
        cause: Set(cause),
        actor: Set(tx.caller.actor.clone()),
        request_id: Set(tx.caller.request_id.clone()),
        after_user_id: Set(Uuid::nil()),
        created_at_us: Set(tx.now.0),
    })
    .exec_without_returning(tx.db)
    .await?;
    Ok(())
}

/// How many people have another role in effect now than before `cause`, which this transaction has brought about.
pub(super) async fn count(tx: &Tx<'_>, cause: &Cause) -> Outcome<u64> {
    let (engine, tenant) = (tx.db.get_database_backend(), tx.caller.tenant);
    let select = counted(tenant, cause, (&cause.before(engine, tenant), &Lens::now(engine, tenant)));
    let row = tx.db.query_one(&select).await?;
    let count: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// Counts the live people with access, of whom nothing is held, whose role in effect differs between two lenses.
pub(super) fn counted(tenant: TenantId, cause: &Cause, (before, after): (&Lens, &Lens)) -> SelectStatement {
    let mut select = Query::select();
    select
        .expr(Expr::col((user::Entity, user::Column::Id)).count())
        .from(user::Entity)
        .inner_join(crate::store::entity::tenant::Entity, effective_roles::beside_tenant())
        .and_where(user::Column::TenantId.eq(tenant.uuid()))
        .and_where(user::Column::DeletedAtUs.is_null())
        .and_where(user::Column::ProvisionedActive.eq(true))
        .and_where(user::Column::SuspendedAtUs.is_null())
        .and_where(user::Column::RolesHeldAtUs.is_null())
        .and_where(before.role().ne(after.role()));
    if let Some(candidates) = cause.candidates(before.engine(), tenant) {
        select.and_where(candidates);
    }
    select
}

impl Cause {
    /// Roles as they were before.
    pub(super) fn before(&self, engine: DbBackend, tenant: TenantId) -> Lens {
        self.undone(Lens::now(engine, tenant))
    }

    /// What a lens shows, as it was before this.
    fn undone(&self, lens: Lens) -> Lens {
        match self {
            Self::DefaultRole { before } => lens.with_default(before),
            Self::DirectoryAdmin { before } => lens.with_directory_admin(*before),
            Self::RoleCreated { role } => lens.without_role(role),
            Self::RoleDeleted { role } => lens.with_deleted_role(role),
            Self::MappingCreated { mapping } => lens.without_mapping(*mapping),
            Self::MappingDeleted { mapping } => lens.with_deleted_mapping(*mapping),
        }
    }

    /// That a user may be concerned, where few are.
    fn candidates(&self, engine: DbBackend, tenant: TenantId) -> Option<SimpleExpr> {
        let key = match self {
            Self::DefaultRole { .. } => return None,
            Self::DirectoryAdmin { .. } => ADMIN,
            Self::RoleCreated { role } | Self::RoleDeleted { role } => role,
            Self::MappingCreated { mapping } | Self::MappingDeleted { mapping } => {
                return Some(Expr::cust(format!(
                    "users.id IN (SELECT joined.user_id FROM role_mappings AS mapping
                        CROSS JOIN \"groups\" AS mapped
                        CROSS JOIN memberships AS joined
                        WHERE mapping.tenant_id = {} AND mapping.id = {} AND {LEADS_TO}
                            AND joined.tenant_id = mapped.tenant_id AND joined.group_id = mapped.id)",
                    literal(engine, tenant.uuid()),
                    literal(engine, *mapping),
                )));
            }
        };
        let mut given = Query::select();
        given
            .column(directory_role::Column::UserId)
            .from(directory_role::Entity)
            .and_where(directory_role::Column::TenantId.eq(tenant.uuid()))
            .and_where(directory_role::Column::RoleKey.eq(key));
        Some(Expr::col((user::Entity, user::Column::Id)).in_subquery(given))
    }
}

/// A batch that is still there: somebody is to be told of its cause.
#[derive(Debug)]
pub(super) struct Pending {
    cause: Cause,
    after_user_id: Uuid,
    created_at_us: i64,
}

impl Pending {
    /// Whether a user is still before it who was made then. Whoever came later was never told of another role.
    pub(super) fn is_to_tell(&self, user: Uuid, created_at_us: i64) -> bool {
        user > self.after_user_id && created_at_us <= self.created_at_us
    }
}

/// The batches of the tenant from this one on, oldest first. The tenant is locked by the caller.
pub(super) async fn pending(tx: &Tx<'_>, from: Uuid) -> Outcome<Vec<Pending>> {
    let rows = role_batch::Entity::find()
        .filter(role_batch::Column::TenantId.eq(tx.tenant()))
        .filter(role_batch::Column::Id.gte(from))
        .order_by_asc(role_batch::Column::Id)
        .all(tx.db)
        .await?;
    // One that does not parse, fails where it is worked off and nowhere else.
    let pending = rows.into_iter().filter_map(|row| {
        let cause = serde_json::from_str(&row.cause).ok()?;
        Some(Pending { cause, after_user_id: row.after_user_id, created_at_us: row.created_at_us })
    });
    Ok(pending.collect())
}

/// Roles as they were before all of these causes, oldest first, after which nothing else concerned many.
pub(super) fn before(tx: &Tx<'_>, causes: &[Pending]) -> Lens {
    let now = Lens::now(tx.db.get_database_backend(), tx.caller.tenant);
    causes.iter().rev().fold(now, |lens, pending| pending.cause.undone(lens))
}

/// Tells a page of people, and answers how many were told.
fn page<'a>(tx: &'a Tx<'a>, batch: &'a Uuid) -> Running<'a, u64> {
    Box::pin(async move {
        // One replica at a time; nobody's role changes meanwhile.
        tx.lock_roles().await?;
        let row = role_batch::Entity::find_by_id((tx.tenant(), *batch)).lock_exclusive().one(tx.db).await?;
        let Some(row) = row else { return Ok(0) };
        let cause: Cause = serde_json::from_str(&row.cause).map_err(|error| sea_orm::DbErr::Type(error.to_string()))?;
        let ids = tx.db.query_all(&people(tx, &row, &cause)).await?;
        let ids: Vec<Uuid> = ids.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?;
        // With what came later undone too: a later cause may hide what this one did, as a role that is deleted hides its mapping's end.
        let lens = before(tx, &pending(tx, *batch).await?);
        let before = effective_roles::through(tx.db, tx.caller.tenant, &ids, &lens).await?;
        let after = effective_roles::of(tx.db, tx.caller.tenant, &ids).await?;
        let mut told = 0;
        for id in &ids {
            let (Some(before), Some(after)) = (before.get(id), after.get(id)) else { continue };
            if admins::is_another(before.role.as_ref(), after.role.as_ref()) {
                let values = |role| admins::described(role);
                let what = Content::change(values(before.role.as_ref()), values(after.role.as_ref()));
                tx.changed(ChangeKind::RoleChanged, *id, after.version, what);
                told += 1;
            }
        }
        match ids.last() {
            Some(last) if ids.len() as u64 == PAGE => {
                role_batch::Entity::update_many()
                    .set(role_batch::ActiveModel { after_user_id: Set(*last), ..role_batch::ActiveModel::default() })
                    .filter(role_batch::Column::TenantId.eq(tx.tenant()))
                    .filter(role_batch::Column::Id.eq(*batch))
                    .exec(tx.db)
                    .await?;
            }
            _ => end(tx, *batch, &cause).await?,
        }
        Ok(told)
    })
}

/// The next people who may be concerned. Whoever came later was never told of another role.
fn people(tx: &Tx<'_>, batch: &role_batch::Model, cause: &Cause) -> SelectStatement {
    let mut select = Query::select();
    select
        .column((user::Entity, user::Column::Id))
        .from(user::Entity)
        .and_where(user::Column::TenantId.eq(tx.tenant()))
        .and_where(user::Column::Id.gt(batch.after_user_id))
        .and_where(user::Column::DeletedAtUs.is_null())
        .and_where(user::Column::CreatedAtUs.lte(batch.created_at_us))
        .order_by((user::Entity, user::Column::Id), Order::Asc)
        .limit(PAGE);
    if let Some(candidates) = cause.candidates(tx.db.get_database_backend(), tx.caller.tenant) {
        select.and_where(candidates);
    }
    select
}

/// Takes the batch away, and what was kept for its sake.
async fn end(tx: &Tx<'_>, batch: Uuid, cause: &Cause) -> Outcome<()> {
    role_batch::Entity::delete_by_id((tx.tenant(), batch)).exec(tx.db).await?;
    match cause {
        Cause::RoleDeleted { role } => {
            role::Entity::delete_many()
                .filter(role::Column::TenantId.eq(tx.tenant()))
                .filter(role::Column::Id.eq(role))
                .filter(role::Column::DeletedAtUs.is_not_null())
                .exec(tx.db)
                .await?;
        }
        Cause::MappingDeleted { mapping } => {
            role_mapping::Entity::delete_many()
                .filter(role_mapping::Column::TenantId.eq(tx.tenant()))
                .filter(role_mapping::Column::Id.eq(*mapping))
                .filter(role_mapping::Column::DeletedAtUs.is_not_null())
                .exec(tx.db)
                .await?;
        }
        Cause::DefaultRole { .. }
        | Cause::DirectoryAdmin { .. }
        | Cause::RoleCreated { .. }
        | Cause::MappingCreated { .. } => {}
    }
    Ok(())
}
