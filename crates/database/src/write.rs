//! The one way to write.

use std::{borrow::Cow, time::Duration};

use futures::future::BoxFuture;
use sea_orm::{
    AccessMode, DatabaseConnection, DatabaseTransaction, DbErr, IsolationLevel, RuntimeErr, TransactionTrait,
};

use crate::{Database, Writer};

/// How often a work is tried when PostgreSQL ends it for the sake of another (a deadlock or a serialisation failure).
const TRIES_MAX: u32 = 6;

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error<R> {
    /// The work itself refused; its transaction was rolled back.
    #[error("refused")]
    Refused(R),
    /// The database failed; nothing was written.
    #[error("the database failed")]
    Database(#[source] DbErr),
}

impl<R> From<DbErr> for Error<R> {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

impl Database {
    /// Runs `work` in a transaction and answers after its commit. An error rolls back all that it did. `work` may run more than once, so it
    /// has no effect but through the transaction.
    ///
    /// # Errors
    /// What `work` answered, or that the database failed.
    pub async fn write<T, R, W>(&self, work: W) -> Result<T, Error<R>>
    where
        T: Send + 'static,
        R: Send + 'static,
        W: for<'a> Fn(&'a DatabaseTransaction) -> BoxFuture<'a, Result<T, Error<R>>> + Send + Sync + 'static,
    {
        match &self.writer {
            Writer::Queue(queue) => queue.run(work).await,
            Writer::Pool(pool) => retrying(pool, &work).await,
        }
    }
}

async fn retrying<T, R, W>(pool: &DatabaseConnection, work: &W) -> Result<T, Error<R>>
where
    W: for<'a> Fn(&'a DatabaseTransaction) -> BoxFuture<'a, Result<T, Error<R>>>,
{
    let mut tries = 1;
    loop {
        match once(pool, work).await {
            Err(Error::Database(error)) if tries < TRIES_MAX && gave_way(&error) => {
                let pause = Duration::from_millis(u64::from(rand::random_range(1..=4 * tries)));
                tokio::time::sleep(pause).await;
                tries += 1;
            }
            outcome => return outcome,
        }
    }
}

async fn once<T, R, W>(pool: &DatabaseConnection, work: &W) -> Result<T, Error<R>>
where
    W: for<'a> Fn(&'a DatabaseTransaction) -> BoxFuture<'a, Result<T, Error<R>>>,
{
    let tx = pool.begin_with_config(Some(IsolationLevel::ReadCommitted), Some(AccessMode::ReadWrite)).await?;
    match work(&tx).await {
        Ok(value) => {
            tx.commit().await?;
            Ok(value)
        }
        Err(error) => {
            // The error of the work says more than one of the rollback; a connection that cannot roll back is dropped with its transaction.
            let _ = tx.rollback().await;
            Err(error)
        }
    }
}

/// Whether PostgreSQL ended this transaction so that another could go on: a serialisation failure, a deadlock, or a lock not had in time.
fn gave_way(error: &DbErr) -> bool {
    sqlstate(error).is_some_and(|code| ["40001", "40P01", "55P03"].contains(&code.as_ref()))
}

/// Whether the same work would fail again however often it is tried: a value or a statement that the database cannot take (SQLSTATE classes 22, 23,
/// 42 and 54), or a row that cannot be read.
#[must_use]
pub fn will_fail_again(error: &DbErr) -> bool {
    let class =
        |code: Cow<'_, str>| ["22", "23", "42", "54"].iter().any(|class| code.len() == 5 && code.starts_with(class));
    matches!(error, DbErr::Type(_)) || sqlstate(error).is_some_and(class)
}

/// The engine's code of an error: a SQLSTATE, or SQLite's number.
pub(crate) fn sqlstate(error: &DbErr) -> Option<Cow<'_, str>> {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error else {
        return None;
    };
    error.as_database_error().and_then(sqlx::error::DatabaseError::code)
}
