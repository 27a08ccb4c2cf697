//! Starting Rollcall as its users do, and speaking to it.

use std::{
    fs,
    io::Read,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use database::{
    Database, Location,
    testing::{Engine, TestDatabase},
};
use reqwest::{Method, StatusCode, header::HeaderMap};
use sea_orm::ConnectionTrait;
use secrecy::ExposeSecret;
use serde_json::Value;
use tempfile::TempDir;

/// The program under test.
const ROLLCALL: &str = env!("CARGO_BIN_EXE_rollcall");
/// How long a process may take to be ready. Far more than it needs: a failure here is a failure, not a slow machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How often a start is tried: another process may take a free port first.
const STARTS_MAX: u32 = 5;

/// A way to deploy Rollcall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deployment {
    /// `rollcall up` on SQLite.
    UpSqlite,
    /// `rollcall up` on PostgreSQL.
    UpPostgres,
    /// `rollcall serve …`, a process for each service, on PostgreSQL: mutual TLS between them and TLS of the gRPC APIs. HTTP is in clear text,
    /// as behind an ingress.
    ServePostgres,
}

/// A running Rollcall.
pub(crate) struct Rollcall {
    deployment: Deployment,
    directory: TempDir,
    database: Option<TestDatabase>,
    processes: Vec<Process>,
    addresses: Addresses,
}

#[derive(Clone, Debug, Default)]
struct Addresses {
    scim: u16,
    identity: u16,
    api_keys: u16,
    /// For services alone.
    identity_internal: u16,
    api_keys_internal: u16,
}

/// A process that ends when this is dropped.
struct Process {
    child: Child,
    stderr: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
    /// Starts Rollcall; none when its database is not to be had here, and the test is then skipped, which it says.
    pub(crate) async fn start(deployment: Deployment) -> Option<Self> {
        Self::start_with(deployment, &[]).await
    }

    /// As [`Rollcall::start`], with the arguments that [`Rollcall::run`] takes.
    pub(crate) async fn start_with(deployment: Deployment, extra: &[&str]) -> Option<Self> {
        let database = match deployment {
            Deployment::UpSqlite => None,
            Deployment::UpPostgres | Deployment::ServePostgres => {
                Some(TestDatabase::empty(Engine::Postgres).await.unwrap()?)
            }
        };
        let mut rollcall = Self {
            deployment,
            directory: TempDir::new().unwrap(),
            database,
            processes: Vec::new(),
            addresses: Addresses::default(),
        };
        if deployment == Deployment::ServePostgres {
            rollcall.prepare_cluster();
        }
        rollcall.run(extra).await;
        Some(rollcall)
    }

    /// Starts Rollcall with provisioning on and a key for its directory.
    pub(crate) async fn provisioned(deployment: Deployment) -> Option<(Self, String)> {
        let rollcall = Self::start(deployment).await?;
        rollcall.succeed(&["scim", "enable"]);
        let key = rollcall.key(&["--name", "directory"]);
        Some((rollcall, key))
    }

    /// Starts the processes (again), `extra` arguments of `up` or of `serve api-keys` included, and waits until they are ready.
    pub(crate) async fn run(&mut self, extra: &[&str]) {
        for start in 1..=STARTS_MAX {
            self.processes.clear();
            self.addresses = Addresses {
                scim: free_port(),
                identity: free_port(),
                api_keys: free_port(),
                identity_internal: free_port(),
                api_keys_internal: free_port(),
            };
            self.processes = match self.deployment {
                Deployment::UpSqlite | Deployment::UpPostgres => {
                    self.addresses.api_keys = self.addresses.identity;
                    vec![self.up(extra)]
                }
                Deployment::ServePostgres => self.serve(extra),
            };
            if self.ready().await {
                return;
            }
            assert!(start < STARTS_MAX, "Rollcall did not become ready:\n{}", self.logs());
        }
    }

    /// Ends the processes at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        // Child::kill is SIGKILL.
        self.processes.clear();
    }

    fn up(&self, extra: &[&str]) -> Process {
        let mut arguments = vec![
            "up".to_owned(),
            format!("--data-dir={}", self.data_directory().display()),
            format!("--listen=127.0.0.1:{}", self.addresses.scim),
            format!("--grpc-listen=127.0.0.1:{}", self.addresses.identity),
        ];
        arguments.extend(self.database_url().map(|url| format!("--database-url={url}")));
        arguments.extend(extra.iter().map(|argument| (*argument).to_owned()));
        self.spawn("up", &arguments)
    }

    fn serve(&self, of_api_keys: &[&str]) -> Vec<Process> {
        let url = self.database_url().unwrap();
        let path = |name: &str| self.directory.path().join(name).display().to_string();
        let Addresses { scim, identity, api_keys, identity_internal, api_keys_internal } = self.addresses;
        let serve = |service: &str, arguments: &[String]| {
            let certificate = |name: &str| self.certificates().join(name).display().to_string();
            let mut all = vec![
                "serve".to_owned(),
                service.to_owned(),
                format!("--internal-tls-cert-file={}", certificate(&format!("{service}.crt"))),
                format!("--internal-tls-key-file={}", certificate(&format!("{service}.key"))),
                format!("--internal-tls-ca-file={}", certificate("ca.crt")),
            ];
            if service != "scim" {
                all.push(format!("--tls-cert-file={}", certificate(&format!("{service}.crt"))));
                all.push(format!("--tls-key-file={}", certificate(&format!("{service}.key"))));
            }
            all.extend_from_slice(arguments);
            self.spawn(service, &all)
        };
        let mut api_keys = vec![
            format!("--database-url={url}"),
            format!("--grpc-listen=127.0.0.1:{api_keys}"),
            format!("--internal-listen=127.0.0.1:{api_keys_internal}"),
            format!("--operator-key-file={}", path("operator.key")),
            format!("--encryption-key-file={}", path("signing.key")),
        ];
        api_keys.extend(of_api_keys.iter().map(|argument| (*argument).to_owned()));
        vec![
            serve("api-keys", &api_keys),
            serve(
                "identity",
                &[
                    format!("--database-url={url}"),
                    format!("--grpc-listen=127.0.0.1:{identity}"),
                    format!("--internal-listen=127.0.0.1:{identity_internal}"),
                    format!("--api-keys-internal-url=https://127.0.0.1:{api_keys_internal}"),
                ],
            ),
            serve(
                "scim",
                &[
                    format!("--listen=127.0.0.1:{scim}"),
                    format!("--identity-internal-url=https://127.0.0.1:{identity_internal}"),
                    format!("--api-keys-internal-url=https://127.0.0.1:{api_keys_internal}"),
                ],
            ),
        ]
    }

    /// Starts a process more; it ends with the others.
    pub(crate) fn beside(&mut self, name: &str, arguments: &[&str]) {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let process = self.spawn(name, &arguments);
        self.processes.push(process);
    }

    /// Makes certificates for the services, or renews those that are there.
    pub(crate) fn generate_certificates(&self) {
        let made = rollcall(&["generate", "certificates", &format!("--directory={}", self.certificates().display())]);
        assert!(made.status.success(), "{made:?}");
    }

    /// Where the certificates of the services are.
    pub(crate) fn certificates(&self) -> PathBuf {
        self.directory.path().join("certificates")
    }

    /// What an operator of a cluster does once: secrets, certificates, the schema, and later the first tenant.
    fn prepare_cluster(&self) {
        let path = |name: &str| self.directory.path().join(name);
        for (name, command) in [("operator.key", "operator-key"), ("signing.key", "encryption-key")] {
            let made = rollcall(&["generate", command]);
            assert!(made.status.success(), "{made:?}");
            write_secret(&path(name), &made.stdout);
        }
        self.generate_certificates();
        let url = self.database_url().unwrap();
        let migrated = rollcall(&["migrate", &format!("--database-url={url}")]);
        assert!(migrated.status.success(), "{migrated:?}");
    }

    fn spawn(&self, name: &str, arguments: &[String]) -> Process {
        let stderr = self.directory.path().join(format!("{name}.log"));
        let stdout = self.directory.path().join(format!("{name}.out"));
        let child = Command::new(ROLLCALL)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(fs::File::create(stdout).unwrap())
            .stderr(fs::File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        Process { child, stderr }
    }

    async fn ready(&mut self) -> bool {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if self.processes.iter_mut().any(|process| process.child.try_wait().unwrap().is_some()) {
                return false;
            }
            let url = format!("http://127.0.0.1:{}/readyz", self.addresses.scim);
            if reqwest::get(url).await.is_ok_and(|answer| answer.status().is_success()) && self.administers() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    /// Whether the administrator's way in is open; makes the tenant `default` of a cluster, as `up` does by itself.
    fn administers(&self) -> bool {
        if self.deployment == Deployment::ServePostgres && !self.cli(&["tenant", "show", "default"]).status.success() {
            return self.cli(&["tenant", "create", "default"]).status.success();
        }
        self.cli(&["scim", "status"]).status.success()
    }

    /// Runs an administrator's command.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        self.cli_at(&self.identity_url(), arguments)
    }

    /// Runs an administrator's command against the server at another address.
    pub(crate) fn cli_at(&self, server: &str, arguments: &[&str]) -> Output {
        let mut connection = vec![
            format!("--server={server}"),
            format!("--api-keys-server={}", self.api_keys_url()),
            format!("--operator-key-file={}", self.operator_key_file().display()),
        ];
        if self.deployment == Deployment::ServePostgres {
            connection.push(format!("--ca-file={}", self.certificates().join("ca.crt").display()));
        }
        let mut all = arguments.to_vec();
        all.extend(connection.iter().map(String::as_str));
        rollcall(&all)
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
        Command::new(ROLLCALL)
            .args(["simulate", "--url", &self.scim_url()])
            .args(arguments)
            .env("ROLLCALL_SCIM_KEY", key)
            .stdin(Stdio::null())
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

    /// Where OAuth clients ask for access tokens.
    pub(crate) fn token_url(&self) -> String {
        format!("http://127.0.0.1:{}/api/oauth2/token", self.addresses.scim)
    }

    pub(crate) fn scim_url(&self) -> String {
        format!("http://127.0.0.1:{}/api/scim/v2", self.addresses.scim)
    }

    pub(crate) fn identity_url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.grpc_scheme(), self.addresses.identity)
    }

    pub(crate) fn api_keys_url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.grpc_scheme(), self.addresses.api_keys)
    }

    /// Where identity serves the façade.
    pub(crate) fn identity_internal_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.addresses.identity_internal)
    }

    /// Where api-keys serves the other services.
    pub(crate) fn api_keys_internal_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.addresses.api_keys_internal)
    }

    const fn grpc_scheme(&self) -> &'static str {
        match self.deployment {
            Deployment::UpSqlite | Deployment::UpPostgres => "http",
            Deployment::ServePostgres => "https",
        }
    }

    /// The operator credential.
    pub(crate) fn operator_key(&self) -> String {
        fs::read_to_string(self.operator_key_file()).unwrap().trim_end().to_owned()
    }

    /// The files in `up`'s data directory.
    pub(crate) fn data_files(&self) -> Vec<PathBuf> {
        let files: Vec<PathBuf> =
            fs::read_dir(self.data_directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() > 3, "{files:?}");
        files
    }

    fn operator_key_file(&self) -> PathBuf {
        match self.deployment {
            Deployment::UpSqlite | Deployment::UpPostgres => self.data_directory().join("operator.key"),
            Deployment::ServePostgres => self.directory.path().join("operator.key"),
        }
    }

    fn data_directory(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn database_url(&self) -> Option<String> {
        match self.database.as_ref()?.location() {
            Location::Postgres(url) => Some(url.expose_secret().to_owned()),
            Location::Sqlite(_) => None,
        }
    }

    /// Changes a service's database (`identity` or `api_keys`) as somebody who reaches it could.
    pub(crate) async fn sql(&self, service: &'static str, statement: &str) {
        let location = match &self.database {
            Some(database) => database.location().clone(),
            None => Location::Sqlite(self.data_directory().join(format!("{}.db", service.replace('_', "-")))),
        };
        let database = Database::open(&location, service).await.unwrap();
        let statement = statement.to_owned();
        let written = database.write(move |tx| {
            let statement = statement.clone();
            Box::pin(async move {
                tx.execute_unprepared(&statement).await?;
                Ok::<_, database::Error<()>>(())
            })
        });
        written.await.unwrap();
    }

    /// What `up` printed on standard output.
    pub(crate) fn printed(&self) -> String {
        self.printed_by("up")
    }

    /// What a process printed on standard output.
    pub(crate) fn printed_by(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(format!("{name}.out"))).unwrap()
    }

    /// What the processes logged, for the message of a failure.
    pub(crate) fn logs(&self) -> String {
        let mut logs = String::new();
        for process in &self.processes {
            let mut file = fs::File::open(&process.stderr).unwrap();
            file.read_to_string(&mut logs).unwrap();
        }
        logs
    }
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, within: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !condition().await {
        assert!(Instant::now() < deadline, "{what}: not within {within:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Runs the program until it ends.
pub(crate) fn rollcall(arguments: &[&str]) -> Output {
    // The environment of the machine that runs the tests must not steer the program.
    let inherited = std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("ROLLCALL_"));
    Command::new(ROLLCALL).args(arguments).env_clear().envs(inherited).stdin(Stdio::null()).output().unwrap()
}

fn write_secret(path: &Path, content: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A port that nothing listens on now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
