//! What SQL answers is what the rules say: random filters and orders over random users, beside a plain evaluation of them in memory.

use std::{cmp::Ordering, collections::BTreeSet};

use database::testing::Engine::{self, Postgres, Sqlite};
use ids::UserId;
use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any, prop_oneof},
    sample::select,
    strategy::ValueTree,
    test_runner::TestRunner,
};
use rstest::rstest;
use serde_json::{Value, json};

use super::{World, filters::Asked, user};
use crate::domain::{
    Address, AttributeName, AttributeType, AttributeValue, AttributeValues, CaseKey, Catalogue, ContactPoint,
    DisplayName, Enterprise, ExternalId, Order, OrderBy, PageStart, PersonName, Profile, Relation, Selection, Slice,
    TextOperator, UserAttributeDraft, UserDraft,
};

const USERS: usize = 40;
const FILTERS: usize = 300;
const ORDERS: usize = 60;

/// Few, so that they meet, and odd: case that changes length, marks, what SQL and JSON write otherwise.
const WORDS: &[&str] = &[
    "a",
    "A",
    "ab",
    "aB c",
    "ß",
    "ẞ",
    "SS",
    "İ",
    "i\u{307}",
    "ı",
    "é",
    "E\u{301}",
    "ǅ",
    "ﬀ",
    "%",
    "_",
    "\\",
    "\"",
    "'",
    "$.a",
    "😀",
    "a\u{10ffff}",
    "\u{10ffff}",
    "\u{1}",
    " ",
    "z",
    "Ω",
    "\u{2126}",
    "{}",
    "true",
    "1",
];
const NUMBERS: &[f64] = &[
    0.0,
    -0.0,
    1.0,
    0.1,
    0.3,
    0.1 + 0.2,
    -7.5,
    1e15,
    123_456_789.123_456_78,
    1e300,
    -1e300,
    5e-324,
    2.2250738585072014e-308,
];

const TEXTS: &[&str] = &[
    "user_name",
    "external_id",
    "display_name",
    "profile.name.given_name",
    "profile.nick_name",
    "profile.profile_url",
    "profile.title",
    "profile.enterprise.manager_id",
    "profile.enterprise.department",
    "user_attributes.word",
    "user_attributes.skills",
];
const BOOLEANS: &[&str] = &["provisioned_active", "user_attributes.remote"];
const NUMERIC: &[&str] = &["user_attributes.floor", "user_attributes.rooms"];
const OBJECTS: &[&str] = &["profile.name", "profile.enterprise", "user_attributes"];
const CONTACTS: &[&str] = &["profile.emails", "profile.photos"];
/// The fields whose texts compare with case.
const EXACT: &[&str] = &["external_id", "profile.profile_url", "profile.photos.value", "profile.enterprise.manager_id"];

fn word() -> impl Strategy<Value = String> + Clone {
    vec(select(WORDS), 1..3).prop_map(|words| words.concat())
}

fn contacts() -> impl Strategy<Value = Vec<ContactPoint>> {
    let point = (option::of(word()), option::of(word()), option::of(any::<bool>()))
        .prop_map(|(value, kind, primary)| ContactPoint { value, display: None, kind, primary });
    vec(point, 0..4)
}

fn profile() -> impl Strategy<Value = Profile> {
    let texts = vec(option::of(word()), 6);
    let addresses = vec(option::of(word()).prop_map(|country| Address { country, ..Address::default() }), 0..2);
    (texts, contacts(), contacts(), addresses).prop_map(|(mut texts, emails, photos, addresses)| {
        let mut text = || texts.pop().flatten();
        let (given_name, manager_id, department) = (text(), text(), text());
        Profile {
            name: given_name.is_some().then(|| PersonName { given_name, ..PersonName::default() }),
            enterprise: (manager_id.is_some() || department.is_some()).then(|| Enterprise {
                manager_id,
                department,
                ..Enterprise::default()
            }),
            nick_name: text(),
            profile_url: text(),
            title: text(),
            emails,
            photos,
            addresses,
            ..Profile::default()
        }
    })
}

fn attributes() -> impl Strategy<Value = AttributeValues> {
    let number = || select(NUMBERS);
    let values = (
        option::of(word().prop_map(AttributeValue::Text)),
        option::of(number().prop_map(AttributeValue::Number)),
        option::of(any::<bool>().prop_map(AttributeValue::Boolean)),
        option::of(vec(word(), 1..4).prop_map(AttributeValue::Texts)),
        option::of(vec(number(), 1..4).prop_map(AttributeValue::Numbers)),
    );
    values.prop_map(|(word, floor, remote, skills, rooms)| {
        [("word", word), ("floor", floor), ("remote", remote), ("skills", skills), ("rooms", rooms)]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    })
}

fn draft() -> impl Strategy<Value = UserDraft> {
    (option::of(word()), option::of(word()), option::of(any::<bool>()), profile(), attributes()).prop_map(
        |(external_id, display_name, provisioned_active, profile, attributes)| UserDraft {
            external_id: external_id.map(|id| ExternalId::parse(id).unwrap()),
            display_name: display_name.map(|name| DisplayName::parse(name).unwrap()),
            provisioned_active,
            profile,
            attributes,
            ..user("to be named")
        },
    )
}

fn relation() -> impl Strategy<Value = Relation> {
    use Relation::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    select(&[Equal, Greater, GreaterOrEqual, Less, LessOrEqual][..])
}

fn text_term(fields: &'static [&'static str]) -> impl Strategy<Value = Asked> {
    use TextOperator::{Contains, EndsWith, Is, StartsWith};
    let operator = prop_oneof![relation().prop_map(Is), select(&[Contains, StartsWith, EndsWith][..])];
    (select(fields), operator, word()).prop_map(|(field, operator, text)| Asked::Text(field, operator, text))
}

fn within(leaf: impl Strategy<Value = Asked> + 'static, depth: u32) -> impl Strategy<Value = Asked> {
    leaf.prop_recursive(depth, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..4).prop_map(Asked::All),
            vec(inner.clone(), 1..4).prop_map(Asked::Any),
            inner.prop_map(|filter| Asked::Not(Box::new(filter))),
        ]
    })
}

fn filter(groups: Vec<UserId>) -> impl Strategy<Value = Asked> {
    let contact = within(
        prop_oneof![
            4 => text_term(&["value", "type"]),
            1 => any::<bool>().prop_map(|truth| Asked::Boolean("primary", truth)),
            1 => select(&["value", "display", "type", "primary"][..]).prop_map(Asked::Present),
        ],
        2,
    );
    let group = within(
        prop_oneof![
            text_term(&["display_name"]),
            option::of(select(groups)).prop_map(|group| Asked::Id("group_id", group)),
            Just(Asked::Present("display_name")),
        ],
        2,
    );
    let element = |list: &'static str| move |filter: Asked| Asked::Element(list, Box::new(filter));
    let country = text_term(&["country"]).prop_map(element("profile.addresses"));
    let contact = (select(CONTACTS), contact).prop_map(|(list, filter)| Asked::Element(list, Box::new(filter)));
    let presence = [TEXTS, BOOLEANS, NUMERIC, OBJECTS, CONTACTS, &["id", "groups", "profile.addresses", "profile.ims"]];
    let leaf = prop_oneof![
        6 => text_term(TEXTS),
        1 => (select(BOOLEANS), any::<bool>()).prop_map(|(field, truth)| Asked::Boolean(field, truth)),
        2 => (select(NUMERIC), relation(), select(NUMBERS)).prop_map(|(field, relation, number)| Asked::Number(field, relation, number)),
        2 => select(presence.concat()).prop_map(Asked::Present),
        3 => contact,
        1 => group.prop_map(element("groups")),
        1 => country,
    ];
    within(leaf, 4)
}

/// A value of a user as the rules see it.
fn at<'v>(root: &'v Value, path: &str) -> &'v Value {
    path.split('.').fold(root, |value, key| &value[key])
}

fn key(path: &str, text: &str) -> String {
    if EXACT.contains(&path) { text.to_owned() } else { CaseKey::of(text).into_string() }
}

fn related(ordering: Option<Ordering>, relation: Relation) -> bool {
    ordering.is_some_and(|ordering| match relation {
        Relation::Equal => ordering.is_eq(),
        Relation::Greater => ordering.is_gt(),
        Relation::GreaterOrEqual => ordering.is_ge(),
        Relation::Less => ordering.is_lt(),
        Relation::LessOrEqual => ordering.is_le(),
    })
}

/// One value, or each of a list.
fn each(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |list| list.iter().collect())
}

fn holds(asked: &Asked, root: &Value, list: &str) -> bool {
    match asked {
        Asked::All(filters) => filters.iter().all(|filter| holds(filter, root, list)),
        Asked::Any(filters) => filters.iter().any(|filter| holds(filter, root, list)),
        Asked::Not(filter) => !holds(filter, root, list),
        Asked::Present(path) => match at(root, path) {
            Value::Null => false,
            Value::Array(list) => !list.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            Value::String(text) => !text.is_empty(),
            Value::Bool(_) | Value::Number(_) => true,
        },
        Asked::Text(path, operator, text) => {
            let whole = format!("{list}{path}");
            let wanted = key(&whole, text);
            each(at(root, path)).into_iter().filter_map(Value::as_str).map(|value| key(&whole, value)).any(|value| {
                match operator {
                    TextOperator::Is(relation) => related(Some(value.as_bytes().cmp(wanted.as_bytes())), *relation),
                    TextOperator::Contains => value.contains(&wanted),
                    TextOperator::StartsWith => value.starts_with(&wanted),
                    TextOperator::EndsWith => value.ends_with(&wanted),
                }
            })
        }
        Asked::Id(path, id) => id.is_some_and(|id| at(root, path) == &json!(id.to_string())),
        Asked::Boolean(path, truth) => at(root, path) == &Value::Bool(*truth),
        Asked::Number(path, relation, number) => each(at(root, path))
            .into_iter()
            .filter_map(Value::as_f64)
            .any(|value| related(value.partial_cmp(number), *relation)),
        Asked::Time(..) => panic!("tested elsewhere"),
        Asked::Element(path, filter) => {
            let elements = at(root, path).as_array().into_iter().flatten();
            elements.into_iter().any(|element| holds(filter, element, &format!("{path}.")))
        }
    }
}

/// What a list orders a user by.
fn ordered_by(root: &Value, path: &str) -> Value {
    let value = match path.rsplit_once('.') {
        Some((list, name)) if at(root, list).is_array() => {
            let elements = at(root, list).as_array().unwrap();
            let primary = elements.iter().find(|element| element["primary"] == true);
            primary.or(elements.first()).map_or(&Value::Null, |element| &element[name])
        }
        _ => at(root, path),
    };
    value.as_str().map_or_else(|| value.clone(), |text| Value::String(key(path, text)))
}

fn in_order(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::String(left), Value::String(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Number(left), Value::Number(right)) => left.as_f64().partial_cmp(&right.as_f64()).unwrap(),
        (left, right) => left.is_null().cmp(&right.is_null()),
    }
}

/// A user as it is stored, and as the rules see it.
struct Person {
    name: String,
    seen: Value,
}

/// Users in the order of their ids, and the ids of groups that some of them are in.
async fn people(world: &World, runner: &mut TestRunner) -> (Vec<Person>, Vec<UserId>) {
    for (name, kind) in [
        ("word", AttributeType::Text),
        ("floor", AttributeType::Number),
        ("remote", AttributeType::Boolean),
        ("skills", AttributeType::Texts),
        ("rooms", AttributeType::Numbers),
    ] {
        let name = AttributeName::parse(name.to_owned()).unwrap();
        let draft = UserAttributeDraft { name, kind, description: String::new() };
        world.store.create_user_attribute(&world.administrator(), draft).await.unwrap();
    }
    let mut created = Vec::new();
    for number in 0..USERS {
        let draft = draft().new_tree(runner).unwrap().current();
        // Unlike each other without case, and like nothing else.
        let name = user(&format!("{}{number}", WORDS[number % WORDS.len()])).user_name;
        let draft = UserDraft { user_name: name, ..draft };
        let user = world.store.create_user(&world.directory(), draft.clone()).await.unwrap();
        if draft.provisioned_active.is_none() {
            let replace = crate::store::ReplaceUser { user: user.id, draft, expected_version: None };
            world.store.replace_user(&world.directory(), replace).await.unwrap();
        }
        created.push(user.id);
    }
    let mut groups = Vec::new();
    for (number, name) in ["ß", "Ab", "É%"].into_iter().enumerate() {
        let members: Vec<String> = created.iter().skip(number).step_by(number + 2).map(ToString::to_string).collect();
        groups.push((UserId::from(world.group(name, &members).await.id.uuid()), name, members));
    }
    let mut people = Vec::new();
    for id in created {
        let user = world.store.user(world.tenant, id).await.unwrap();
        let said = user.provisioned;
        let of = groups.iter().filter(|(.., members)| members.contains(&id.to_string()));
        let of: Vec<Value> =
            of.map(|(group, name, _)| json!({"group_id": group.to_string(), "display_name": name})).collect();
        let seen = json!({
            "id": id.to_string(),
            "user_name": said.user_name.as_str(),
            "external_id": said.external_id.as_ref().map(ExternalId::as_str),
            "display_name": said.display_name.as_ref().map(DisplayName::as_str),
            "provisioned_active": said.provisioned_active,
            "profile": said.profile,
            "user_attributes": said.attributes,
            "groups": of,
        });
        people.push(Person { name: said.user_name.as_str().to_owned(), seen });
    }
    (people, groups.into_iter().map(|(group, ..)| group).collect())
}

#[rstest]
#[tokio::test]
async fn d05_sql_and_memory_agree_on_random_filters(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let mut runner = TestRunner::deterministic();
    let (people, groups) = people(&world, &mut runner).await;
    let defined = world.store.user_attributes(world.tenant).await.unwrap();
    let filters = filter(groups);
    let (mut found, mut sizes) = (0, BTreeSet::new());
    for _ in 0..FILTERS {
        let asked = filters.new_tree(&mut runner).unwrap().current();
        let filter = asked.build(&|path| Catalogue::Users(&defined).field(path).unwrap());
        let selection = Selection { filter: Some(filter), order: Order::BY_ID };
        let slice = Slice { start: PageStart::Skip(0), size: 1000 };
        let listed = world.store.list_users(world.tenant, &selection, slice).await.unwrap();
        let answered: Vec<&str> = listed.rows.iter().map(|user| user.provisioned.user_name.as_str()).collect();
        let expected = people.iter().filter(|person| holds(&asked, &person.seen, ""));
        let expected: Vec<&str> = expected.map(|person| person.name.as_str()).collect();
        assert_eq!(answered, expected, "{asked:?}");
        found += expected.len();
        sizes.insert(expected.len());
    }
    // The filters were neither all false nor all true.
    assert!(found > FILTERS && sizes.len() > USERS / 2, "{found} {sizes:?}");
}

#[rstest]
#[tokio::test]
async fn d05_sql_and_memory_agree_on_orders(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let mut runner = TestRunner::deterministic();
    let (mut people, _) = people(&world, &mut runner).await;
    let defined = world.store.user_attributes(world.tenant).await.unwrap();
    let catalogue = Catalogue::Users(&defined);
    let elements =
        ["profile.emails.value", "profile.photos.value", "profile.emails.primary", "profile.addresses.country"];
    let skills = "user_attributes.skills";
    let single = TEXTS.iter().chain(BOOLEANS).copied().filter(|path| *path != skills);
    let paths: Vec<&str> = single.chain(elements).chain(["user_attributes.floor"]).collect();
    let orders = (select(paths), any::<bool>(), 1..9_u64);
    for _ in 0..ORDERS {
        let (path, descending, size) = orders.new_tree(&mut runner).unwrap().current();
        let by = catalogue.field(path).map(OrderBy::Field);
        let by = by.or_else(|| catalogue.through_list(path).map(|(list, field)| OrderBy::Element { list, field }));
        let selection = Selection { filter: None, order: Order { by: by.unwrap(), descending } };
        let (mut answered, mut start) = (Vec::new(), PageStart::Skip(0));
        loop {
            let page = world.store.list_users(world.tenant, &selection, Slice { start, size }).await.unwrap();
            answered.extend(page.rows.iter().map(|user| user.provisioned.user_name.as_str().to_owned()));
            let Some(next) = page.next else { break };
            start = PageStart::After(next);
        }
        people.sort_by(|left, right| {
            let by_value = in_order(&ordered_by(&left.seen, path), &ordered_by(&right.seen, path));
            by_value.then_with(|| left.seen["id"].as_str().cmp(&right.seen["id"].as_str()))
        });
        if descending {
            people.reverse();
        }
        assert_eq!(answered, people.iter().map(|person| &*person.name).collect::<Vec<_>>(), "{path} {descending}");
    }
}
