//! A key: of its text only the hash.

use sea_orm::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) name: String,
    /// Separated by spaces.
    pub(crate) scopes: String,
    /// A PHC string.
    pub(crate) hash: String,
    pub(crate) creator: String,
    pub(crate) created_at_us: i64,
    pub(crate) expires_at_us: Option<i64>,
    pub(crate) revoked_at_us: Option<i64>,
    pub(crate) description: String,
    /// Separated by spaces.
    pub(crate) allowed_networks: String,
    pub(crate) version: i64,
    pub(crate) replaced_by: Option<Uuid>,
    pub(crate) last_used_at_us: Option<i64>,
    pub(crate) last_used_from: String,
    pub(crate) owner: Option<Uuid>,
    pub(crate) creator_user: Option<Uuid>,
    pub(crate) creator_departed_at_us: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
