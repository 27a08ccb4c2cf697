//! Plays a case against a running system, in a tenant of its own.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

use super::{
    case::{self, Case, Step},
    matching::{Mode, Variables},
};
use crate::harness::Rollcall;

/// How long an answer may take. Far more than it needs.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const ERROR_URN: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// A case under way.
struct Play {
    rollcall: Arc<Rollcall>,
    /// Sends a request as it is: no header that the case does not name, the path as it is written.
    client: Client<HttpConnector, Full<Bytes>>,
    tenant: String,
    key: String,
    variables: Variables,
}

struct Got {
    status: u16,
    headers: HeaderMap,
    text: String,
}

/// Plays a case; the error says at which step what was expected and what came.
pub(super) async fn play(rollcall: Arc<Rollcall>, tenant: String, case: &Case) -> Result<(), String> {
    let tenant_of = |command: &[&str]| {
        let mut all = command.to_vec();
        all.extend(["--tenant", &tenant]);
        rollcall.succeed(&all)
    };
    rollcall.succeed(&["tenant", "create", &tenant]);
    tenant_of(&["scim", "enable"]);
    let key = tenant_of(&["api-key", "create", "--name", "directory"]).trim_end().to_owned();
    let mut variables = Variables::default();
    variables.set("url", json!(rollcall.scim_url()));
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut play = Play { rollcall, client, tenant, key, variables };
    for (number, step) in (1..).zip(&case.exchange) {
        for n in 1..=step.repeat.unwrap_or(1) {
            play.variables.set("n", json!(n));
            play.step(step).await.map_err(|error| format!("step {number}: {error}"))?;
        }
    }
    Ok(())
}

impl Play {
    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match (&step.command, &step.request, &step.answer) {
            (Some(command), None, None) => self.command(command),
            (None, Some(request), Some(answer)) => {
                let (asked, got) = self.send(request).await?;
                self.check(answer, &got).map_err(|error| {
                    let Got { status, headers, text } = &got;
                    format!("{asked}\n    {error}\n    got {status} {text}\n    with {headers:?}")
                })
            }
            (_, _, _) => Err("a step is a command, or a request and its answer".to_owned()),
        }
    }

    fn command(&self, command: &[String]) -> Result<(), String> {
        let mut arguments =
            command.iter().map(|argument| self.variables.text(argument)).collect::<Result<Vec<_>, _>>()?;
        arguments.extend(["--tenant".to_owned(), self.tenant.clone()]);
        let output = self.rollcall.cli(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        if output.status.success() {
            return Ok(());
        }
        Err(format!("rollcall {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)))
    }

    /// Sends a request; answers it in short as well.
    async fn send(&self, request: &case::Request) -> Result<(String, Got), String> {
        let path = self.variables.text(&request.path)?;
        let asked = format!("{} {path}", request.method);
        let uri: Uri =
            format!("{}{path}", self.rollcall.scim_url()).parse().map_err(|error| format!("{asked}: {error}"))?;
        let method: Method = request.method.parse().map_err(|error| format!("{asked}: {error}"))?;
        let body = match (&request.body, &request.body_text) {
            (Some(body), None) => Some(self.variables.body(body)?.to_string()),
            (None, Some(text)) => Some(self.variables.text(text)?),
            (None, None) => None,
            (Some(_), Some(_)) => return Err(format!("{asked}: both body and bodyText")),
        };
        let mut headers = BTreeMap::from([("authorization".to_owned(), format!("Bearer {}", self.key))]);
        if body.is_some() {
            headers.insert("content-type".to_owned(), "application/scim+json; charset=utf-8".to_owned());
        }
        for (name, value) in &request.headers {
            match value {
                Some(value) => drop(headers.insert(name.to_lowercase(), self.variables.text(value)?)),
                None => drop(headers.remove(&name.to_lowercase())),
            }
        }
        let builder = Request::builder().method(method).uri(uri);
        let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(name, value));
        let sent = builder.body(Full::from(body.unwrap_or_default())).map_err(|error| format!("{asked}: {error}"))?;
        let answer = async {
            let (parts, body) = self.client.request(sent).await.map_err(|error| format!("{error:?}"))?.into_parts();
            let bytes = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            let text = String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string())?;
            Ok::<_, String>(Got { status: parts.status.as_u16(), headers: parts.headers, text })
        };
        let got = tokio::time::timeout(ANSWER_WITHIN, answer).await.map_err(|late| format!("{asked}: {late}"))?;
        Ok((asked.clone(), got.map_err(|error| format!("{asked}: {error}"))?))
    }

    fn check(&mut self, expected: &case::Answer, got: &Got) -> Result<(), String> {
        if expected.status != got.status {
            return Err(format!("expected status {}", expected.status));
        }
        for (name, value) in &expected.headers {
            let header = got.headers.get(name).map(|value| value.to_str().unwrap());
            self.variables.compare_text(value, header).map_err(|error| format!("header {name}{error}"))?;
        }
        let body = match &*got.text {
            "" => None,
            text => Some(serde_json::from_str::<Value>(text).map_err(|error| format!("the body is no JSON: {error}"))?),
        };
        if let Some(body) = &body {
            check_form(got, body)?;
        }
        if let Some(expected) = &expected.body {
            self.variables.compare(Mode::Exact, expected, body.as_ref())?;
        }
        if let Some(expected) = &expected.body_contains {
            self.variables.compare(Mode::Contains, expected, body.as_ref())?;
        }
        Ok(())
    }
}

/// What holds of every answer with a body.
fn check_form(got: &Got, body: &Value) -> Result<(), String> {
    let content_type = got.headers.get("content-type").map(|value| value.to_str().unwrap());
    if content_type != Some("application/scim+json") {
        return Err(format!("expected content-type application/scim+json, got {content_type:?}"));
    }
    if has_null(body) {
        return Err("an answer holds no null".to_owned());
    }
    if got.status < 400 {
        return Ok(());
    }
    let has_detail = body["detail"].as_str().is_some_and(|detail| detail.len() > 10);
    if body["schemas"] == json!([ERROR_URN]) && body["status"].as_str() == Some(&*got.status.to_string()) && has_detail
    {
        return Ok(());
    }
    Err("expected an error with its URN, its status as text and a detail".to_owned())
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(elements) => elements.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
