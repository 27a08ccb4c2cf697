//! What tests ask of a running Rollcall: commands and requests.

use std::process::{Command, Output};

use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::Value;

use super::{Deployment, Rollcall, program};

/// What a request was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Rollcall {
    /// Runs an administrator's command.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        self.cli_at(&self.identity_url(), arguments)
    }

    /// Runs an administrator's command against the server at another address.
    pub(crate) fn cli_at(&self, server: &str, arguments: &[&str]) -> Output {
        self.command(server, &self.api_keys_url(), arguments).output().unwrap()
    }

    /// Runs an administrator's command with another credential than the operator's.
    pub(crate) fn cli_as(&self, key: &str, arguments: &[&str]) -> Output {
        self.command(&self.identity_url(), &self.api_keys_url(), arguments)
            .env("ROLLCALL_OPERATOR_KEY", key)
            .output()
            .unwrap()
    }

    /// An administrator's command with the operator's credential, to these servers.
    pub(crate) fn command(&self, identity: &str, api_keys: &str, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments).args([
            format!("--server={identity}"),
            format!("--api-keys-server={api_keys}"),
            format!("--operator-key-file={}", self.operator_key_file().display()),
        ]);
        if self.deployment == Deployment::ServePostgres {
            command.arg(format!("--ca-file={}", self.certificates().join("ca.crt").display()));
        }
        command
    }

    /// Runs an administrator's command that must succeed, and answers what it printed.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments);
        assert!(output.status.success(), "rollcall {arguments:?}: {output:?}\n{}", self.logs());
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs an administrator's command that prints JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.extend(["--output", "json"]);
        serde_json::from_str(&self.succeed(&all)).unwrap()
    }

    /// Makes a key and answers its text.
    pub(crate) fn key(&self, arguments: &[&str]) -> String {
        let mut all = vec!["api-key", "create"];
        all.extend(arguments);
        self.succeed(&all).trim_end().to_owned()
    }

    /// Plays the provisioning client as a process of its own.
    pub(crate) fn simulate(&self, key: &str, arguments: &[&str]) -> Output {
        program()
            .args(["simulate", "--url", &self.scim_url()])
            .args(arguments)
            .env("ROLLCALL_SCIM_KEY", key)
            .output()
            .unwrap()
    }

    /// Sends a SCIM request as `path` below the tenant URL.
    pub(crate) async fn scim(&self, key: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(|body| body.to_string().into_bytes());
        self.send(Some(&format!("Bearer {key}")), method, path, body).await
    }

    /// Sends any request as `path` below the tenant URL.
    pub(crate) async fn send(
        &self,
        authorization: Option<&str>,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Answer {
        let client = reqwest::Client::new();
        let mut request = client.request(method, format!("{}{path}", self.scim_url()));
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/scim+json; charset=utf-8").body(body);
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("{error:?}\n{}", self.logs()));
        let (status, headers) = (answer.status(), answer.headers().clone());
        Answer { status, headers, text: answer.text().await.unwrap() }
    }
}
