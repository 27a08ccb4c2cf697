//! SQLite's writer: a queue of works in front of one connection. Those that wait run in one transaction, each in a savepoint of its own, and
//! are answered after the commit: one flush to disk for many.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};

use crate::Error;

/// How many works may wait; the next caller waits for a place.
const WAITING_MAX: usize = 1024;
/// How many works share one transaction. It bounds how long the first of them waits for the last.
const BATCH_MAX: usize = 64;

#[derive(Clone, Debug)]
pub(crate) struct Queue(mpsc::Sender<Box<dyn Job>>);

impl Queue {
    /// Starts the writer, which ends when the last handle of the queue is gone.
    pub(crate) fn start(connection: DatabaseConnection) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        tokio::spawn(run(connection, receiver));
        Self(sender)
    }

    pub(crate) async fn run<T, R, W>(&self, work: W) -> Result<T, Error<R>>
    where
        T: Send + 'static,
        R: Send + 'static,
        W: for<'a> Fn(&'a DatabaseTransaction) -> BoxFuture<'a, Result<T, Error<R>>> + Send + Sync + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Queued { work, answer, outcome: None });
        self.0.send(job).await.map_err(|_| Error::Database(stopped()))?;
        answered.await.map_err(|_| Error::Database(stopped()))?
    }
}

/// A work with its types erased, so that different ones can stand in one queue.
trait Job: Send + std::fmt::Debug {
    /// Runs the work in `tx` and keeps its outcome; answers whether what it wrote is to be kept.
    fn run<'a>(&'a mut self, tx: &'a DatabaseTransaction) -> BoxFuture<'a, bool>;
    /// Answers the caller once it is known how the transaction ended.
    fn finish(self: Box<Self>, committed: Result<(), DbErr>);
}

struct Queued<T, R, W> {
    work: W,
    answer: oneshot::Sender<Result<T, Error<R>>>,
    outcome: Option<Result<T, Error<R>>>,
}

impl<T, R, W> std::fmt::Debug for Queued<T, R, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queued")
    }
}

impl<T, R, W> Job for Queued<T, R, W>
where
    T: Send,
    R: Send,
    W: for<'a> Fn(&'a DatabaseTransaction) -> BoxFuture<'a, Result<T, Error<R>>> + Send + Sync,
{
    fn run<'a>(&'a mut self, tx: &'a DatabaseTransaction) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let outcome = (self.work)(tx).await;
            self.outcome.insert(outcome).is_ok()
        })
    }

    fn finish(self: Box<Self>, committed: Result<(), DbErr>) {
        let answer = match (self.outcome, committed) {
            // A refusal stands whatever became of the others' transaction: it wrote nothing.
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (_, Err(error)) => Err(Error::Database(error)),
            (None, Ok(())) => Err(Error::Database(stopped())),
        };
        // A caller that went away does not undo its write.
        let _ = self.answer.send(answer);
    }
}

async fn run(connection: DatabaseConnection, mut receiver: mpsc::Receiver<Box<dyn Job>>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while receiver.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let committed = AssertUnwindSafe(commit(&connection, &mut batch)).catch_unwind().await;
        let committed = committed.unwrap_or_else(|_| Err(DbErr::Custom("a write panicked and was rolled back".into())));
        // One failure answers many callers, and DbErr does not clone.
        let committed = committed.map_err(Arc::new);
        for job in batch.drain(..) {
            job.finish(committed.clone().map_err(|error| shared(&error)));
        }
    }
}

async fn commit(connection: &DatabaseConnection, batch: &mut [Box<dyn Job>]) -> Result<(), DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let tx = connection.begin_with_options(options).await?;
    for job in batch {
        let savepoint = tx.begin().await?;
        if job.run(&savepoint).await {
            savepoint.commit().await?;
        } else {
            savepoint.rollback().await?;
        }
    }
    tx.commit().await
}

fn shared(error: &Arc<DbErr>) -> DbErr {
    match &**error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) => DbErr::Exec(RuntimeErr::SqlxError(Arc::clone(error))),
        DbErr::Query(RuntimeErr::SqlxError(error)) => DbErr::Query(RuntimeErr::SqlxError(Arc::clone(error))),
        other => DbErr::Custom(other.to_string()),
    }
}

fn stopped() -> DbErr {
    DbErr::Custom("the writer has stopped".into())
}
