//! The program that is measured: started as its users start it, on free ports, with a database of its own.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use database::Location;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{AssertSqlSafe, Connection as _, Executor, PgConnection};
use tempfile::TempDir;
use url::Url;
use uuid::Uuid;

use crate::{
    Setup,
    http::{Ask, Connection},
    measure::Process,
};

/// How long the program may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How often its readiness is asked for.
const READY_INTERVAL: Duration = Duration::from_millis(20);

/// A running `rollcall up`, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Rollcall {
    program: PathBuf,
    child: Child,
    http: SocketAddr,
    grpc: SocketAddr,
    directory: TempDir,
    database: Database,
}

/// Where its data is.
#[derive(Debug)]
pub(crate) enum Database {
    Sqlite,
    /// A database that was created for the run on the server of `server`.
    Postgres {
        server: SecretString,
        name: String,
        url: SecretString,
    },
}

impl Database {
    async fn create(setup: &Setup) -> anyhow::Result<Self> {
        let Some(server) = &setup.database_url else { return Ok(Self::Sqlite) };
        let name = format!("rollcall_bench_{}", Uuid::now_v7().simple());
        execute(server, format!("CREATE DATABASE {name}")).await.context("--database-url")?;
        let mut url: Url = server.expose_secret().parse().context("--database-url")?;
        url.set_path(&name);
        Ok(Self::Postgres { server: server.clone(), name, url: SecretString::from(String::from(url)) })
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres { .. } => "PostgreSQL",
        }
    }
}

async fn execute(server: &SecretString, statement: String) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(server.expose_secret()).await?;
    // The one name in it was made here.
    connection.execute(AssertSqlSafe(statement)).await?;
    Ok(connection.close().await?)
}

impl Rollcall {
    /// Starts it, with `extra` arguments, and waits until it is ready; provisioning of its tenant `default` is on.
    pub(crate) async fn start(setup: &Setup, extra: &[&str]) -> anyhow::Result<Self> {
        let (program, directory) = (setup.program()?, TempDir::new()?);
        let database = Database::create(setup).await?;
        let (http, grpc) = (free_port()?, free_port()?);
        let mut command = Command::new(&program);
        command.arg("up").arg(format!("--data-dir={}", directory.path().join("data").display()));
        command.arg(format!("--listen={http}")).arg(format!("--grpc-listen={grpc}")).args(extra);
        if let Database::Postgres { url, .. } = &database {
            // Not as an argument, which every user of the machine could read.
            command.env("ROLLCALL_DATABASE_URL", url.expose_secret());
        }
        let log = fs::File::create(directory.path().join("log"))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        let mut rollcall = Self { program, child, http, grpc, directory, database };
        rollcall.wait_until_ready().await?;
        rollcall.administer(&["scim", "enable"])?;
        Ok(rollcall)
    }

    /// Where SCIM is served.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.http
    }

    /// The process.
    pub(crate) fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// The engine that it stores on.
    pub(crate) const fn database(&self) -> &'static str {
        self.database.name()
    }

    /// Makes a tenant whose provisioning is on.
    pub(crate) fn create_tenant(&self, name: &str) -> anyhow::Result<()> {
        self.administer(&["tenant", "create", name])?;
        self.administer(&["scim", "enable", "--tenant", name]).map(drop)
    }

    /// Makes a key of a tenant and answers its text.
    pub(crate) fn create_key(&self, tenant: &str, name: &str) -> anyhow::Result<String> {
        let printed = self.administer(&["api-key", "create", "--name", name, "--tenant", tenant])?;
        Ok(printed.trim_end().to_owned())
    }

    /// Ends it and removes what it stored.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        if let Database::Postgres { server, name, .. } = &self.database {
            execute(server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
        }
        Ok(())
    }

    fn administer(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let key_file = self.directory.path().join("data").join("operator.key");
        let output = Command::new(&self.program)
            .args(arguments)
            .arg(format!("--server=http://{}", self.grpc))
            .arg(format!("--operator-key-file={}", key_file.display()))
            .stdin(Stdio::null())
            .output()?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "rollcall {}: {told}", arguments.join(" "));
        Ok(String::from_utf8(output.stdout)?)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let ready = Ask::anonymous("/readyz");
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                bail!("rollcall ended with {status}:\n{}", self.log());
            }
            if Connection::to(self.http).send(&ready).await.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            tokio::time::sleep(READY_INTERVAL).await;
        }
        bail!("rollcall was not ready within {} s:\n{}", READY_WITHIN.as_secs(), self.log())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Rollcall {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that nothing listens on now.
fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A database file in `directory`, for a service that runs in this process.
pub(crate) fn sqlite(directory: &TempDir) -> Location {
    Location::Sqlite(directory.path().join("api-keys.db"))
}
