//! The audit log's chain: the canonical form of an entry, the hash that binds it to all entries before it, and the check of both.
//!
//! What an entry says of the act itself ([`Content`]) may be personal and can be erased (rule R26). So the chain does not hash it but its
//! digest, which stays. The digest is salted, and the salt goes with the content: nobody can guess back what was erased.

mod chain;
mod content;
mod erasure;
#[cfg(test)]
mod tests;
mod verifier;

use std::time::Duration;

pub use chain::{Entry, Hash, InvalidHash, InvalidLink, Link, Log};
pub use content::{Content, Salt, UNREADABLE, VALUE_LENGTH_MAX, VALUES_LEN_MAX, VALUES_MAX, Values};
pub use verifier::{Broken, Reason, Stored, Verifier};

/// How long entries are kept.
pub const RETENTION: Duration = Duration::from_secs(400 * 24 * 60 * 60);
