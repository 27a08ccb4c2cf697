//! Users and groups in memory, with just enough PATCH for what Entra sends.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::server::Fault;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

#[derive(Default)]
pub(crate) struct Store {
    next: u32,
    pub(crate) users: BTreeMap<String, Value>,
    pub(crate) groups: BTreeMap<String, Value>,
    pub(crate) members: BTreeMap<String, BTreeSet<String>>,
}

impl Store {
    pub(crate) fn collection(&mut self, collection: &str) -> &mut BTreeMap<String, Value> {
        if collection == "Users" { &mut self.users } else { &mut self.groups }
    }

    /// The id, or None when the name is taken.
    pub(crate) fn create(&mut self, collection: &str, mut resource: Value) -> Option<String> {
        let key = if collection == "Users" { "userName" } else { "displayName" };
        let name = resource[key].as_str().unwrap().to_lowercase();
        if self.collection(collection).values().any(|held| held[key].as_str().unwrap().to_lowercase() == name) {
            return None;
        }
        Some(self.insert(collection, &mut resource))
    }

    pub(crate) fn insert(&mut self, collection: &str, resource: &mut Value) -> String {
        self.next += 1;
        let id = format!("id-{}", self.next);
        resource["id"] = json!(id);
        resource.as_object_mut().unwrap().remove("members");
        if collection == "Users" && resource.get("active").is_none() {
            resource["active"] = json!(true);
        }
        self.collection(collection).insert(id.clone(), resource.clone());
        id
    }

    pub(crate) fn delete(&mut self, collection: &str, id: &str) -> bool {
        self.members.remove(id);
        for members in self.members.values_mut() {
            members.remove(id);
        }
        self.collection(collection).remove(id).is_some()
    }

    pub(crate) fn patch(&mut self, collection: &str, id: &str, body: &Value, fault: Fault) {
        assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:PatchOp"]));
        for operation in body["Operations"].as_array().unwrap() {
            let op = operation["op"].as_str().unwrap().to_lowercase();
            let path = operation["path"].as_str().unwrap_or_default();
            if path.starts_with("members") {
                self.patch_members(id, &op, path, &operation["value"], fault);
                continue;
            }
            let resource = self.collection(collection).get_mut(id).unwrap();
            if path.is_empty() {
                for (path, value) in operation["value"].as_object().unwrap() {
                    set(resource, path, value, fault);
                }
            } else {
                set(resource, path, &operation["value"], fault);
            }
            if collection == "Groups" && fault == Fault::RenameEmptiesGroup {
                self.members.remove(id);
            }
        }
    }

    fn patch_members(&mut self, id: &str, op: &str, path: &str, value: &Value, fault: Fault) {
        let members = self.members.entry(id.to_owned()).or_default();
        let mut listed: Vec<String> = Vec::new();
        for member in value.as_array().into_iter().flatten() {
            listed.push(member["value"].as_str().unwrap().to_owned());
        }
        if let Some(filtered) = path.strip_prefix("members[value eq \"") {
            listed.push(filtered.trim_end_matches("\"]").to_owned());
        }
        match (op, fault) {
            ("add", Fault::LastMembersWin) => *members = listed.into_iter().collect(),
            ("add", _) => members.extend(listed),
            ("remove", Fault::RemoveEmptiesGroup) => members.clear(),
            ("remove", Fault::RemoveIgnored) => {}
            ("remove", _) => members.retain(|member| !listed.contains(member)),
            other => panic!("{other:?}"),
        }
    }
}

fn set(resource: &mut Value, path: &str, value: &Value, fault: Fault) {
    let value = match value.as_str() {
        Some("True") if path == "active" => json!(true),
        Some("False") if path == "active" && fault != Fault::ActiveAsText => json!(false),
        _ => value.clone(),
    };
    if let Some(attribute) = path.strip_prefix(ENTERPRISE) {
        let attribute = attribute.trim_start_matches(':');
        let object = attribute == "manager" && fault != Fault::ManagerAsText;
        resource[ENTERPRISE][attribute] = if object { json!({ "value": value }) } else { value };
    } else if let Some((attribute, rest)) = path.split_once("[type eq \"") {
        let (kind, sub) = rest.split_once("\"].").unwrap();
        if !resource[attribute].is_array() {
            resource[attribute] = json!([]);
        }
        let elements = resource[attribute].as_array_mut().unwrap();
        if !elements.iter().any(|element| element["type"] == kind) {
            elements.push(json!({ "type": kind }));
        }
        elements.iter_mut().find(|element| element["type"] == kind).unwrap()[sub] = value;
    } else if let Some((attribute, sub)) = path.split_once('.') {
        resource[attribute][sub] = value;
    } else {
        resource[path] = value;
    }
}
