//! The OpenID provider of `tests/oidc`, a process that speaks https.

use std::{
    env, fs,
    io::{BufRead, BufReader, Lines, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use reqwest::{Certificate, Client, Url};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::rollcall;

/// The variable that says `required` where the provider must be there, so that nothing is skipped.
const PRESENCE: &str = "ROLLCALL_TEST_OIDC_PROVIDER";

/// A client that the provider knows.
pub(crate) const CLIENT: &str = "entra";
/// Another.
pub(crate) const OTHER_CLIENT: &str = "somebody-else";

/// A running provider. It ends when this is dropped.
pub(crate) struct OpenIdProvider {
    directory: TempDir,
    child: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    issuer: String,
    client: Client,
}

impl Drop for OpenIdProvider {
    fn drop(&mut self) {
        self.stop();
    }
}

impl OpenIdProvider {
    /// Starts a provider; none when it is not installed here, and the test is then skipped, which it says.
    pub(crate) fn start() -> Option<Self> {
        if !is_installed() {
            let required = env::var(PRESENCE).is_ok_and(|value| value == "required");
            assert!(!required, "there is no OpenID provider: it needs Node.js, and `npm ci` in tests/oidc");
            // Straight to the stream: the test harness hides what passing tests print.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED with an OpenID provider: install Node.js and run `npm ci` in tests/oidc to run this test too"
            );
            return None;
        }
        let directory = TempDir::new().unwrap();
        let path = directory.path().display();
        let made = rollcall(&["generate", "certificates", &format!("--directory={path}")]);
        assert!(made.status.success(), "{made:?}");
        let mut child = Command::new("node")
            .arg("provider.mjs")
            .args(["identity.crt", "identity.key"].map(|file| directory.path().join(file)))
            .current_dir(folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(directory.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let authority = fs::read(directory.path().join("ca.crt")).unwrap();
        let client = Client::builder().tls_certs_only([Certificate::from_pem(&authority).unwrap()]).build().unwrap();
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut provider = Self { directory, child, commands, answers, issuer: String::new(), client };
        provider.issuer = provider.answer()["issuer"].as_str().unwrap().to_owned();
        Some(provider)
    }

    /// Its name: `iss` of what it signs.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The arguments by which Rollcall may call it.
    pub(crate) fn outbound_arguments(&self) -> [String; 2] {
        let authority = self.directory.path().join("ca.crt");
        ["--outbound-allow=127.0.0.0/8".to_owned(), format!("--outbound-ca-file={}", authority.display())]
    }

    /// A JWT about `client`, made out to `audience`. What `scope` may say stands in `tests/oidc/provider.mjs`.
    pub(crate) async fn assertion(&self, client: &str, audience: &str, scope: &str) -> String {
        let secret = format!("the secret of {client}");
        let parameters = [
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("client_secret", &secret),
            ("resource", audience),
            ("scope", scope),
        ];
        let request = self.client.post(format!("{}/token", self.issuer));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form(&parameters));
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}: {}", self.log())).to_owned()
    }

    /// Signs with new keys from now on and publishes those alone.
    pub(crate) fn rotate_keys(&mut self) {
        assert!(self.command("rotate")["kids"].is_array());
    }

    /// How many connections it has taken.
    pub(crate) fn connections(&mut self) -> u64 {
        self.command("connections")["connections"].as_u64().unwrap()
    }

    /// Ends it.
    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn command(&mut self, command: &str) -> Value {
        writeln!(self.commands, "{command}").unwrap();
        self.answer()
    }

    fn answer(&mut self) -> Value {
        let line = self.answers.next().unwrap_or_else(|| panic!("the provider ended: {}", self.log())).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }
}

/// Parameters as `application/x-www-form-urlencoded`.
pub(crate) fn form(parameters: &[(&str, &str)]) -> String {
    Url::parse_with_params("form:", parameters).unwrap().query().unwrap_or_default().to_owned()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oidc")
}

fn is_installed() -> bool {
    let node = Command::new("node").arg("--version").stdin(Stdio::null()).output();
    node.is_ok_and(|node| node.status.success()) && folder().join("node_modules/oidc-provider").is_dir()
}
