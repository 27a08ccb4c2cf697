//! Cycles: what one credential did between two silences, and what follows from it (rule R19).
//!
//! Nothing in a request says that a cycle begins. A directory begins each with a probe and is quiet for half an hour between two, so the first
//! request after ten quiet minutes is taken for that probe, whatever it asks: other clients have none.

use std::time::Duration;

use crate::domain::{LogEntry, Operation, ProvisionedType, ProvisioningOutcome, Timestamp};

/// The silence between two cycles.
pub(crate) const QUIET: Duration = Duration::from_secs(10 * 60);

/// What part of the active users a full pass names or is answered, in percent.
const FULL_PASS_PERCENT: i64 = 90;

/// From how many failures on, and above what part of the requests, Entra puts its job into quarantine (entra-wire 4.4).
const FAILURES_JUDGED: i64 = 5_000;
const FAILURES_PERCENT: i64 = 40;
/// The same whatever their part.
const FAILURES_MAX: i64 = 40_000;
/// The same with those of references.
const FAILURES_OF_ALL_KINDS_MAX: i64 = 60_000;

/// When a cycle began and when its last request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) begun: Timestamp,
    pub(crate) last: Timestamp,
}

/// What a credential did in its last cycle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cycle {
    pub(crate) span: Span,
    pub(crate) requests: i64,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    pub(crate) disabled: i64,
    pub(crate) deleted: i64,
    pub(crate) failed: i64,
    pub(crate) references_failed: i64,
    pub(crate) seen_users: i64,
    /// The status with which the latest request was refused whatever it asked: its credential is, or provisioning is off. 0 where it was not.
    pub(crate) shut_out: i32,
    /// The last cycle that was a full pass.
    pub(crate) full_pass: Option<Span>,
}

impl Cycle {
    pub(crate) const fn begin(at: Timestamp, full_pass: Option<Span>) -> Self {
        Self {
            span: Span { begun: at, last: at },
            requests: 0,
            created: 0,
            updated: 0,
            disabled: 0,
            deleted: 0,
            failed: 0,
            references_failed: 0,
            seen_users: 0,
            shut_out: 0,
            full_pass,
        }
    }

    /// Whether what comes, or is looked at, at this time is no longer of this cycle.
    pub(crate) fn is_over(&self, at: Timestamp) -> bool {
        at.before(QUIET) >= self.span.last
    }

    /// Counts a request.
    pub(crate) fn count(&mut self, entry: &LogEntry) {
        self.span.last = self.span.last.max(entry.at);
        // The request of a bulk stands for its operations, which have entries of their own.
        if entry.operation == Some(Operation::Bulk) && entry.outcome == ProvisioningOutcome::Succeeded {
            return;
        }
        self.requests += 1;
        let is_shut_out = entry.status == 401 || entry.status == 403;
        self.shut_out = if is_shut_out { entry.status } else { 0 };
        match entry.outcome {
            ProvisioningOutcome::Succeeded => self.count_change(entry),
            ProvisioningOutcome::Refused if entry.reason == UNKNOWN_MEMBER => self.references_failed += 1,
            // What is asked for and is not there is an answer.
            ProvisioningOutcome::Refused if entry.status == 404 && entry.operation == Some(Operation::Get) => {}
            ProvisioningOutcome::Refused | ProvisioningOutcome::Postponed | ProvisioningOutcome::Failed => {
                self.failed += 1;
            }
            ProvisioningOutcome::Abandoned | ProvisioningOutcome::Lost => {}
        }
    }

    fn count_change(&mut self, entry: &LogEntry) {
        let is_user = entry.resource_type == Some(ProvisionedType::User);
        let disables = entry.changes.iter().any(|change| change.field == "active" && change.after == "false");
        match entry.operation {
            Some(Operation::Create) => self.created += 1,
            Some(Operation::Replace | Operation::Patch) if is_user && disables => self.disabled += 1,
            Some(Operation::Replace | Operation::Patch) => self.updated += 1,
            Some(Operation::Delete) => self.deleted += 1,
            Some(Operation::List | Operation::Get | Operation::Bulk | Operation::Discover | Operation::Other)
            | None => {}
        }
    }
}

/// The reason of a member who is not there yet.
const UNKNOWN_MEMBER: &str = "ERROR_REASON_UNKNOWN_MEMBER";

/// Whether a cycle that named `seen` of `active` users was a full pass.
pub(crate) const fn is_full_pass(seen: i64, active: i64) -> bool {
    active > 0 && seen.saturating_mul(100) >= active.saturating_mul(FULL_PASS_PERCENT)
}

/// Whether a directory is about to stop its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forecast {
    Clear,
    AtRisk,
    Expected,
}

impl Cycle {
    /// Whether Entra is about to put its job into quarantine.
    pub(crate) const fn forecast(&self) -> Forecast {
        if self.shut_out != 0 || self.reaches(1) {
            return Forecast::Expected;
        }
        if self.reaches(2) { Forecast::AtRisk } else { Forecast::Clear }
    }

    /// Whether the failures reach this part of a limit.
    const fn reaches(&self, part: i64) -> bool {
        let is_large = self.failed.saturating_mul(part) >= FAILURES_JUDGED
            && self.failed.saturating_mul(100 * part) > self.requests.saturating_mul(FAILURES_PERCENT);
        let all = self.failed.saturating_add(self.references_failed);
        is_large
            || self.failed.saturating_mul(part) >= FAILURES_MAX
            || all.saturating_mul(part) >= FAILURES_OF_ALL_KINDS_MAX
    }

    /// Why the forecast is what it is.
    pub(crate) fn forecast_reason(&self) -> String {
        let Self { failed, requests, references_failed, .. } = self;
        let counts = format!(
            "{failed} of {requests} requests failed, and {references_failed} that named members who are not there yet"
        );
        match (self.forecast(), self.shut_out) {
            (Forecast::Expected, 401) => {
                "the credential is refused: Entra stops at once until it has a good one".to_owned()
            }
            (Forecast::Expected, 403) => {
                "every request is refused: provisioning is off, or the credential may not provision from where it comes"
                    .to_owned()
            }
            (Forecast::Clear | Forecast::AtRisk | Forecast::Expected, _) => counts,
        }
    }
}

/// A cycle as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JudgedCycle {
    pub(crate) credential: String,
    pub(crate) cycle: Cycle,
    pub(crate) ended: bool,
    pub(crate) drift: Result<Drift, NotJudged>,
}

/// How far users here and in the directory differ, by the last full pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drift {
    pub(crate) pass: Span,
    pub(crate) active: i64,
    pub(crate) unseen: i64,
}

/// Why drift is not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotJudged {
    #[error("no cycle since the log began has named at least 90 % of the active users")]
    NoFullPass,
    #[error("there are more users than can be looked at now")]
    TooMany,
}

/// How a tenant's provisioning does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) last_contact: Option<Timestamp>,
    pub(crate) last_success: Option<Timestamp>,
    pub(crate) cycles: Vec<JudgedCycle>,
    pub(crate) lost: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycle(requests: i64, failed: i64, references_failed: i64) -> Cycle {
        Cycle { requests, failed, references_failed, ..Cycle::begin(Timestamp(0), None) }
    }

    #[test]
    fn r19_a_cycle_is_over_after_ten_quiet_minutes() {
        let cycle = Cycle::begin(Timestamp(5), None);
        let quiet = i64::try_from(QUIET.as_micros()).unwrap();
        assert!(!cycle.is_over(Timestamp(5 + quiet - 1)) && cycle.is_over(Timestamp(5 + quiet)));
    }

    #[test]
    fn r19_quarantine_is_forecast_before_entras_limits() {
        let table = [
            (cycle(10, 10, 0), Forecast::Clear),
            (cycle(6_250, 2_499, 0), Forecast::Clear),
            (cycle(6_250, 2_500, 0), Forecast::AtRisk),
            (cycle(12_500, 2_500, 0), Forecast::Clear),
            (cycle(12_500, 5_000, 0), Forecast::AtRisk),
            (cycle(12_499, 5_000, 0), Forecast::Expected),
            (cycle(1_000_000, 19_999, 0), Forecast::Clear),
            (cycle(1_000_000, 20_000, 0), Forecast::AtRisk),
            (cycle(1_000_000, 40_000, 0), Forecast::Expected),
            (cycle(50_000, 0, 29_999), Forecast::Clear),
            (cycle(50_000, 0, 30_000), Forecast::AtRisk),
            (cycle(90_000, 0, 60_000), Forecast::Expected),
            (Cycle { shut_out: 401, ..cycle(1, 1, 0) }, Forecast::Expected),
        ];
        for (cycle, forecast) in table {
            assert_eq!(cycle.forecast(), forecast, "{cycle:?}");
        }
    }

    #[test]
    fn r19_a_full_pass_names_nine_of_ten() {
        assert!(is_full_pass(9, 10) && is_full_pass(10, 10) && !is_full_pass(8, 10) && !is_full_pass(0, 0));
    }
}
