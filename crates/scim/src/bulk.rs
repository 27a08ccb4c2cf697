//! Bulk requests (RFC 7644 section 3.7): reading one, the order in which its operations are carried out, and its answer.
//!
//! An operation that is malformed by itself fails by itself; only a body that is no bulk request at all is refused whole.

mod references;

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::error::{Error, shown};
use crate::schema::ResourceType;

pub use references::{REFERENCE_MARK, Resolution, references, resolve};

/// The schema URN of a bulk request.
pub const BULK_REQUEST_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
/// The schema URN of its answer.
pub const BULK_RESPONSE_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
/// How many operations one request may hold.
pub const BULK_OPERATIONS_MAX: usize = 1_000;
/// How large the body of one may be.
pub const BULK_PAYLOAD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest `bulkId`, in bytes.
const BULK_ID_LENGTH_MAX: usize = 256;
const PATCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Bulk {
    /// After this many failures nothing more is carried out; none means that everything is tried.
    pub fail_on_errors: Option<usize>,
    /// The operations, as they stand in the request.
    pub operations: Vec<Operation>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// What is done; as it was sent if it is none of these.
    pub method: Result<Method, String>,
    /// The client's name for what is made.
    pub bulk_id: Option<String>,
    /// What it is done to, such as `/Users` or `/Users/1`.
    pub path: String,
    /// The version that the client wants to change.
    pub version: Option<String>,
    /// The resource, or the body of a PATCH.
    pub data: Option<Value>,
}

/// The request that an operation stands for, but for its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'o> {
    /// What is done.
    pub method: Method,
    /// To a resource of which type.
    pub resource_type: ResourceType,
    /// The resource's id or a reference to what another operation makes; empty for a POST.
    pub id: &'o str,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Makes a resource.
    Post,
    /// Replaces one.
    Put,
    /// Changes one.
    Patch,
    /// Deletes one.
    Delete,
}

impl Method {
    const ALL: [Self; 4] = [Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// The name of the HTTP method.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl Bulk {
    /// Reads a body. Names of members have no case, as those of attributes have none.
    pub fn parse(body: Value) -> Result<Self, Error> {
        let Value::Object(mut body) = body else { return Err(Error::invalid_syntax("the body is not a JSON object")) };
        let fail_on_errors = fail_on_errors(take(&mut body, "failOnErrors"))?;
        let Some(Value::Array(entries)) = take(&mut body, "Operations") else {
            return Err(Error::invalid_syntax("Operations is missing or not an array"));
        };
        if entries.is_empty() {
            return Err(Error::invalid_syntax("Operations is empty"));
        }
        if entries.len() > BULK_OPERATIONS_MAX {
            return Err(Error::payload_too_large(format!(
                "the request holds {} operations and may hold {BULK_OPERATIONS_MAX} (maxOperations): send it in parts",
                entries.len()
            )));
        }
        let operations: Vec<Operation> = entries.into_iter().enumerate().map(operation).collect::<Result<_, _>>()?;
        check_bulk_ids(&operations)?;
        Ok(Self { fail_on_errors, operations })
    }

    /// What makes a resource, by its `bulkId`: the places of these operations in the request.
    pub fn makers(&self) -> HashMap<&str, usize> {
        let posts = self.operations.iter().enumerate().filter(|(_, operation)| operation.method == Ok(Method::Post));
        posts.filter_map(|(at, operation)| Some((operation.bulk_id.as_deref()?, at))).collect()
    }

    /// What makes a resource that refers to others, by the `bulkId` of these: the places of these operations in the request.
    pub fn referring(&self) -> HashMap<String, Vec<usize>> {
        let mut referring: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, operation) in self.operations.iter().enumerate() {
            if operation.method == Ok(Method::Post) {
                operation.references().into_iter().for_each(|id| referring.entry(id).or_default().push(at));
            }
        }
        referring
    }

    /// The operations by their places in the request, so ordered that what makes a resource comes before what refers to it, as far as they do not
    /// refer to each other in a circle. What refers to nothing keeps its place.
    pub fn order(&self) -> Vec<usize> {
        let makers = self.makers();
        let mut order = Vec::with_capacity(self.operations.len());
        let mut seen = vec![false; self.operations.len()];
        for first in 0..self.operations.len() {
            // A stack of its own: a request may hold a chain as long as itself.
            let mut stack = vec![(first, false)];
            while let Some((at, done)) = stack.pop() {
                if done {
                    order.push(at);
                    continue;
                }
                if seen.get(at).copied().unwrap_or(true) {
                    continue;
                }
                seen.iter_mut().skip(at).take(1).for_each(|seen| *seen = true);
                stack.push((at, true));
                let Some(operation) = self.operations.get(at) else { continue };
                let needed = operation.references().into_iter().filter_map(|id| makers.get(id.as_str()).copied());
                stack.extend(needed.rev().map(|needed| (needed, false)));
            }
        }
        order
    }
}

impl Operation {
    /// The names of what this operation refers to, in its path and its data.
    pub fn references(&self) -> Vec<String> {
        let mut found = references(&Value::from(self.path.rsplit('/').next().unwrap_or_default()));
        if let Some(data) = &self.data {
            found.extend(references(data));
        }
        found.retain(|id| Some(id) != self.bulk_id.as_ref());
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The request that this operation stands for, without resolving references.
    pub fn request(&self) -> Result<Request<'_>, Error> {
        let method = match &self.method {
            Ok(method) => *method,
            Err(text) => {
                let detail = format!("\"{}\" is none of POST, PUT, PATCH and DELETE", shown(text));
                return Err(Error::invalid_syntax(detail));
            }
        };
        let path = self.path.trim_start_matches('/');
        let (collection, id) = path.split_once('/').unwrap_or((path, ""));
        let found = ResourceType::ALL.into_iter().find(|it| it.endpoint().trim_start_matches('/') == collection);
        let Some(resource_type) = found.filter(|_| !id.contains(['/', '?', '#'])) else {
            return Err(Error::invalid_value("the path of an operation is /Users, /Groups, or one of them with an id"));
        };
        let request = Request { method, resource_type, id };
        match (method, Some(id).filter(|id| !id.is_empty()), &self.bulk_id) {
            (Method::Post, None, None) => Err(Error::invalid_value("a POST within a bulk request needs a bulkId")),
            (Method::Post, Some(_), _) => Err(Error::invalid_value("the path of a POST is /Users or /Groups")),
            (Method::Put | Method::Patch | Method::Delete, None, _) => {
                Err(Error::invalid_value(format!("the path of a {} ends with an id", method.as_str())))
            }
            (Method::Post, None, Some(_)) | (Method::Put | Method::Patch, Some(_), _) => match &self.data {
                Some(_) => Ok(request),
                None => Err(Error::invalid_syntax(format!("a {} within a bulk request needs data", method.as_str()))),
            },
            (Method::Delete, Some(_), _) => Ok(request),
        }
    }

    /// The body of that request. The figures of RFC 7644 section 3.7.3 write the data of a PATCH as the bare list of its operations.
    pub fn body(&self) -> Option<Value> {
        let data = self.data.clone()?;
        Some(match (&self.method, data) {
            (Ok(Method::Patch), Value::Array(operations)) => {
                json!({"schemas": [PATCH_SCHEMA], "Operations": operations})
            }
            (_, data) => data,
        })
    }
}

/// The answer to a request.
pub fn bulk_response(results: Vec<Value>) -> Value {
    json!({"schemas": [BULK_RESPONSE_SCHEMA], "Operations": results})
}

fn operation((at, entry): (usize, Value)) -> Result<Operation, Error> {
    let Value::Object(mut entry) = entry else {
        return Err(Error::invalid_syntax(format!("Operations[{at}] is not an object")));
    };
    let mut text = |name: &str| match take(&mut entry, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::invalid_syntax(format!("Operations[{at}].{name} is not text"))),
    };
    let method = text("method")?.unwrap_or_default();
    let bulk_id = text("bulkId")?.filter(|id| !id.is_empty());
    let path = text("path")?.unwrap_or_default();
    let version = text("version")?.filter(|version| !version.is_empty());
    let known = Method::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(&method));
    let data = take(&mut entry, "data").filter(|data| !data.is_null());
    Ok(Operation { method: known.ok_or(method), bulk_id, path, version, data })
}

/// A name that two operations bear refers to neither.
fn check_bulk_ids(operations: &[Operation]) -> Result<(), Error> {
    let mut seen = std::collections::HashSet::new();
    for id in operations.iter().filter_map(|operation| operation.bulk_id.as_deref()) {
        if id.len() > BULK_ID_LENGTH_MAX {
            return Err(Error::invalid_value(format!("a bulkId is longer than {BULK_ID_LENGTH_MAX} bytes")));
        }
        if !seen.insert(id) {
            return Err(Error::invalid_value(format!("the bulkId \"{}\" names two operations", shown(id))));
        }
    }
    Ok(())
}

fn fail_on_errors(value: Option<Value>) -> Result<Option<usize>, Error> {
    let refused = || Error::invalid_value("failOnErrors must be a whole number, at least 1");
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => match number.as_u64() {
            Some(0) | None => Err(refused()),
            Some(errors) => Ok(Some(usize::try_from(errors).unwrap_or(usize::MAX))),
        },
        Some(_) => Err(refused()),
    }
}

fn take(object: &mut Map<String, Value>, name: &str) -> Option<Value> {
    let key = object.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned()?;
    object.remove(&key)
}

#[cfg(test)]
mod tests;
