//! Random JSON for the properties: half of its keys and values are ones that a schema knows.

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use serde_json::{Map, Number, Value, json};

use crate::schema::ENTERPRISE_USER_URN;

const KEYS: [&str; 16] = [
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
];

fn keys() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => proptest::sample::select(KEYS.to_vec()).prop_map(str::to_owned),
        1 => Just(ENTERPRISE_USER_URN.to_owned()),
        1 => ".{0,6}",
    ]
}

/// Any JSON value.
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
