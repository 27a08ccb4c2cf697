//! The keys that tokens are signed with.

use ::audit::Content;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, OnConflict},
};

use super::{
    Outcome, Running, Store,
    audit::{self, Note},
    entity::signing_key,
    revocations, unavailable, unwritten,
};
use crate::domain::{Caller, Error, RevocationSubject, Timestamp};

/// A key that tokens are signed with.
#[derive(Clone, Debug)]
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    /// 1 for the first of any purpose, and on.
    pub(crate) generation: i64,
    pub(crate) purpose: String,
    /// The 32 bytes of RFC 8032.
    pub(crate) public_key: Vec<u8>,
    pub(crate) sealed_private_key: Vec<u8>,
    pub(crate) created_at: Timestamp,
}

type Rotate = (Caller, Vec<SigningKey>, bool);

impl Store {
    /// The keys that living tokens may be signed with, newest first.
    pub(crate) async fn signing_keys(&self) -> Result<Vec<SigningKey>, Error> {
        let rows = published().all(self.database.read()).await.map_err(|error| unavailable(&error))?;
        Ok(rows.into_iter().map(SigningKey::from).collect())
    }

    /// Stores a key to sign with, unless there is one of its generation.
    pub(crate) async fn insert_signing_key(&self, key: SigningKey) -> Result<(), Error> {
        self.write(key, insert).await.map_err(unwritten)
    }

    /// Stores a key that takes another's place because of its age, unless there is one of its generation.
    pub(crate) async fn rotate_by_age(&self, caller: &Caller, key: SigningKey) -> Result<(), Error> {
        self.write((caller.clone(), key), rotate_by_age).await.map_err(unwritten)
    }

    /// Stores keys to sign with. With `withdraw` all earlier ones end now, and what they have signed.
    pub(crate) async fn rotate_signing_keys(
        &self,
        caller: &Caller,
        keys: Vec<SigningKey>,
        withdraw: bool,
    ) -> Result<(), Error> {
        self.write((caller.clone(), keys, withdraw), rotate).await.map_err(unwritten)
    }

    /// Publishes a key no more, with which nothing that is alive was signed.
    pub(crate) async fn retire_signing_key(&self, kid: &str, now: Timestamp) -> Result<(), Error> {
        self.write((kid.to_owned(), now), retire).await.map_err(unwritten)
    }
}

fn insert<'a>(tx: &'a DatabaseTransaction, key: &'a SigningKey) -> Running<'a, ()> {
    Box::pin(async move { append(tx, key, key.generation).await.map(drop) })
}

fn rotate_by_age<'a>(tx: &'a DatabaseTransaction, (caller, key): &'a (Caller, SigningKey)) -> Running<'a, ()> {
    Box::pin(async move {
        if append(tx, key, key.generation).await? > 0 {
            audit::append(tx, caller, Note::of(&key.kid, Content::detail("rotated by age"))).await?;
        }
        Ok(())
    })
}

fn rotate<'a>(tx: &'a DatabaseTransaction, (caller, keys, withdraw): &'a Rotate) -> Running<'a, ()> {
    Box::pin(async move {
        let earlier = published().all(tx).await?;
        let newest = earlier.first().map_or(0, |key| key.generation);
        for (key, generation) in keys.iter().zip(newest + 1..) {
            if append(tx, key, generation).await? == 0 {
                // Another replica has rotated at this very moment. What it withdrew was its operator's to say.
                return Err(database::Error::Refused(Error::StoreUnavailable));
            }
        }
        let kids: Vec<&str> = keys.iter().map(|key| key.kid.as_str()).collect();
        let withdrawn = if *withdraw { earlier } else { Vec::new() };
        for key in &withdrawn {
            retire_one(tx, &key.kid, Timestamp::now()).await?;
        }
        let detail = if *withdraw { "rotated, the earlier ones withdrawn" } else { "rotated" };
        audit::append(tx, caller, Note::of(kids.join(" "), Content::detail(detail))).await?;
        for key in withdrawn {
            revocations::append(tx, &RevocationSubject::SigningKey(key.kid)).await?;
        }
        Ok(())
    })
}

fn retire<'a>(tx: &'a DatabaseTransaction, (kid, now): &'a (String, Timestamp)) -> Running<'a, ()> {
    Box::pin(retire_one(tx, kid, *now))
}

async fn retire_one(tx: &DatabaseTransaction, kid: &str, now: Timestamp) -> Outcome<()> {
    signing_key::Entity::update_many()
        .col_expr(signing_key::Column::RetiredAtUs, Expr::value(now.0))
        .filter(signing_key::Column::Kid.eq(kid))
        .filter(signing_key::Column::RetiredAtUs.is_null())
        .exec(tx)
        .await?;
    Ok(())
}

/// Stores a key; answers how many rows that made: none, when there is one of its generation.
async fn append(tx: &DatabaseTransaction, key: &SigningKey, generation: i64) -> Outcome<u64> {
    let row = signing_key::ActiveModel {
        kid: Set(key.kid.clone()),
        generation: Set(generation),
        purpose: Set(key.purpose.clone()),
        public_key: Set(key.public_key.clone()),
        sealed_private_key: Set(key.sealed_private_key.clone()),
        created_at_us: Set(key.created_at.0),
        retired_at_us: Set(None),
    };
    let once = OnConflict::column(signing_key::Column::Generation).do_nothing().to_owned();
    Ok(signing_key::Entity::insert(row).on_conflict(once).exec_without_returning(tx).await?)
}

fn published() -> sea_orm::Select<signing_key::Entity> {
    signing_key::Entity::find()
        .filter(signing_key::Column::RetiredAtUs.is_null())
        .order_by_desc(signing_key::Column::Generation)
}

impl From<signing_key::Model> for SigningKey {
    fn from(row: signing_key::Model) -> Self {
        Self {
            kid: row.kid,
            generation: row.generation,
            purpose: row.purpose,
            public_key: row.public_key,
            sealed_private_key: row.sealed_private_key,
            created_at: Timestamp(row.created_at_us),
        }
    }
}
