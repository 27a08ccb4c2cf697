//! What a cycle did, in numbers.

use serde::Serialize;

/// What a cycle did. Each user and group is counted once for each thing that happened to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Users that a match query found.
    pub users_matched: usize,
    /// Users created.
    pub users_created: usize,
    /// Users of which attributes other than `active` were changed.
    pub users_updated: usize,
    /// Users made inactive.
    pub users_disabled: usize,
    /// Users made active again.
    pub users_enabled: usize,
    /// Users deleted.
    pub users_deleted: usize,
    /// Users left out because they are disabled in the directory and unknown to the endpoint.
    pub users_skipped: usize,
    /// Managers set.
    pub managers_set: usize,
    /// Groups that a match query found.
    pub groups_matched: usize,
    /// Groups created.
    pub groups_created: usize,
    /// Groups changed.
    pub groups_updated: usize,
    /// Groups deleted.
    pub groups_deleted: usize,
    /// Memberships sent to be added; one that stood already counts as well, for Entra never reads members.
    pub members_added: usize,
    /// Memberships sent to be removed.
    pub members_removed: usize,
    /// Requests sent, those repeated included.
    pub requests: u64,
    /// Requests repeated because the endpoint asked to wait (429 or 503 with Retry-After).
    pub retried: u64,
    /// How long the cycle took, waits included.
    pub elapsed_ms: u64,
    /// How long the endpoint took to answer.
    pub latency_ms: Latency,
}

/// How long answers took, in milliseconds, from sending the request to the last byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Half of the answers came within this time.
    pub p50: f64,
    /// 95 of 100 answers came within this time.
    pub p95: f64,
    /// The slowest answer.
    pub max: f64,
}
