//! Pages of a list.

use uuid::Uuid;

use crate::domain::{Filter, Order};

/// The largest page.
pub(crate) const LISTED_MAX: u64 = 1000;

/// Which resources a list shows, and in which order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Selection {
    /// Absent means all.
    pub(crate) filter: Option<Filter>,
    pub(crate) order: Order,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PageStart {
    /// At the first row after this many.
    Skip(u64),
    /// At the first row after this place.
    After(Mark),
}

/// The place of one row in a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mark {
    /// The value that the list is ordered by, unless the row has none.
    pub(crate) key: Option<OrderKey>,
    pub(crate) id: Uuid,
}

/// A value that a list is ordered by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OrderKey {
    Id(Uuid),
    Text(String),
    Boolean(bool),
    Number(f64),
    /// Microseconds since the Unix epoch.
    Time(i64),
}

/// Which part of a list is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slice {
    pub(crate) start: PageStart,
    /// How many rows at most; 0 asks for the count alone.
    pub(crate) size: u64,
}

/// One page.
#[derive(Clone, Debug)]
pub(crate) struct Listed<T> {
    pub(crate) rows: Vec<T>,
    /// The place of the last row, where rows follow it.
    pub(crate) next: Option<Mark>,
    /// How many there are in all, where the page began with a skip.
    pub(crate) total: Option<u64>,
}
