//! Properties of bodies; the facts stand in `tests/recorded`.

use proptest::prelude::proptest;
use scim::{Resource, ResourceType, ScimType};
use serde_json::{Value, json};

use super::resource;
use scim::arbitrary::{json_values, schemas};

#[test]
fn a_body_that_is_no_object_is_refused() {
    for body in [json!([]), json!("x"), json!(null)] {
        assert_eq!(resource(ResourceType::User, body).unwrap_err().scim_type, Some(ScimType::InvalidSyntax));
    }
}

#[test]
fn wrong_types_stay_for_the_engine_to_refuse() {
    for body in [
        json!({"userName": 5}),
        json!({"userName": "a", "title": true}),
        json!({"userName": "a", "emails": 5}),
        json!({"userName": "a", "emails": [[{"value": "x"}]]}),
        json!({"userName": "a", "name": "Ada"}),
        json!({"userName": "a", "active": "yes"}),
        json!({"userName": "a", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": 5}),
    ] {
        let (normalised, _) = resource(ResourceType::User, body.clone()).unwrap();
        let error = Resource::from_json(ResourceType::User, normalised).expect_err(&body.to_string());
        assert_eq!((error.status, error.scim_type), (400, Some(ScimType::InvalidValue)));
    }
}

#[test]
fn a_list_wrapped_in_a_hundred_objects_is_moved_and_not_copied() {
    let buffer = |value: &Value| value.as_array().map(|list| (list.as_ptr(), list.len()));
    let list = json!([1, 2]);
    let expect = buffer(&list);
    let wrapped = (0..100).fold(list, |inner, _| Value::from_iter([("Value", inner)]));
    let body = Value::from_iter([("userName", json!("a")), ("title", wrapped)]);
    let (normalised, _) = resource(ResourceType::User, body).unwrap();
    assert_eq!(buffer(&normalised["title"]), expect);
}

proptest! {
    #[test]
    fn normalising_twice_is_normalising_once(body in json_values(), group in proptest::bool::ANY) {
        let resource_type = if group { ResourceType::Group } else { ResourceType::User };
        let definition = schemas().of(resource_type);
        if let Ok((once, _)) = resource(definition, body) {
            let (twice, dropped) = resource(definition, once.clone()).unwrap();
            proptest::prop_assert_eq!((twice, dropped), (once, Vec::new()));
        }
    }

    #[test]
    fn a_body_that_the_engine_takes_keeps_its_meaning(body in json_values()) {
        let Value::Object(mut body) = body else { return Ok(()) };
        body.insert("userName".to_owned(), json!("ada"));
        if let Ok(strict) = Resource::from_json(ResourceType::User, Value::Object(body)) {
            let (normalised, dropped) = resource(ResourceType::User, Value::Object(strict.as_object().clone())).unwrap();
            proptest::prop_assert!(dropped.is_empty());
            proptest::prop_assert!(Resource::from_json(ResourceType::User, normalised).is_ok());
        }
    }
}
