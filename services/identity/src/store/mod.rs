//! Where tenants, users and groups are kept: SQL, behind methods named for what they are for.
//!
//! Every method takes its tenant first, or the [`Caller`] that carries it. Only [`Store::write`] begins a transaction (rule D2); a write, its
//! change-feed entries and its audit entries commit together.

mod admins;
mod audit;
mod change_retention;
mod changes;
mod conditions;
mod deactivation_alarm;
mod departures;
mod directory_roles;
mod document;
mod effective_roles;
mod entity;
mod erasure;
mod event_keys;
mod events;
mod export;
mod feed;
mod group_roles;
mod groups;
mod listing;
mod members;
mod memberships;
mod migrations;
mod order;
mod provisioning_cycles;
mod provisioning_erasure;
mod provisioning_log;
mod resource;
mod retention;
mod returns;
mod role_batches;
mod role_catalogue;
mod role_mappings;
mod roles;
mod tenant_deletion;
mod tenant_roles;
mod tenants;
#[cfg(test)]
pub(crate) mod tests;
mod tx;
mod user_attributes;
mod user_rows;
mod user_values;
mod users;

use std::sync::Arc;

use database::Database;
use sea_orm::DbErr;
use tokio::sync::{Notify, Semaphore};

pub(crate) use audit::{AuditChain, AuditEntry};
pub(crate) use changes::Acknowledge;
pub(crate) use erasure::ERASE_USER;
pub(crate) use event_keys::EventSigningKey;
pub(crate) use events::{BATCH, CreateEventEndpoint, DeadLetters, LEASE, Leased, Poll, RotateSecret, Sent, Work};
pub(crate) use feed::{Follower, News};
pub(crate) use groups::{ChangeGroup, CreateGroup, DeleteGroup};
pub(crate) use members::ListMembers;
pub(crate) use migrations::Migrator;
pub(crate) use role_mappings::CreateRoleMapping;
pub(crate) use roles::SetManualRole;
pub(crate) use users::{DeleteUser, ReplaceUser, RestoreUser};

use crate::domain::{Caller, Error};
use feed::Feeds;
use role_batches::RoleBatches;
use tx::Tx;

/// A work's outcome inside its transaction.
type Outcome<T> = Result<T, database::Error<Error>>;
/// A work, running.
type Running<'a, T> = futures::future::BoxFuture<'a, Outcome<T>>;

/// The store of one identity service.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    database: Database,
    /// The turns of lists that no index answers.
    costly: Arc<Semaphore>,
    /// The change feeds that are followed.
    feeds: Feeds,
    /// That a tenant was deleted here.
    deleted: Arc<Notify>,
    /// Where to tell that people are to be told of their roles.
    role_batches: RoleBatches,
    /// Tells what sends events that there may be some.
    events: Arc<Notify>,
}

impl Store {
    pub(crate) fn new(database: Database) -> Self {
        Self {
            database,
            costly: Arc::new(Semaphore::new(listing::COSTLY_MAX)),
            feeds: Feeds::new(),
            deleted: Arc::default(),
            role_batches: RoleBatches::default(),
            events: Arc::default(),
        }
    }

    /// Whether the database answers.
    pub(crate) async fn ready(&self) -> bool {
        self.database.read().ping().await.is_ok()
    }

    /// Waits until this process has written something, since the last time that this was waited for.
    pub(crate) async fn written(&self) {
        self.events.notified().await;
    }

    /// Runs `work` upon `input` in a transaction, and answers after the commit of all that it did and recorded.
    async fn write<I, T, W>(&self, caller: &Caller, input: I, work: W) -> Result<T, Error>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        W: for<'a> Fn(&'a Tx<'a>, &'a I) -> Running<'a, T> + Copy + Send + Sync + 'static,
    {
        let tenant = caller.tenant;
        // A work may be tried again, so each try borrows from what all of them share.
        let shared = Arc::new((caller.clone(), input));
        let written = self.database.write(move |db| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                let (caller, input) = &*shared;
                let tx = Tx::begin(db, caller).await?;
                let value = work(&tx, input).await?;
                tx.record().await?;
                Ok(value)
            })
        });
        let written = written.await.map_err(|error| match error {
            database::Error::Refused(error) => error,
            database::Error::Database(error) => unavailable(&error),
        });
        if written.is_ok() {
            self.feeds.moved(tenant);
            self.events.notify_one();
        }
        written
    }

    /// Runs `work` as [`Store::write`] does, or finds out what it would answer and takes everything back.
    async fn write_or_rehearse<I, T, W>(&self, caller: &Caller, doing: Doing, input: I, work: W) -> Result<T, Error>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        W: for<'a> Fn(&'a Tx<'a>, &'a I) -> Running<'a, T> + Copy + Send + Sync + 'static,
    {
        if doing == Doing::Act {
            return self.write(caller, input, work).await;
        }
        let shared = Arc::new((caller.clone(), input));
        let rehearsed = self.database.write(move |db| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                let (caller, input) = &*shared;
                let work = async {
                    let tx = Tx::begin(db, caller).await?;
                    work(&tx, input).await
                };
                let rehearsed = match work.await {
                    Ok(value) => Rehearsed::Done(value),
                    Err(database::Error::Refused(error)) => Rehearsed::Refused(error),
                    Err(database::Error::Database(error)) => return Err(database::Error::Database(error)),
                };
                Err::<(), _>(database::Error::Refused(rehearsed))
            })
        });
        match rehearsed.await {
            Err(database::Error::Refused(Rehearsed::Done(value))) => Ok(value),
            Err(database::Error::Refused(Rehearsed::Refused(error))) => Err(error),
            Err(database::Error::Database(error)) => Err(unavailable(&error)),
            // Nothing is ever kept of a rehearsal.
            Ok(()) => Err(Error::Internal),
        }
    }
}

/// What a rehearsal came to. It stands where a refusal does, so that all of it is taken back.
enum Rehearsed<T> {
    Done(T),
    Refused(Error),
}

/// What came of something that gives people other roles, and to how many.
#[derive(Clone, Debug)]
pub(crate) struct Moved<T> {
    pub(crate) value: T,
    /// None where counting would take too long.
    pub(crate) people: Option<u64>,
}

/// Whether something is done, or only found out what it would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    Act,
    Validate,
}

/// Logs the cause of a failure here, where it is last known, and leaves the caller whether to try again.
fn unavailable(error: &DbErr) -> Error {
    tracing::error!(error = error as &dyn std::error::Error, "the identity database failed");
    if database::will_fail_again(error) { Error::Internal } else { Error::StoreUnavailable }
}

/// Refuses inside a transaction.
const fn refuse<T>(error: Error) -> Outcome<T> {
    Err(database::Error::Refused(error))
}

/// Refuses a write that expects another version than the stored one.
fn check_version(stored: i64, expected: Option<i64>) -> Outcome<()> {
    match expected {
        Some(expected) if expected != stored => refuse(Error::VersionMismatch { stored }),
        _ => Ok(()),
    }
}
