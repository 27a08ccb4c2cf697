//! Tenants. They lead everything else, so this is the one table without a `tenant_id`.

use ::audit::{Content, Entry, Hash, Values};
use ids::TenantId;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, SqlErr,
};
use uuid::Uuid;

use crate::{
    domain::{
        AlarmState, Caller, DeactivationAlarm, Error, Founder, ProvisioningState, RoleId, StateReason, Tenant,
        TenantName, Timestamp,
    },
    store::{
        Outcome, Running, Store, audit,
        entity::{tenant, tenant_position},
        tx::{ChangeKind, Tx},
        unavailable,
    },
};

/// The share, in percent, that a new tenant's alarm rings at.
const ALARM_PERCENT: i32 = 20;

impl Store {
    /// Makes a tenant. There is no tenant yet to write in, so this is the one write beside [`Store::write`].
    pub(crate) async fn create_tenant(&self, founder: Founder, name: TenantName) -> Result<Tenant, Error> {
        let id = TenantId::generate();
        let created = self.database.write(move |db| {
            let (founder, name) = (founder.clone(), name.clone());
            Box::pin(async move { insert(db, id, &founder, &name).await })
        });
        created.await.map_err(|error| match error {
            database::Error::Refused(error) => error,
            database::Error::Database(error) => unavailable(&error),
        })
    }

    pub(crate) async fn tenant(&self, id: TenantId) -> Result<Tenant, Error> {
        self.one_tenant(tenant::Column::Id.eq(id.uuid())).await
    }

    pub(crate) async fn tenant_by_name(&self, name: &TenantName) -> Result<Tenant, Error> {
        self.one_tenant(tenant::Column::Name.eq(name.as_str())).await
    }

    /// Tenants by name, after the one of the name `after`.
    pub(crate) async fn list_tenants(&self, after: Option<&TenantName>, size: u64) -> Result<Vec<Tenant>, Error> {
        let rows = tenant::Entity::find()
            .filter(tenant::Column::DeletedAtUs.is_null())
            .filter(tenant::Column::Name.gt(after.map_or("", TenantName::as_str)))
            .order_by_asc(tenant::Column::Name)
            .limit(size)
            .all(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(rows.into_iter().map(Tenant::from).collect())
    }

    /// Sets the provisioning state and its reason. Setting the state that is set leaves its time alone.
    pub(crate) async fn set_provisioning_state(
        &self,
        caller: &Caller,
        state: ProvisioningState,
        reason: StateReason,
    ) -> Result<Tenant, Error> {
        self.write(caller, (state, reason), set_provisioning_state).await
    }

    async fn one_tenant(&self, which: sea_orm::sea_query::SimpleExpr) -> Result<Tenant, Error> {
        let row = tenant::Entity::find()
            .filter(tenant::Column::DeletedAtUs.is_null())
            .filter(which)
            .one(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        row.map(Tenant::from).ok_or(Error::NotFound("tenant"))
    }
}

async fn insert(db: &DatabaseTransaction, id: TenantId, founder: &Founder, name: &TenantName) -> Outcome<Tenant> {
    let now = Timestamp::now();
    let row = tenant::Model {
        id: id.uuid(),
        name: name.as_str().to_owned(),
        provisioning_state: ProvisioningState::Off.as_str().to_owned(),
        provisioning_state_since_us: now.0,
        provisioning_state_reason: String::new(),
        default_role: RoleId::explorer().as_str().to_owned(),
        directory_admin: false,
        created_at_us: now.0,
        deleted_at_us: None,
        purged_at_us: None,
        deactivation_alarm_percent: ALARM_PERCENT,
        deactivation_alarm_pauses: false,
        deactivation_alarm_rang_at_us: None,
    };
    let inserted = tenant::Entity::insert(tenant::ActiveModel::from(row.clone())).exec_without_returning(db).await;
    inserted.map_err(|error| match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => database::Error::Refused(Error::TenantNameTaken),
        _ => database::Error::Database(error),
    })?;
    let (subject, address) = (id.to_string(), audit::address(founder.address));
    let entry = Entry {
        position: 1,
        at_us: now.0,
        actor: &founder.actor,
        address: &address,
        action: founder.action,
        subject: &subject,
    };
    let content = Content::default().after(Values::new().with("name", name.as_str()));
    let hash = audit::append(db, id.uuid(), &Hash::START, &entry, &content).await?;
    tenant_position::Entity::insert(tenant_position::ActiveModel {
        tenant_id: Set(id.uuid()),
        change_position: Set(0),
        change_floor: Set(0),
        epoch: Set(Some(Uuid::new_v4())),
        audit_position: Set(1),
        audit_hash: Set(Some(hash.as_bytes().to_vec())),
        anchor_position: Set(0),
        anchor_hash: Set(None),
    })
    .exec_without_returning(db)
    .await?;
    Ok(row.into())
}

fn set_provisioning_state<'a>(
    tx: &'a Tx<'a>,
    (state, reason): &'a (ProvisioningState, StateReason),
) -> Running<'a, Tenant> {
    Box::pin(async move {
        let row = tx.lock_tenant().await?;
        let before = ProvisioningState::stored(&row.provisioning_state);
        let provisioning = |state: ProvisioningState, reason: &str| {
            Values::new()
                .with("provisioning", state.as_str())
                .with_some("reason", Some(reason).filter(|reason| !reason.is_empty()))
        };
        let was = provisioning(before, &row.provisioning_state_reason);
        let what = Content::change(was, provisioning(*state, reason.as_str()));
        tx.audit(tx.caller.tenant, || what.clone());
        if before == *state && row.provisioning_state_reason == reason.as_str() {
            return Ok(row.into());
        }
        let since = if before == *state { row.provisioning_state_since_us } else { tx.now.0 };
        let row = tenant::Model {
            provisioning_state: state.as_str().to_owned(),
            provisioning_state_since_us: since,
            provisioning_state_reason: reason.as_str().to_owned(),
            ..row
        };
        tenant::Entity::update_many()
            .set(tenant::ActiveModel {
                provisioning_state: Set(row.provisioning_state.clone()),
                provisioning_state_since_us: Set(row.provisioning_state_since_us),
                provisioning_state_reason: Set(row.provisioning_state_reason.clone()),
                ..tenant::ActiveModel::default()
            })
            .filter(tenant::Column::Id.eq(tx.tenant()))
            .exec(tx.db)
            .await?;
        tx.changed(ChangeKind::TenantChanged, tx.tenant(), 0, what);
        Ok(row.into())
    })
}

impl From<tenant::Model> for Tenant {
    fn from(row: tenant::Model) -> Self {
        Self {
            id: TenantId::from(row.id),
            name: row.name,
            provisioning_state: ProvisioningState::stored(&row.provisioning_state),
            provisioning_state_since: Timestamp(row.provisioning_state_since_us),
            provisioning_state_reason: row.provisioning_state_reason,
            default_role: RoleId::stored(row.default_role),
            directory_admin: row.directory_admin,
            created_at: Timestamp(row.created_at_us),
            deactivation_alarm: AlarmState {
                alarm: DeactivationAlarm::stored(row.deactivation_alarm_percent, row.deactivation_alarm_pauses),
                rang_at: row.deactivation_alarm_rang_at_us.map(Timestamp),
            },
        }
    }
}
