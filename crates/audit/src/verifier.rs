//! Checking a log, entry by entry.

use std::{collections::BTreeSet, fmt};

use crate::{Content, Entry, Hash, Link, Log};

/// An entry as it is stored or was sent.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// What no erasure touches.
    pub entry: Entry<'a>,
    /// What an erasure blanks.
    pub content: &'a Content,
    /// What the digest is salted with; empty after an erasure.
    pub salt: &'a [u8],
    /// The content's digest.
    pub values_digest: &'a [u8],
    /// The entry's hash.
    pub hash: &'a [u8],
}

/// Where a chain breaks, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chain breaks at position {position}: {reason}")]
pub struct Broken {
    /// The first position at which the log is not what was written.
    pub position: i64,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with a log at some position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Another position stands there: entries are missing, doubled or out of order.
    Gap {
        /// The one that stands there.
        found: i64,
    },
    /// The log ends before it.
    End,
    /// The entry is not the one that was written, or follows other entries than it followed.
    HashDiffers,
    /// The values or the detail are not those that were written, nor were they blanked.
    ValuesDiffer,
    /// They were blanked, and no later entry tells of an erasure that did it.
    NotErased,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { found } => write!(f, "position {found} stands in its place"),
            Self::End => f.write_str("the log ends before it"),
            Self::HashDiffers => f.write_str("the hash differs: the entry or one before it was changed"),
            Self::ValuesDiffer => f.write_str("the values differ from their digest"),
            Self::NotErased => f.write_str("the values are gone, and no later entry tells of an erasure"),
        }
    }
}

/// Checks the entries of a log, in order.
#[derive(Clone, Debug)]
pub struct Verifier {
    log: Log,
    last: Link,
    entries: u64,
    blanked: u64,
    /// The blanked positions of which no erasure has told yet.
    unexplained: BTreeSet<i64>,
}

impl Verifier {
    /// Begins after `anchor`, which is taken for true.
    #[must_use]
    pub const fn new(log: Log, anchor: Link) -> Self {
        Self { log, last: anchor, entries: 0, blanked: 0, unexplained: BTreeSet::new() }
    }

    /// Checks the next entry.
    ///
    /// # Errors
    /// When it is not the one that was written there. Nothing after it can be checked.
    pub fn check(&mut self, stored: &Stored<'_>) -> Result<(), Broken> {
        let position = self.last.position.saturating_add(1);
        let broken = |reason| Err(Broken { position, reason });
        if stored.entry.position != position {
            return broken(Reason::Gap { found: stored.entry.position });
        }
        let Some(digest) = Hash::from_bytes(stored.values_digest) else { return broken(Reason::HashDiffers) };
        let hash = self.log.hash(&self.last.hash, &stored.entry, &digest);
        if stored.hash != hash.as_bytes() {
            return broken(Reason::HashDiffers);
        }
        let blanked = stored.salt.is_empty() && stored.content.is_empty();
        if !blanked && stored.content.digest(stored.salt) != digest {
            return broken(Reason::ValuesDiffer);
        }
        self.last = Link { position, hash };
        self.entries += 1;
        self.blanked += u64::from(blanked);
        if blanked {
            self.unexplained.insert(position);
        }
        for erased in stored.content.after.erased().filter(|erased| erased.start() <= erased.end()) {
            let told: Vec<i64> = self.unexplained.range(erased).copied().collect();
            for position in told {
                self.unexplained.remove(&position);
            }
        }
        Ok(())
    }

    /// Checks, at the log's end, that each blanked entry was blanked by an erasure of which a later entry tells.
    ///
    /// # Errors
    /// At the first that was not.
    pub fn check_erasures(&self) -> Result<(), Broken> {
        match self.unexplained.first() {
            Some(position) => Err(Broken { position: *position, reason: Reason::NotErased }),
            None => Ok(()),
        }
    }

    /// The place of the last entry that was found right, at first the anchor.
    #[must_use]
    pub const fn last(&self) -> Link {
        self.last
    }

    /// How many entries were found right.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// How many of them are blanked.
    #[must_use]
    pub const fn blanked(&self) -> u64 {
        self.blanked
    }

    /// Checks that the place just reached is `head`, which somebody noted.
    ///
    /// # Errors
    /// When another entry stands there, or the log ended before it.
    pub fn check_head(&self, head: Link) -> Result<(), Broken> {
        let broken = |reason| Err(Broken { position: head.position, reason });
        if self.last.position < head.position {
            return Err(Broken { position: self.last.position.saturating_add(1), reason: Reason::End });
        }
        if self.last == head { Ok(()) } else { broken(Reason::HashDiffers) }
    }
}
