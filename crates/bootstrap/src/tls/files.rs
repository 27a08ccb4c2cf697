//! Files of certificates and keys, read again and again.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::sync::watch;

/// The longest file of certificates that is read: a bundle of all public authorities is a quarter of it.
const FILE_LEN_MAX: u64 = 1024 * 1024;

/// A certificate with those between it and its authority, and its key, both PEM.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// The file of the certificate.
    pub certificate: PathBuf,
    /// The file of the key.
    pub key: PathBuf,
}

/// What makes one set.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) pair: KeyPair,
    /// The authorities that others' certificates must come from.
    pub(super) ca: Option<PathBuf>,
}

/// What the files held at one time. Does not print: a key is among it.
#[derive(PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) ca: Vec<u8>,
}

impl Files {
    fn read(&self) -> anyhow::Result<Contents> {
        Ok(Contents {
            certificate: content(&self.pair.certificate)?,
            key: content(&self.pair.key)?,
            ca: self.ca.as_deref().map(content).transpose()?.unwrap_or_default(),
        })
    }
}

pub(super) fn content(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut content = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_LEN_MAX + 1).read_to_end(&mut content));
    read.with_context(|| format!("cannot read {}", path.display()))?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > FILE_LEN_MAX {
        bail!("{} is too long for certificates", path.display());
    }
    Ok(content)
}

/// Loads the set now, and again whenever the files hold something else, for as long as anybody holds what this returns.
pub(super) fn follow<T: Send + Sync + 'static>(
    files: Files,
    interval: Duration,
    load: impl Fn(&Contents) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<watch::Receiver<T>> {
    // For its warning of a key that others can read, once.
    crate::files::read(&files.pair.key)?;
    let contents = files.read()?;
    let (sender, receiver) = watch::channel(load(&contents)?);
    tokio::spawn(async move {
        let mut state = Followed { files, used: contents, fault: None, load };
        loop {
            tokio::select! {
                () = sender.closed() => return,
                () = tokio::time::sleep(interval) => {}
            }
            // Files stand on a disk, and that may be slow.
            let Ok((next, loaded)) = tokio::task::spawn_blocking(move || state.again()).await else { return };
            state = next;
            if let Some(loaded) = loaded {
                sender.send_replace(loaded);
            }
        }
    });
    Ok(receiver)
}

struct Followed<L> {
    files: Files,
    /// What is in use.
    used: Contents,
    /// Why what was read last cannot be used, so that each fault is told once.
    fault: Option<String>,
    load: L,
}

impl<L> Followed<L> {
    /// Reads the files again. What could not be used is tried again too: a set may have been read while it was being written, or have been fine
    /// but for a fault that has passed.
    fn again<T>(mut self) -> (Self, Option<T>)
    where
        L: Fn(&Contents) -> anyhow::Result<T>,
    {
        let read = self.files.read();
        if matches!(&read, Ok(contents) if *contents == self.used) {
            self.fault = None;
            return (self, None);
        }
        let loaded = read.and_then(|contents| (self.load)(&contents).map(|loaded| (contents, loaded)));
        let file = self.files.pair.certificate.display();
        match loaded {
            Ok((contents, loaded)) => {
                tracing::info!(%file, "certificates were replaced: new connections use the new ones");
                (Self { used: contents, fault: None, ..self }, Some(loaded))
            }
            Err(error) => {
                let error = format!("{error:#}");
                if self.fault.as_ref() != Some(&error) {
                    tracing::warn!(%file, error, "changed certificates cannot be used: the old ones go on");
                }
                (Self { fault: Some(error), ..self }, None)
            }
        }
    }
}
