//! Sizes of pages and places between them.

use super::Error;

/// The size of a page when none is asked for.
const PAGE_SIZE_DEFAULT: u64 = 100;
/// The largest page. A larger one that is asked for is cut to it.
pub(crate) const PAGE_SIZE_MAX: u64 = 1000;

/// How many rows to answer when `asked` stands in the request.
pub(crate) fn page_size(asked: i32) -> Result<u64, Error> {
    match u64::try_from(asked) {
        Ok(0) => Ok(PAGE_SIZE_DEFAULT),
        Ok(size) => Ok(size.min(PAGE_SIZE_MAX)),
        Err(_) => Err(Error::invalid("page_size", "write 1 to 1000, or 0 for 100")),
    }
}

/// A place in a tenant's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AuditCursor {
    /// Entries after this position follow.
    pub(crate) after: i64,
    /// Up to this one: an operator's reading is logged too, and would otherwise never reach the end of what it adds to.
    pub(crate) until: i64,
}

impl AuditCursor {
    pub(crate) const START: Self = Self { after: 0, until: i64::MAX };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_1_to_1000_rows() {
        assert_eq!([0, 1, 1000, 1001, i32::MAX].map(|asked| page_size(asked).unwrap()), [100, 1, 1000, 1000, 1000]);
        assert!(page_size(-1).is_err());
    }
}
