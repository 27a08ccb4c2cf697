//! One entry of a tenant's change feed, in commit order (rule D1).

use sea_orm::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "changes")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) position: i64,
    pub(crate) at_us: i64,
    pub(crate) kind: String,
    pub(crate) subject_id: Uuid,
    pub(crate) object_id: Option<Uuid>,
    pub(crate) version: i64,
    pub(crate) actor: String,
    /// Empty where the request had none.
    pub(crate) request_id: String,
    /// What was, of what changed, by field: a JSON object of texts.
    pub(crate) before_values: String,
    /// What is, likewise.
    pub(crate) after_values: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
