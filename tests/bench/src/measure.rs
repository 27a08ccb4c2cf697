//! Clocks, counters of the system, and what is said of many numbers.

use std::{fs, time::Duration};

use anyhow::Context;
use rustix::{
    param::clock_ticks_per_second,
    time::{ClockId, clock_gettime},
};

/// How long the calling thread has been on a processor.
pub(crate) fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = Duration::from_secs(time.tv_sec.unsigned_abs());
    seconds + Duration::from_nanos(time.tv_nsec.unsigned_abs())
}

/// Another process, seen through `/proc`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// How long its threads have been on processors, in the kernel or not. The kernel counts in hundredths of a second.
    pub(crate) fn cpu(self) -> anyhow::Result<Duration> {
        let stat = self.read("stat")?;
        // The name in brackets may hold anything; the fields begin behind it with the third.
        let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat has another form")?;
        let mut fields = fields.split_whitespace().skip(11);
        let mut ticks = || -> anyhow::Result<u64> { Ok(fields.next().unwrap_or_default().parse()?) };
        let (user, system) = (ticks()?, ticks()?);
        Ok(Duration::from_secs(user + system) / u32::try_from(clock_ticks_per_second())?)
    }

    /// The memory that it holds, in MiB.
    pub(crate) fn resident(self) -> anyhow::Result<f64> {
        self.status("VmRSS:")
    }

    /// The most memory that it ever held, in MiB.
    pub(crate) fn resident_peak(self) -> anyhow::Result<f64> {
        self.status("VmHWM:")
    }

    fn status(self, name: &str) -> anyhow::Result<f64> {
        let status = self.read("status")?;
        let value = status.lines().find_map(|line| line.strip_prefix(name)).context("/proc/PID/status lacks a line")?;
        let kib: f64 = value.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    fn read(self, file: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{file}", self.0);
        fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))
    }
}

/// The value below which this part of the numbers lies, by the nearest rank; 0 of none.
pub(crate) fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank among at most millions"
    )]
    let rank = ((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// A duration in milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// A duration in microseconds.
pub(crate) fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_by_the_nearest_rank() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!([0.0, 0.5, 0.95, 1.0].map(|part| quantile(&values, part)), [1.0, 50.0, 95.0, 100.0]);
        assert_eq!(quantile(&[7.0], 0.95), 7.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn a_process_has_memory_and_time() {
        let own = Process(std::process::id());
        assert!(own.cpu().is_ok() && own.resident().unwrap() > 0.0);
        assert!(own.resident_peak().unwrap() > 0.0);
    }
}
