//! Files that hold a secret: readable by their owner alone, and either whole or not there at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};

/// The longest secret file that is read.
pub const SECRET_LEN_MAX: u64 = 64 * 1024;

/// The permissions of a file that its owner alone may read.
pub const SECRET_MODE: u32 = 0o600;

/// Bits of a mode that let others than the owner read or write.
const OTHERS: u32 = 0o077;

/// Reads a secret, without the white space around it. A file that others can read is still read, with a warning.
///
/// # Errors
/// When the file cannot be read, is longer than [`SECRET_LEN_MAX`], is not UTF-8 or is empty.
pub fn read(path: &Path) -> anyhow::Result<SecretString> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mode = file.metadata().with_context(|| format!("cannot read {}", path.display()))?.permissions().mode();
    if mode & OTHERS != 0 {
        tracing::warn!(path = %path.display(), "others can read this secret: chmod 600 it");
    }
    let mut text = String::new();
    let read = file.take(SECRET_LEN_MAX + 1).read_to_string(&mut text);
    read.with_context(|| format!("cannot read {}", path.display()))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > SECRET_LEN_MAX {
        bail!("{} is too long for a secret", path.display());
    }
    match text.trim() {
        "" => bail!("{} is empty", path.display()),
        secret => Ok(SecretString::from(secret)),
    }
}

/// Reads a secret, or makes and keeps it if the file is not there. What it returns is on disk for good. The caller holds a lock that keeps
/// others from making the same file.
///
/// # Errors
/// As [`read`], and when the file cannot be written.
pub fn read_or_create(
    path: &Path,
    make: impl FnOnce() -> anyhow::Result<SecretString>,
) -> anyhow::Result<SecretString> {
    match fs::symlink_metadata(path) {
        Ok(_) => read(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = make()?;
            replace(path, format!("{}\n", secret.expose_secret()).as_bytes(), SECRET_MODE)?;
            Ok(secret)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Makes a directory that its owner alone can enter, with its parents. One that is there stays as it is.
///
/// # Errors
/// When it cannot be made.
pub fn create_directory(path: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path).and_then(|()| sync_directory(parent(path)));
    made.with_context(|| format!("cannot make the directory {}", path.display()))
}

/// Writes a file with these permissions, in place of one that may be there. A crash leaves the old one or the new one.
///
/// # Errors
/// When it cannot be written.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> anyhow::Result<()> {
    write(path, content, mode).with_context(|| format!("cannot write {}", path.display()))
}

/// The content is durable under another name before it gets its own.
fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let new = beside(path)?;
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    // Whatever the process's umask takes away.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_directory(parent(path))
}

/// The name under which a file is written before it is whole.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    Ok(path.with_file_name(name))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_secret_is_its_owners_alone_and_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("operator.key");
        let made = read_or_create(&path, || Ok(SecretString::from("s3cret"))).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "s3cret\n");
        let again = read_or_create(&path, || bail!("made twice")).unwrap();
        assert_eq!(made.expose_secret(), again.expose_secret());
    }

    #[test]
    fn what_a_crash_left_behind_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("operator.key");
        let left = directory.path().join("operator.key.new");
        fs::write(&left, "half").unwrap();
        fs::set_permissions(&left, fs::Permissions::from_mode(0o644)).unwrap();
        read_or_create(&path, || Ok(SecretString::from("whole"))).unwrap();
        assert_eq!(read(&path).unwrap().expose_secret(), "whole");
        assert_eq!(mode(&path), 0o600);
        assert!(!left.exists());
    }

    #[test]
    fn an_empty_or_endless_file_is_no_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, " \n").unwrap();
        assert!(read(&path).unwrap_err().to_string().ends_with("is empty"));
        let longest = usize::try_from(SECRET_LEN_MAX).unwrap();
        fs::write(&path, "k".repeat(longest)).unwrap();
        assert_eq!(read(&path).unwrap().expose_secret().len(), longest);
        fs::write(&path, "k".repeat(longest + 1)).unwrap();
        assert!(read(&path).unwrap_err().to_string().ends_with("too long for a secret"));
    }

    #[test]
    fn a_new_directory_is_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        create_directory(&path).unwrap();
        create_directory(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
    }
}
