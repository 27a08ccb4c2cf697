//! `POST /Bulk` (RFC 7644 section 3.7): each operation is carried out as the request that it stands for, by the same handlers.
//!
//! What makes a resource comes before what refers to it, in whatever order they stand in the request. Of those that refer to each other in a
//! circle, the one that comes first is made without its reference, and completed as soon as what it refers to is there: before anything else can
//! change it. What cannot be completed is taken back. Only what this request made itself is ever treated so.
//!
//! The work goes on when the client hangs up: a circle that is half closed would stay so.

mod outcome;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use axum::{extract::State, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, header::IF_MATCH};
use scim::{
    Error, ResourceType,
    bulk::{Bulk, Method, Operation, REFERENCE_MARK, bulk_response, resolve},
};
use serde_json::Value;
use tracing::Instrument as _;

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
    log::Target,
};
use outcome::Outcome;

/// How much of a name an error repeats, in characters.
const NAME_SHOWN_MAX: usize = 100;

pub(crate) async fn run(
    State(facade): State<Facade>,
    directory: Directory,
    base: Base,
    Json(body): Json,
) -> Result<Response, Refusal> {
    let bulk = Arc::new(Bulk::parse(body)?);
    directory.recorder().operations(bulk.operations.len());
    let tenant = directory.tenant().await.map_err(|status| Refusal::from_status(ResourceType::User, &status))?;
    match tenant.provisioning_state() {
        // Every operation would be refused so, and a client that looks at the status alone must see it.
        ProvisioningState::Paused => return Err(Refusal::paused(&tenant.provisioning_state_reason)),
        // Operations refer to what those before them have made, and in a preview nothing is.
        ProvisioningState::Preview => {
            return Err(Refusal::preview("run the operations of a bulk request", &tenant.provisioning_state_reason));
        }
        ProvisioningState::On | ProvisioningState::Off | ProvisioningState::Unspecified => {}
    }
    let run = Run {
        facade,
        directory,
        base,
        bulk: Arc::clone(&bulk),
        made: HashMap::new(),
        outcomes: BTreeMap::new(),
        incomplete: BTreeMap::new(),
        referring: bulk.referring(),
    };
    let running = tokio::spawn(run.all().in_current_span());
    let outcomes = running.await.map_err(|_| {
        tracing::error!("a bulk request ended in a panic");
        Refusal::internal()
    })??;
    let results = outcomes.iter().filter_map(|(at, outcome)| Some(outcome.to_json(bulk.operations.get(*at)?)));
    Ok(answer::json(StatusCode::OK, &bulk_response(results.collect())))
}

/// What became of the operations, by their places in the request.
type Outcomes = BTreeMap<usize, Outcome>;

/// A bulk request that is being carried out.
struct Run {
    facade: Facade,
    directory: Directory,
    base: Base,
    bulk: Arc<Bulk>,
    /// The ids of what was made, by `bulkId`.
    made: HashMap<String, String>,
    outcomes: Outcomes,
    /// What was made without references to something that was not there yet, and their names.
    incomplete: BTreeMap<usize, BTreeSet<String>>,
    /// What makes a resource that refers to others, by the names of these.
    referring: HashMap<String, Vec<usize>>,
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

impl Run {
    /// Everything, as far as the client's patience with errors goes, and as long as there is an answer to be had.
    async fn all(mut self) -> Result<Outcomes, Refusal> {
        let bulk = Arc::clone(&self.bulk);
        let makers = bulk.makers();
        let (mut errors, mut gave_up) = (0, None);
        let mut order = bulk.order().into_iter();
        for at in order.by_ref() {
            let Some(operation) = bulk.operations.get(at) else { continue };
            let outcome = match self.one(at, operation, &makers).await {
                Ok(outcome) => outcome,
                Err(refusal) if refusal.is_outage() => {
                    self.give_up(&refusal, std::iter::once(at).chain(order))?;
                    gave_up = Some(refusal);
                    break;
                }
                Err(refusal) => Outcome::refused(&refusal, self.address(operation)),
            };
            self.outcomes.insert(at, outcome);
            self.complete_what_can_be(&makers).await;
            errors = self.outcomes.values().filter(|outcome| outcome.is_error()).count().max(errors);
            if bulk.fail_on_errors.is_some_and(|limit| errors >= limit) {
                break;
            }
        }
        let Some(refusal) = gave_up else {
            // What was to be made is not going to be.
            while let Some(at) = self.incomplete.keys().next().copied() {
                self.complete(at).await;
            }
            return Ok(self.outcomes);
        };
        // Nor could it be completed or taken back now.
        for at in std::mem::take(&mut self.incomplete).into_keys() {
            if let Some(made) = self.outcomes.remove(&at) {
                self.outcomes.insert(at, made.in_part(&refusal));
            }
        }
        Ok(self.outcomes)
    }

    /// Identity does not answer: each further operation would wait for it in vain. Where nothing was done yet, that is the answer to the whole.
    fn give_up(&mut self, refusal: &Refusal, left: impl Iterator<Item = usize>) -> Result<(), Refusal> {
        if self.outcomes.values().all(Outcome::is_error) {
            return Err(refusal.clone());
        }
        for at in left {
            let address = self.bulk.operations.get(at).and_then(|operation| self.address(operation));
            self.outcomes.insert(at, Outcome::refused(refusal, address));
        }
        Ok(())
    }

    async fn one(
        &mut self,
        at: usize,
        operation: &Operation,
        makers: &HashMap<&str, usize>,
    ) -> Result<Outcome, Refusal> {
        let (act, missing) = match self.resolved(operation, makers) {
            Ok(resolved) => resolved,
            Err(error) => {
                let refusal = Refusal::from(error);
                self.directory.recorder().operation(target(operation)).refused(&refusal);
                return Err(refusal);
            }
        };
        let address = self.address(operation);
        let is_post = act.method == Method::Post;
        let outcome = Outcome::done(&self.perform(act).await?, address);
        if let (true, Some(bulk_id), Some(id)) = (is_post, &operation.bulk_id, outcome.id()) {
            self.made.insert(bulk_id.clone(), id);
        }
        if !missing.is_empty() {
            self.incomplete.insert(at, missing);
        }
        Ok(outcome)
    }

    /// The request of an operation, and the names in it of what is to come.
    fn resolved(&self, operation: &Operation, makers: &HashMap<&str, usize>) -> Result<(Act, BTreeSet<String>), Error> {
        let mut act = self.act(operation)?;
        let mut missing = BTreeSet::new();
        if let Some(data) = operation.body() {
            let resolution = resolve(data, &self.made);
            (act.data, missing) = (resolution.value, resolution.missing);
        }
        // Only what is made can be made in part.
        let may_wait = |name: &String| act.method == Method::Post && self.is_to_come(name, makers);
        match missing.iter().find(|name| !may_wait(name)) {
            Some(name) => Err(unresolved(name)),
            None => Ok((act, missing)),
        }
    }

    /// Completes what waits for nothing any more.
    async fn complete_what_can_be(&mut self, makers: &HashMap<&str, usize>) {
        let waits = |run: &Self, missing: &BTreeSet<String>| {
            missing.iter().any(|name| !run.made.contains_key(name) && run.is_to_come(name, makers))
        };
        // What is taken back leaves others to look at again.
        while let Some((at, _)) = self.incomplete.iter().find(|(_, missing)| !waits(self, missing)) {
            self.complete(*at).await;
        }
    }

    /// Gives what was made without its references the whole of what was sent. What cannot be whole is taken back.
    async fn complete(&mut self, at: usize) {
        self.incomplete.remove(&at);
        let bulk = Arc::clone(&self.bulk);
        let Some((operation, made)) = bulk.operations.get(at).zip(self.outcomes.remove(&at)) else { return };
        let refusal = match self.completed(operation, &made).await {
            Ok(response) => {
                self.outcomes.insert(at, made.completed(&response));
                return;
            }
            Err(refusal) => refusal,
        };
        match self.taken_back(operation, &made).await {
            Ok(()) => {
                self.outcomes.insert(at, Outcome::refused(&refusal, None));
                self.forget(operation);
            }
            Err(left) => {
                let status = left.error().status;
                tracing::warn!(status, "what a bulk request made in part could not be taken back");
                // It is there: a client that is told where does not make it again.
                self.outcomes.insert(at, made.in_part(&refusal));
            }
        }
    }

    /// What this request made with a reference to what is no more cannot be whole either. It is taken back in its turn
    /// and not from here: a request may hold a chain as long as itself.
    fn forget(&mut self, operation: &Operation) {
        let Some(name) = &operation.bulk_id else { return };
        self.made.remove(name);
        for at in self.referring.get(name).into_iter().flatten() {
            if self.outcomes.get(at).is_some_and(|outcome| !outcome.is_error()) {
                self.incomplete.insert(*at, BTreeSet::new());
            }
        }
    }

    async fn completed(&self, operation: &Operation, made: &Outcome) -> Result<Response, Refusal> {
        let resolution = resolve(operation.body().unwrap_or_default(), &self.made);
        if let Some(name) = resolution.missing.first() {
            return Err(unresolved(name).into());
        }
        let act = self.act(operation)?;
        // Whoever else has changed it since is not overwritten.
        let (id, version) = (made.id().unwrap_or_default(), made.version());
        self.perform(Act { method: Method::Put, id, version, data: resolution.value, ..act }).await
    }

    async fn taken_back(&self, operation: &Operation, made: &Outcome) -> Result<(), Refusal> {
        let act = self.act(operation)?;
        let (id, version) = (made.id().unwrap_or_default(), made.version());
        self.perform(Act { method: Method::Delete, id, version, data: None, ..act }).await.map(drop)
    }

    /// The request without its body.
    fn act(&self, operation: &Operation) -> Result<Act, Error> {
        let request = operation.request()?;
        let id = match request.id.strip_prefix(REFERENCE_MARK) {
            Some(name) => self.made.get(name).ok_or_else(|| unresolved(name))?.clone(),
            None => request.id.to_owned(),
        };
        let (method, resource_type, version) = (request.method, request.resource_type, operation.version.clone());
        Ok(Act { method, resource_type, id, version, data: None })
    }

    /// The address of what an operation is about, if that is there already.
    fn address(&self, operation: &Operation) -> Option<String> {
        let act = self.act(operation).ok()?;
        (!act.id.is_empty()).then(|| self.base.resource(act.resource_type, &act.id))
    }

    /// Whether an operation that is not carried out yet makes what bears this name.
    fn is_to_come(&self, name: &str, makers: &HashMap<&str, usize>) -> bool {
        makers.get(name).is_some_and(|at| !self.outcomes.contains_key(at))
    }

    /// Carries a request out, which leaves an entry of its own in the log.
    async fn perform(&self, act: Act) -> Result<Response, Refusal> {
        let target = Target::of_operation(act.method, act.resource_type, &act.id);
        let recorder = self.directory.recorder().operation(target);
        let performed = self.handled(act, self.directory.recorded_by(recorder.clone())).await;
        match &performed {
            Ok(response) => recorder.answered(response),
            Err(refusal) => recorder.refused(refusal),
        }
        performed
    }

    /// Calls the handler of the request. The answer holds no more than the id: nobody reads the rest.
    async fn handled(&self, act: Act, directory: Directory) -> Result<Response, Refusal> {
        let Act { method, resource_type, id, version, data } = act;
        let mut headers = HeaderMap::new();
        if let Some(version) = version {
            let version =
                HeaderValue::try_from(version).map_err(|_| Error::invalid_value("version is no entity tag"))?;
            headers.insert(IF_MATCH, version);
        }
        let (facade, base) = (State(self.facade.clone()), self.base.clone());
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
}

/// What an operation seems to be about that is refused before it is known.
fn target(operation: &Operation) -> Target {
    match operation.request() {
        Ok(request) => Target::of_operation(request.method, request.resource_type, ""),
        Err(_) => Target::other(),
    }
}

/// RFC 7644 section 3.7.1: a reference that cannot be resolved is a conflict.
fn unresolved(name: &str) -> Error {
    let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_SHOWN_MAX).collect();
    Error::with_status(409, format!("{REFERENCE_MARK}{name} names nothing that this request has made"))
}
