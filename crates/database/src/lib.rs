//! SQLite or PostgreSQL behind one door: opening, migrating, reading, and the one way to write.
//!
//! A write is a piece of work that is handed to [`Database::write`]; nothing else begins a transaction. On PostgreSQL it is a transaction of
//! its own. On SQLite the waiting works run together in one transaction, each in a savepoint, so that many share one flush to disk. On both the
//! caller hears of success only after the commit is durable.

mod deadline;
mod location;
mod migrate;
mod queue;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;
mod write;

use std::{path::Path, time::Duration};

use sea_orm::{ConnectOptions, DatabaseConnection, DbErr};
use secrecy::{ExposeSecret, SecretString};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

pub use deadline::ran_out_of_time;
pub use location::{InvalidLocation, Location};
pub use migrate::MigrateError;
pub use write::{Error, will_fail_again};

/// How many connections read from SQLite at once.
const SQLITE_READERS: u32 = 8;
/// How many connections of one service read from PostgreSQL, apart from those that write: writes that wait for each other hold up no reader.
const POSTGRES_READERS: u32 = 8;
/// How many connections of one service write to PostgreSQL.
const POSTGRES_WRITERS: u32 = 12;
/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long SQLite waits for another process that writes.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest statement: of any on PostgreSQL, of one that reads on SQLite. A caller has given up before.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest statement that reads: a caller hears that it took too long before giving up.
const READ_TIMEOUT: Duration = Duration::from_secs(4);
/// What else a session of PostgreSQL is told: a process that stands still, or whose network is gone, must not hold its locks for hours.
const POSTGRES_SETTINGS: [(&str, &str); 5] = [
    ("idle_in_transaction_session_timeout", "10s"),
    ("lock_timeout", "3s"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
];

/// An open database of one service.
#[derive(Clone, Debug)]
pub struct Database {
    read: DatabaseConnection,
    writer: Writer,
}

#[derive(Clone, Debug)]
enum Writer {
    /// SQLite has one writer: works queue for it.
    Queue(queue::Queue),
    /// PostgreSQL takes many at once.
    Pool(DatabaseConnection),
}

impl Database {
    /// Opens the database. On PostgreSQL everything of the service lives in the schema `service`; on SQLite in the file alone.
    ///
    /// # Errors
    /// When it cannot be reached or created.
    pub async fn open(location: &Location, service: &'static str) -> Result<Self, DbErr> {
        Self::open_reading_within(location, service, READ_TIMEOUT).await
    }

    /// As [`Database::open`], with a bound of the caller's on the time that one statement reads. [`ran_out_of_time`] tells its error.
    ///
    /// # Errors
    /// When it cannot be reached or created.
    pub async fn open_reading_within(
        location: &Location,
        service: &'static str,
        read_timeout: Duration,
    ) -> Result<Self, DbErr> {
        match location {
            Location::Sqlite(path) => {
                // The writer first: it creates the file, which a read-only connection cannot.
                let writer = connect(sqlite_writer(path)).await?;
                let read = connect(sqlite_readers(path, read_timeout)).await?;
                Ok(Self { read, writer: Writer::Queue(queue::Queue::start(writer)) })
            }
            Location::Postgres(url) => {
                let read = connect(postgres(url, service, POSTGRES_READERS, read_timeout)).await?;
                let write = connect(postgres(url, service, POSTGRES_WRITERS, STATEMENT_TIMEOUT)).await?;
                Ok(Self { read, writer: Writer::Pool(write) })
            }
        }
    }

    /// The connection for reads. On SQLite it cannot write.
    #[must_use]
    pub const fn read(&self) -> &DatabaseConnection {
        &self.read
    }
}

async fn connect(mut options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    options.acquire_timeout(ACQUIRE_TIMEOUT).sqlx_logging(false);
    sea_orm::Database::connect(options).await
}

fn postgres(
    url: &SecretString,
    service: &'static str,
    connections: u32,
    statement_timeout: Duration,
) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.expose_secret().to_owned());
    options
        .set_schema_search_path(service)
        .set_application_name(format!("rollcall-{service}"))
        .statement_timeout(statement_timeout)
        .max_connections(connections)
        .map_sqlx_postgres_opts(|options| options.options(POSTGRES_SETTINGS));
    options
}

fn sqlite_writer(path: &Path) -> ConnectOptions {
    let mut options = sqlite(path, |options| {
        options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full)
    });
    options.max_connections(1).map_sqlx_sqlite_pool_opts(|pool| {
        // A transaction that could not be ended (a full or failing disk) leaves the driver and SQLite of two minds about what is open: a
        // later COMMIT would release a savepoint and make nothing durable. Such a connection is not used again.
        pool.after_release(|connection, _| {
            Box::pin(async move { Ok(!sqlx::Connection::is_in_transaction(connection)) })
        })
    });
    options
}

fn sqlite_readers(path: &Path, timeout: Duration) -> ConnectOptions {
    let mut options = sqlite(path, |options| options.read_only(true));
    // Setting the deadline shows as well as a ping that the connection lives.
    options.max_connections(SQLITE_READERS).test_before_acquire(false).map_sqlx_sqlite_pool_opts(move |pool| {
        pool.after_connect(move |connection, _| Box::pin(deadline::set(connection, timeout))).before_acquire(
            move |connection, _| {
                Box::pin(async move {
                    deadline::set(connection, timeout).await?;
                    Ok(true)
                })
            },
        )
    });
    options
}

fn sqlite(path: &Path, mode: fn(SqliteConnectOptions) -> SqliteConnectOptions) -> ConnectOptions {
    let path = path.to_owned();
    // The URL only chooses the driver; the path is set below, where no character of it can be misread.
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.min_connections(1).map_sqlx_sqlite_opts(move |options| {
        let options = options.in_memory(false).shared_cache(false).filename(&path);
        mode(options.busy_timeout(SQLITE_BUSY_TIMEOUT).foreign_keys(true))
    });
    options
}
