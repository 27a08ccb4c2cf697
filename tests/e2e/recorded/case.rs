//! The two kinds of recorded case, read from their files.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Map, Value, json};

const ENTERPRISE_URN: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// A case of the second kind: requests and the answers that each deserves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// The name of the file, without its ending.
    pub(super) name: String,
    /// Who sends this, or says that it is right.
    pub(super) source: String,
    /// What it shows, where the name does not say enough.
    #[serde(default)]
    pub(super) about: Option<String>,
    pub(super) exchange: Vec<Step>,
}

/// One step of a case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// An administrator's command, run for the tenant of the case, that must succeed.
    #[serde(default)]
    pub(super) command: Option<Vec<String>>,
    #[serde(default)]
    pub(super) request: Option<Request>,
    #[serde(default)]
    pub(super) answer: Option<Answer>,
    /// How often the step is played, `{{n}}` counting from 1.
    #[serde(default)]
    pub(super) repeat: Option<u32>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Request {
    pub(super) method: String,
    /// Below the tenant URL.
    pub(super) path: String,
    /// Beside the key and the content type; null takes one of these away.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Option<String>>,
    #[serde(default)]
    pub(super) body: Option<Value>,
    /// A body that is no JSON.
    #[serde(default)]
    pub(super) body_text: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Answer {
    pub(super) status: u16,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// The whole body.
    #[serde(default)]
    pub(super) body: Option<Value>,
    /// A part of the body.
    #[serde(default)]
    pub(super) body_contains: Option<Value>,
}

/// A case and the file it stands in, relative to `tests/recorded`.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    pub(super) file: String,
    pub(super) case: Case,
}

/// Every case: those of the second kind, and of the first all that a server can be asked as it stands.
pub(super) fn all() -> Vec<Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recorded").canonicalize().unwrap();
    let mut files = Vec::new();
    walk(&folder, &mut files);
    files.sort();
    let read = |path: &PathBuf| {
        let file = path.strip_prefix(&folder).unwrap().display().to_string();
        let content: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap())
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let case = if content.get("exchange").is_some() {
            Some(serde_json::from_value(content).unwrap_or_else(|error| panic!("{file}: {error}")))
        } else {
            of_first_kind(&content)
        };
        case.map(|case| Recorded { file, case })
    };
    files.iter().filter_map(read).collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
}

/// A case of the first kind (`crates/scim-entra/tests/recorded.rs`) as an exchange. The PATCH of a group is one about
/// members that no server knows, so exchanges of their own cover it.
fn of_first_kind(case: &Value) -> Option<Case> {
    let text = |name: &str| case[name].as_str().unwrap().to_owned();
    let resource_type = text("resource_type");
    let names_members = case.pointer("/after/members").is_some();
    let exchange = match (text("kind").as_str(), resource_type.as_str()) {
        ("resource", _) if names_members => return None,
        ("resource", _) => vec![step("POST", format!("/{resource_type}s"), &case["body"], outcome(case, 201))],
        ("patch", "User") => {
            let created = Answer { body_contains: Some(json!({"id": "{{id}}"})), ..plain(201) };
            let read = if case.get("error").is_some() { &case["before"] } else { &case["after"] };
            vec![
                step("POST", "/Users".to_owned(), &case["before"], created),
                step("PATCH", "/Users/{{id}}".to_owned(), &case["body"], outcome(case, 200)),
                step("GET", "/Users/{{id}}".to_owned(), &Value::Null, whole(read, 200)),
            ]
        }
        (_, _) => return None,
    };
    Some(Case { name: text("name"), source: text("source"), about: None, exchange })
}

fn step(method: &str, path: String, body: &Value, answer: Answer) -> Step {
    let body = Some(body.clone()).filter(|body| !body.is_null());
    let request = Request { method: method.to_owned(), path, headers: BTreeMap::new(), body, body_text: None };
    Step { command: None, request: Some(request), answer: Some(answer), repeat: None }
}

fn plain(status: u16) -> Answer {
    Answer { status, headers: BTreeMap::new(), body: None, body_contains: None }
}

fn outcome(case: &Value, status: u16) -> Answer {
    let Some(error) = case.get("error") else { return whole(&case["after"], status) };
    let status = error["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap();
    Answer { body_contains: Some(json!({"scimType": error["scimType"]})), ..plain(status) }
}

/// The resource, with what the server adds to every one, and without the address of the manager, which is the server's to give.
fn whole(resource: &Value, status: u16) -> Answer {
    let mut body: Map<String, Value> = resource.as_object().unwrap().clone();
    if let Some(Value::Object(manager)) =
        body.get_mut(ENTERPRISE_URN).and_then(|extension| extension.get_mut("manager"))
    {
        manager.remove("$ref");
    }
    body.entry("schemas").or_insert_with(|| json!("{{nonempty}}"));
    body.entry("id").or_insert_with(|| json!("{{nonempty}}"));
    let is_group = body.contains_key("displayName") && !body.contains_key("userName");
    body.entry(if is_group { "members" } else { "active" })
        .or_insert_with(|| if is_group { json!([]) } else { json!(true) });
    Answer { body: Some(Value::Object(body)), ..plain(status) }
}
