//! The directory that one `rollcall up` keeps its data in.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use api_keys::EncryptionKey;
use authn::{KeyText, key::Kind};
use database::Location;
use ids::ApiKeyId;
use secrecy::{ExposeSecret, SecretString};

use crate::cli::OPERATOR_KEY_FILE;

/// A data directory that no other process uses while this value lives.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    /// The system releases the lock with the file, however the process ends.
    _lock: File,
}

/// Where the two services keep their rows.
pub(crate) struct Locations {
    pub(crate) api_keys: Location,
    pub(crate) identity: Location,
}

impl DataDirectory {
    /// Makes the directory if it is not there, and locks it.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        bootstrap::files::create_directory(path)?;
        let lock_path = path.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.with_context(|| format!("cannot write in the data directory {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!(
                "another rollcall uses the data directory {}: end it first, or choose another with --data-dir",
                path.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", lock_path.display()))
            }
        }
    }

    /// The SQLite files of both services.
    pub(crate) fn locations(&self) -> Locations {
        Locations {
            api_keys: Location::Sqlite(self.path.join("api-keys.db")),
            identity: Location::Sqlite(self.path.join("identity.db")),
        }
    }

    /// The operator credential's file.
    pub(crate) fn operator_key_file(&self) -> PathBuf {
        self.path.join(OPERATOR_KEY_FILE)
    }

    /// The operator credential, made and durable on disk at the first start. Its hash is installed only afterwards: a crash between the two
    /// leaves a file whose credential the next start installs, and never a credential that nobody has.
    pub(crate) fn operator_key(&self) -> anyhow::Result<KeyText> {
        let path = self.operator_key_file();
        let text = bootstrap::files::read_or_create(&path, || {
            let key = KeyText::mint(Kind::Operator, ApiKeyId::generate())?;
            Ok(SecretString::from(key.expose()))
        })?;
        text.expose_secret().parse().with_context(|| format!("{} holds no operator credential", path.display()))
    }

    /// The file of the key that signing keys are encrypted under.
    pub(crate) fn encryption_key_file(&self) -> PathBuf {
        self.path.join("signing.key")
    }

    /// The key that signing keys are encrypted under, made at the first start.
    pub(crate) fn encryption_key(&self) -> anyhow::Result<EncryptionKey> {
        let path = self.encryption_key_file();
        let text = bootstrap::files::read_or_create(&path, || Ok(EncryptionKey::generate()?.to_text()))?;
        text.expose_secret().parse().with_context(|| format!("{} holds no encryption key", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_second_process_is_refused_until_the_first_ends() {
        let directory = tempfile::tempdir().unwrap();
        let first = DataDirectory::open(directory.path()).unwrap();
        let error = DataDirectory::open(directory.path()).unwrap_err().to_string();
        assert!(error.contains("--data-dir"), "{error}");
        drop(first);
        assert!(DataDirectory::open(directory.path()).is_ok());
    }

    #[test]
    fn secrets_are_made_once_and_are_their_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(directory.path()).unwrap();
        assert_eq!(data.operator_key().unwrap().expose(), data.operator_key().unwrap().expose());
        data.encryption_key().unwrap();
        let signing = fs::read_to_string(directory.path().join("signing.key")).unwrap();
        data.encryption_key().unwrap();
        assert_eq!(fs::read_to_string(directory.path().join("signing.key")).unwrap(), signing);
        for name in ["operator.key", "signing.key"] {
            let mode = fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_file_that_holds_no_credential_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(directory.path()).unwrap();
        fs::write(data.operator_key_file(), "hunter2").unwrap();
        let error = format!("{:#}", data.operator_key().unwrap_err());
        assert!(error.contains("operator.key holds no operator credential"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
