//! PATCH requests in both dialects.
//!
//! `Add` and `Replace` are chosen by what the endpoint has shown: a value that is missing is added, another one replaced.

use serde_json::{Map, Value, json};

use super::{PATCH_OP, target::Target};
use crate::Dialect;

/// A value that must change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) target: Target,
    pub(crate) value: Value,
    /// Whether the endpoint holds another value now, or none.
    pub(crate) present: bool,
}

/// The body that changes attributes.
pub(crate) fn attributes(dialect: Dialect, changes: &[Change]) -> Value {
    match dialect {
        Dialect::Legacy => body(changes.iter().map(legacy_operation).collect()),
        Dialect::Compliant => body(compliant_operations(changes)),
    }
}

/// The body that sets a user's manager: a plain string in both dialects, as recorded.
pub(crate) fn manager(dialect: Dialect, id: &str) -> Value {
    body(vec![json!({ "op": add(dialect), "path": super::user::MANAGER.path(), "value": id })])
}

/// The body that adds members to a group.
pub(crate) fn add_members(dialect: Dialect, members: &[String]) -> Value {
    let value: Vec<Value> = match dialect {
        Dialect::Legacy => members.iter().map(|id| json!({ "$ref": null, "value": id })).collect(),
        Dialect::Compliant => members.iter().map(|id| json!({ "value": id })).collect(),
    };
    body(vec![json!({ "op": add(dialect), "path": "members", "value": value })])
}

/// The body that removes members from a group.
pub(crate) fn remove_members(dialect: Dialect, members: &[String]) -> Value {
    match dialect {
        Dialect::Legacy => {
            let value: Vec<Value> = members.iter().map(|id| json!({ "$ref": null, "value": id })).collect();
            body(vec![json!({ "op": "Remove", "path": "members", "value": value })])
        }
        Dialect::Compliant => {
            let path = |id: &String| format!("members[value eq {}]", Value::from(id.as_str()));
            body(members.iter().map(|id| json!({ "op": "remove", "path": path(id) })).collect())
        }
    }
}

fn body(operations: Vec<Value>) -> Value {
    json!({ "schemas": [PATCH_OP], "Operations": operations })
}

const fn add(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Legacy => "Add",
        Dialect::Compliant => "add",
    }
}

/// One operation for each attribute, and booleans as capitalised strings.
fn legacy_operation(change: &Change) -> Value {
    let op = if change.present { "Replace" } else { "Add" };
    let value = match &change.value {
        Value::Bool(true) => json!("True"),
        Value::Bool(false) => json!("False"),
        value => value.clone(),
    };
    json!({ "op": op, "path": change.target.path(), "value": value })
}

/// An operation of its own for `active` and for each path with a filter; all others in one operation without a path, under
/// dotted and full-URN keys.
fn compliant_operations(changes: &[Change]) -> Vec<Value> {
    let mut operations = Vec::new();
    let (mut replaced, mut added) = (Map::new(), Map::new());
    for Change { target, value, present } in changes {
        let alone = *target == super::user::ACTIVE || matches!(target, Target::Typed(..));
        match (alone, present) {
            (true, true) => operations.push(json!({ "op": "replace", "path": target.path(), "value": value })),
            (true, false) => operations.push(json!({ "op": "add", "path": target.path(), "value": value })),
            (false, true) => drop(replaced.insert(target.path(), value.clone())),
            (false, false) => drop(added.insert(target.path(), value.clone())),
        }
    }
    let together = [("replace", replaced), ("add", added)].into_iter().filter(|(_, values)| !values.is_empty());
    operations.extend(together.map(|(op, values)| json!({ "op": op, "value": values })));
    operations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(target: Target, value: impl Into<Value>, present: bool) -> Change {
        Change { target, value: value.into(), present }
    }

    fn changes() -> [Change; 6] {
        [
            change(Target::Plain("displayName"), "Ada B", true),
            change(Target::Sub("name", "givenName"), "Ada", true),
            change(Target::Typed("emails", "work", "value"), "ada@new.example", false),
            change(Target::Plain("externalId"), "ada2", true),
            change(Target::Plain("active"), false, true),
            change(Target::Enterprise("department"), "R", false),
        ]
    }

    #[test]
    fn legacy_patch_is_the_recorded_one() {
        let expected = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [
                { "op": "Replace", "path": "displayName", "value": "Ada B" },
                { "op": "Replace", "path": "name.givenName", "value": "Ada" },
                { "op": "Add", "path": "emails[type eq \"work\"].value", "value": "ada@new.example" },
                { "op": "Replace", "path": "externalId", "value": "ada2" },
                { "op": "Replace", "path": "active", "value": "False" },
                { "op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
                  "value": "R" },
            ],
        });
        assert_eq!(attributes(Dialect::Legacy, &changes()), expected);
    }

    #[test]
    fn compliant_patch_gathers_what_needs_no_path() {
        let expected = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [
                { "op": "add", "path": "emails[type eq \"work\"].value", "value": "ada@new.example" },
                { "op": "replace", "path": "active", "value": false },
                { "op": "replace", "value": { "displayName": "Ada B", "name.givenName": "Ada", "externalId": "ada2" } },
                { "op": "add", "value": {
                    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": "R" } },
            ],
        });
        assert_eq!(attributes(Dialect::Compliant, &changes()), expected);
    }

    #[test]
    fn enabling_is_a_string_in_legacy_and_a_boolean_in_compliant() {
        let enable = [change(Target::Plain("active"), true, true)];
        let operation = |dialect| attributes(dialect, &enable)["Operations"].clone();
        assert_eq!(operation(Dialect::Legacy), json!([{ "op": "Replace", "path": "active", "value": "True" }]));
        assert_eq!(operation(Dialect::Compliant), json!([{ "op": "replace", "path": "active", "value": true }]));
    }

    #[test]
    fn manager_is_a_plain_string() {
        let path = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager";
        for (dialect, op) in [(Dialect::Legacy, "Add"), (Dialect::Compliant, "add")] {
            assert_eq!(manager(dialect, "271")["Operations"], json!([{ "op": op, "path": path, "value": "271" }]));
        }
    }

    #[test]
    fn members_are_added_and_removed_in_the_dialects_form() {
        let members = ["u1".to_owned(), "u2".to_owned()];
        let list = json!([{ "$ref": null, "value": "u1" }, { "$ref": null, "value": "u2" }]);
        let operations = |body: Value| body["Operations"].clone();
        assert_eq!(
            operations(add_members(Dialect::Legacy, &members)),
            json!([{ "op": "Add", "path": "members", "value": list }])
        );
        assert_eq!(
            operations(remove_members(Dialect::Legacy, &members)),
            json!([{ "op": "Remove", "path": "members", "value": list }])
        );
        assert_eq!(
            operations(add_members(Dialect::Compliant, &members)),
            json!([{ "op": "add", "path": "members", "value": [{ "value": "u1" }, { "value": "u2" }] }])
        );
        assert_eq!(
            operations(remove_members(Dialect::Compliant, &members)),
            json!([{ "op": "remove", "path": "members[value eq \"u1\"]" },
                   { "op": "remove", "path": "members[value eq \"u2\"]" }])
        );
    }
}
