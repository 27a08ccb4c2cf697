//! What a directory matches on is answered by an index, whatever else the filter asks, in a tenant of 20,000 users.

use database::testing::Engine::{self, Postgres, Sqlite};
use ids::UserId;
use rstest::rstest;
use sea_orm::{
    ConnectionTrait, DbBackend, QueryTrait, Statement,
    sea_query::{Condition, SelectStatement},
};

use super::{
    World, catalogue,
    filters::{Asked, all, by, element, equals, is},
};
use crate::{
    domain::{Order, Selection, TextOperator, Timestamp},
    store::{change_retention, changes, listing::List, resource::Subject, user_rows},
};

const POSTGRES: &str = "INSERT INTO users (tenant_id, id, user_name, user_name_key, external_id, display_name, display_name_key,
        provisioned_active, profile, search, version, created_at_us, updated_at_us)
    SELECT $1, gen_random_uuid(), 'u' || n, 'u' || n, 'e' || n, 'd' || n, 'd' || n, true, '{}',
        jsonb_build_object('title', 't' || n % 7, 'emails', jsonb_build_array(jsonb_build_object('value', 'm' || n))), 1, n, n
    FROM generate_series(1, 20000) AS n";
const SQLITE: &str = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 20000)
    INSERT INTO users (tenant_id, id, user_name, user_name_key, external_id, display_name, display_name_key,
        provisioned_active, profile, search, version, created_at_us, updated_at_us)
    SELECT $1, randomblob(16), 'u' || n, 'u' || n, 'e' || n, 'd' || n, 'd' || n, true, '{}',
        json_object('title', 't' || n % 7, 'emails', json_array(json_object('value', 'm' || n))), 1, n, n FROM s";
const EMAILS: &str = "INSERT INTO user_emails (tenant_id, user_id, ordinal, value_key)
    SELECT tenant_id, id, 0, 'm' || created_at_us FROM users WHERE tenant_id = $1 AND created_at_us <= 20000";

/// A statement that fills a tenant, on each engine.
pub(super) struct Filled {
    pub(super) postgres: &'static str,
    pub(super) sqlite: &'static str,
}

pub(super) const FILLED: Filled = Filled {
    postgres: "INSERT INTO users (tenant_id, id, user_name, user_name_key, provisioned_active, profile, version, created_at_us, updated_at_us)
        SELECT $1, gen_random_uuid(), 'u' || n, 'u' || n, true, '{}', 1, n, n FROM generate_series(1, 1700) AS n",
    sqlite: "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 1700)
        INSERT INTO users (tenant_id, id, user_name, user_name_key, provisioned_active, profile, version, created_at_us, updated_at_us)
        SELECT $1, randomblob(16), 'u' || n, 'u' || n, true, '{}', 1, n, n FROM s",
};

impl Filled {
    pub(super) const fn of(&self, engine: Engine) -> &'static str {
        match engine {
            Sqlite => self.sqlite,
            Postgres => self.postgres,
        }
    }
}

impl World {
    /// Statements with the tenant as their one value.
    pub(super) async fn run(&self, statements: &[&'static str]) {
        let (tenant, statements) = (self.tenant.uuid(), statements.to_vec());
        let done = self.store.database.write(move |tx| {
            let statements = statements.clone();
            Box::pin(async move {
                for sql in &statements {
                    let engine = tx.get_database_backend();
                    let values = sql.contains("$1").then(|| tenant.into());
                    tx.execute_raw(Statement::from_sql_and_values(engine, *sql, values)).await?;
                }
                Ok::<_, database::Error<()>>(())
            })
        });
        done.await.unwrap();
    }

    /// How the engine finds the first page.
    async fn plan(&self, filter: Option<Asked>, order: Order) -> String {
        let filter = filter.map(|filter| filter.build(&|path| catalogue().field(path).unwrap()));
        let selection = Selection { filter, order };
        let db = self.store.database.read();
        let list = List::new(db.clone(), self.tenant, Subject::User, &selection);
        let mut select = user_rows::rows(self.tenant);
        list.choose(&mut select, Condition::all(), 100);
        self.explained(&select).await
    }

    /// How the engine finds what a statement selects.
    async fn explained(&self, select: &SelectStatement) -> String {
        let db = self.store.database.read();
        let engine = db.get_database_backend();
        let mut statement = engine.build(select);
        let explain = if engine == DbBackend::Postgres { "EXPLAIN" } else { "EXPLAIN QUERY PLAN" };
        statement.sql = format!("{explain} {}", statement.sql);
        let rows = db.query_all_raw(statement).await.unwrap();
        let line = |row: &sea_orm::QueryResult| {
            if engine == DbBackend::Postgres { row.try_get_by_index(0) } else { row.try_get("", "detail") }
        };
        rows.iter().map(|row| line(row).unwrap()).collect::<Vec<String>>().join("\n")
    }
}

/// Whether a plan looks at every user of the tenant: a scan, or a walk of an index by the tenant alone.
fn walks(engine: Engine, plan: &str) -> bool {
    let lines: Vec<&str> = plan.lines().chain([""]).map(str::trim).collect();
    lines.windows(2).any(|lines| match engine {
        Sqlite => {
            let line = lines[0];
            line.starts_with("SCAN users") || line.starts_with("SEARCH users") && line.ends_with("(tenant_id=?)")
        }
        Postgres => {
            let by_tenant = lines[1].starts_with("Index Cond: (tenant_id = ") && !lines[1].contains(" AND ");
            lines[0].contains("Seq Scan on user")
                || lines[0].contains("Scan") && lines[0].contains("on users") && by_tenant
        }
    })
}

#[rstest]
#[tokio::test]
async fn match_attributes_find_the_few_rows_that_all_else_is_asked_of(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    world
        .run(if engine == Postgres {
            &[POSTGRES, EMAILS, "ANALYZE users", "ANALYZE user_emails"]
        } else {
            &[SQLITE, EMAILS]
        })
        .await;
    let contains = |field: &'static str, text: &str| Asked::Text(field, TextOperator::Contains, text.into());
    let email = |value: &str| element("profile.emails", equals("value", value));
    let id = UserId::generate();
    for matched in [
        is("id", id),
        equals("user_name", "u77"),
        equals("external_id", "e77"),
        equals("display_name", "d77"),
        email("m77"),
        element("profile.emails", all(vec![equals("value", "m77"), equals("type", "work"), contains("display", "x")])),
        element("profile.emails", Asked::Any(vec![equals("value", "m77"), equals("value", "m78")])),
        Asked::Any(vec![equals("user_name", "u77"), is("id", id)]),
        Asked::Any(vec![equals("external_id", "e77"), all(vec![contains("profile.title", "t"), email("m77")])]),
        element("groups", is("group_id", id)),
        element("groups", Asked::Any(vec![is("group_id", id), equals("display_name", "g")])),
    ] {
        let manager = equals("profile.enterprise.manager_id", "m");
        for filter in [
            matched.clone(),
            all(vec![matched.clone(), manager]),
            all(vec![contains("profile.title", "t"), matched.clone()]),
            all(vec![Asked::Not(Box::new(email("m1"))), Asked::Present("groups"), matched.clone()]),
        ] {
            let plan = world.plan(Some(filter.clone()), Order::BY_ID).await;
            assert!(!walks(engine, &plan), "{filter:?}\n{plan}");
            let plan = world.plan(Some(filter.clone()), by("profile.title", true)).await;
            assert!(!walks(engine, &plan), "{filter:?}\n{plan}");
        }
    }
    // The test can tell a walk.
    let plan = world.plan(Some(contains("profile.title", "t")), Order::BY_ID).await;
    assert!(walks(engine, &plan), "{plan}");
    let prefix = |text: &str| Asked::Text("user_name", TextOperator::StartsWith, text.into());
    let plan = world.plan(Some(prefix("u777")), by("user_name", false)).await;
    assert!(!walks(engine, &plan) && plan.contains("user_name"), "{plan}");
}

#[rstest]
#[tokio::test]
async fn names_and_times_are_ordered_by_an_index(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    world.run(if engine == Postgres { &[POSTGRES, "ANALYZE users"] } else { &[SQLITE] }).await;
    for path in ["id", "user_name", "create_time", "update_time"] {
        for descending in [false, true] {
            let plan = world.plan(None, by(path, descending)).await;
            let sorts = plan.contains("Sort  (") || plan.contains("B-TREE FOR ORDER BY");
            assert!(!sorts, "{path} {descending}\n{plan}");
        }
    }
}

const CHANGES_POSTGRES: &str = "INSERT INTO changes (tenant_id, position, at_us, kind, subject_id, version, actor)
    SELECT $1, n, n, 'user.changed', gen_random_uuid(), n, 'key:k' FROM generate_series(100, 20000) AS n";
const CHANGES_SQLITE: &str = "WITH RECURSIVE s(n) AS (SELECT 100 UNION ALL SELECT n + 1 FROM s WHERE n < 20000)
    INSERT INTO changes (tenant_id, position, at_us, kind, subject_id, version, actor)
    SELECT $1, n, n, 'user.changed', randomblob(16), n, 'key:k' FROM s";

#[rstest]
#[tokio::test]
async fn changes_are_found_by_their_positions_however_many_are_kept(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    world.run(if engine == Postgres { &[CHANGES_POSTGRES, "ANALYZE changes"] } else { &[CHANGES_SQLITE] }).await;
    let page = changes::page(world.tenant.uuid(), (19_000, 20_000)).into_query();
    for select in
        [page, changes::consumers(world.tenant.uuid()), change_retention::tenants_with_old_changes(Timestamp(500))]
    {
        let plan = world.explained(&select).await;
        assert!(!plan.contains("Seq Scan on changes") && !plan.contains("SCAN changes"), "{plan}");
    }
}

const GROUPS_POSTGRES: &[&str] = &[
    POSTGRES,
    "INSERT INTO groups (tenant_id, id, display_name, display_name_key, version, created_at_us, updated_at_us)
        SELECT $1, gen_random_uuid(), 'g' || n, 'g' || n, 1, n, n FROM generate_series(1, 5000) AS n",
    "INSERT INTO memberships (tenant_id, group_id, user_id)
        SELECT groups.tenant_id, groups.id, users.id FROM groups
        JOIN users ON users.tenant_id = groups.tenant_id AND users.created_at_us % 5000 = groups.created_at_us % 5000
        WHERE groups.tenant_id = $1",
    "INSERT INTO role_mappings (tenant_id, id, role, group_id, created_by, created_at_us)
        SELECT tenant_id, id, 'developer', id, 'key:k', 1 FROM groups WHERE tenant_id = $1 AND created_at_us <= 20",
    "INSERT INTO role_mappings (tenant_id, id, role, group_name, group_name_key, created_by, created_at_us)
        SELECT tenant_id, id, 'viewer', display_name, display_name_key, 'key:k', 1 FROM groups
        WHERE tenant_id = $1 AND created_at_us BETWEEN 21 AND 40",
    "INSERT INTO directory_roles (tenant_id, user_id, role_key, assigned_by, assigned_at_us)
        SELECT tenant_id, id, 'developer', 'key:k', 1 FROM users WHERE tenant_id = $1",
    "ANALYZE users",
    "ANALYZE groups",
    "ANALYZE memberships",
    "ANALYZE role_mappings",
    "ANALYZE directory_roles",
];
const GROUPS_SQLITE: &[&str] = &[
    SQLITE,
    "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 5000)
        INSERT INTO groups (tenant_id, id, display_name, display_name_key, version, created_at_us, updated_at_us)
        SELECT $1, randomblob(16), 'g' || n, 'g' || n, 1, n, n FROM s",
    "INSERT INTO role_mappings (tenant_id, id, role, group_id, created_by, created_at_us)
        SELECT tenant_id, id, 'developer', id, 'key:k', 1 FROM groups WHERE tenant_id = $1 AND created_at_us <= 20",
];

#[rstest]
#[tokio::test]
async fn d06_the_role_of_each_user_of_a_page_is_found_by_indexes(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    world.run(if engine == Postgres { GROUPS_POSTGRES } else { GROUPS_SQLITE }).await;
    let db = world.store.database.read();
    let selection = Selection { filter: None, order: Order::BY_ID };
    let list = List::new(db.clone(), world.tenant, Subject::User, &selection);
    let mut select = user_rows::select(db.get_database_backend(), world.tenant);
    list.choose(&mut select, Condition::all(), 100);
    let plan = world.explained(&select).await;
    for table in ["role_assignments", "directory_roles", "groups", "memberships"] {
        assert!(!plan.contains(&format!("Seq Scan on {table}")), "{table}\n{plan}");
    }
    for alias in ["manual", "given", "mapped", "named", "joined"] {
        let walked = |line: &str| {
            line.starts_with(&format!("SCAN {alias}"))
                || line.starts_with(&format!("SEARCH {alias}")) && line.ends_with("(tenant_id=?)")
        };
        assert!(!plan.lines().any(walked), "{alias}\n{plan}");
    }
}
