//! The last cycle of a credential (rule R19).

use sea_orm::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "provisioning_cycles")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) credential: String,
    pub(crate) begun_at_us: i64,
    pub(crate) last_at_us: i64,
    pub(crate) requests: i64,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    pub(crate) disabled: i64,
    pub(crate) deleted: i64,
    pub(crate) failed: i64,
    pub(crate) references_failed: i64,
    pub(crate) seen_users: i64,
    pub(crate) shut_out: i32,
    pub(crate) full_pass_begun_at_us: Option<i64>,
    pub(crate) full_pass_last_at_us: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
