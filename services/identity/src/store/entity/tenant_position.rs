//! The last positions taken in a tenant's change feed and audit log, where each begins, and the heads of the log's chain. A table of its own: this row is locked by every commit (rule D1).

use sea_orm::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tenant_positions")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) tenant_id: Uuid,
    pub(crate) change_position: i64,
    /// The last position that is kept no more; 0 where all are.
    pub(crate) change_floor: i64,
    /// What positions are of: another after a restore (rule R25).
    pub(crate) epoch: Option<Uuid>,
    pub(crate) audit_position: i64,
    /// The hash of the newest audit entry; none before the first of the chain.
    pub(crate) audit_hash: Option<Vec<u8>>,
    pub(crate) anchor_position: i64,
    /// None where the chain begins.
    pub(crate) anchor_hash: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
