//! Counts the requests of one cycle and how long each took.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::summary::{Latency, Summary};

/// Counts the requests of one cycle and how long each took: four bytes a request.
#[derive(Debug)]
pub(crate) struct Meter {
    started: Instant,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    retried: u64,
    latencies_us: Vec<u32>,
}

impl Meter {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), counts: Mutex::default() }
    }

    pub(crate) fn answered(&self, took: Duration) {
        let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).latencies_us.push(took);
    }

    pub(crate) fn retried(&self) {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).retried += 1;
    }

    /// The summary with requests, time and latencies filled in.
    pub(crate) fn finish(&self, mut summary: Summary) -> Summary {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.latencies_us.sort_unstable();
        summary.requests = u64::try_from(counts.latencies_us.len()).unwrap_or(u64::MAX);
        summary.retried = counts.retried;
        summary.elapsed_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        summary.latency_ms = latency(&counts.latencies_us);
        summary
    }
}

fn latency(sorted_us: &[u32]) -> Latency {
    Latency { p50: quantile_ms(sorted_us, 50), p95: quantile_ms(sorted_us, 95), max: quantile_ms(sorted_us, 100) }
}

/// The smallest value that `percent` of all values do not exceed (nearest rank), in milliseconds.
fn quantile_ms(sorted_us: &[u32], percent: usize) -> f64 {
    let rank = (sorted_us.len() * percent).div_ceil(100);
    sorted_us.get(rank.saturating_sub(1)).map_or(0.0, |us| f64::from(*us) / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let sorted: Vec<u32> = (1..=200).map(|ms| ms * 1_000).collect();
        assert_eq!(latency(&sorted), Latency { p50: 100.0, p95: 190.0, max: 200.0 });
        assert_eq!(latency(&[7_500]), Latency { p50: 7.5, p95: 7.5, max: 7.5 });
        assert_eq!(latency(&[]), Latency::default());
    }

    #[test]
    fn finished_summary_counts_requests_and_retries() {
        let meter = Meter::start();
        meter.answered(Duration::from_millis(2));
        meter.answered(Duration::from_millis(4));
        meter.retried();
        let summary = meter.finish(Summary { users_created: 1, ..Summary::default() });
        assert_eq!((summary.requests, summary.retried, summary.users_created), (2, 1, 1));
        assert_eq!(summary.latency_ms, Latency { p50: 2.0, p95: 4.0, max: 4.0 });
    }
}
