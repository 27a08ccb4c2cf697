//! What filters and orders over every field need: the search document of each user, the tenant's own attributes, and indexes in the order of
//! what lists are sorted by.

use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, sea_query::Expr,
};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};
use uuid::Uuid;

use crate::{
    domain::{AttributeValues, Profile, search},
    store::{entity::user, migrations::run},
};

/// How many users are in memory at once.
const BATCH: u64 = 500;

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0002_search"
    }
}

const COLUMNS: &[&str] = &[
    "ALTER TABLE users ADD COLUMN search JSONB NOT NULL DEFAULT '{}'",
    "ALTER TABLE users ADD COLUMN user_attributes TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE users ADD COLUMN provisioned_active_withdrawn BOOLEAN NOT NULL DEFAULT FALSE",
    "CREATE TABLE user_attributes (
        tenant_id UUID NOT NULL REFERENCES tenants (id),
        name_key TEXT NOT NULL,
        name TEXT NOT NULL,
        type TEXT NOT NULL,
        description TEXT NOT NULL,
        created_at_us BIGINT NOT NULL,
        PRIMARY KEY (tenant_id, name_key)
    )",
];

/// The unique indexes of the names hold live rows alone, and a walk by index ranks some of the deleted too (rule D12).
const INDEXES: &[&str] = &[
    "CREATE INDEX users_user_name ON users (tenant_id, user_name_key, id)",
    // Its beginning alone: a whole one can be longer than an entry of an index may be.
    "CREATE INDEX users_display_name ON users (tenant_id, substr(display_name_key, 1, 256), id)",
    "CREATE INDEX users_created ON users (tenant_id, created_at_us, id)",
    "CREATE INDEX users_updated ON users (tenant_id, updated_at_us, id)",
    "CREATE INDEX groups_display_name ON groups (tenant_id, display_name_key, id)",
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, COLUMNS).await?;
        let mut after = None;
        while let Some(last) = fill(manager.get_connection(), after).await? {
            after = Some(last);
        }
        run(manager, INDEXES).await
    }
}

/// Writes the search documents of some users, and answers the last of them.
async fn fill<C: ConnectionTrait>(db: &C, after: Option<(Uuid, Uuid)>) -> Result<Option<(Uuid, Uuid)>, DbErr> {
    let beyond = after.map(|(tenant, id)| {
        let key = Expr::tuple([Expr::col(user::Column::TenantId), Expr::col(user::Column::Id)]);
        key.gt(Expr::tuple([tenant.into(), id.into()]))
    });
    let users: Vec<(Uuid, Uuid, String)> = user::Entity::find()
        .select_only()
        .columns([user::Column::TenantId, user::Column::Id, user::Column::Profile])
        .filter(beyond.into_iter().fold(Condition::all(), Condition::add))
        .order_by_asc(user::Column::TenantId)
        .order_by_asc(user::Column::Id)
        .limit(BATCH)
        .into_tuple()
        .all(db)
        .await?;
    for (tenant, id, profile) in &users {
        user::Entity::update_many()
            .set(user::ActiveModel { search: Set(document(profile)?), ..user::ActiveModel::default() })
            .filter(user::Column::TenantId.eq(*tenant))
            .filter(user::Column::Id.eq(*id))
            .exec(db)
            .await?;
    }
    Ok(users.last().map(|(tenant, id, _)| (*tenant, *id)))
}

fn document(profile: &str) -> Result<serde_json::Value, DbErr> {
    let profile: Profile = serde_json::from_str(profile).map_err(|error| DbErr::Type(error.to_string()))?;
    search::document(&profile, &AttributeValues::new()).map_err(|error| DbErr::Type(error.to_string()))
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
    use sea_orm::ActiveValue::NotSet;
    use sea_orm_migration::MigratorTrait;

    use super::*;
    use crate::{
        domain::{Catalogue, Comparison, Filter, Order, PageStart, Relation, Selection, Slice, TextOperator},
        store::{Migrator, Store, entity::tenant, migrations::m0001_directory},
    };

    const SERVICE: &str = "identity";

    /// The schema before this migration.
    struct Before;

    #[async_trait]
    impl MigratorTrait for Before {
        fn migrations() -> Vec<Box<dyn MigrationTrait>> {
            vec![Box::new(m0001_directory::Migration)]
        }
    }

    /// A user as the release before wrote it.
    fn earlier(tenant: TenantId, number: u64) -> user::ActiveModel {
        user::ActiveModel {
            tenant_id: Set(tenant.uuid()),
            id: Set(UserId::generate().uuid()),
            user_name: Set(format!("User{number}")),
            user_name_key: Set(format!("user{number}")),
            provisioned_active: Set(true),
            profile: Set(format!(r#"{{"title":"Gräfin {number}","emails":[{{"value":"A@B","type":"Work"}}]}}"#)),
            version: Set(1),
            created_at_us: Set(0),
            updated_at_us: Set(0),
            ..user::ActiveModel::default()
        }
    }

    async fn fill_earlier(database: &Database, tenant: TenantId, count: u64) {
        let written = database.write(move |tx| {
            Box::pin(async move {
                let row = tenant::ActiveModel {
                    id: Set(tenant.uuid()),
                    name: Set("acme".into()),
                    provisioning_state: Set("on".into()),
                    provisioning_state_since_us: Set(0),
                    default_role: Set("explorer".into()),
                    created_at_us: Set(0),
                    deleted_at_us: NotSet,
                    // Columns that later migrations add are not there yet.
                    ..tenant::ActiveModel::default()
                };
                tenant::Entity::insert(row).exec_without_returning(tx).await?;
                let users = (0..count).map(|number| earlier(tenant, number));
                user::Entity::insert_many(users).exec_without_returning(tx).await?;
                Ok::<_, database::Error<()>>(())
            })
        });
        written.await.unwrap();
    }

    #[rstest]
    #[tokio::test]
    async fn users_who_exist_are_found_after_an_upgrade(#[values(Sqlite, Postgres)] engine: Engine) {
        let Some(place) = TestDatabase::empty(engine).await.unwrap() else { return };
        let database = Database::open(place.location(), SERVICE).await.unwrap();
        database.migrate::<Before>(SERVICE).await.unwrap();
        let tenant = TenantId::generate();
        fill_earlier(&database, tenant, BATCH + 1).await;
        database.migrate::<Migrator>(SERVICE).await.unwrap();
        let store = Store::new(database);
        let found = async |text: &str| {
            let title = Catalogue::Users(&[]).field("profile.title").unwrap();
            let comparison = Comparison::Text(TextOperator::Is(Relation::Equal), text.to_owned());
            let selection = Selection { filter: Some(Filter::Compare(title, comparison)), order: Order::BY_ID };
            let slice = Slice { start: PageStart::Skip(0), size: 10 };
            let mut listed = store.list_users(tenant, &selection, slice).await.unwrap();
            listed.rows.pop().map(|user| (user.provisioned.user_name, user.provisioned.provisioned_active))
        };
        for number in [0, BATCH - 1, BATCH] {
            let (name, active) = found(&format!("gräfin {number}")).await.unwrap();
            assert_eq!((name.as_str(), active), (&*format!("User{number}"), Some(true)));
        }
        assert_eq!(found("Gräfin 0").await, None);
    }
}
