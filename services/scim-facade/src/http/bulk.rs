//! `POST /Bulk` (RFC 7644 section 3.7): each operation is carried out as the request that it stands for, by the same handlers.
//!
//! What makes a resource comes before what refers to it, in whatever order they stand in the request. Where two refer to each other, the one that
//! comes first is made without the reference and completed at the end.

use std::collections::{BTreeMap, HashMap};

use axum::{extract::State, response::Response};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ETAG, IF_MATCH, LOCATION},
};
use scim::{
    Error, ResourceType,
    bulk::{Bulk, Method, Operation, bulk_response, resolve},
};
use serde_json::{Map, Value};

use super::{
    answer, groups,
    request::{Id, Json, Query},
    users,
};
use crate::{
    Facade,
    base::Base,
    error::Refusal,
    identity::{Directory, ProvisioningState},
};

/// How much of a name an error repeats, in characters.
const NAME_SHOWN_MAX: usize = 100;

pub(crate) async fn run(
    State(facade): State<Facade>,
    directory: Directory,
    base: Base,
    Json(body): Json,
) -> Result<Response, Refusal> {
    let bulk = Bulk::parse(body)?;
    let tenant = directory.tenant().await.map_err(|status| Refusal::from_status(ResourceType::User, &status))?;
    if tenant.provisioning_state() == ProvisioningState::Paused {
        // Every operation would be refused so, and a client that looks at the status alone must see it.
        return Err(Refusal::paused());
    }
    let mut run = Run {
        facade,
        directory,
        base,
        bulk: &bulk,
        made: HashMap::new(),
        outcomes: BTreeMap::new(),
        incomplete: Vec::new(),
    };
    run.all().await;
    Ok(answer::json(StatusCode::OK, &run.response()))
}

/// A bulk request that is being carried out.
struct Run<'r> {
    facade: Facade,
    directory: Directory,
    base: Base,
    bulk: &'r Bulk,
    /// The ids of what was made, by `bulkId`.
    made: HashMap<String, String>,
    /// By the places of the operations in the request.
    outcomes: BTreeMap<usize, Outcome>,
    /// What was made without a reference to something that was not there yet.
    incomplete: Vec<usize>,
}

/// A request that an operation stands for.
struct Act {
    method: Method,
    resource_type: ResourceType,
    /// Empty for a POST.
    id: String,
    version: Option<String>,
    data: Option<Value>,
}

/// What became of an operation.
#[derive(Default)]
struct Outcome {
    status: StatusCode,
    location: Option<String>,
    version: Option<String>,
    /// The body of a refusal.
    error: Option<Value>,
}

impl Run<'_> {
    /// Everything, as far as the client's patience with errors goes.
    async fn all(&mut self) {
        let mut errors = 0;
        for at in self.bulk.order() {
            let Some(operation) = self.bulk.operations.get(at) else { continue };
            let outcome = match self.one(at, operation).await {
                Ok(outcome) => outcome,
                Err(refusal) => Outcome::refused(&refusal, self.address(operation)),
            };
            errors += usize::from(outcome.error.is_some());
            self.outcomes.insert(at, outcome);
            if self.bulk.fail_on_errors.is_some_and(|limit| errors >= limit) {
                break;
            }
        }
        for at in std::mem::take(&mut self.incomplete) {
            self.complete(at).await;
        }
    }

    async fn one(&mut self, at: usize, operation: &Operation) -> Result<Outcome, Refusal> {
        let mut act = self.act(operation)?;
        let mut missing = Vec::new();
        if let Some(data) = act.data.take() {
            let resolution = resolve(data, &self.made);
            act.data = resolution.value;
            missing = resolution.missing;
        }
        if let Some(name) = missing.iter().find(|name| !self.is_to_come(name)) {
            return Err(unresolved(name).into());
        }
        let address = self.address(operation);
        let outcome = Outcome::done(&self.perform(act).await?, address);
        if let (Some(bulk_id), Some(id)) = (&operation.bulk_id, outcome.id()) {
            self.made.insert(bulk_id.clone(), id);
        }
        if !missing.is_empty() {
            self.incomplete.push(at);
        }
        Ok(outcome)
    }

    /// Gives what was made without its references the whole of what was sent. What cannot be whole is not there at all.
    async fn complete(&mut self, at: usize) {
        let Some((operation, id)) = self.bulk.operations.get(at).zip(self.outcomes.get(&at).and_then(Outcome::id))
        else {
            return;
        };
        let act = |method, data| match self.act(operation) {
            Ok(act) => Ok(Act { method, id: id.clone(), version: None, data, ..act }),
            Err(error) => Err(error),
        };
        let resolution = resolve(operation.data.clone().unwrap_or_default(), &self.made);
        let completed = match (resolution.missing.first(), act(Method::Put, resolution.value)) {
            (Some(name), _) => Err(unresolved(name).into()),
            (None, Ok(act)) => self.perform(act).await,
            (None, Err(error)) => Err(error.into()),
        };
        let outcome = match completed {
            Ok(response) => {
                let location = self.outcomes.get(&at).and_then(|outcome| outcome.location.clone());
                Outcome { status: StatusCode::CREATED, ..Outcome::done(&response, location) }
            }
            Err(refusal) => {
                if let Ok(act) = act(Method::Delete, None)
                    && let Err(left) = self.perform(act).await
                {
                    tracing::warn!(
                        status = left.error().status,
                        "what a bulk request made in part could not be taken back"
                    );
                }
                Outcome::refused(&refusal, None)
            }
        };
        self.outcomes.insert(at, outcome);
    }

    fn act(&self, operation: &Operation) -> Result<Act, Error> {
        let (method, path, data) = operation.request()?;
        let (collection, id) = path.split_once('/').unwrap_or((path, ""));
        let resource_type = if collection == "Users" { ResourceType::User } else { ResourceType::Group };
        let id = match id.strip_prefix("bulkId:") {
            Some(name) => self.made.get(name).ok_or_else(|| unresolved(name))?.clone(),
            None => id.to_owned(),
        };
        Ok(Act { method, resource_type, id, version: operation.version.clone(), data })
    }

    /// The address of what an operation is about, if that is there already.
    fn address(&self, operation: &Operation) -> Option<String> {
        let act = self.act(operation).ok()?;
        (!act.id.is_empty()).then(|| self.base.resource(act.resource_type, &act.id))
    }

    /// Whether an operation that is not carried out yet makes what bears this name.
    fn is_to_come(&self, name: &str) -> bool {
        let named = |operation: &Operation| operation.bulk_id.as_deref() == Some(name);
        let maker = self.bulk.operations.iter().position(named);
        maker.is_some_and(|at| !self.outcomes.contains_key(&at))
    }

    /// Calls the handler of the request. The answer holds no more than the id: nobody reads the rest.
    async fn perform(&self, act: Act) -> Result<Response, Refusal> {
        let Act { method, resource_type, id, version, data } = act;
        let mut headers = HeaderMap::new();
        if let Some(version) = version {
            let version =
                HeaderValue::try_from(version).map_err(|_| Error::invalid_value("version is no entity tag"))?;
            headers.insert(IF_MATCH, version);
        }
        let (facade, directory, base) = (State(self.facade.clone()), self.directory.clone(), self.base.clone());
        let (id, query, body) = (Id(id), Query::id_alone(), Json(data.unwrap_or_default()));
        match (resource_type, method) {
            (ResourceType::User, Method::Post) => Box::pin(users::create(facade, directory, base, query, body)).await,
            (ResourceType::User, Method::Put) => {
                Box::pin(users::replace(facade, directory, base, id, query, headers, body)).await
            }
            (ResourceType::User, Method::Patch) => {
                Box::pin(users::patch(facade, directory, base, id, query, headers, body)).await
            }
            (ResourceType::User, Method::Delete) => users::delete(directory, id, headers).await,
            (ResourceType::Group, Method::Post) => Box::pin(groups::create(facade, directory, base, query, body)).await,
            (ResourceType::Group, Method::Put) => {
                Box::pin(groups::replace(facade, directory, base, id, query, headers, body)).await
            }
            (ResourceType::Group, Method::Patch) => Box::pin(groups::patch(facade, directory, id, headers, body)).await,
            (ResourceType::Group, Method::Delete) => groups::delete(directory, id, headers).await,
        }
    }

    fn response(&self) -> Value {
        let results = self.outcomes.iter();
        bulk_response(
            results.filter_map(|(at, outcome)| Some(outcome.to_json(self.bulk.operations.get(*at)?))).collect(),
        )
    }
}

/// RFC 7644 section 3.7.1: a reference that cannot be resolved is a conflict.
fn unresolved(name: &str) -> Error {
    let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_SHOWN_MAX).collect();
    Error::with_status(409, format!("bulkId:{name} names nothing that this request has made"))
}

impl Outcome {
    fn done(response: &Response, address: Option<String>) -> Self {
        let header = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let location = header(LOCATION).or(address);
        Self { status: response.status(), location, version: header(ETAG), error: None }
    }

    fn refused(refusal: &Refusal, location: Option<String>) -> Self {
        let error = refusal.error();
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, location, version: None, error: Some(error.to_json()) }
    }

    /// The id of what was made, which ends its address.
    fn id(&self) -> Option<String> {
        let location = self.location.as_deref().filter(|_| self.error.is_none())?;
        location.rsplit('/').next().map(str::to_owned)
    }

    fn to_json(&self, operation: &Operation) -> Value {
        let mut result = Map::new();
        let method = operation.method.as_ref().map_or_else(String::clone, |method| method.as_str().to_owned());
        result.insert("method".to_owned(), Value::from(method));
        let optional = [("bulkId", &operation.bulk_id), ("version", &self.version), ("location", &self.location)];
        for (name, value) in optional {
            if let Some(value) = value {
                result.insert(name.to_owned(), Value::from(value.as_str()));
            }
        }
        result.insert("status".to_owned(), Value::from(self.status.as_str()));
        if let Some(error) = &self.error {
            result.insert("response".to_owned(), error.clone());
        }
        Value::Object(result)
    }
}
