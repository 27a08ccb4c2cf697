//! One request of a directory. `subjects`, `changes` and `notes` are JSON.

use sea_orm::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "provisioning_entries")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) position: i64,
    pub(crate) id: Uuid,
    pub(crate) at_us: i64,
    pub(crate) elapsed_us: i64,
    pub(crate) credential: String,
    pub(crate) request_id: String,
    pub(crate) trace_id: String,
    pub(crate) operation: Option<String>,
    pub(crate) resource_type: Option<String>,
    pub(crate) resource_id: String,
    pub(crate) subjects: String,
    pub(crate) status: i32,
    pub(crate) outcome: String,
    pub(crate) scim_type: String,
    pub(crate) reason: String,
    pub(crate) cause: String,
    pub(crate) fix: String,
    pub(crate) changes: String,
    pub(crate) notes: String,
    pub(crate) item_count: i64,
    pub(crate) lost: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
