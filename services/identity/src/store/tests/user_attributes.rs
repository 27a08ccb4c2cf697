//! A tenant's own attributes of users: defined, given values, asked for, taken back.

use database::testing::Engine::{self, Postgres, Sqlite};
use rstest::rstest;

use super::{World, filters::by, user};
use crate::{
    domain::{
        AttributeName, AttributeType, AttributeValue, AttributeValues, Catalogue, Comparison, Error, Filter,
        InvalidField, Order, OrderBy, PageStart, Relation, Selection, Slice, TextOperator, USER_ATTRIBUTES_MAX, User,
        UserAttributeDraft, UserDraft,
    },
    store::{DeleteUser, ReplaceUser},
};

fn definition(name: &str, kind: AttributeType) -> UserAttributeDraft {
    let name = AttributeName::parse(name.to_owned()).unwrap();
    UserAttributeDraft { name, kind, description: "about".to_owned() }
}

fn with(name: &str, values: &[(&str, AttributeValue)]) -> UserDraft {
    let attributes = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    UserDraft { attributes, ..user(name) }
}

fn word(text: &str) -> AttributeValue {
    AttributeValue::Text(text.to_owned())
}

impl World {
    async fn define(&self, name: &str, kind: AttributeType) {
        self.store.create_user_attribute(&self.administrator(), definition(name, kind)).await.unwrap();
    }

    async fn create(&self, draft: UserDraft) -> Result<User, Error> {
        self.store.create_user(&self.directory(), draft).await
    }

    async fn having(&self, path: &str, comparison: Option<Comparison>) -> Vec<String> {
        let defined = self.store.user_attributes(self.tenant).await.unwrap();
        let field = Catalogue::Users(&defined).field(path).unwrap();
        let filter = Some(match comparison {
            Some(comparison) => Filter::Compare(field, comparison),
            None => Filter::Present(field),
        });
        let slice = Slice { start: PageStart::Skip(0), size: 1000 };
        let selection = Selection { filter, order: Order::BY_ID };
        let listed = self.store.list_users(self.tenant, &selection, slice).await.unwrap();
        listed.rows.iter().map(|user| user.provisioned.user_name.as_str().to_owned()).collect()
    }
}

#[rstest]
#[tokio::test]
async fn values_are_stored_under_the_defined_name_and_checked_against_its_type(
    #[values(Sqlite, Postgres)] engine: Engine,
) {
    let Some(world) = World::open(engine).await else { return };
    world.define("Badge", AttributeType::Text).await;
    let ada = world.create(with("ada", &[("bADGE", word("X1"))])).await.unwrap();
    assert_eq!(ada.provisioned, with("ada", &[("Badge", word("X1"))]));
    // The same under another spelling changes nothing.
    let again = ReplaceUser { user: ada.id, draft: with("ada", &[("BADGE", word("X1"))]), expected_version: None };
    assert_eq!(world.store.replace_user(&world.directory(), again).await.unwrap().version, 1);
    for bad in [with("bob", &[("Floor", word("2"))]), with("bob", &[("Badge", AttributeValue::Number(1.0))])] {
        let Error::InvalidField(InvalidField { field, .. }) = world.create(bad.clone()).await.unwrap_err() else {
            panic!("{bad:?}");
        };
        assert_eq!(field, format!("user_attributes.{}", bad.attributes.keys().next().unwrap()));
    }
}

#[rstest]
#[tokio::test]
async fn values_of_every_type_are_found_and_ordered_by(#[values(Sqlite, Postgres)] engine: Engine) {
    use AttributeValue::{Boolean, Number, Numbers, Texts};
    use Relation::{Equal, Greater, Less};
    let Some(world) = World::open(engine).await else { return };
    for (name, kind) in [
        ("word", AttributeType::Text),
        ("cost-Center", AttributeType::Number),
        ("remote", AttributeType::Boolean),
        ("skills", AttributeType::Texts),
        ("rooms", AttributeType::Numbers),
    ] {
        world.define(name, kind).await;
    }
    let texts = |texts: &[&str]| Texts(texts.iter().map(|text| (*text).to_owned()).collect());
    let ada = [
        ("word", word("Straẞe")),
        ("cost-center", Number(0.1)),
        ("remote", Boolean(true)),
        ("skills", texts(&["Rust", "SQL"])),
        ("rooms", Numbers(vec![1.0, -2.5e300])),
    ];
    world.create(with("ada", &ada)).await.unwrap();
    world.create(with("bob", &[("cost-center", Number(-7.0)), ("skills", texts(&["C"]))])).await.unwrap();
    world.create(user("cyd")).await.unwrap();
    let text = |operator: TextOperator, text: &str| Some(Comparison::Text(operator, text.to_owned()));
    let number = |relation: Relation, number: f64| Some(Comparison::Number(relation, number));
    let cases: &[(&str, Option<Comparison>, &[&str])] = &[
        ("word", text(TextOperator::Is(Equal), "straße"), &["ada"]),
        ("word", None, &["ada"]),
        ("COST-center", number(Equal, 0.1), &["ada"]),
        ("cost-center", number(Less, 0.1), &["bob"]),
        ("remote", Some(Comparison::Boolean(true)), &["ada"]),
        ("remote", Some(Comparison::Boolean(false)), &[]),
        ("skills", text(TextOperator::StartsWith, "s"), &["ada"]),
        ("skills", text(TextOperator::Is(Equal), "c"), &["bob"]),
        ("skills", text(TextOperator::Is(Less), "d"), &["bob"]),
        ("skills", None, &["ada", "bob"]),
        ("rooms", number(Equal, -2.5e300), &["ada"]),
        ("rooms", number(Greater, 1.0), &[]),
    ];
    for (name, comparison, found) in cases {
        let path = format!("user_attributes.{name}");
        assert_eq!(world.having(&path, comparison.clone()).await, *found, "{name} {comparison:?}");
    }
    assert_eq!(world.having("user_attributes", None).await, ["ada", "bob"]);
    let defined = world.store.user_attributes(world.tenant).await.unwrap();
    let field = Catalogue::Users(&defined).field("user_attributes.cost-center").unwrap();
    let order = Order { by: OrderBy::Field(field), descending: false };
    assert_eq!(world.ordered(None, order).await, ["bob", "ada", "cyd"]);
    assert_eq!(world.ordered(None, by("user_name", true)).await, ["cyd", "bob", "ada"]);
}

#[rstest]
#[tokio::test]
async fn deleting_a_definition_takes_every_value_from_the_deleted_too(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    world.define("Badge", AttributeType::Text).await;
    world.define("Floor", AttributeType::Number).await;
    let both = [("badge", word("X1")), ("floor", AttributeValue::Number(2.0))];
    let ada = world.create(with("ada", &both)).await.unwrap();
    let bob = world.create(with("bob", &both[..1])).await.unwrap();
    let cyd = world.create(with("cyd", &both[1..])).await.unwrap();
    let dan = world.create(with("dan", &both[..1])).await.unwrap();
    world.store.delete_user(&world.directory(), DeleteUser { user: dan.id, expected_version: None }).await.unwrap();
    let before = world.changes().await.len();
    let badge = || AttributeName::parse("BADGE".into()).unwrap();
    world.store.delete_user_attribute(&world.administrator(), badge()).await.unwrap();
    assert_eq!(world.changes().await[before..], ["tenant.changed"]);

    let read = async |user: &User| world.store.user(world.tenant, user.id).await.unwrap();
    let seen = read(&ada).await;
    assert_eq!((seen.provisioned, seen.version), (with("ada", &[("Floor", AttributeValue::Number(2.0))]), 2));
    let seen = read(&bob).await;
    assert_eq!((seen.provisioned, seen.version), (user("bob"), 2));
    assert_eq!(read(&cyd).await.version, 1);
    assert_eq!(world.having("user_attributes", None).await, ["ada", "cyd"]);
    let restored = world.store.restore_user(&world.administrator(), dan.id).await.unwrap();
    assert_eq!((restored.provisioned.attributes, restored.version), (AttributeValues::new(), 4));

    // Defined again, as another type, it has no values.
    world.define("badge", AttributeType::Number).await;
    assert_eq!(world.having("user_attributes.badge", None).await, [""; 0]);
    let number = Some(Comparison::Number(Relation::Greater, 0.0));
    assert_eq!(world.having("user_attributes.badge", number).await, [""; 0]);
    let again = world.store.delete_user_attribute(&world.administrator(), badge()).await;
    assert_eq!(again, Ok(()));
    let again = world.store.delete_user_attribute(&world.administrator(), badge()).await;
    assert_eq!(again, Err(Error::NotFound("user attribute")));
}

#[rstest]
#[tokio::test]
async fn r24_definitions_are_unique_bounded_and_audited(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let create = async |name: &str| {
        let draft = definition(name, AttributeType::Texts);
        world.store.create_user_attribute(&world.administrator(), draft).await
    };
    create("Skills").await.unwrap();
    assert_eq!(create("sKILLS").await.unwrap_err(), Error::UserAttributeTaken);
    let name = AttributeName::parse("skills".into()).unwrap();
    world.store.delete_user_attribute(&world.administrator(), name).await.unwrap();
    let (entries, _) = world.store.list_audit_entries(world.tenant, 2, 100).await.unwrap();
    assert_eq!(entries.iter().map(|entry| &*entry.subject).collect::<Vec<_>>(), ["Skills", "Skills"]);
    assert_eq!(entries[0].content.after, entries[1].content.before);
    assert_eq!(entries[0].content.after.as_map()["type"], "string-list");

    for number in 0..USER_ATTRIBUTES_MAX {
        create(&format!("a{number}")).await.unwrap();
    }
    assert_eq!(create("one-more").await.unwrap_err(), Error::TooManyUserAttributes);
    let page = world.store.list_user_attributes(world.tenant, "a97", 10).await.unwrap();
    assert_eq!(page.iter().map(|attribute| attribute.name.as_str()).collect::<Vec<_>>(), ["a98", "a99"]);
    let stranger = super::tenant(&world.store, "globex").await;
    assert_eq!(world.store.user_attributes(stranger).await.unwrap(), []);
}
