//! The keys that security event tokens are signed with. They belong to the installation, and to no tenant.

use sea_orm::{ActiveValue::Set, EntityTrait, QueryOrder, QuerySelect};

use crate::{
    domain::{Error, Timestamp},
    store::{Outcome, Store, entity::event_signing_key, unavailable},
};

/// How many are read.
const KEYS_MAX: u64 = 100;

/// A key.
#[derive(Clone, Debug)]
pub(crate) struct EventSigningKey {
    pub(crate) kid: String,
    /// The point, uncompressed.
    pub(crate) public_key: Vec<u8>,
    pub(crate) sealed_private_key: Vec<u8>,
    pub(crate) created_at: Timestamp,
}

impl Store {
    /// The keys, newest first.
    pub(crate) async fn event_signing_keys(&self) -> Result<Vec<EventSigningKey>, Error> {
        let rows = event_signing_key::Entity::find()
            .order_by_desc(event_signing_key::Column::CreatedAtUs)
            .order_by_desc(event_signing_key::Column::Kid)
            .limit(KEYS_MAX)
            .all(self.database.read())
            .await
            .map_err(|error| unavailable(&error))?;
        let key = |row: event_signing_key::Model| EventSigningKey {
            kid: row.kid,
            public_key: row.public_key,
            sealed_private_key: row.sealed_private_key,
            created_at: Timestamp(row.created_at_us),
        };
        Ok(rows.into_iter().map(key).collect())
    }

    pub(crate) async fn add_event_signing_key(&self, key: EventSigningKey) -> Result<(), Error> {
        let written = self.database.write(move |db| {
            let key = key.clone();
            Box::pin(async move {
                let row = event_signing_key::ActiveModel {
                    kid: Set(key.kid),
                    public_key: Set(key.public_key),
                    sealed_private_key: Set(key.sealed_private_key),
                    created_at_us: Set(key.created_at.0),
                };
                event_signing_key::Entity::insert(row).exec_without_returning(db).await?;
                Outcome::Ok(())
            })
        });
        written.await.map_err(|error| match error {
            database::Error::Refused(error) => error,
            database::Error::Database(error) => unavailable(&error),
        })
    }
}
