//! A SCIM server that does what Entra needs and no more, and that can be wrong in one way.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::Response,
};
use entra_client::{Client, Dialect, Mapping, Options};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::store::Store;

pub(crate) const KEY: &str = "rck0SecretOfTheTest";

/// One way to be wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    ProbeIs404,
    CreatedIs200,
    PlainJson,
    HtmlPage,
    Redirect,
    NoLocation,
    FilterIgnored,
    FilterAlwaysEmpty,
    IdsChange,
    CreatedTwice,
    NamesFolded,
    ValuesDropped,
    ActiveMissing,
    ActiveAsText,
    ManagerAsText,
    MembersShown,
    PatchIgnored,
    PatchIs409,
    RenameEmptiesGroup,
    RemoveEmptiesGroup,
    RemoveIgnored,
    LastMembersWin,
    InactiveHidden,
    DeleteIgnored,
    DeleteIs200,
    GoneIsPlainJson,
    /// Refuses the first writes, this many, with 429 and this Retry-After.
    ThrottlesFirst(usize, u64),
    /// Refuses every write with 503 and this Retry-After.
    Unavailable(u64),
    /// Shows the Authorization header in an error.
    EchoesKey,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(crate) struct Server {
    pub(crate) store: Mutex<Store>,
    pub(crate) seen: Mutex<Vec<Seen>>,
    pub(crate) fault: Mutex<Fault>,
    pub(crate) url: String,
}

type Reply = (u16, Option<String>, Value);

impl Server {
    pub(crate) async fn start(fault: Fault) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/scim/v2", listener.local_addr().unwrap());
        let (store, seen, fault) = (Mutex::default(), Mutex::default(), Mutex::new(fault));
        let server = Arc::new(Self { store, seen, fault, url });
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    pub(crate) fn client(&self, dialect: Dialect, mapping: Mapping) -> Client {
        let options = Options { dialect, mapping, ..Options::default() };
        Client::new(&self.url, SecretString::from(KEY), options).unwrap()
    }

    pub(crate) fn be(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// The requests since the last call, in the order of their arrival.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    fn reply(&self, seen: &Seen, fault: Fault) -> Reply {
        let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
        let mut segments = path.trim_start_matches("/scim/v2/").split('/');
        let (collection, id) = (segments.next().unwrap(), segments.next());
        let query: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let mut store = self.store.lock().unwrap();
        match (seen.method.as_str(), id) {
            ("GET", None) => list(&mut store, collection, &query, fault),
            ("POST", None) => create(&mut store, collection, seen.json(), &self.url, fault),
            ("GET", Some(id)) => match store.collection(collection).get(id).cloned() {
                Some(resource) => (200, None, shown(&store, collection, resource, !query.is_empty(), fault)),
                None if fault == Fault::GoneIsPlainJson => (404, None, json!({ "message": "not found" })),
                None => error(404),
            },
            ("PATCH", Some(_)) if fault == Fault::PatchIs409 => error(409),
            ("PATCH", Some(id)) if fault != Fault::PatchIgnored => {
                store.patch(collection, id, &seen.json(), fault);
                let resource = store.collection(collection)[id].clone();
                match collection {
                    "Users" => (200, None, shown(&store, collection, resource, true, fault)),
                    _ => (204, None, Value::Null),
                }
            }
            ("PATCH", Some(_)) => (204, None, Value::Null),
            ("DELETE", Some(_)) if fault == Fault::DeleteIgnored => (204, None, Value::Null),
            ("DELETE", Some(id)) if store.delete(collection, id) => {
                (if fault == Fault::DeleteIs200 { 200 } else { 204 }, None, Value::Null)
            }
            _ => error(404),
        }
    }
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
    let seen = Seen {
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().unwrap().to_string(),
        headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    server.seen.lock().unwrap().push(seen.clone());
    let fault = *server.fault.lock().unwrap();
    let mut response = Response::builder();
    let refused = if seen.method == "GET" { None } else { refused_for(&server, fault) };
    if let Some((status, wait)) = refused {
        return response.status(status).header("retry-after", wait).body(Body::empty()).unwrap();
    }
    let (status, location, body) = match fault {
        _ if seen.header("authorization") != Some(&format!("Bearer {KEY}")) => error(401),
        Fault::EchoesKey => (500, None, json!({ "you sent": seen.header("authorization") })),
        Fault::Redirect => (302, Some("https://login.example.com/".to_owned()), Value::Null),
        _ => server.reply(&seen, fault),
    };
    let content_type = match fault {
        Fault::PlainJson => "application/json",
        Fault::HtmlPage => "text/html",
        _ => "application/scim+json",
    };
    if let Some(location) = location.filter(|_| fault != Fault::NoLocation) {
        response = response.header("location", location);
    }
    let body = if body.is_null() { String::new() } else { body.to_string() };
    response.status(status).header("content-type", content_type).body(Body::from(body)).unwrap()
}

/// The status and the Retry-After with which a write is refused.
fn refused_for(server: &Server, fault: Fault) -> Option<(u16, u64)> {
    match fault {
        Fault::ThrottlesFirst(left, wait) if left > 0 => {
            server.be(Fault::ThrottlesFirst(left - 1, wait));
            Some((429, wait))
        }
        Fault::Unavailable(wait) => Some((503, wait)),
        _ => None,
    }
}

fn list(store: &mut Store, collection: &str, query: &[(String, String)], fault: Fault) -> Reply {
    if fault == Fault::ProbeIs404 {
        return error(404);
    }
    let filter = query.iter().find(|(key, _)| key == "filter").map(|(_, filter)| filter.as_str()).unwrap();
    let (attribute, value) = filter.split_once(" eq ").unwrap();
    let value = serde_json::from_str::<String>(value).unwrap().to_lowercase();
    let matches = |resource: &Value| match fault {
        Fault::FilterIgnored => true,
        Fault::FilterAlwaysEmpty => false,
        Fault::InactiveHidden if resource["active"] == false => false,
        _ => resource[attribute].as_str().unwrap().to_lowercase() == value,
    };
    let found: Vec<Value> = store.collection(collection).values().filter(|held| matches(held)).cloned().collect();
    let without_members = query.iter().any(|(key, value)| key == "excludedAttributes" && value == "members");
    let found: Vec<Value> =
        found.into_iter().map(|resource| shown(store, collection, resource, without_members, fault)).collect();
    let schemas = ["urn:ietf:params:scim:api:messages:2.0:ListResponse"];
    (200, None, json!({ "schemas": schemas, "totalResults": found.len(), "startIndex": 1, "Resources": found }))
}

fn create(store: &mut Store, collection: &str, body: Value, url: &str, fault: Fault) -> Reply {
    let Some(id) = store.create(collection, body.clone()) else { return error(409) };
    if fault == Fault::CreatedTwice {
        store.insert(collection, &mut body.clone());
    }
    let resource = store.collection(collection)[&id].clone();
    let status = if fault == Fault::CreatedIs200 { 200 } else { 201 };
    let fault = if fault == Fault::IdsChange { Fault::None } else { fault };
    (status, Some(format!("{url}/{collection}/{id}")), shown(store, collection, resource, true, fault))
}

fn shown(store: &Store, collection: &str, mut resource: Value, without_members: bool, fault: Fault) -> Value {
    let id = resource["id"].as_str().unwrap().to_owned();
    if collection == "Groups" && (!without_members || fault == Fault::MembersShown) {
        let members = store.members.get(&id).into_iter().flatten();
        resource["members"] = members.map(|member| json!({ "value": member })).collect();
    }
    match fault {
        Fault::IdsChange => resource["id"] = json!(format!("{id}-{}", store.users.len())),
        Fault::NamesFolded => {
            let key = if collection == "Users" { "userName" } else { "displayName" };
            resource[key] = json!(resource[key].as_str().unwrap().to_uppercase());
        }
        Fault::ValuesDropped => drop(resource.as_object_mut().unwrap().remove("externalId")),
        Fault::ActiveMissing => drop(resource.as_object_mut().unwrap().remove("active")),
        _ => {}
    }
    resource
}

fn error(status: u16) -> Reply {
    let schemas = ["urn:ietf:params:scim:api:messages:2.0:Error"];
    (status, None, json!({ "schemas": schemas, "status": status.to_string(), "detail": "no" }))
}
