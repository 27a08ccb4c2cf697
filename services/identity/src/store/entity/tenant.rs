//! A tenant.

use sea_orm::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tenants")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) provisioning_state: String,
    pub(crate) provisioning_state_since_us: i64,
    pub(crate) provisioning_state_reason: String,
    pub(crate) default_role: String,
    /// Whether a value `admin` of the directory counts (rule R21).
    pub(crate) directory_admin: bool,
    pub(crate) created_at_us: i64,
    pub(crate) deleted_at_us: Option<i64>,
    /// When nothing was left of a deleted one but what stays.
    pub(crate) purged_at_us: Option<i64>,
    pub(crate) deactivation_alarm_percent: i32,
    pub(crate) deactivation_alarm_pauses: bool,
    pub(crate) deactivation_alarm_rang_at_us: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
