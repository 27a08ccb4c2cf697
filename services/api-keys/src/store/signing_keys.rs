//! The keys that tokens are signed with.

use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder,
    sea_query::OnConflict,
};

use super::{Running, Store, entity::signing_key, unavailable};
use crate::{
    OpenError,
    domain::{Error, Timestamp},
};

/// The first key's generation.
const FIRST: i64 = 1;

/// A key that tokens are signed with.
#[derive(Clone, Debug)]
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    /// The 32 bytes of RFC 8032.
    pub(crate) public_key: Vec<u8>,
    pub(crate) sealed_private_key: Vec<u8>,
}

impl Store {
    /// The key to sign with, if there is one yet.
    pub(crate) async fn newest_signing_key(&self) -> Result<Option<SigningKey>, OpenError> {
        let row = published().one(self.database.read()).await?;
        Ok(row.map(SigningKey::from))
    }

    /// The keys that tokens may be signed with, newest first.
    pub(crate) async fn published_signing_keys(&self) -> Result<Vec<SigningKey>, Error> {
        let rows = published().all(self.database.read()).await.map_err(|error| unavailable(&error))?;
        Ok(rows.into_iter().map(SigningKey::from).collect())
    }

    /// Stores the first key, unless another process has just done so, and answers the one that is stored.
    pub(crate) async fn insert_first_signing_key(&self, key: SigningKey) -> Result<SigningKey, OpenError> {
        self.write(key, insert_first).await.map_err(|error| match error {
            database::Error::Refused(error) => OpenError::Database(Box::new(error)),
            database::Error::Database(error) => error.into(),
        })
    }
}

fn insert_first<'a>(tx: &'a DatabaseTransaction, key: &'a SigningKey) -> Running<'a, SigningKey> {
    Box::pin(async move {
        let row = signing_key::ActiveModel {
            kid: Set(key.kid.clone()),
            generation: Set(FIRST),
            public_key: Set(key.public_key.clone()),
            sealed_private_key: Set(key.sealed_private_key.clone()),
            created_at_us: Set(Timestamp::now().0),
            retired_at_us: Set(None),
        };
        let once = OnConflict::column(signing_key::Column::Generation).do_nothing().to_owned();
        signing_key::Entity::insert(row).on_conflict(once).exec_without_returning(tx).await?;
        let stored = published().one(tx).await?;
        stored.map(SigningKey::from).ok_or_else(|| DbErr::RecordNotFound("a signing key".into()).into())
    })
}

fn published() -> sea_orm::Select<signing_key::Entity> {
    signing_key::Entity::find()
        .filter(signing_key::Column::RetiredAtUs.is_null())
        .order_by_desc(signing_key::Column::Generation)
}

impl From<signing_key::Model> for SigningKey {
    fn from(row: signing_key::Model) -> Self {
        Self { kid: row.kid, public_key: row.public_key, sealed_private_key: row.sealed_private_key }
    }
}
