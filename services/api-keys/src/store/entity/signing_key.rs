//! A key that tokens are or were signed with.

use sea_orm::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_keys")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) kid: String,
    /// 1 for the first of any purpose, and on: unique, so that two replicas cannot both make one.
    pub(crate) generation: i64,
    /// The 32 bytes of RFC 8032.
    pub(crate) public_key: Vec<u8>,
    /// PKCS#8, encrypted: see `signing`.
    pub(crate) sealed_private_key: Vec<u8>,
    pub(crate) created_at_us: i64,
    /// When it was withdrawn: it is published no more.
    pub(crate) retired_at_us: Option<i64>,
    /// `token` or `access_token`.
    pub(crate) purpose: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
