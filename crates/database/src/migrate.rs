//! Bringing a schema up to date, under a lock so that two processes that start at once do it once.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr};
use sea_orm_migration::MigratorTrait;

use crate::{Database, Error};

/// The key of PostgreSQL's advisory lock. Any number, the same in every release.
const LOCK_KEY: i64 = 0x526f_6c6c_6361_6c6c;

/// Why a schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The schema is older than this program.
    #[error(
        "the database's schema is older than this program ({pending} migrations have not run): run `rollcall migrate`"
    )]
    Outdated {
        /// How many migrations have not run.
        pending: usize,
    },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl Database {
    /// Runs every migration that has not run yet, all in one transaction.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn migrate<M: MigratorTrait + 'static>(&self, service: &'static str) -> Result<(), MigrateError> {
        let migrated = self.write(move |tx| Box::pin(up::<M>(tx, service))).await;
        migrated.map_err(|error| match error {
            Error::Refused(never) => never,
            Error::Database(error) => MigrateError::Database(error),
        })
    }

    /// Checks that every migration has run, for a process that must not change the schema.
    ///
    /// # Errors
    /// When one has not, or the database fails.
    pub async fn check_migrated<M: MigratorTrait>(&self) -> Result<(), MigrateError> {
        match M::get_pending_migrations_read_only(self.read()).await?.len() {
            0 => Ok(()),
            pending => Err(MigrateError::Outdated { pending }),
        }
    }
}

async fn up<M: MigratorTrait>(tx: &DatabaseTransaction, service: &str) -> Result<(), Error<MigrateError>> {
    if tx.get_database_backend() == DbBackend::Postgres {
        // A migration may take longer than a statement of a request, and so may the wait for another process that migrates.
        tx.execute_unprepared("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").await?;
        tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({LOCK_KEY})")).await?;
        tx.execute_unprepared(&format!("CREATE SCHEMA IF NOT EXISTS \"{service}\"")).await?;
    }
    M::up(tx, None).await?;
    Ok(())
}
