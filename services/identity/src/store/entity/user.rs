//! A user. `user_name_key` and `display_name_key` are folded (rule R15).

use sea_orm::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
    prelude::Json,
};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) user_name: String,
    pub(crate) user_name_key: String,
    pub(crate) external_id: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) display_name_key: Option<String>,
    pub(crate) provisioned_active: bool,
    pub(crate) provisioned_active_withdrawn: bool,
    pub(crate) suspended_at_us: Option<i64>,
    /// Since when the directory gives no access, by its word or by deleting (rule R18); and the external id then.
    pub(crate) access_ended_at_us: Option<i64>,
    pub(crate) access_ended_external_id: Option<String>,
    /// Since when roles above the tenant's default have no effect, because this may be another person.
    pub(crate) roles_held_at_us: Option<i64>,
    pub(crate) profile: String,
    pub(crate) user_attributes: String,
    /// What filters ask (rule D5); never read back.
    pub(crate) search: Json,
    pub(crate) version: i64,
    pub(crate) created_at_us: i64,
    pub(crate) updated_at_us: i64,
    pub(crate) deleted_at_us: Option<i64>,
    /// When a directory first wrote to the user.
    pub(crate) directory_since_us: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
