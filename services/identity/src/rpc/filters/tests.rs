use prost::Message;
use proto::identity::v1::{FilterList, ListUsersRequest, Value};

use super::*;
use crate::domain::{AttributeName, AttributeType, UserAttribute};

fn compare(field: &str, operator: Operator, value: value::Kind) -> wire::Filter {
    let value = Some(Value { kind: Some(value) });
    wire::Filter {
        kind: Some(Kind::Comparison(WireComparison { field: field.into(), operator: operator.into(), value })),
    }
}

fn text(field: &str, value: &str) -> wire::Filter {
    compare(field, Operator::Equal, value::Kind::String(value.into()))
}

fn all(filters: Vec<wire::Filter>) -> wire::Filter {
    wire::Filter { kind: Some(Kind::AllOf(FilterList { filters })) }
}

fn not(filter: wire::Filter) -> wire::Filter {
    wire::Filter { kind: Some(Kind::Not(Box::new(filter))) }
}

fn present(field: &str) -> wire::Filter {
    wire::Filter { kind: Some(Kind::Present(field.into())) }
}

fn element(field: &str, filter: wire::Filter) -> wire::Filter {
    let element = ElementMatch { field: field.into(), filter: Some(Box::new(filter)) };
    wire::Filter { kind: Some(Kind::Element(Box::new(element))) }
}

fn defined() -> Vec<UserAttribute> {
    [("Badge", AttributeType::Text), ("floor", AttributeType::Number), ("skills", AttributeType::Texts)]
        .map(|(name, kind)| UserAttribute {
            name: AttributeName::stored(name.into()),
            kind,
            description: String::new(),
            created_at: Timestamp(0),
        })
        .into()
}

fn read(filter: wire::Filter) -> Result<Filter, Error> {
    selection(Some(filter), None, Catalogue::Users(&defined())).map(|selection| selection.filter.unwrap())
}

fn field(path: &str) -> Field {
    Catalogue::Users(&defined()).field(path).unwrap()
}

#[test]
fn values_are_compared_by_the_fields_own_rule() {
    let equal = |case: &str| Comparison::Text(TextOperator::Is(Relation::Equal), case.into());
    let cases = [
        (text("user_name", "ADA@x"), Filter::Compare(field("user_name"), equal("ada@x"))),
        (text("external_id", "E1"), Filter::Compare(field("external_id"), equal("E1"))),
        (text("id", "none"), Filter::Compare(field("id"), Comparison::Id(None))),
        (text("user_attributes.BADGE", "X"), Filter::Compare(field("user_attributes.Badge"), equal("x"))),
        (present("profile.name"), Filter::Present(field("profile.name"))),
        // What contains nothing is there.
        (
            compare("profile.title", Operator::Contains, value::Kind::String(String::new())),
            Filter::Present(field("profile.title")),
        ),
        (
            compare("user_name", Operator::NotEqual, value::Kind::String("A".into())),
            Filter::Not(Box::new(Filter::Compare(field("user_name"), equal("a")))),
        ),
        (
            compare("user_attributes.floor", Operator::Less, value::Kind::Number(2.0)),
            Filter::Compare(field("user_attributes.floor"), Comparison::Number(Relation::Less, 2.0)),
        ),
        (
            compare(
                "create_time",
                Operator::GreaterOrEqual,
                value::Kind::Time(pbjson_types::Timestamp { seconds: 1, nanos: 2_999 }),
            ),
            Filter::Compare(field("create_time"), Comparison::Time(Relation::GreaterOrEqual, Timestamp(1_000_002))),
        ),
    ];
    for (wire, expected) in cases {
        assert_eq!(read(wire), Ok(expected));
    }
    let work = element("profile.emails", text("type", "Work"));
    let FieldType::Elements(fields) = field("profile.emails").kind else { panic!() };
    let kind = Catalogue::Elements(fields).field("type").unwrap();
    let expected = Filter::Element(field("profile.emails"), Box::new(Filter::Compare(kind, equal("work"))));
    assert_eq!(read(work), Ok(expected));
}

#[test]
fn what_cannot_be_answered_is_refused_by_name() {
    let string = || value::Kind::String("x".into());
    for (filter, name) in [
        (text("nick_name", "x"), "nick_name"),
        (text("suspended", "x"), "suspended"),
        (text("user_attributes.height", "x"), "user_attributes.height"),
        (text("profile.emails.value", "x"), "profile.emails.value"),
        (text("profile.emails", "x"), "profile.emails"),
        (text("profile.name", "x"), "profile.name"),
        (present("profile"), "profile"),
        (compare("id", Operator::Equal, value::Kind::Number(1.0)), "id"),
        (compare("user_name", Operator::Unspecified, string()), "user_name"),
        (compare("user_name", Operator::Equal, value::Kind::Boolean(true)), "user_name"),
        (text("user_name", "a\0"), "user_name"),
        (text("provisioned_active", "true"), "provisioned_active"),
        (compare("provisioned_active", Operator::Less, value::Kind::Boolean(true)), "provisioned_active"),
        (
            compare("create_time", Operator::Contains, value::Kind::Time(pbjson_types::Timestamp::default())),
            "create_time",
        ),
        (text("create_time", "2020-01-01T00:00:00Z"), "create_time"),
        (compare("user_attributes.floor", Operator::Equal, value::Kind::Number(f64::NAN)), "user_attributes.floor"),
        (compare("user_attributes.floor", Operator::EndsWith, value::Kind::Number(1.0)), "user_attributes.floor"),
        (compare("user_attributes.skills", Operator::Equal, value::Kind::Number(1.0)), "user_attributes.skills"),
        (element("profile.emails", text("country", "x")), "profile.emails.country"),
        (element("profile.title", text("value", "x")), "profile.title"),
        (element("groups", compare("group_id", Operator::Unspecified, string())), "groups.group_id"),
    ] {
        match read(filter) {
            Err(Error::UnsupportedFilter { field, .. }) => assert_eq!(field, name),
            other => panic!("{name}: {other:?}"),
        }
    }
    let group = selection(Some(text("user_name", "x")), None, Catalogue::Groups);
    assert!(matches!(group, Err(Error::UnsupportedFilter { field, .. }) if field == "user_name"));
}

#[test]
fn a_list_is_ordered_by_what_has_one_value() {
    let ordered = |path: &str| {
        let order = wire::Order { field: path.into(), descending: true };
        selection(None, Some(order), Catalogue::Users(&defined())).map(|selection| selection.order)
    };
    assert_eq!(selection(None, None, Catalogue::Groups).unwrap().order, Order::BY_ID);
    for path in ["id", "user_name", "provisioned_active", "update_time", "profile.title", "user_attributes.FLOOR"] {
        assert_eq!(ordered(path), Ok(Order { by: OrderBy::Field(field(path)), descending: true }));
    }
    for path in ["profile.emails.value", "profile.addresses.country", "groups.display_name"] {
        assert!(matches!(ordered(path), Ok(Order { by: OrderBy::Element { .. }, .. })), "{path}");
    }
    for path in
        ["", "profile", "profile.name", "profile.emails", "user_attributes.skills", "user_attributes.x", "emails.value"]
    {
        assert!(matches!(ordered(path), Err(Error::UnsupportedFilter { field, .. }) if field == path), "{path}");
    }
}

#[test]
fn depth_and_terms_are_bounded_on_both_sides() {
    let nested = |levels: usize| (1..levels).fold(text("id", "x"), |inner, _| not(inner));
    assert!(read(nested(FILTER_DEPTH_MAX)).is_ok());
    assert!(read(nested(FILTER_DEPTH_MAX + 1)).is_err());
    assert!(read(all(vec![text("id", "x"); FILTER_TERMS_MAX])).is_ok());
    assert!(read(all(vec![text("id", "x"); FILTER_TERMS_MAX + 1])).is_err());
    // Those of elements count too.
    let address = element("profile.emails", all(vec![text("value", "x"); 8]));
    assert!(read(all(vec![address.clone(); FILTER_TERMS_MAX / 8])).is_ok());
    assert!(read(all(vec![address; FILTER_TERMS_MAX / 8 + 1])).is_err());
    assert!(read(all(vec![])).is_err() && read(wire::Filter { kind: None }).is_err());
}

#[test]
fn definitions_are_wanted_where_one_is_named() {
    let named = |filter: wire::Filter| names_user_attribute(Some(&filter), None);
    assert!(named(all(vec![text("id", "x"), not(text("user_attributes.badge", "x"))])));
    assert!(named(present("user_attributes.badge")) && !named(present("user_attributes")));
    assert!(!named(element("profile.emails", text("value", "x"))));
    let order = wire::Order { field: "user_attributes.badge".into(), descending: false };
    assert!(names_user_attribute(None, Some(&order)) && !names_user_attribute(None, None));
}

#[test]
fn the_decoder_takes_every_level_of_not_and_49_of_lists() {
    let decoded = |filter: wire::Filter| {
        let request = ListUsersRequest { filter: Some(filter), ..ListUsersRequest::default() };
        ListUsersRequest::decode(request.encode_to_vec().as_slice()).is_ok()
    };
    assert!(decoded((1..FILTER_DEPTH_MAX).fold(text("id", "x"), |inner, _| not(inner))));
    // A list is a message of its own, and takes two of the hundred levels that the decoder allows.
    let lists = |levels: usize| (1..levels).fold(text("id", "x"), |inner, _| all(vec![inner]));
    assert!(decoded(lists(49)) && !decoded(lists(50)));
}
