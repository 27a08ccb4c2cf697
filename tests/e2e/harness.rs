//! Starting Rollcall as its users do, and speaking to it.

mod requests;
mod state;

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use database::testing::{Engine, TestDatabase};
use tempfile::TempDir;

pub(crate) use requests::Answer;

/// The program under test.
const ROLLCALL: &str = env!("CARGO_BIN_EXE_rollcall");
/// How long a process may take to be ready. Far more than it needs: a failure here is a failure, not a slow machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How often a start is tried: another process may take a free port first.
const STARTS_MAX: u32 = 5;
/// How long a process may take to end when it is asked to.
const ENDED_WITHIN: Duration = Duration::from_secs(60);
/// The password of the database where the server asks for none: a secret as any other, on its way to the processes.
const DATABASE_PASSWORD: &str = "dbpassw0rd-of-the-tests";

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
    /// Arguments of every process that serves.
    common: Vec<String>,
    /// Arguments of every process that calls hosts that others name.
    outbound: Vec<String>,
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

impl Process {
    /// Asks it to end as an orchestrator does. SIGTERM.
    fn terminate(&self) {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits until it has ended by itself, with success.
    async fn ended(&mut self) {
        eventually("the process ends", ENDED_WITHIN, async || self.child.try_wait().unwrap().is_some()).await;
        let status = self.child.try_wait().unwrap().unwrap();
        assert!(status.success(), "{status}\n{}", self.log());
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stderr).unwrap()).into_owned()
    }
}

/// One more process of a service, beside those that a deployment has by itself.
pub(crate) struct Replica {
    process: Process,
    /// What it serves everyone.
    pub(crate) public: SocketAddr,
    /// What it serves services; the façade serves none.
    pub(crate) internal: Option<SocketAddr>,
}

impl Replica {
    /// Where it serves services.
    pub(crate) fn internal_url(&self) -> String {
        format!("https://{}", self.internal.unwrap())
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn terminate(mut self) {
        self.process.terminate();
        self.process.ended().await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Rollcall {
    /// Starts Rollcall; none when its database is not to be had here, and the test is then skipped, which it says.
    pub(crate) async fn start(deployment: Deployment) -> Option<Self> {
        Self::start_with(deployment, &[]).await
    }

    /// As [`Rollcall::start`], with the arguments that [`Rollcall::run`] takes.
    pub(crate) async fn start_with(deployment: Deployment, extra: &[&str]) -> Option<Self> {
        Self::start_each_with(deployment, &[], extra).await
    }

    /// As [`Rollcall::start_with`], with arguments for every process of it besides.
    pub(crate) async fn start_each_with(deployment: Deployment, common: &[&str], extra: &[&str]) -> Option<Self> {
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
            common: common.iter().map(|argument| (*argument).to_owned()).collect(),
            outbound: Vec::new(),
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

    /// Starts the processes (again), `extra` arguments of `up` or of `serve api-keys` included, and waits until they are ready. Those about outbound
    /// calls are for `serve identity` too.
    pub(crate) async fn run(&mut self, extra: &[&str]) {
        let outbound = extra.iter().filter(|argument| argument.starts_with("--outbound-"));
        self.outbound = outbound.map(|argument| (*argument).to_owned()).collect();
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

    /// Asks the processes to end, and waits until they have. What they printed stays.
    pub(crate) async fn terminate(&mut self) {
        for process in &self.processes {
            process.terminate();
        }
        for process in &mut self.processes {
            process.ended().await;
        }
    }

    fn up(&self, extra: &[&str]) -> Process {
        let mut arguments = vec![
            "up".to_owned(),
            format!("--data-dir={}", self.data_directory().display()),
            format!("--listen=127.0.0.1:{}", self.addresses.scim),
            format!("--grpc-listen=127.0.0.1:{}", self.addresses.identity),
        ];
        arguments.extend_from_slice(&self.common);
        arguments.extend(extra.iter().map(|argument| (*argument).to_owned()));
        self.spawn("up", &arguments, self.database_url())
    }

    fn serve(&self, of_api_keys: &[&str]) -> Vec<Process> {
        let Addresses { scim, identity, api_keys, identity_internal, api_keys_internal } = self.addresses;
        let (to_identity, to_api_keys) = (self.identity_internal_url(), self.api_keys_internal_url());
        vec![
            self.serve_api_keys("api-keys", (api_keys, api_keys_internal), of_api_keys),
            self.serve_identity("identity", identity, identity_internal, &to_api_keys),
            self.serve_scim("scim", scim, &to_identity, &to_api_keys),
        ]
    }

    fn serve_api_keys(&self, name: &str, (grpc, internal): (u16, u16), extra: &[&str]) -> Process {
        let path = |name: &str| self.directory.path().join(name).display().to_string();
        let mut arguments = vec![
            format!("--grpc-listen=127.0.0.1:{grpc}"),
            format!("--internal-listen=127.0.0.1:{internal}"),
            format!("--operator-key-file={}", path("operator.key")),
            format!("--encryption-key-file={}", path("signing.key")),
        ];
        if !extra.iter().any(|argument| argument.starts_with("--identity-internal-url")) {
            arguments.push(format!("--identity-internal-url={}", self.identity_internal_url()));
        }
        arguments.extend(extra.iter().map(|argument| (*argument).to_owned()));
        self.serve_one(name, "api-keys", &arguments)
    }

    fn serve_identity(&self, name: &str, grpc: u16, internal: u16, api_keys_internal_url: &str) -> Process {
        let mut arguments = vec![
            format!("--grpc-listen=127.0.0.1:{grpc}"),
            format!("--internal-listen=127.0.0.1:{internal}"),
            format!("--api-keys-internal-url={api_keys_internal_url}"),
            format!("--encryption-key-file={}", self.directory.path().join("signing.key").display()),
        ];
        arguments.extend_from_slice(&self.outbound);
        self.serve_one(name, "identity", &arguments)
    }

    fn serve_scim(&self, name: &str, http: u16, identity_internal_url: &str, api_keys_internal_url: &str) -> Process {
        let arguments = [
            format!("--listen=127.0.0.1:{http}"),
            format!("--identity-internal-url={identity_internal_url}"),
            format!("--api-keys-internal-url={api_keys_internal_url}"),
        ];
        self.serve_one(name, "scim", &arguments)
    }

    fn serve_one(&self, name: &str, service: &str, arguments: &[String]) -> Process {
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
        all.extend_from_slice(&self.common);
        all.extend_from_slice(arguments);
        let database_url = if service == "scim" { None } else { self.database_url() };
        self.spawn(name, &all, database_url)
    }

    /// Starts another api-keys on the same database.
    pub(crate) async fn replica_of_api_keys(&self, name: &str) -> Replica {
        served(self.serve_api_keys(name, (0, 0), &[]), "grpc").await
    }

    /// Starts another identity on the same database, with an api-keys of its own.
    pub(crate) async fn replica_of_identity(&self, name: &str, api_keys_internal_url: &str) -> Replica {
        served(self.serve_identity(name, 0, 0, api_keys_internal_url), "grpc").await
    }

    /// Starts another façade, with an identity and an api-keys of its own, and waits until it is ready.
    pub(crate) async fn replica_of_scim(
        &self,
        name: &str,
        identity_internal_url: &str,
        api_keys_internal_url: &str,
    ) -> Replica {
        let facade = served(self.serve_scim(name, 0, identity_internal_url, api_keys_internal_url), "http").await;
        let url = format!("http://{}/readyz", facade.public);
        eventually("the façade is ready", READY_WITHIN, async || {
            reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
        facade
    }

    /// Starts a process more; it ends with the others.
    pub(crate) fn beside(&mut self, name: &str, arguments: &[&str]) {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let process = self.spawn(name, &arguments, None);
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

    fn spawn(&self, name: &str, arguments: &[String], database_url: Option<String>) -> Process {
        let stderr = self.directory.path().join(format!("{name}.log"));
        let stdout = self.directory.path().join(format!("{name}.out"));
        let mut command = program();
        // It holds a password, and what stands on a command line stands in the process list.
        command.envs(database_url.map(|url| ("ROLLCALL_DATABASE_URL", url)));
        let child = command
            .args(arguments)
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
    program().args(arguments).output().unwrap()
}

/// The program without arguments.
fn program() -> Command {
    // The environment of the machine that runs the tests must not steer the program.
    let inherited = std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("ROLLCALL_"));
    let mut command = Command::new(ROLLCALL);
    command.env_clear().envs(inherited).stdin(Stdio::null());
    command
}

/// A process as it is when it says what it serves: the system chose the ports.
async fn served(process: Process, public: &str) -> Replica {
    let address = |log: &str, name: &str| -> Option<SocketAddr> {
        let line = log.lines().find(|line| line.contains(" served "))?;
        line.split_ascii_whitespace().find_map(|field| field.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
    };
    let is_served = || address(&process.log(), public).is_some();
    let deadline = Instant::now() + READY_WITHIN;
    while !is_served() {
        assert!(Instant::now() < deadline, "a replica does not start:\n{}", process.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let log = process.log();
    let (public, internal) = (address(&log, public).unwrap(), address(&log, "internal"));
    Replica { process, public, internal }
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
