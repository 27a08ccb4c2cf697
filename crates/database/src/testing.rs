//! A database of its own for each test, on either engine.
//!
//! SQLite's is a file in a temporary directory. PostgreSQL's is cloned from a template that is migrated once in a test program; the server
//! is the one that `ROLLCALL_TEST_POSTGRES_URL` names, and without it the PostgreSQL half of the tests says that it is skipped.

use std::{env, io::Write, path::PathBuf};

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbErr};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::Location;

/// The variable that names the PostgreSQL server for tests.
pub const POSTGRES_URL: &str = "ROLLCALL_TEST_POSTGRES_URL";

/// An engine that tests run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// An empty or cloned database that goes when this is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    location: Location,
    _place: Place,
}

#[derive(Debug)]
enum Place {
    Directory { _directory: TempDir },
    Server { url: String, name: String },
}

/// The templates of this test program, by the service whose schema they hold.
static TEMPLATES: Mutex<Vec<(&'static str, String)>> = Mutex::const_new(Vec::new());

impl TestDatabase {
    /// An empty database, or none when `engine` is not to be had here.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn empty(engine: Engine) -> Result<Option<Self>, DbErr> {
        match engine {
            Engine::Sqlite => sqlite().map(Some),
            Engine::Postgres => match postgres_url() {
                Some(url) => create(url, "template1").await.map(Some),
                None => Ok(None),
            },
        }
    }

    /// A database in which `prepare` has run, or none when `engine` is not to be had here. On PostgreSQL it runs once for all tests of
    /// this program, in a template.
    ///
    /// # Errors
    /// When the engine or `prepare` fails.
    pub async fn prepared<F>(engine: Engine, service: &'static str, prepare: F) -> Result<Option<Self>, DbErr>
    where
        F: AsyncFnOnce(&Location) -> Result<(), DbErr>,
    {
        if engine == Engine::Sqlite {
            let database = sqlite()?;
            prepare(&database.location).await?;
            return Ok(Some(database));
        }
        let Some(url) = postgres_url() else { return Ok(None) };
        let mut templates = TEMPLATES.lock().await;
        let template = match templates.iter().find(|(name, _)| *name == service) {
            Some((_, template)) => template.clone(),
            None => {
                drop_leftovers(&url).await?;
                let template = create_named(&url, "template1").await?;
                prepare(&Location::Postgres(SecretString::from(with_database(&url, &template)))).await?;
                templates.push((service, template.clone()));
                template
            }
        };
        drop(templates);
        create(url, &template).await.map(Some)
    }

    /// Where it is.
    #[must_use]
    pub const fn location(&self) -> &Location {
        &self.location
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self::Server { url, name } = self else { return };
        let (url, name) = (url.clone(), name.clone());
        // A drop cannot wait within the test's own runtime; a thread with one of its own can.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { drop_database(&url, &name).await }).map_err(std::io::Error::other)
        });
        let _ = thread.join();
    }
}

fn sqlite() -> Result<TestDatabase, DbErr> {
    let directory = TempDir::new().map_err(|error| DbErr::Custom(error.to_string()))?;
    let location = Location::Sqlite(PathBuf::from(directory.path()).join("test.db"));
    Ok(TestDatabase { location, _place: Place::Directory { _directory: directory } })
}

fn postgres_url() -> Option<String> {
    let url = env::var(POSTGRES_URL).ok();
    if url.is_none() {
        // Straight to the stream: the test harness hides what passing tests print.
        let _ = writeln!(std::io::stderr(), "SKIPPED on PostgreSQL: set {POSTGRES_URL} to run this test there too");
    }
    url
}

async fn create(url: String, template: &str) -> Result<TestDatabase, DbErr> {
    let name = create_named(&url, template).await?;
    let location = Location::Postgres(SecretString::from(with_database(&url, &name)));
    Ok(TestDatabase { location, _place: Place::Server { url, name } })
}

async fn create_named(url: &str, template: &str) -> Result<String, DbErr> {
    // UUIDv7 begins with the time, by which leftovers are told.
    let name = format!("rollcall_test_{}", Uuid::now_v7().simple());
    let server = connect(url).await?;
    server.execute_unprepared(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await?;
    // Tests kill Rollcall's processes and never the server's: what it has not flushed to disk is not lost, and waiting for the disk would be most of
    // their time.
    server.execute_unprepared(&format!("ALTER DATABASE {name} SET synchronous_commit TO off")).await?;
    server.close().await?;
    Ok(name)
}

async fn drop_database(url: &str, name: &str) -> Result<(), DbErr> {
    let server = connect(url).await?;
    server.execute_unprepared(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
    server.close().await
}

/// Drops what test programs of more than an hour ago left: templates, and databases of tests that were killed.
async fn drop_leftovers(url: &str) -> Result<(), DbErr> {
    let hour_ago = Uuid::new_v7(uuid::Timestamp::from_unix(
        uuid::NoContext,
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |now| now.as_secs().saturating_sub(3600)),
        0,
    ));
    let server = connect(url).await?;
    let old = format!(
        "SELECT datname FROM pg_database WHERE datname LIKE 'rollcall\\_test\\_%' AND datname < 'rollcall_test_{}'",
        hour_ago.simple()
    );
    let rows = server.query_all_raw(sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, old)).await?;
    for row in rows {
        let name: String = row.try_get_by_index(0)?;
        // Another test program may do the same at the same moment.
        let _ = server.execute_unprepared(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
    }
    server.close().await
}

async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    sea_orm::Database::connect(options).await
}

/// The URL with its database, the last segment of the path, exchanged.
fn with_database(url: &str, name: &str) -> String {
    let (address, query) = url.split_once('?').map_or((url, None), |(address, query)| (address, Some(query)));
    let scheme_end = address.find("://").map_or(0, |at| at + 3);
    let host_end =
        address.get(scheme_end..).and_then(|rest| rest.find('/')).map_or(address.len(), |at| scheme_end + at);
    let server = address.get(..host_end).unwrap_or(address);
    query.map_or_else(|| format!("{server}/{name}"), |query| format!("{server}/{name}?{query}"))
}
