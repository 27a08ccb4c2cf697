//! The schema, step by step. A migration that has been released is never edited.

mod m0001_directory;
mod m0002_search;
mod m0003_audit_chain;
mod m0005_change_feed;
mod m0006_provisioning_log;
mod m0007_preview;
mod m0008_erasure;
mod m0009_roles;
mod m0010_departures;
mod m0011_event_streams;
mod m0012_adoption;
mod m0013_deactivation_alarm;

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationTrait, MigratorTrait, SchemaManager, async_trait::async_trait};

pub(crate) struct Migrator;

#[async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_directory::Migration),
            Box::new(m0002_search::Migration),
            Box::new(m0003_audit_chain::Migration),
            Box::new(m0005_change_feed::Migration),
            Box::new(m0006_provisioning_log::Migration),
            Box::new(m0007_preview::Migration),
            Box::new(m0008_erasure::Migration),
            Box::new(m0009_roles::Migration),
            Box::new(m0010_departures::Migration),
            Box::new(m0011_event_streams::Migration),
            Box::new(m0012_adoption::Migration),
            Box::new(m0013_deactivation_alarm::Migration),
        ]
    }
}

/// Runs statements that are the same for both engines but for this: `TEXT` is exchanged on PostgreSQL so that it compares bytewise there as on
/// SQLite (rule D5), and `JSONB` is text on SQLite.
async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let postgres = connection.get_database_backend() == DbBackend::Postgres;
    for statement in statements {
        let statement = if postgres {
            statement.replace(" TEXT", " TEXT COLLATE \"C\"")
        } else {
            statement.replace(" JSONB", " TEXT")
        };
        connection.execute_unprepared(&statement).await?;
    }
    Ok(())
}
