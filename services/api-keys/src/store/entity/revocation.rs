//! An entry of the list that verifiers follow.

use sea_orm::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "revocations")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) position: i64,
    /// `api_key`, `trust` or `signing_key`.
    pub(crate) subject_kind: String,
    /// The id of the credential, or the kid.
    pub(crate) subject: String,
    pub(crate) expires_at_us: i64,
    /// Of a credential: the version below which tokens are refused; none where all are.
    pub(crate) below_version: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
