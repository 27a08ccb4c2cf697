//! A group's attributes under each mapping, and the body that creates it: always without members.

use serde_json::{Map, Value, json};

use super::{GROUP, GROUP_LEGACY, target::Mapped, target::Target};
use crate::{Dialect, Group, Mapping};

/// What the mapping makes of a group.
pub(crate) fn mapped(group: &Group, mapping: Mapping) -> Vec<Mapped> {
    let mut values = vec![Mapped { target: Target::Plain("displayName"), value: group.display_name.as_str().into() }];
    if mapping == Mapping::Default {
        values.push(Mapped { target: Target::Plain("externalId"), value: group.object_id.to_string().into() });
    }
    values
}

/// The body of POST /Groups. The second URN stands in the documented default; captures without it exist as well.
pub(crate) fn create_body(values: &[Mapped], dialect: Dialect) -> Value {
    let mut body = Map::new();
    let schemas = match dialect {
        Dialect::Legacy => json!([GROUP, GROUP_LEGACY]),
        Dialect::Compliant => json!([GROUP]),
    };
    body.insert("schemas".into(), schemas);
    for Mapped { target, value } in values {
        target.write(&mut body, value.clone());
    }
    body.insert("members".into(), json!([]));
    body.insert("meta".into(), json!({ "resourceType": "Group" }));
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ops() -> Group {
        Group { object_id: uuid::Uuid::nil(), display_name: "Ops".into() }
    }

    #[test]
    fn legacy_body_lists_the_second_schema() {
        let expected = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group",
                        "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
            "externalId": "00000000-0000-0000-0000-000000000000", "displayName": "Ops", "members": [],
            "meta": { "resourceType": "Group" },
        });
        assert_eq!(create_body(&mapped(&ops(), Mapping::Default), Dialect::Legacy), expected);
    }

    #[test]
    fn minimal_body_has_no_external_id() {
        let expected = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": "Ops", "members": [], "meta": { "resourceType": "Group" },
        });
        assert_eq!(create_body(&mapped(&ops(), Mapping::Minimal), Dialect::Compliant), expected);
    }
}
