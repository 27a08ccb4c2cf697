//! The schema, step by step. A migration that has been released is never edited.

mod m0001_api_keys;
mod m0003_credentials;

use sea_orm_migration::{MigrationTrait, MigratorTrait, async_trait::async_trait};

pub(crate) struct Migrator;

#[async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_api_keys::Migration), Box::new(m0003_credentials::Migration)]
    }
}
