//! How long one statement reads. PostgreSQL bounds it by itself; SQLite asks, as it goes, whether to go on.

use std::time::{Duration, Instant};

use sea_orm::DbErr;
use sqlx::SqliteConnection;

use crate::write::sqlstate;

/// How many steps SQLite takes between two looks at the clock: some tens of microseconds.
const STEPS_PER_LOOK: i32 = 1000;
/// SQLITE_INTERRUPT: a statement was told not to go on.
const SQLITE_INTERRUPT: &str = "9";
/// PostgreSQL's query_canceled: a statement reached `statement_timeout`.
const QUERY_CANCELED: &str = "57014";

/// Lets a connection read until `timeout` from now. Each statement has the connection for itself, so this is set anew for each.
pub(crate) async fn set(connection: &mut SqliteConnection, timeout: Duration) -> Result<(), sqlx::Error> {
    let deadline = Instant::now() + timeout;
    connection.lock_handle().await?.set_progress_handler(STEPS_PER_LOOK, move || Instant::now() < deadline);
    Ok(())
}

/// Whether a statement read for longer than it may.
#[must_use]
pub fn ran_out_of_time(error: &DbErr) -> bool {
    sqlstate(error).is_some_and(|code| [QUERY_CANCELED, SQLITE_INTERRUPT].contains(&code.as_ref()))
}
