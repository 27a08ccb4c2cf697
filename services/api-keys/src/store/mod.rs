//! Where keys and trusts are kept: SQL, behind methods named for what they are for.
//!
//! Only [`Store::write`] begins a transaction (rule D2); an act, its revocation and its audit entry commit together.

mod api_keys;
mod audit;
pub(crate) mod departures;
mod entity;
mod migrations;
mod revocations;
mod signing_keys;
#[cfg(test)]
pub(crate) mod tests;
mod trusts;

use database::{Database, Location};
use futures::future::BoxFuture;
use sea_orm::{DatabaseTransaction, DbErr};

pub(crate) use api_keys::{Change, Successor, Used};
pub(crate) use signing_keys::SigningKey;

use crate::{OpenError, SERVICE, domain::Error};
use migrations::Migrator;

/// A work's outcome inside its transaction. What is not found is answered and no failure, so that the use stands in the log.
type Outcome<T> = Result<T, database::Error<Error>>;
/// A work, running.
type Running<'a, T> = BoxFuture<'a, Outcome<T>>;

/// The store of one api-keys service.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    database: Database,
}

impl Store {
    pub(crate) async fn open(location: &Location) -> Result<Self, OpenError> {
        Ok(Self { database: Database::open(location, SERVICE).await? })
    }

    pub(crate) async fn migrate(&self) -> Result<(), database::MigrateError> {
        self.database.migrate::<Migrator>(SERVICE).await
    }

    pub(crate) async fn check_migrated(&self) -> Result<(), database::MigrateError> {
        self.database.check_migrated::<Migrator>().await
    }

    /// Runs `work` upon `input` in a transaction, and answers after its commit.
    async fn write<I, T, W>(&self, input: I, work: W) -> Outcome<T>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        W: for<'a> Fn(&'a DatabaseTransaction, &'a I) -> Running<'a, T> + Copy + Send + Sync + 'static,
    {
        // A work may be tried again, so each try borrows from what all of them share.
        let shared = std::sync::Arc::new(input);
        let written = self.database.write(move |tx| {
            let shared = std::sync::Arc::clone(&shared);
            Box::pin(async move { work(tx, &shared).await })
        });
        written.await
    }
}

impl From<DbErr> for OpenError {
    fn from(error: DbErr) -> Self {
        Self::Database(Box::new(error))
    }
}

/// Logs the cause of a failure here, where it is last known, and leaves the caller a failure to try again.
fn unavailable(error: &DbErr) -> Error {
    tracing::error!(error = error as &dyn std::error::Error, "the database of api-keys failed");
    Error::StoreUnavailable
}

fn unwritten(error: database::Error<Error>) -> Error {
    match error {
        database::Error::Refused(error) => error,
        database::Error::Database(error) => unavailable(&error),
    }
}
