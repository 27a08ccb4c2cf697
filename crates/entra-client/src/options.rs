//! How the client speaks and how hard it pushes.

use std::time::Duration;

/// Requests under way at once, unless told otherwise: about what one Entra job keeps open.
pub(crate) const CONCURRENCY_DEFAULT: usize = 8;
/// The most requests under way at once; beyond it a client measures itself.
pub(crate) const CONCURRENCY_MAX: usize = 1_024;

/// The form of PATCH requests. Entra speaks the legacy form unless the tenant URL carries a flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// The default of every real tenant: `Replace`, `"False"`, `Remove` of `members` with a value list.
    #[default]
    Legacy,
    /// What the flag `aadOptscim062020` turns on: lower-case operations, booleans, paths with a filter.
    Compliant,
}

/// Which attributes are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mapping {
    /// userName, displayName and active of users; displayName and members of groups.
    Minimal,
    /// Entra's default attribute mapping, with managers in a later pass.
    #[default]
    Default,
}

/// Where the key may travel without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClearText {
    /// Only to this machine itself.
    #[default]
    LoopbackOnly,
    /// Anywhere: for a closed network of which the caller is sure.
    Anywhere,
}

/// How a client speaks and how hard it pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The form of PATCH requests. A flag in the tenant URL decides instead, as it does in Entra.
    pub dialect: Dialect,
    /// Which attributes are sent.
    pub mapping: Mapping,
    /// Requests under way at once; from 1 to 1,024.
    pub concurrency: usize,
    /// How long one request may take, from connecting to the last byte of its answer.
    pub request_timeout: Duration,
    /// Where the key may travel without TLS.
    pub clear_text: ClearText,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dialect: Dialect::default(),
            mapping: Mapping::default(),
            concurrency: CONCURRENCY_DEFAULT,
            request_timeout: Duration::from_secs(30),
            clear_text: ClearText::default(),
        }
    }
}
