//! Filters over every field, and their order, on both engines.

use database::{
    Database,
    testing::Engine::{self, Postgres, Sqlite},
};
use ids::{TenantId, UserId};
use rstest::rstest;
use std::time::Duration;

use super::{World, catalogue, user};
use crate::{
    SERVICE,
    domain::{
        Case, CaseKey, Comparison, ContactPoint, Enterprise, Error, ExternalId, Field, FieldType, Filter, Order,
        OrderBy, PageStart, PersonName, Profile, Relation, Selection, Slice, TextOperator, Timestamp, UserDraft,
    },
    store::Store,
};

/// A filter by the path of its field, to be looked up in a catalogue: `build` makes it one for a store.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    All(Vec<Asked>),
    Any(Vec<Asked>),
    Not(Box<Asked>),
    Present(&'static str),
    Text(&'static str, TextOperator, String),
    Id(&'static str, Option<UserId>),
    Boolean(&'static str, bool),
    Number(&'static str, Relation, f64),
    Time(&'static str, Relation, Timestamp),
    Element(&'static str, Box<Asked>),
}

pub(super) fn all(filters: Vec<Asked>) -> Asked {
    Asked::All(filters)
}

pub(super) fn not(filter: Asked) -> Asked {
    Asked::Not(Box::new(filter))
}

pub(super) fn equals(field: &'static str, text: &str) -> Asked {
    Asked::Text(field, TextOperator::Is(Relation::Equal), text.to_owned())
}

pub(super) fn is(field: &'static str, id: UserId) -> Asked {
    Asked::Id(field, Some(id))
}

pub(super) fn element(list: &'static str, filter: Asked) -> Asked {
    Asked::Element(list, Box::new(filter))
}

fn text(field: &'static str, operator: TextOperator, text: &str) -> Asked {
    Asked::Text(field, operator, text.to_owned())
}

impl Asked {
    pub(super) fn build(&self, field: &dyn Fn(&str) -> Field) -> Filter {
        let each = |filters: &[Self]| filters.iter().map(|filter| filter.build(field)).collect();
        match self {
            Self::All(filters) => Filter::AllOf(each(filters)),
            Self::Any(filters) => Filter::AnyOf(each(filters)),
            Self::Not(filter) => Filter::Not(Box::new(filter.build(field))),
            Self::Present(path) => Filter::Present(field(path)),
            Self::Text(path, operator, text) => {
                let field = field(path);
                let exact = field.kind == FieldType::Text(Case::Exact);
                let text = if exact { text.clone() } else { CaseKey::of(text).into_string() };
                Filter::Compare(field, Comparison::Text(*operator, text))
            }
            Self::Id(path, id) => Filter::Compare(field(path), Comparison::Id(id.map(UserId::uuid))),
            Self::Boolean(path, truth) => Filter::Compare(field(path), Comparison::Boolean(*truth)),
            Self::Number(path, relation, number) => {
                Filter::Compare(field(path), Comparison::Number(*relation, *number))
            }
            Self::Time(path, relation, time) => Filter::Compare(field(path), Comparison::Time(*relation, *time)),
            Self::Element(path, filter) => {
                let list = field(path);
                let FieldType::Elements(fields) = list.kind else { panic!("{path}") };
                let of_element = |name: &str| crate::domain::Catalogue::Elements(fields).field(name).unwrap();
                Filter::Element(list, Box::new(filter.build(&of_element)))
            }
        }
    }
}

impl World {
    /// The names of the users that a filter finds, in the order of their ids.
    pub(super) async fn matching(&self, filter: Asked) -> Vec<String> {
        self.ordered(Some(filter), Order::BY_ID).await
    }

    pub(super) async fn ordered(&self, filter: Option<Asked>, order: Order) -> Vec<String> {
        let filter = filter.map(|filter| filter.build(&|path| catalogue().field(path).unwrap()));
        let slice = Slice { start: PageStart::Skip(0), size: 1000 };
        let listed = self.store.list_users(self.tenant, &Selection { filter, order }, slice).await.unwrap();
        assert_eq!(listed.total, Some(listed.rows.len() as u64));
        listed.rows.iter().map(|user| user.provisioned.user_name.as_str().to_owned()).collect()
    }

    pub(super) async fn groups_matching(&self, tenant: TenantId, filter: Asked) -> Vec<String> {
        let filter = Some(filter.build(&|path| crate::domain::Catalogue::Groups.field(path).unwrap()));
        let slice = Slice { start: PageStart::Skip(0), size: 1000 };
        let listed = self.store.list_groups(tenant, &Selection { filter, order: Order::BY_ID }, slice).await.unwrap();
        listed.rows.iter().map(|group| group.provisioned.display_name.as_str().to_owned()).collect()
    }
}

pub(super) fn by(path: &str, descending: bool) -> Order {
    let by = match catalogue().field(path) {
        Some(field) => OrderBy::Field(field),
        None => {
            let (list, field) = catalogue().through_list(path).unwrap();
            OrderBy::Element { list, field }
        }
    };
    Order { by, descending }
}

fn email(value: &str, kind: Option<&str>, primary: Option<bool>) -> ContactPoint {
    ContactPoint { value: Some(value.into()), kind: kind.map(str::to_owned), primary, ..ContactPoint::default() }
}

/// Ada has a value of everything that is asked here, Bob of other things, Cyd of nothing.
async fn people(world: &World) -> [UserId; 3] {
    let ada = UserDraft {
        external_id: Some(ExternalId::parse("E1".into()).unwrap()),
        profile: Profile {
            name: Some(PersonName { family_name: Some("Lovelace".into()), ..PersonName::default() }),
            title: Some("Gräfin".into()),
            emails: vec![email("Ada@Home", Some("Home"), None), email("Ada@Work", Some("work"), Some(true))],
            photos: vec![email("https://P", None, None)],
            enterprise: Some(Enterprise { manager_id: Some("M1".into()), ..Enterprise::default() }),
            ..Profile::default()
        },
        ..user("ada")
    };
    let bob = UserDraft {
        provisioned_active: Some(false),
        display_name: None,
        profile: Profile {
            title: Some("Herzog_%".into()),
            emails: vec![email("bob@work", Some("work"), Some(false)), ContactPoint::default()],
            ..Profile::default()
        },
        ..user("bob")
    };
    let mut ids = Vec::new();
    for draft in [ada, bob, UserDraft { display_name: None, ..user("cyd") }] {
        ids.push(world.store.create_user(&world.directory(), draft).await.unwrap().id);
    }
    ids.try_into().unwrap()
}

#[rstest]
#[tokio::test]
async fn each_term_finds_what_it_should_and_not_means_not(#[values(Sqlite, Postgres)] engine: Engine) {
    use Relation::{Greater, GreaterOrEqual, Less, LessOrEqual};
    use TextOperator::{Contains, EndsWith, Is, StartsWith};
    let Some(world) = World::open(engine).await else { return };
    let [ada, ..] = people(&world).await;
    let cases: &[(Asked, &[&str])] = &[
        (equals("user_name", "ADA"), &["ada"]),
        (is("id", ada), &["ada"]),
        (Asked::Id("id", None), &[]),
        (not(Asked::Id("id", None)), &["ada", "bob", "cyd"]),
        (equals("external_id", "E1"), &["ada"]),
        (equals("external_id", "e1"), &[]),
        // Bob and Cyd have none of these, so `not` finds them.
        (not(equals("external_id", "E1")), &["bob", "cyd"]),
        (not(equals("display_name", "the ada")), &["bob", "cyd"]),
        (Asked::Present("display_name"), &["ada"]),
        (Asked::Present("user_name"), &["ada", "bob", "cyd"]),
        (Asked::Boolean("provisioned_active", false), &["bob"]),
        (not(Asked::Boolean("provisioned_active", false)), &["ada", "cyd"]),
        (text("user_name", StartsWith, "B"), &["bob"]),
        (text("user_name", Is(Greater), "ada"), &["bob", "cyd"]),
        (text("user_name", Is(LessOrEqual), "ADA"), &["ada"]),
        (text("profile.title", Contains, "RÄF"), &["ada"]),
        (text("profile.title", EndsWith, "ÄFIN"), &["ada"]),
        (text("profile.title", EndsWith, "a longer text than the title"), &[]),
        (text("profile.title", StartsWith, "gr"), &["ada"]),
        (text("profile.title", Contains, "_%"), &["bob"]),
        (text("profile.title", Contains, "o_"), &[]),
        (not(text("profile.title", Contains, "z")), &["ada", "cyd"]),
        (text("profile.title", Is(GreaterOrEqual), "h"), &["bob"]),
        (text("profile.title", Is(Less), "h"), &["ada"]),
        (Asked::Present("profile.name"), &["ada"]),
        (Asked::Present("profile.enterprise"), &["ada"]),
        (Asked::Present("profile.emails"), &["ada", "bob"]),
        (Asked::Present("profile.ims"), &[]),
        (not(Asked::Present("profile.name.given_name")), &["ada", "bob", "cyd"]),
        (equals("profile.enterprise.manager_id", "M1"), &["ada"]),
        (equals("profile.enterprise.manager_id", "m1"), &[]),
        (Asked::Present("user_attributes"), &[]),
    ];
    for (filter, found) in cases {
        assert_eq!(world.matching(filter.clone()).await, *found, "{filter:?}");
    }
}

#[rstest]
#[tokio::test]
async fn one_element_satisfies_all_that_is_asked_of_it(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    people(&world).await;
    let emails = |filter: Asked| element("profile.emails", filter);
    let cases: &[(Asked, &[&str])] = &[
        (emails(all(vec![equals("value", "ADA@work"), equals("type", "WORK")])), &["ada"]),
        (emails(all(vec![equals("value", "ada@home"), equals("type", "work")])), &[]),
        (emails(all(vec![equals("value", "ada@home"), not(equals("type", "work"))])), &["ada"]),
        (emails(all(vec![equals("value", "ada@home"), equals("value", "ada@work")])), &[]),
        (not(emails(equals("value", "ada@work"))), &["bob", "cyd"]),
        (emails(Asked::Any(vec![equals("value", "ada@home"), equals("value", "bob@work")])), &["ada", "bob"]),
        (emails(equals("type", "work")), &["ada", "bob"]),
        (emails(not(equals("type", "work"))), &["ada", "bob"]),
        (emails(not(Asked::Present("type"))), &["bob"]),
        (emails(Asked::Boolean("primary", true)), &["ada"]),
        (emails(Asked::Boolean("primary", false)), &["bob"]),
        (emails(text("value", TextOperator::EndsWith, "HOME")), &["ada"]),
        (element("profile.photos", equals("value", "https://P")), &["ada"]),
        (element("profile.photos", equals("value", "https://p")), &[]),
        (element("profile.addresses", Asked::Present("country")), &[]),
    ];
    for (filter, found) in cases {
        assert_eq!(world.matching(filter.clone()).await, *found, "{filter:?}");
    }
}

#[rstest]
#[tokio::test]
async fn groups_and_members_are_found_from_either_side(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let [ada, bob, _] = people(&world).await;
    let ops = world.group("Ops", &[ada.to_string(), bob.to_string()]).await;
    let gone = world.group("Gone", &[ada.to_string()]).await;
    let delete = crate::store::DeleteGroup { group: gone.id, expected_version: None };
    world.store.delete_group(&world.directory(), delete).await.unwrap();
    world.group("Empty", &[]).await;
    let of_id = |id: ids::GroupId| element("groups", is("group_id", UserId::from(id.uuid())));
    let cases: &[(Asked, &[&str])] = &[
        (of_id(ops.id), &["ada", "bob"]),
        (of_id(gone.id), &[]),
        (not(of_id(ops.id)), &["cyd"]),
        (element("groups", equals("display_name", "OPS")), &["ada", "bob"]),
        (element("groups", not(equals("display_name", "ops"))), &[]),
        (element("groups", text("display_name", TextOperator::StartsWith, "o")), &["ada", "bob"]),
        (Asked::Present("groups"), &["ada", "bob"]),
        (all(vec![Asked::Present("groups"), equals("user_name", "bob")]), &["bob"]),
    ];
    for (filter, found) in cases {
        assert_eq!(world.matching(filter.clone()).await, *found, "{filter:?}");
    }
    let cases: &[(Asked, &[&str])] = &[
        (element("members", is("user_id", bob)), &["Ops"]),
        // Bob has no display name, so he is shown by his user name.
        (element("members", equals("display_name", "BOB")), &["Ops"]),
        (element("members", text("display_name", TextOperator::Contains, "e ad")), &["Ops"]),
        (not(Asked::Present("members")), &["Empty"]),
        (text("display_name", TextOperator::EndsWith, "TY"), &["Empty"]),
        (Asked::Present("external_id"), &[]),
    ];
    for (filter, found) in cases {
        assert_eq!(world.groups_matching(world.tenant, filter.clone()).await, *found, "{filter:?}");
    }
    let groups = world.store.groups_of(world.tenant, &[ada, bob]).await.unwrap();
    assert_eq!(groups[&ada].iter().map(|group| &*group.display_name).collect::<Vec<_>>(), ["Ops"]);
    assert_eq!(groups[&bob].iter().map(|group| group.group).collect::<Vec<_>>(), [ops.id]);
}

#[rstest]
#[tokio::test]
async fn a_time_is_found_by_what_was_shown_of_it(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    let ada = world.user("ada").await;
    let shown = Timestamp(ada.created_at.0 / 1000 * 1000);
    let (before, after) = (Timestamp(shown.0 - 1000), Timestamp(shown.0 + 1000));
    let found = async |relation: Relation, time: Timestamp| {
        let mut found = world.matching(Asked::Time("create_time", relation, time)).await;
        assert_eq!(world.matching(Asked::Time("update_time", relation, time)).await, found);
        found.pop().is_some()
    };
    use Relation::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    for (time, holding) in [
        (shown, &[Equal, GreaterOrEqual, LessOrEqual][..]),
        (Timestamp(shown.0 + 999), &[Equal, GreaterOrEqual, LessOrEqual]),
        (before, &[Greater, GreaterOrEqual]),
        (after, &[Less, LessOrEqual]),
        (Timestamp(i64::MAX), &[Less, LessOrEqual]),
        (Timestamp(i64::MIN), &[Greater, GreaterOrEqual]),
    ] {
        for relation in [Equal, Greater, GreaterOrEqual, Less, LessOrEqual] {
            assert_eq!(found(relation, time).await, holding.contains(&relation), "{relation:?} {time:?}");
        }
    }
}

#[rstest]
#[tokio::test]
async fn absent_values_come_last_and_first_where_the_order_descends(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    people(&world).await;
    for (path, names) in [
        ("id", ["ada", "bob", "cyd"]),
        ("user_name", ["ada", "bob", "cyd"]),
        ("display_name", ["ada", "bob", "cyd"]),
        ("profile.title", ["ada", "bob", "cyd"]),
        // That of Ada's primary address, which is her second.
        ("profile.emails.value", ["ada", "bob", "cyd"]),
        ("profile.emails.primary", ["bob", "ada", "cyd"]),
        ("provisioned_active", ["bob", "ada", "cyd"]),
        ("create_time", ["ada", "bob", "cyd"]),
    ] {
        assert_eq!(world.ordered(None, by(path, false)).await, names, "{path}");
        let mut reversed = names;
        reversed.reverse();
        assert_eq!(world.ordered(None, by(path, true)).await, reversed, "{path} descending");
    }
    let filter = element("profile.emails", equals("type", "work"));
    assert_eq!(world.ordered(Some(filter), by("profile.title", true)).await, ["bob", "ada"]);
}

#[rstest]
#[tokio::test]
async fn the_widest_and_the_deepest_filter_are_answered(#[values(Sqlite, Postgres)] engine: Engine) {
    use crate::domain::{FILTER_DEPTH_MAX, FILTER_TERMS_MAX};
    let Some(world) = World::open(engine).await else { return };
    people(&world).await;
    let term = || text("profile.title", TextOperator::Contains, "fin");
    assert_eq!(world.matching(all(vec![term(); FILTER_TERMS_MAX])).await, ["ada"]);
    let address = || element("profile.emails", text("value", TextOperator::Contains, "home"));
    assert_eq!(world.matching(Asked::Any(vec![address(); FILTER_TERMS_MAX])).await, ["ada"]);
    let deep = (2..FILTER_DEPTH_MAX).fold(address(), |inner, level| match level % 3 {
        0 => all(vec![inner, term()]),
        1 => Asked::Any(vec![inner, equals("user_name", "nobody")]),
        _ => not(inner),
    });
    assert!(world.matching(deep.clone()).await.len() + world.matching(not(deep)).await.len() == 3);
}

#[rstest]
#[tokio::test]
async fn what_no_index_answers_in_time_is_too_costly(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some(world) = World::open(engine).await else { return };
    people(&world).await;
    let timeout = Duration::from_millis(1);
    let hasty = Database::open_reading_within(world.database.location(), SERVICE, timeout).await.unwrap();
    let hasty = Store::new(hasty);
    let slow = all(vec![element("profile.emails", text("value", TextOperator::Contains, "@")); 256]);
    let refusal = async |filter: Asked| {
        let filter = Some(filter.build(&|path| catalogue().field(path).unwrap()));
        let slice = Slice { start: PageStart::Skip(0), size: 10 };
        hasty.list_users(world.tenant, &Selection { filter, order: Order::BY_ID }, slice).await.unwrap_err()
    };
    assert_eq!(refusal(slow.clone()).await, Error::FilterTooCostly);
    assert_eq!(refusal(all(vec![equals("user_name", "ada"), slow])).await, Error::StoreUnavailable);
}
