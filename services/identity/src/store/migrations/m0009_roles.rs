//! Custom roles, what directories give people (back-filled), mappings of groups to roles, and since when people are without access.

use std::collections::BTreeSet;

use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Expr,
};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};
use uuid::Uuid;

use crate::{
    domain::{Profile, role_keys},
    store::{
        entity::{directory_role, user},
        migrations::run,
    },
};

/// How many users are in memory at once.
const BATCH: u64 = 500;

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0009_roles"
    }
}

const STATEMENTS: &[&str] = &[
    // Whether a value `admin` of a directory counts (rule R21).
    "ALTER TABLE tenants ADD COLUMN directory_admin BOOLEAN NOT NULL DEFAULT FALSE",
    // Since when the directory gives the person no access, and under which external id (rule R18).
    "ALTER TABLE users ADD COLUMN access_ended_at_us BIGINT",
    "ALTER TABLE users ADD COLUMN access_ended_external_id TEXT",
    // Since when roles above the tenant's default have no effect.
    "ALTER TABLE users ADD COLUMN roles_held_at_us BIGINT",
    // Roles beside the built-in ones. A deleted one stays until everybody was told (rule R22).
    "CREATE TABLE roles (
        tenant_id UUID NOT NULL REFERENCES tenants (id),
        id TEXT NOT NULL,
        rank INTEGER NOT NULL,
        description TEXT NOT NULL,
        created_by TEXT NOT NULL,
        created_at_us BIGINT NOT NULL,
        deleted_at_us BIGINT,
        PRIMARY KEY (tenant_id, id)
    )",
    // What directories say of people's roles, folded: known or not. Whatever is longer than a role's id can be none and is left out.
    "CREATE TABLE directory_roles (
        tenant_id UUID NOT NULL,
        user_id UUID NOT NULL,
        role_key TEXT NOT NULL,
        assigned_by TEXT NOT NULL,
        assigned_at_us BIGINT NOT NULL,
        PRIMARY KEY (tenant_id, user_id, role_key),
        FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
    )",
    "CREATE INDEX directory_roles_key ON directory_roles (tenant_id, role_key, user_id)",
    // A group by its id or by its folded name, never both. A deleted one stays until everybody was told (rule R22).
    "CREATE TABLE role_mappings (
        tenant_id UUID NOT NULL REFERENCES tenants (id),
        id UUID NOT NULL,
        role TEXT NOT NULL,
        group_id UUID,
        group_name TEXT,
        group_name_key TEXT,
        group_external_id TEXT,
        created_by TEXT NOT NULL,
        created_at_us BIGINT NOT NULL,
        deleted_at_us BIGINT,
        PRIMARY KEY (tenant_id, id)
    )",
    "CREATE UNIQUE INDEX role_mappings_group ON role_mappings (tenant_id, group_id, role)
        WHERE deleted_at_us IS NULL AND group_id IS NOT NULL",
    "CREATE UNIQUE INDEX role_mappings_group_name ON role_mappings (tenant_id, group_name_key, role)
        WHERE deleted_at_us IS NULL AND group_name_key IS NOT NULL",
    // For the last admin, and for a role that is in use.
    "CREATE INDEX role_assignments_role ON role_assignments (tenant_id, role, user_id)",
    // People who are still to be told that their role has changed, because of something that changed many (rule R22).
    "CREATE TABLE role_batches (
        tenant_id UUID NOT NULL REFERENCES tenants (id),
        id UUID NOT NULL,
        cause TEXT NOT NULL,
        actor TEXT NOT NULL,
        request_id TEXT NOT NULL,
        after_user_id UUID NOT NULL,
        created_at_us BIGINT NOT NULL,
        PRIMARY KEY (tenant_id, id)
    )",
    // Whoever is without access now, is so since the last change at the latest.
    "UPDATE users SET access_ended_at_us = updated_at_us, access_ended_external_id = external_id WHERE NOT provisioned_active",
    "UPDATE users SET access_ended_at_us = deleted_at_us, access_ended_external_id = external_id
        WHERE provisioned_active AND deleted_at_us IS NOT NULL",
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, STATEMENTS).await?;
        let mut after = None;
        while let Some(last) = fill(manager.get_connection(), after).await? {
            after = Some(last);
        }
        Ok(())
    }
}

/// Writes the directory's roles of some users, and answers the last of them.
async fn fill<C: ConnectionTrait>(db: &C, after: Option<(Uuid, Uuid)>) -> Result<Option<(Uuid, Uuid)>, DbErr> {
    let beyond = after.map(|(tenant, id)| {
        let key = Expr::tuple([Expr::col(user::Column::TenantId), Expr::col(user::Column::Id)]);
        key.gt(Expr::tuple([tenant.into(), id.into()]))
    });
    let users: Vec<(Uuid, Uuid, String, i64)> = user::Entity::find()
        .select_only()
        .columns([user::Column::TenantId, user::Column::Id, user::Column::Profile, user::Column::UpdatedAtUs])
        .filter(beyond.into_iter().fold(Condition::all(), Condition::add))
        .order_by_asc(user::Column::TenantId)
        .order_by_asc(user::Column::Id)
        .limit(BATCH)
        .into_tuple()
        .all(db)
        .await?;
    for (tenant, id, profile, updated_at_us) in &users {
        // Few have any.
        if profile.contains("\"roles\"") {
            let rows: Vec<_> = keys(profile)?.into_iter().map(|key| row((*tenant, *id), key, *updated_at_us)).collect();
            if !rows.is_empty() {
                directory_role::Entity::insert_many(rows).exec_without_returning(db).await?;
            }
        }
    }
    Ok(users.last().map(|(tenant, id, ..)| (*tenant, *id)))
}

fn keys(profile: &str) -> Result<BTreeSet<String>, DbErr> {
    let profile: Profile = serde_json::from_str(profile).map_err(|error| DbErr::Type(error.to_string()))?;
    Ok(role_keys(&profile.roles))
}

/// Who sent it is not known any more.
fn row((tenant, user): (Uuid, Uuid), key: String, at_us: i64) -> directory_role::ActiveModel {
    directory_role::ActiveModel {
        tenant_id: Set(tenant),
        user_id: Set(user),
        role_key: Set(key),
        assigned_by: Set(String::new()),
        assigned_at_us: Set(at_us),
    }
}

#[cfg(test)]
mod tests {
    use database::{
        Database,
        testing::{
            Engine::{self, Postgres, Sqlite},
            TestDatabase,
        },
    };
    use ids::{TenantId, UserId};
    use rstest::rstest;
    use sea_orm::ColumnTrait;
    use sea_orm_migration::MigratorTrait;

    use super::*;
    use crate::{
        domain::{RoleOrigin, RoleSource},
        store::{Migrator, Store, entity::tenant},
    };

    const SERVICE: &str = "identity";

    /// The schema before this migration.
    struct Before;

    #[async_trait]
    impl MigratorTrait for Before {
        fn migrations() -> Vec<Box<dyn MigrationTrait>> {
            let mut migrations = Migrator::migrations();
            migrations.retain(|migration| migration.name() < Migration.name());
            migrations
        }
    }

    fn earlier(tenant: TenantId, id: UserId, number: u64) -> user::ActiveModel {
        user::ActiveModel {
            tenant_id: Set(tenant.uuid()),
            id: Set(id.uuid()),
            user_name: Set(format!("user{number}")),
            user_name_key: Set(format!("user{number}")),
            external_id: Set(Some("e1".to_owned())),
            provisioned_active: Set(number > 0),
            profile: Set(r#"{"roles":[{"value":"Developer"},{"value":"Wizard"},{"value":"DEVELOPER"}]}"#.to_owned()),
            version: Set(1),
            created_at_us: Set(3),
            updated_at_us: Set(7),
            ..user::ActiveModel::default()
        }
    }

    #[rstest]
    #[tokio::test]
    async fn roles_that_a_directory_gave_before_an_upgrade_count_after_it(#[values(Sqlite, Postgres)] engine: Engine) {
        let Some(place) = TestDatabase::empty(engine).await.unwrap() else { return };
        let database = Database::open(place.location(), SERVICE).await.unwrap();
        database.migrate::<Before>(SERVICE).await.unwrap();
        let tenant = TenantId::generate();
        let ids: Vec<UserId> = (0..=BATCH).map(|_| UserId::generate()).collect();
        let users: Vec<_> = (0..).zip(&ids).map(|(number, id)| earlier(tenant, *id, number)).collect();
        let written = database.write(move |tx| {
            let users = users.clone();
            Box::pin(async move {
                let row = tenant::ActiveModel {
                    id: Set(tenant.uuid()),
                    name: Set("acme".into()),
                    provisioning_state: Set("on".into()),
                    provisioning_state_since_us: Set(0),
                    default_role: Set("explorer".into()),
                    created_at_us: Set(0),
                    ..tenant::ActiveModel::default()
                };
                tenant::Entity::insert(row).exec_without_returning(tx).await?;
                user::Entity::insert_many(users).exec_without_returning(tx).await?;
                Ok::<_, database::Error<()>>(())
            })
        });
        written.await.unwrap();
        database.migrate::<Migrator>(SERVICE).await.unwrap();
        let store = Store::new(database.clone());
        for id in [ids[1], ids[ids.len() - 1]] {
            let found = store.user(tenant, id).await.unwrap();
            let role = found.role.unwrap();
            assert_eq!((role.role.as_str(), role.source), ("developer", RoleSource::Provisioned));
            let [assignment] = &*found.role_assignments else { panic!("{:?}", found.role_assignments) };
            assert_eq!(assignment.origin, RoleOrigin::Provisioned { value: "Developer".to_owned() });
            assert_eq!((&*assignment.assigned_by, assignment.assigned_at.0), ("", 7));
        }
        let ended: Vec<(Uuid, Option<String>)> = user::Entity::find()
            .filter(user::Column::AccessEndedAtUs.eq(7))
            .select_only()
            .columns([user::Column::Id, user::Column::AccessEndedExternalId])
            .into_tuple()
            .all(database.read())
            .await
            .unwrap();
        assert_eq!(
            ended,
            [(ids[0].uuid(), Some("e1".to_owned()))],
            "who is without access is so since the last change"
        );
    }
}
