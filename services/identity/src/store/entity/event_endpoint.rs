//! Who is sent events, and how far that is.

use sea_orm::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_endpoints")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) kind: String,
    pub(crate) url: String,
    pub(crate) description: String,
    /// A JSON array; an empty one is all.
    pub(crate) kinds: String,
    /// Of security event tokens; else empty.
    pub(crate) audience: String,
    pub(crate) profile: String,
    /// Why nothing is sent; none where it is.
    pub(crate) stop: Option<String>,
    pub(crate) state_since_us: i64,
    pub(crate) created_at_us: i64,
    pub(crate) created_by: String,
    pub(crate) sealed_secret: Vec<u8>,
    pub(crate) sealed_previous_secret: Option<Vec<u8>>,
    pub(crate) previous_secret_until_us: Option<i64>,
    /// Of the position.
    pub(crate) epoch: Uuid,
    pub(crate) position: i64,
    pub(crate) delivered: i64,
    pub(crate) last_delivery_us: Option<i64>,
    pub(crate) failures_in_row: i64,
    pub(crate) failing_since_us: Option<i64>,
    /// Until when no new event is taken up.
    pub(crate) waits_until_us: i64,
    pub(crate) last_failure: String,
    /// The process that sends to it, until its lease ends.
    pub(crate) lease_holder: Option<Uuid>,
    pub(crate) lease_until_us: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
