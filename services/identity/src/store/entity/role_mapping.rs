//! A role of the members of a group, which is named by its id or by its folded name.

use sea_orm::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "role_mappings")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) role: String,
    pub(crate) group_id: Option<Uuid>,
    pub(crate) group_name: Option<String>,
    pub(crate) group_name_key: Option<String>,
    /// Of the group when it was mapped (rule R21).
    pub(crate) group_external_id: Option<String>,
    /// As a caller's actor.
    pub(crate) created_by: String,
    pub(crate) created_at_us: i64,
    /// Of one that stays until everybody was told.
    pub(crate) deleted_at_us: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
