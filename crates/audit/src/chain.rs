//! The chain: each entry's hash covers the hash before it.

use std::{fmt, str::FromStr};

use aws_lc_rs::digest::{Context, SHA256};

/// Changes with the canonical form, so that no hash of one form is one of another.
const DOMAIN: &str = "rollcall.audit.entry.v1";

/// A SHA-256 hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash([u8; Self::LENGTH]);

/// A text that is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash has 64 hexadecimal digits")]
pub struct InvalidHash;

impl Hash {
    const LENGTH: usize = 32;
    /// What stands before the first entry of a chain.
    pub const START: Self = Self([0; Self::LENGTH]);

    /// From its bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Hash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != Self::LENGTH || !rest.is_empty() {
            return Err(InvalidHash);
        }
        let mut bytes = [0; Self::LENGTH];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(bytes))
    }
}

fn digit(character: u8) -> Result<u8, InvalidHash> {
    let value = char::from(character).to_digit(16).and_then(|value| u8::try_from(value).ok());
    value.ok_or(InvalidHash)
}

/// A place in a chain: a position, and the hash of the entry there. Written `POSITION:HASH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The entry's position.
    pub position: i64,
    /// The entry's hash.
    pub hash: Hash,
}

/// A text that is no place in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write POSITION:HASH, as `audit verify` prints it")]
pub struct InvalidLink;

impl Link {
    /// Before the first entry of a log.
    pub const START: Self = Self { position: 0, hash: Hash::START };
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.position, self.hash)
    }
}

impl FromStr for Link {
    type Err = InvalidLink;

    fn from_str(text: &str) -> Result<Self, InvalidLink> {
        let (position, hash) = text.split_once(':').ok_or(InvalidLink)?;
        let position = position.parse().ok().filter(|position| *position >= 0).ok_or(InvalidLink)?;
        Ok(Self { position, hash: hash.parse().map_err(|InvalidHash| InvalidLink)? })
    }
}

/// The part of an entry that no erasure touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its place in the log, from 1.
    pub position: i64,
    /// When, in microseconds since the epoch.
    pub at_us: i64,
    /// Who.
    pub actor: &'a str,
    /// From where; empty when that is not known.
    pub address: &'a str,
    /// What.
    pub action: &'a str,
    /// Upon what.
    pub subject: &'a str,
}

/// A log: a service's, of one tenant. Its entries are no other log's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    service: String,
    tenant: String,
}

impl Log {
    /// The log of `service` about the tenant of this id.
    pub fn new(service: impl Into<String>, tenant: impl Into<String>) -> Self {
        Self { service: service.into(), tenant: tenant.into() }
    }

    /// The hash of an entry that follows the one of hash `previous`, and whose content has the digest `content`.
    #[must_use]
    pub fn hash(&self, previous: &Hash, entry: &Entry<'_>, content: &Hash) -> Hash {
        let mut digest = Digest::new(DOMAIN);
        digest.bytes(self.service.as_bytes()).bytes(self.tenant.as_bytes()).bytes(previous.as_bytes());
        digest.bytes(&entry.position.to_be_bytes()).bytes(&entry.at_us.to_be_bytes());
        for text in [entry.actor, entry.address, entry.action, entry.subject] {
            digest.bytes(text.as_bytes());
        }
        digest.bytes(content.as_bytes());
        digest.finish()
    }
}

/// A hash in the making. Each part stands behind its length, so that no two sequences of parts are the same bytes.
pub(crate) struct Digest(Context);

impl Digest {
    pub(crate) fn new(domain: &str) -> Self {
        let mut digest = Self(Context::new(&SHA256));
        digest.bytes(domain.as_bytes());
        digest
    }

    pub(crate) fn number(&mut self, number: u64) -> &mut Self {
        self.0.update(&number.to_be_bytes());
        self
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
        self
    }

    pub(crate) fn finish(self) -> Hash {
        let mut hash = Hash::START;
        // Both have the length of SHA-256.
        hash.0.iter_mut().zip(self.0.finish().as_ref()).for_each(|(to, from)| *to = *from);
        hash
    }
}
