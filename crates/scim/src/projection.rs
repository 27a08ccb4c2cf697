//! Which attributes an answer holds (RFC 7644 section 3.9, with `returned` of RFC 7643 section 7).

use serde_json::{Map, Value};

use crate::error::Error;
use crate::path::AttributePath;
use crate::schema::{Attribute, Definition, Returned, Schema};

/// How many names a list may hold.
pub(crate) const NAMES_MAX: usize = 200;
/// How long a list of names may be, in bytes.
pub(crate) const NAMES_LENGTH_MAX: usize = 16_384;

/// The `attributes` or `excludedAttributes` of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection<'s> {
    definition: Definition<'s>,
    selection: Selection<'s>,
    /// What is answered to nobody, or only to those who ask for it by name, and was not asked for.
    hidden: Vec<AttributePath<'s>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Selection<'s> {
    Only(Vec<Selected<'s>>),
    Without(Vec<Selected<'s>>),
}

#[derive(Clone, Debug, PartialEq)]
enum Selected<'s> {
    Attribute(AttributePath<'s>),
    Extension(&'s Schema),
    /// The core schema, common attributes apart.
    Core,
}

impl<'s> Projection<'s> {
    /// Reads the two parameters. Unknown names select nothing and are no fault; both parameters at once are one.
    pub fn from_query(
        definition: impl Into<Definition<'s>>,
        attributes: Option<&str>,
        excluded: Option<&str>,
    ) -> Result<Self, Error> {
        let definition = definition.into();
        let given = |list: Option<&str>| list.map(str::trim).filter(|list| !list.is_empty()).map(str::to_owned);
        let selection = match (given(attributes), given(excluded)) {
            (Some(_), Some(_)) => {
                return Err(Error::invalid_value("attributes and excludedAttributes cannot be used together"));
            }
            (Some(list), None) => Selection::Only(selected(definition, &list)?),
            (None, Some(list)) => Selection::Without(selected(definition, &list)?),
            (None, None) => Selection::Without(Vec::new()),
        };
        Ok(Self { definition, hidden: hidden(definition, &selection), selection })
    }

    /// The projection of a request that names no attributes.
    pub fn everything(definition: impl Into<Definition<'s>>) -> Self {
        let (definition, selection) = (definition.into(), Selection::Without(Vec::new()));
        Self { definition, hidden: hidden(definition, &selection), selection }
    }

    /// Takes away what was not asked for. `id` and `schemas` always stay; `schemas` names those whose attributes are left.
    pub fn apply(&self, response: &mut Map<String, Value>) {
        match &self.selection {
            Selection::Only(selected) => *response = only(self.definition, selected, response),
            Selection::Without(selected) => {
                selected.iter().for_each(|selected| remove(self.definition, selected, response));
            }
        }
        self.hidden.iter().for_each(|path| remove_path(path, response));
        drop_empty(response);
        self.name_schemas(response);
    }

    fn name_schemas(&self, response: &mut Map<String, Value>) {
        let absent: Vec<&str> =
            self.definition.extensions().map(|schema| schema.id).filter(|id| !response.contains_key(*id)).collect();
        if let Some(Value::Array(schemas)) = response.get_mut("schemas") {
            schemas.retain(|schema| schema.as_str().is_none_or(|id| !absent.contains(&id)));
        }
    }

    /// Whether the answer holds any of a core attribute, so that it needs to be read.
    pub fn includes(&self, attribute: &str) -> bool {
        let is_whole = |path: &AttributePath<'_>| path.is_core(attribute, None);
        let names = |selected: &Selected<'_>| match selected {
            Selected::Attribute(path) => path.extension.is_none() && path.attribute.name == attribute,
            Selected::Core => self.definition.schema().attribute(attribute).is_some(),
            Selected::Extension(_) => false,
        };
        let excluded = |selected: &Selected<'_>| match selected {
            Selected::Attribute(path) => is_whole(path),
            Selected::Core => names(selected),
            Selected::Extension(_) => false,
        };
        let selected = match &self.selection {
            Selection::Only(selected) => selected.iter().any(names),
            Selection::Without(selected) => !selected.iter().any(excluded),
        };
        selected && !self.hidden.iter().any(is_whole)
    }
}

/// What the schemas hide, unless it was asked for by name.
fn hidden<'s>(definition: Definition<'s>, selection: &Selection<'s>) -> Vec<AttributePath<'s>> {
    let asked = |path: &AttributePath<'s>| match selection {
        Selection::Only(selected) => selected.iter().any(|selected| match selected {
            Selected::Attribute(asked) => {
                asked.attribute == path.attribute
                    && (path.sub_attribute.is_none() || asked.sub_attribute == path.sub_attribute)
            }
            Selected::Extension(_) | Selected::Core => false,
        }),
        Selection::Without(_) => false,
    };
    let is_hidden = |path: &AttributePath<'s>| match path.leaf().returned {
        Returned::Always | Returned::Default => false,
        Returned::Never => true,
        Returned::Request => !asked(path),
    };
    let core = definition.attributes().map(|attribute| (None, attribute));
    let extended = definition
        .extensions()
        .flat_map(|schema| schema.attributes.iter().map(move |attribute| (Some(schema), attribute)));
    let paths = core.chain(extended).flat_map(|(extension, attribute)| {
        let subs = attribute.sub_attributes.iter().map(Some);
        std::iter::once(None).chain(subs).map(move |sub_attribute| AttributePath {
            extension,
            attribute,
            sub_attribute,
        })
    });
    paths.filter(is_hidden).collect()
}

/// Splits on commas outside brackets; what stands in brackets only narrows a name, and an answer is not narrowed.
fn selected<'s>(definition: Definition<'s>, list: &str) -> Result<Vec<Selected<'s>>, Error> {
    if list.len() > NAMES_LENGTH_MAX {
        return Err(Error::invalid_value(format!("a list of attributes is longer than {NAMES_LENGTH_MAX} bytes")));
    }
    let mut names = vec![String::new()];
    let mut depth = 0_usize;
    for c in list.chars() {
        match (c, names.last_mut()) {
            ('[', _) => depth += 1,
            (']', _) => depth = depth.saturating_sub(1),
            (',', _) if depth == 0 => names.push(String::new()),
            (c, Some(name)) if depth == 0 && !c.is_whitespace() => name.push(c),
            (_, _) => {}
        }
    }
    if names.len() > NAMES_MAX {
        return Err(Error::invalid_value(format!("a list of attributes has more than {NAMES_MAX} names")));
    }
    let resolve = |name: &String| match (definition.extension(name), definition.schema_by_urn(name)) {
        (Some(schema), _) => Some(Selected::Extension(schema)),
        (None, Some(_)) => Some(Selected::Core),
        (None, None) => AttributePath::parse(definition, name).ok().map(Selected::Attribute),
    };
    Ok(names.iter().filter_map(resolve).collect())
}

fn is_always(attribute: &Attribute) -> bool {
    attribute.returned == Returned::Always
}

fn only(definition: Definition<'_>, selected: &[Selected<'_>], response: &Map<String, Value>) -> Map<String, Value> {
    let mut kept = Map::new();
    for (key, value) in response {
        let extension = |schema: &&Schema| schema.id == key;
        if matches!(key.as_str(), "id" | "schemas") {
            kept.insert(key.clone(), value.clone());
            continue;
        }
        let mut part = None;
        for selected in selected {
            match selected {
                Selected::Extension(schema) if extension(schema) => part = Some(value.clone()),
                Selected::Core if definition.schema().attribute(key).is_some() => part = Some(value.clone()),
                Selected::Attribute(path) if path.extension.as_ref().is_some_and(extension) => {
                    let Some(inner) = value.get(&*path.attribute.name).and_then(|inner| sub_only(path, inner)) else {
                        continue;
                    };
                    let addition = Value::Object(Map::from_iter([(path.attribute.name.to_string(), inner)]));
                    part = Some(merged(part, addition));
                }
                Selected::Attribute(path) if path.extension.is_none() && path.attribute.name == *key => {
                    part = match sub_only(path, value) {
                        Some(addition) => Some(merged(part, addition)),
                        None => part,
                    };
                }
                Selected::Extension(_) | Selected::Attribute(_) | Selected::Core => {}
            }
        }
        if let Some(part) = part {
            kept.insert(key.clone(), part);
        }
    }
    kept
}

/// The value with nothing but the sub-attribute that the path names.
fn sub_only(path: &AttributePath<'_>, value: &Value) -> Option<Value> {
    let Some(sub) = path.sub_attribute else { return Some(value.clone()) };
    let one = |element: &Value| {
        let part = element.get(&*sub.name).map(|part| (sub.name.to_string(), part.clone()));
        Value::Object(part.into_iter().collect())
    };
    match value {
        // Elements keep their place, so that a second sub-attribute joins the right one.
        Value::Array(elements) => Some(Value::Array(elements.iter().map(one).collect())),
        Value::Object(_) => Some(one(value)).filter(|part| part.as_object().is_some_and(|part| !part.is_empty())),
        _ => None,
    }
}

fn merged(old: Option<Value>, new: Value) -> Value {
    match (old, new) {
        (Some(Value::Object(mut old)), Value::Object(new)) => {
            for (key, value) in new {
                let value = merged(old.remove(&key), value);
                old.insert(key, value);
            }
            Value::Object(old)
        }
        (Some(Value::Array(old)), Value::Array(new)) if old.len() == new.len() => {
            Value::Array(old.into_iter().zip(new).map(|(old, new)| merged(Some(old), new)).collect())
        }
        (_, new) => new,
    }
}

/// Takes away what a projection left nothing of (RFC 7643 section 2.5).
fn drop_empty(response: &mut Map<String, Value>) {
    response.retain(|_, value| {
        match value {
            Value::Array(elements) => elements.retain(|element| !is_empty(element)),
            Value::Object(members) => drop_empty(members),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        !is_empty(value)
    });
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(elements) => elements.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn remove(definition: Definition<'_>, selected: &Selected<'_>, response: &mut Map<String, Value>) {
    match selected {
        Selected::Core => response.retain(|name, _| definition.schema().attribute(name).is_none()),
        Selected::Extension(schema) => {
            response.shift_remove(schema.id);
        }
        Selected::Attribute(path) if is_always(path.attribute) => {}
        Selected::Attribute(path) => remove_path(path, response),
    }
}

fn remove_path(path: &AttributePath<'_>, response: &mut Map<String, Value>) {
    match path.extension {
        None => remove_from(path, response),
        Some(extension) => {
            let Some(Value::Object(members)) = response.get_mut(extension.id) else { return };
            remove_from(path, members);
            if members.is_empty() {
                response.shift_remove(extension.id);
            }
        }
    }
}

fn remove_from(path: &AttributePath<'_>, object: &mut Map<String, Value>) {
    let Some(sub) = path.sub_attribute else {
        object.shift_remove(&*path.attribute.name);
        return;
    };
    let remove_sub = |value: &mut Value| {
        if let Value::Object(members) = value {
            members.shift_remove(&*sub.name);
        }
    };
    match object.get_mut(&*path.attribute.name) {
        Some(Value::Array(elements)) => elements.iter_mut().for_each(remove_sub),
        Some(value) => remove_sub(value),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::{ENTERPRISE_USER_URN, ResourceType};

    fn user() -> Value {
        json!({"schemas": ["s"], "id": "u1", "userName": "ada", "name": {"givenName": "Ada", "familyName": "L"},
            "emails": [{"type": "work", "value": "a"}, {"value": "b"}],
            ENTERPRISE_USER_URN: {"department": "R", "division": "D"}, "meta": {"resourceType": "User"}})
    }

    fn check(attributes: Option<&str>, excluded: Option<&str>, expect: Value) {
        let projection = Projection::from_query(ResourceType::User, attributes, excluded).unwrap();
        let mut response = user().as_object().unwrap().clone();
        projection.apply(&mut response);
        assert_eq!(Value::Object(response), expect);
    }

    #[test]
    fn only_named_attributes_stay_beside_id_and_schemas() {
        check(Some("USERNAME"), None, json!({"schemas": ["s"], "id": "u1", "userName": "ada"}));
        check(Some("shoeSize"), None, json!({"schemas": ["s"], "id": "u1"}));
        check(Some(" "), None, user());
    }

    #[test]
    fn sub_attributes_of_one_element_stay_together() {
        let expect = json!({"schemas": ["s"], "id": "u1", "emails": [{"type": "work", "value": "a"}, {"value": "b"}]});
        check(Some("emails.value, emails.type"), None, expect.clone());
        check(Some("emails[type eq \"work\"]"), None, expect);
        check(Some("name.givenName"), None, json!({"schemas": ["s"], "id": "u1", "name": {"givenName": "Ada"}}));
    }

    #[test]
    fn extensions_are_named_whole_or_by_attribute() {
        let part = json!({"schemas": ["s"], "id": "u1", ENTERPRISE_USER_URN: {"department": "R"}});
        check(Some(&format!("{ENTERPRISE_USER_URN}:department")), None, part);
        let whole = json!({"schemas": ["s"], "id": "u1", ENTERPRISE_USER_URN: {"department": "R", "division": "D"}});
        check(Some(ENTERPRISE_USER_URN), None, whole);
    }

    #[test]
    fn excluded_attributes_go_and_id_stays() {
        let expect = json!({"schemas": ["s"], "id": "u1", "userName": "ada", "name": {"familyName": "L"},
            "emails": [{"value": "a"}, {"value": "b"}], "meta": {"resourceType": "User"}});
        let excluded = format!("id,schemas,name.givenName,emails.type,{ENTERPRISE_USER_URN}");
        check(None, Some(&excluded), expect);
    }

    #[test]
    fn what_nothing_is_left_of_is_gone_and_its_schema_with_it() {
        let core = "urn:ietf:params:scim:schemas:core:2.0:User";
        let mut whole = user();
        whole["schemas"] = json!([core, ENTERPRISE_USER_URN]);
        let projected = |attributes: Option<&str>, excluded: Option<&str>| {
            let projection = Projection::from_query(ResourceType::User, attributes, excluded).unwrap();
            let mut response = whole.as_object().unwrap().clone();
            projection.apply(&mut response);
            Value::Object(response)
        };
        assert_eq!(projected(Some("emails.display"), None), json!({"schemas": [core], "id": "u1"}));
        let department = projected(Some(&format!("{ENTERPRISE_USER_URN}:department")), None);
        assert_eq!(department["schemas"], json!([core, ENTERPRISE_USER_URN]));
        let excluded = projected(None, Some("name.givenName,name.familyName,emails.value,emails.type"));
        assert_eq!((excluded.get("name"), excluded.get("emails")), (None, None));
        assert_eq!(projected(None, Some(ENTERPRISE_USER_URN))["schemas"], json!([core]));
        let all_core = projected(Some(core), None);
        assert!(all_core.get("userName").is_some() && all_core.get("meta").is_none(), "{all_core}");
    }

    #[test]
    fn lists_of_names_are_bounded_on_both_sides() {
        let status =
            |names: String| Projection::from_query(ResourceType::User, None, Some(&names)).err().map(|e| e.status);
        assert_eq!(
            (status(vec!["a"; NAMES_MAX].join(",")), status(vec!["a"; NAMES_MAX + 1].join(","))),
            (None, Some(400))
        );
        assert_eq!((status("a".repeat(NAMES_LENGTH_MAX)), status("a".repeat(NAMES_LENGTH_MAX + 1))), (None, Some(400)));
    }

    #[test]
    fn both_parameters_are_refused() {
        assert_eq!(Projection::from_query(ResourceType::User, Some("id"), Some("id")).unwrap_err().status, 400);
    }

    #[test]
    fn members_are_read_only_when_they_are_answered() {
        let includes = |attributes, excluded| {
            Projection::from_query(ResourceType::Group, attributes, excluded).unwrap().includes("members")
        };
        assert!(includes(None, None) && includes(Some("members.value"), None) && includes(None, Some("displayName")));
        assert!(!includes(None, Some("MEMBERS")) && !includes(Some("displayName"), None));
        assert!(includes(None, Some("members.display")));
    }
}
