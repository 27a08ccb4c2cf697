//! Pages of a list.

use uuid::Uuid;

/// The largest page.
pub(crate) const LISTED_MAX: u64 = 1000;

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageStart {
    /// At the first row after this many.
    Skip(u64),
    /// At the first row with a greater id.
    After(Uuid),
}

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) start: PageStart,
    /// How many rows at most; 0 asks for the count alone.
    pub(crate) size: u64,
}

/// One page.
#[derive(Clone, Debug)]
pub(crate) struct Listed<T> {
    pub(crate) rows: Vec<T>,
    /// Whether rows follow.
    pub(crate) more: bool,
    /// How many there are in all, where the page began with a skip.
    pub(crate) total: Option<u64>,
}
