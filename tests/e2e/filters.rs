//! Filters and orders over the whole system, against the same evaluated in memory over what the system answers.

use std::{cmp::Ordering, collections::BTreeSet};

use case_key::CaseKey;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use reqwest::Method;
use rstest::rstest;
use scim::{
    AttributePath, Definition, Filter, ResourceType, Schemas, Sort,
    arbitrary::{bodies, filters},
    filter::{FILTER_DEPTH_MAX, FILTER_TERMS_MAX},
    schema::{Kind, UserAttribute, UserAttributeKind},
};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::harness::{
    Deployment::{self, ServePostgres, UpPostgres, UpSqlite},
    Rollcall,
};

/// How many users and groups there are, and how many filters are asked.
const USERS: usize = 60;
const GROUPS: usize = 6;
const FILTERS: usize = 400;

/// What is answered only to those who ask for it by name is asked for, so that it can be compared too.
const EVERYTHING_OF_USERS: &str = "userName,externalId,displayName,nickName,profileUrl,title,userType,preferredLanguage,locale,timezone,active,\
    name,emails,phoneNumbers,ims,photos,addresses,groups,entitlements,roles,x509Certificates,meta,\
    urn:ietf:params:scim:schemas:extension:enterprise:2.0:User,urn:rollcall:params:1.0:UserAttribute";
const EVERYTHING_OF_GROUPS: &str = "displayName,externalId,meta,members.value,members.display,members.type";

/// A tenant's own attributes, one of each kind.
const OWN: [(&str, &str, UserAttributeKind); 5] = [
    ("badge", "string", UserAttributeKind::String),
    ("shoeSize", "number", UserAttributeKind::Number),
    ("onSite", "boolean", UserAttributeKind::Boolean),
    ("skills", "string-list", UserAttributeKind::StringList),
    ("scores", "number-list", UserAttributeKind::NumberList),
];

/// They live as long as the tests: a definition that is borrowed for ever spares every strategy a lifetime.
fn schemas() -> &'static Schemas {
    static SCHEMAS: std::sync::LazyLock<Schemas> = std::sync::LazyLock::new(|| {
        Schemas::new(OWN.map(|(name, _, kind)| UserAttribute {
            name: name.to_owned(),
            kind,
            description: String::new(),
        }))
    });
    &SCHEMAS
}

struct World {
    rollcall: Rollcall,
    key: String,
    users: Vec<Map<String, Value>>,
    groups: Vec<Map<String, Value>>,
}

impl World {
    /// Random users and groups, as the system answers them.
    async fn filled(deployment: Deployment) -> Option<Self> {
        let (rollcall, key) = Rollcall::provisioned(deployment).await?;
        for (name, kind, _) in OWN {
            rollcall.succeed(&["user-attribute", "create", name, "--type", kind]);
        }
        let mut world = Self { rollcall, key, users: Vec::new(), groups: Vec::new() };
        let mut runner = TestRunner::deterministic();
        let (users, groups) = (bodies(schemas().of(ResourceType::User)), bodies(schemas().of(ResourceType::Group)));
        let mut ids = Vec::new();
        for number in 0..USERS {
            let mut body = users.new_tree(&mut runner).unwrap().current();
            body["userName"] = json!(format!("{}{number}", body["userName"].as_str().unwrap_or("User")));
            ids.push(world.create("/Users", &body).await);
        }
        for number in 0..GROUPS {
            let mut body = groups.new_tree(&mut runner).unwrap().current();
            body["displayName"] = json!(format!("{}{number}", body["displayName"].as_str().unwrap_or("Group")));
            let members = ids.iter().skip(number).step_by(GROUPS - number);
            body["members"] = members.map(|id| json!({"value": id})).collect();
            world.create("/Groups", &body).await;
        }
        world.users = world.listed(&format!("/Users?attributes={EVERYTHING_OF_USERS}")).await;
        world.groups = world.listed(&format!("/Groups?attributes={EVERYTHING_OF_GROUPS}")).await;
        assert_eq!((world.users.len(), world.groups.len()), (USERS, GROUPS));
        Some(world)
    }

    async fn create(&self, path: &str, body: &Value) -> String {
        let answer = self.rollcall.scim(&self.key, Method::POST, path, Some(body)).await;
        assert_eq!(answer.status, 201, "{body}: {answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    async fn listed(&self, path: &str) -> Vec<Map<String, Value>> {
        let answer = self.rollcall.scim(&self.key, Method::GET, &format!("{path}&count=1000"), None).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let resources = answer.json()["Resources"].as_array().unwrap().clone();
        resources.into_iter().map(|resource| resource.as_object().unwrap().clone()).collect()
    }

    fn of(&self, resource_type: ResourceType) -> &[Map<String, Value>] {
        match resource_type {
            ResourceType::User => &self.users,
            ResourceType::Group => &self.groups,
        }
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn id(resource: &Map<String, Value>) -> &str {
    resource["id"].as_str().unwrap()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn random_filters_find_in_sql_what_they_find_in_memory(#[values(UpSqlite, UpPostgres)] deployment: Deployment) {
    let Some(world) = World::filled(deployment).await else { return };
    let mut runner = TestRunner::deterministic();
    let mut found_some = 0;
    for resource_type in [ResourceType::User, ResourceType::Group] {
        let strategy = filters(schemas().of(resource_type), &[]);
        for _ in 0..FILTERS / if resource_type == ResourceType::User { 1 } else { 4 } {
            let filter: Filter<'_> = strategy.new_tree(&mut runner).unwrap().current();
            let text = filter.to_string();
            let matching = world.of(resource_type).iter().filter(|resource| filter.matches_resource(resource));
            let expected: BTreeSet<&str> = matching.map(id).collect();
            let path = format!("{}?attributes=id&filter={}", resource_type.endpoint(), encoded(&text));
            let listed = world.listed(&path).await;
            let found: BTreeSet<&str> = listed.iter().map(id).collect();
            assert_eq!(found, expected, "{text}\n{}", difference(&world, resource_type, &found, &expected));
            found_some += usize::from(!expected.is_empty() && expected.len() < world.of(resource_type).len());
        }
    }
    // A property over filters that all find nothing would show nothing.
    assert!(found_some > FILTERS / 3, "{found_some}");
}

fn difference(world: &World, resource_type: ResourceType, one: &BTreeSet<&str>, other: &BTreeSet<&str>) -> String {
    let differing = world.of(resource_type).iter().filter(|it| one.contains(id(it)) != other.contains(id(it)));
    differing.take(2).map(|it| Value::Object(it.clone()).to_string()).collect::<Vec<_>>().join("\n")
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn every_order_is_the_one_in_memory_by_index_and_by_cursor(
    #[values(UpSqlite, UpPostgres)] deployment: Deployment,
) {
    let Some(world) = World::filled(deployment).await else { return };
    for (resource_type, names) in [
        (
            ResourceType::User,
            vec![
                "id",
                "userName",
                "externalId",
                "displayName",
                "active",
                "meta.created",
                "meta.lastModified",
                "title",
                "name.familyName",
                "emails",
                "addresses.country",
                "photos.value",
                "roles.primary",
                "urn:rollcall:params:1.0:UserAttribute:shoeSize",
                "urn:rollcall:params:1.0:UserAttribute:badge",
                "urn:rollcall:params:1.0:UserAttribute:onSite",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
            ],
        ),
        (ResourceType::Group, vec!["id", "displayName", "externalId", "meta.lastModified"]),
    ] {
        for name in names {
            for order in ["ascending", "descending"] {
                let definition = schemas().of(resource_type);
                let expected = sorted(&world, definition, name, order);
                let sort = format!("{}?attributes=id&sortBy={name}&sortOrder={order}", resource_type.endpoint());
                let listed = world.listed(&sort).await;
                assert_eq!(listed.iter().map(id).collect::<Vec<_>>(), expected, "{name} {order}");
                assert_eq!(by_cursor(&world, &sort).await, expected, "{name} {order}, by cursor");
                assert_eq!(by_index(&world, &sort).await, expected, "{name} {order}, by index");
            }
        }
    }
}

async fn by_cursor(world: &World, sort: &str) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("{sort}&count=7&cursor={cursor}");
        let page = world.rollcall.scim(&world.key, Method::GET, &path, None).await.json();
        seen.extend(page["Resources"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = encoded(next),
            None => return seen,
        }
    }
}

async fn by_index(world: &World, sort: &str) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let path = format!("{sort}&count=11&startIndex={}", seen.len() + 1);
        let page = world.rollcall.scim(&world.key, Method::GET, &path, None).await.json();
        seen.extend(page["Resources"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        if seen.len() as u64 >= page["totalResults"].as_u64().unwrap() {
            return seen;
        }
    }
}

/// What counts of a resource in an order: of several values the primary one, else the first (RFC 7644 section 3.4.2.3).
fn sort_value<'r>(resource: &'r Map<String, Value>, path: &AttributePath<'_>) -> Option<&'r Value> {
    let container = match path.extension {
        Some(extension) => resource.get(extension.id)?.as_object()?,
        None => resource,
    };
    let value = container.get(&*path.attribute.name)?;
    let element = match value {
        Value::Array(elements) => {
            elements.iter().find(|element| element["primary"] == json!(true)).or_else(|| elements.first())?
        }
        single => single,
    };
    path.sub_attribute.map_or(Some(element), |sub| element.get(&*sub.name))
}

fn compared(path: &AttributePath<'_>, one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        // Not as text: a fraction of a second is written without its last zeros.
        (Value::String(one), Value::String(other)) if path.leaf().kind == Kind::DateTime => {
            let time = |text: &str| OffsetDateTime::parse(text, &Rfc3339).unwrap();
            time(one).cmp(&time(other))
        }
        (Value::String(one), Value::String(other)) if path.leaf().case_exact => one.cmp(other),
        (Value::String(one), Value::String(other)) => CaseKey::of(one).as_str().cmp(CaseKey::of(other).as_str()),
        (Value::Number(one), Value::Number(other)) => one.as_f64().partial_cmp(&other.as_f64()).unwrap(),
        (one, other) => one.as_bool().cmp(&other.as_bool()),
    }
}

/// The ids in order; those without a value come last, and the whole is turned round for the descending order.
fn sorted(world: &World, definition: Definition<'_>, name: &str, order: &str) -> Vec<String> {
    let Sort { path, descending } = Sort::from_query(definition, Some(name), Some(order)).unwrap().unwrap();
    let mut resources: Vec<&Map<String, Value>> = world.of(definition.resource_type()).iter().collect();
    resources.sort_by(|one, other| {
        let by_value = match (sort_value(one, &path), sort_value(other, &path)) {
            (Some(one), Some(other)) => compared(&path, one, other),
            (one, other) => one.is_none().cmp(&other.is_none()),
        };
        by_value.then_with(|| id(one).cmp(id(other)))
    });
    if descending {
        resources.reverse();
    }
    resources.into_iter().map(|resource| id(resource).to_owned()).collect()
}

/// The bounds of a filter are those of RFC 7644's text; what a filter within them becomes on its way to the database has bounds of its own.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_deepest_and_the_longest_filters_are_answered(
    #[values(UpSqlite, UpPostgres, ServePostgres)] deployment: Deployment,
) {
    let Some((rollcall, key)) = Rollcall::provisioned(deployment).await else { return };
    let user = json!({"userName": "ada", "emails": [{"type": "work", "value": "ada@example.org"}]});
    assert_eq!(rollcall.scim(&key, Method::POST, "/Users", Some(&user)).await.status, 201);
    let innermost = r#"emails[type eq "home" or value pr and not (type ne "work")]"#.to_owned();
    // Two levels stand within the innermost already.
    let levels = FILTER_DEPTH_MAX - 2;
    let nested = |inner: String, _| format!(r#"not (title pr or userName ne "x" and {inner})"#);
    let deepest = (0..levels).fold(innermost, nested);
    let names: Vec<String> = (0..FILTER_TERMS_MAX).map(|at| format!("roles.value ne \"{at}\"")).collect();
    let elements: Vec<String> = (0..FILTER_TERMS_MAX / 2).map(|at| format!("emails[value eq \"{at}\"]")).collect();
    for filter in [deepest, names.join(" and "), names.join(" or "), elements.join(" or ")] {
        let path = format!("/Users?attributes=userName&filter={}", encoded(&filter));
        let answer = rollcall.scim(&key, Method::GET, &path, None).await;
        assert_eq!(answer.status, 200, "{filter}: {answer:?}");
    }
}
