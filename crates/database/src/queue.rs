//! SQLite's writer: a queue of works in front of one connection. Those that wait run in one transaction, each in a savepoint of its own, and
//! are answered after the commit: one flush to disk for many.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture};
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};

use crate::Error;

/// How many works may wait; the next caller waits for a place.
const WAITING_MAX: usize = 1024;
/// How many works share one transaction. It bounds how long the first of them waits for the last.
const BATCH_MAX: usize = 64;
/// How long works run before those that have run are committed. A large one holds up few others.
const BATCH_TIME_MAX: Duration = Duration::from_millis(20);

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
    /// Whether nobody waits for the answer.
    fn is_abandoned(&self) -> bool;
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

    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn finish(self: Box<Self>, committed: Result<(), DbErr>) {
        let answer = match (self.outcome, committed) {
            // Also for a refusal: what it was judged by may have been rolled back with the rest.
            (_, Err(error)) => Err(Error::Database(error)),
            (Some(outcome), Ok(())) => outcome,
            (None, Ok(())) => Err(Error::Database(stopped())),
        };
        // A caller that went away does not undo its write.
        let _ = self.answer.send(answer);
    }
}

async fn run(connection: DatabaseConnection, mut receiver: mpsc::Receiver<Box<dyn Job>>) {
    let mut waiting = Vec::with_capacity(BATCH_MAX);
    while !waiting.is_empty() || receiver.recv_many(&mut waiting, BATCH_MAX).await > 0 {
        // Nobody waits for these any more, and they have not begun.
        waiting.retain(|job| !job.is_abandoned());
        match attempt(&connection, &mut waiting).await {
            Ok(done) => waiting.drain(..done).for_each(|job| job.finish(Ok(()))),
            // One of them spoilt it for all. Each runs again by itself, so that only that one fails.
            Err(_) if waiting.len() > 1 => {
                for mut job in waiting.drain(..) {
                    let committed = attempt(&connection, std::slice::from_mut(&mut job)).await.map(drop);
                    job.finish(committed);
                }
            }
            Err(error) => {
                if let Some(job) = waiting.pop() {
                    job.finish(Err(error));
                }
            }
        }
    }
}

/// Runs jobs in one transaction, from the first until [`BATCH_TIME_MAX`] is used up, and commits; answers how many it ran.
async fn attempt(connection: &DatabaseConnection, jobs: &mut [Box<dyn Job>]) -> Result<usize, DbErr> {
    let committed = AssertUnwindSafe(commit(connection, jobs)).catch_unwind().await;
    committed.unwrap_or_else(|_| Err(DbErr::Custom("a write panicked and was rolled back".into())))
}

async fn commit(connection: &DatabaseConnection, jobs: &mut [Box<dyn Job>]) -> Result<usize, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let (begun, mut done) = (Instant::now(), 0);
    let tx = connection.begin_with_options(options).await?;
    for job in jobs {
        let savepoint = tx.begin().await?;
        if job.run(&savepoint).await {
            savepoint.commit().await?;
        } else {
            savepoint.rollback().await?;
        }
        done += 1;
        if begun.elapsed() > BATCH_TIME_MAX {
            break;
        }
    }
    tx.commit().await?;
    Ok(done)
}

fn stopped() -> DbErr {
    DbErr::Custom("the writer has stopped".into())
}
