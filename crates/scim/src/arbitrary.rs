//! Random input for properties: JSON of which half of the keys and values are ones that a schema knows, resources, and filters that find some of them.

use std::sync::LazyLock;

use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof};
use serde_json::{Map, Number, Value, json};

use crate::filter::{CompareOp, Filter, Literal};
use crate::patch::{Op, Operation};
use crate::path::{AttributePath, Path};
use crate::schema::{
    Attribute, Definition, ENTERPRISE_USER_URN, Kind, Mutability, ResourceType, Schemas, UserAttribute,
    UserAttributeKind,
};

/// Texts that differ in what comparison has to get right: case, composition, length, and characters that mean something to SQL or JSON.
const TEXTS: [&str; 24] = [
    "ada",
    "Ada",
    "ADA",
    "ada lovelace",
    "Lovelace",
    "work",
    "Work",
    "home",
    "a",
    "b",
    "straße",
    "STRASSE",
    "Straẞe",
    "İstanbul",
    "istanbul",
    "Zo\u{eb}",
    "Zoe\u{308}",
    "ΟΔΥΣΣΕΥΣ",
    "οδυσσευς",
    "100%",
    "a_b",
    "a\"b\\c",
    "it's; --",
    "日本語",
];

const KEYS: [&str; 19] = [
    "userName",
    "USERNAME",
    "name",
    "givenName",
    "emails",
    "value",
    "type",
    "primary",
    "active",
    "roles",
    "members",
    "displayName",
    "manager",
    "meta",
    "id",
    "title",
    "shoeSize",
    "remote",
    "skills",
];

/// The schemas of a service provider that adds an attribute of each kind to users.
pub fn schemas() -> &'static Schemas {
    static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| {
        let own = [
            ("hat", UserAttributeKind::String),
            ("shoeSize", UserAttributeKind::Number),
            ("remote", UserAttributeKind::Boolean),
            ("skills", UserAttributeKind::StringList),
            ("lucky", UserAttributeKind::NumberList),
        ];
        Schemas::new(own.map(|(name, kind)| UserAttribute { name: name.to_owned(), kind, description: String::new() }))
    });
    &SCHEMAS
}

fn keys() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => proptest::sample::select(KEYS.to_vec()).prop_map(str::to_owned),
        1 => Just(ENTERPRISE_USER_URN.to_owned()),
        1 => ".{0,6}",
    ]
}

/// Any JSON value, a few levels deep.
pub fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|number| Value::Number(Number::from(number))),
        ".{0,6}".prop_map(Value::String),
        Just(json!("ada")),
        Just(json!([{"value": "a", "type": "work", "primary": true}])),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            proptest::collection::vec((keys(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn texts() -> impl Strategy<Value = String> {
    proptest::sample::select(TEXTS.to_vec()).prop_map(str::to_owned)
}

/// A text that a filter asks for: one of those that resources have, a part of one, or anything else.
fn asked_texts() -> impl Strategy<Value = String> {
    let part = (texts(), 0..6_usize, 0..4_usize)
        .prop_map(|(text, skip, take)| text.chars().skip(skip).take(take).collect::<String>());
    let any = ".{0,4}".prop_map(|text: String| text.replace('\0', ""));
    prop_oneof![6 => texts(), 4 => part, 1 => any]
}

fn numbers() -> impl Strategy<Value = Number> {
    let fraction = (-40..40_i32).prop_filter_map("a number", |number| Number::from_f64(f64::from(number) / 4.0));
    prop_oneof![(-3..4_i64).prop_map(Number::from), fraction]
}

/// The body of a resource that has a value of about every second attribute that a client may write.
pub fn bodies(definition: Definition<'_>) -> impl Strategy<Value = Value> + use<> {
    let core = object(&definition.schema().attributes);
    let extensions: Vec<_> = definition
        .extensions()
        .map(|schema| {
            let id = schema.id;
            object(&schema.attributes).prop_map(move |it| (id, it)).boxed()
        })
        .collect();
    let external_id = proptest::option::of(texts());
    (core, extensions, external_id).prop_map(|(mut body, extensions, external_id)| {
        for (urn, extension) in extensions {
            body[urn] = extension;
        }
        if let Some(id) = external_id {
            body["externalId"] = Value::from(id);
        }
        body
    })
}

fn object(attributes: &[Attribute]) -> BoxedStrategy<Value> {
    let written = attributes.iter().filter(|attribute| {
        !matches!(attribute.mutability, Mutability::ReadOnly | Mutability::WriteOnly) && attribute.name != "$ref"
    });
    let members: Vec<_> = written
        .map(|attribute| {
            let name = attribute.name.to_string();
            proptest::option::of(value(attribute)).prop_map(move |value| (name.clone(), value)).boxed()
        })
        .collect();
    members
        .prop_map(|members| {
            let present = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
            Value::Object(present.collect())
        })
        .boxed()
}

fn value(attribute: &Attribute) -> BoxedStrategy<Value> {
    let one = match attribute.kind {
        Kind::String | Kind::Reference | Kind::Binary | Kind::DateTime => texts().prop_map(Value::String).boxed(),
        Kind::Boolean => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::Decimal | Kind::Integer => numbers().prop_map(Value::Number).boxed(),
        Kind::Complex => object(&attribute.sub_attributes),
    };
    if attribute.multi_valued { proptest::collection::vec(one, 0..3).prop_map(Value::from).boxed() } else { one }
}

/// Bodies of a PATCH: paths that the schema knows, with filters on lists, and values that mostly fit.
pub fn patch_bodies(resource_type: ResourceType) -> impl Strategy<Value = Value> {
    let definition = schemas().of(resource_type);
    let core = definition.attributes().map(|attribute| (None, attribute));
    let extended = definition
        .extensions()
        .flat_map(|schema| schema.attributes.iter().map(move |attribute| (Some(schema), attribute)));
    let whole: Vec<_> = core
        .chain(extended)
        .map(|(extension, attribute)| AttributePath { extension, attribute, sub_attribute: None })
        .collect();
    let operation = (proptest::sample::select(whole), proptest::sample::select(vec!["add", "Remove", "REPLACE"]))
        .prop_flat_map(|(attribute, op)| (Just(op), proptest::option::weighted(0.9, path(attribute))))
        .prop_flat_map(|(op, path)| {
            let fitting = path.as_ref().map_or_else(|| json_values().boxed(), |path| value(path.attribute.leaf()));
            let odd = prop_oneof![
                Just(json!("")),
                Just(Value::Null),
                Just(json!("True")),
                Just(json!({})),
                Just(json!("42")),
                Just(json!([{"value": "{\"value\":\"Admin\"}", "type": "WindowsAzureActiveDirectoryRole"}]))
            ];
            let value = proptest::option::weighted(0.9, prop_oneof![4 => fitting, 2 => json_values(), 1 => odd]);
            (Just(op), Just(path.map(|path| path.to_string())), value)
        })
        .prop_map(|(op, path, value)| {
            let path = path.map(|path| ("path", Value::from(path)));
            let value = value.map(|value| ("value", value));
            Value::from_iter([("op", Value::from(op))].into_iter().chain(path).chain(value))
        });
    proptest::collection::vec(operation, 0..5).prop_map(|operations| json!({"Operations": operations}))
}

/// The body of a PATCH that says what the operations say, for reading it again.
pub fn patch_body_of(operations: &[Operation<'_>]) -> Value {
    let entry = |operation: &Operation<'_>| {
        let op = match operation.op {
            Op::Add => "add",
            Op::Remove => "remove",
            Op::Replace => "replace",
        };
        let path = operation.path.as_ref().map(|path| ("path", Value::from(path.to_string())));
        let value = operation.value.clone().map(|value| ("value", value));
        Value::from_iter([("op", Value::from(op))].into_iter().chain(path).chain(value))
    };
    json!({"Operations": operations.iter().map(entry).collect::<Vec<_>>()})
}

/// The attribute or a part of it; of a complex one, perhaps those of its values that a filter selects.
fn path(whole: AttributePath<'static>) -> BoxedStrategy<Path<'static>> {
    let parts: Vec<AttributePath<'static>> =
        whole.attribute.sub_attributes.iter().map(|sub| whole.child(sub)).chain([whole.clone()]).collect();
    let part = proptest::sample::select(parts);
    let leaves = leaves_of(&whole);
    if !whole.attribute.is_complex() || leaves.is_empty() {
        return part.prop_map(Path::from).boxed();
    }
    let equal = |leaf: AttributePath<'static>| {
        comparison(leaf).prop_map(|filter| match filter {
            Filter::Compare { path, value, .. } => Filter::Compare { path, op: CompareOp::Eq, value },
            other => other,
        })
    };
    let equal = proptest::sample::select(leaves.clone()).prop_flat_map(equal).boxed();
    let both = (equal.clone(), equal.clone()).prop_map(|(left, right)| Filter::And(vec![left, right]));
    let any = composed(proptest::sample::select(leaves).prop_flat_map(comparison).boxed(), 1);
    let filter = proptest::option::weighted(0.7, prop_oneof![3 => equal, 2 => both, 1 => any]);
    (part, filter).prop_map(|(attribute, filter)| Path { attribute, filter }).boxed()
}

/// Filters over everything that the definition lets a filter name, but what `left_out` names.
pub fn filters(definition: Definition<'static>, left_out: &'static [&'static str]) -> BoxedStrategy<Filter<'static>> {
    let core = definition.attributes().map(|attribute| (None, attribute));
    let extended = definition
        .extensions()
        .flat_map(|schema| schema.attributes.iter().map(move |attribute| (Some(schema), attribute)));
    let paths: Vec<AttributePath<'static>> = core
        .chain(extended)
        .filter(|(_, attribute)| attribute.queryable && !left_out.contains(&attribute.name.as_ref()))
        .map(|(extension, attribute)| AttributePath { extension, attribute, sub_attribute: None })
        .collect();
    let leaves: Vec<AttributePath<'static>> = paths.iter().flat_map(leaves_of).collect();
    let lists: Vec<AttributePath<'static>> = paths.iter().filter(|path| path.attribute.is_complex()).cloned().collect();
    let term = prop_oneof![
        4 => proptest::sample::select(leaves).prop_flat_map(comparison),
        1 => proptest::sample::select(paths).prop_map(|path| Filter::Present { path }),
    ];
    let value_path = proptest::sample::select(lists).prop_flat_map(|path| {
        let inner = composed(proptest::sample::select(leaves_of(&path)).prop_flat_map(comparison).boxed(), 2);
        inner.prop_map(move |filter| Filter::ValuePath { path: path.clone(), filter: Box::new(filter) })
    });
    composed(prop_oneof![4 => term, 1 => value_path].boxed(), 3)
}

fn leaves_of<'s>(path: &AttributePath<'s>) -> Vec<AttributePath<'s>> {
    if !path.attribute.is_complex() {
        return vec![path.clone()];
    }
    path.attribute.sub_attributes.iter().filter(|sub| sub.queryable).map(|sub| path.child(sub)).collect()
}

/// A comparison that fits the type.
fn comparison(path: AttributePath<'static>) -> BoxedStrategy<Filter<'static>> {
    let equality = || proptest::sample::select(vec![CompareOp::Eq, CompareOp::Ne]);
    let orders = || {
        let without = [CompareOp::Co, CompareOp::Sw, CompareOp::Ew];
        proptest::sample::select(CompareOp::ALL.into_iter().filter(|op| !without.contains(op)).collect::<Vec<_>>())
    };
    let compared: BoxedStrategy<(CompareOp, Literal)> = match path.leaf().kind {
        Kind::String | Kind::Reference => {
            (proptest::sample::select(CompareOp::ALL.to_vec()), asked_texts().prop_map(Literal::String)).boxed()
        }
        Kind::Binary | Kind::Complex => (equality(), asked_texts().prop_map(Literal::String)).boxed(),
        Kind::Boolean => (equality(), any::<bool>().prop_map(Literal::Boolean)).boxed(),
        Kind::Decimal | Kind::Integer => (orders(), numbers().prop_map(Literal::Number)).boxed(),
        Kind::DateTime => {
            let dates = vec!["2000-01-01T00:00:00Z", "2026-11-24T08:00:00.5+02:00", "2999-12-31T23:59:59Z"];
            (orders(), proptest::sample::select(dates).prop_map(|date| Literal::String(date.to_owned()))).boxed()
        }
    };
    let compared = prop_oneof![9 => compared, 1 => (equality(), Just(Literal::Null))];
    compared.prop_map(move |(op, value)| Filter::Compare { path: path.clone(), op, value }).boxed()
}

/// Terms joined by `and`, `or` and `not`, in normal form.
fn composed(leaf: BoxedStrategy<Filter<'static>>, depth: u32) -> BoxedStrategy<Filter<'static>> {
    let negated = |filter| Filter::Not(Box::new(filter));
    let joined = |and: bool| {
        move |terms: Vec<Filter<'static>>| {
            let same = |term: &Filter<'static>| matches!((term, and), (Filter::And(_), true) | (Filter::Or(_), false));
            let terms =
                terms.into_iter().map(|term| if same(&term) { Filter::Not(Box::new(term)) } else { term }).collect();
            if and { Filter::And(terms) } else { Filter::Or(terms) }
        }
    };
    leaf.prop_recursive(depth, 12, 3, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(joined(true)),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(joined(false)),
            inner.prop_map(negated),
        ]
    })
    .boxed()
}
