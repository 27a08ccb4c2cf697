//! Where a running Rollcall is reached, what it keeps and what it prints.

use std::{fs, io::Read, path::PathBuf};

use database::{Database, Location};
use reqwest::Url;
use sea_orm::ConnectionTrait;
use secrecy::ExposeSecret;

use super::{DATABASE_PASSWORD, Deployment, Rollcall};

impl Rollcall {
    /// Where OAuth clients ask for access tokens.
    pub(crate) fn token_url(&self) -> String {
        format!("http://127.0.0.1:{}/api/oauth2/token", self.addresses.scim)
    }

    /// Where the façade serves what is not SCIM.
    pub(crate) fn facade_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.addresses.scim)
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

    pub(crate) fn operator_key_file(&self) -> PathBuf {
        match self.deployment {
            Deployment::UpSqlite | Deployment::UpPostgres => self.data_directory().join("operator.key"),
            Deployment::ServePostgres => self.directory.path().join("operator.key"),
        }
    }

    pub(super) fn data_directory(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The database with a password. A server that trusts whoever reaches it takes any.
    pub(super) fn database_url(&self) -> Option<String> {
        let mut url: Url = match self.database.as_ref()?.location() {
            Location::Postgres(url) => url.expose_secret().parse().unwrap(),
            Location::Sqlite(_) => return None,
        };
        if url.password().is_none() {
            url.set_password(Some(DATABASE_PASSWORD)).unwrap();
        }
        Some(url.into())
    }

    /// The password that the processes were given for the database.
    pub(crate) fn database_password(&self) -> Option<String> {
        let url: Url = self.database_url()?.parse().unwrap();
        url.password().map(str::to_owned)
    }

    /// The key that signing keys are encrypted under.
    pub(crate) fn encryption_key(&self) -> String {
        let file = match self.deployment {
            Deployment::UpSqlite | Deployment::UpPostgres => self.data_directory().join("signing.key"),
            Deployment::ServePostgres => self.directory.path().join("signing.key"),
        };
        fs::read_to_string(file).unwrap().trim_end().to_owned()
    }

    /// The ids of the processes that serve.
    pub(crate) fn process_ids(&self) -> Vec<u32> {
        self.processes.iter().map(|process| process.child.id()).collect()
    }

    /// What each process that served printed on either stream, by the stream's name.
    pub(crate) fn outputs(&self) -> Vec<(String, Vec<u8>)> {
        let mut outputs = Vec::new();
        for file in fs::read_dir(self.directory.path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "log" || extension == "out") {
                outputs.push((path.file_name().unwrap().display().to_string(), fs::read(path).unwrap()));
            }
        }
        outputs
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
