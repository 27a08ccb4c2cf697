//! Playing Entra's provisioning client: what is shown while it plays and what is said afterwards.

use std::time::Duration;

use entra_client::{Acknowledged, Observer, Summary};
use indicatif::{ProgressBar, ProgressStyle};

/// How many names of what was created are kept to be shown.
const NAMES_MAX: usize = 5;

const BAR: &str = "{msg:<24} {wide_bar} {pos}/{len} {per_sec}";

/// A progress bar on standard error, hidden where that is no terminal, and the first names of what was created.
pub(crate) struct Progress {
    bar: ProgressBar,
    users: Vec<String>,
    groups: Vec<String>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { bar: ProgressBar::hidden(), users: Vec::new(), groups: Vec::new() }
    }

    /// Ends the bar, and answers the first names of the created users and groups.
    pub(crate) fn finish(self) -> (Vec<String>, Vec<String>) {
        self.bar.finish_and_clear();
        (self.users, self.groups)
    }
}

impl Observer for Progress {
    fn phase(&mut self, name: &'static str, total: usize) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX)).with_message(name);
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            self.bar.set_style(style);
        }
    }

    fn step(&mut self) {
        self.bar.inc(1);
    }

    fn acknowledged(&mut self, write: Acknowledged<'_>) {
        let (names, name) = match write {
            Acknowledged::UserCreated { user_name, .. } => (&mut self.users, user_name),
            Acknowledged::GroupCreated { display_name, .. } => (&mut self.groups, display_name),
            _ => return,
        };
        if names.len() < NAMES_MAX {
            names.push(name.to_owned());
        }
    }
}

/// The numbers of a cycle that are not zero, and how fast it went.
pub(crate) fn fields(summary: &Summary) -> Vec<(&'static str, String)> {
    let counts = [
        ("users matched", summary.users_matched),
        ("users created", summary.users_created),
        ("users updated", summary.users_updated),
        ("users disabled", summary.users_disabled),
        ("users enabled", summary.users_enabled),
        ("users deleted", summary.users_deleted),
        ("users skipped", summary.users_skipped),
        ("managers set", summary.managers_set),
        ("groups matched", summary.groups_matched),
        ("groups created", summary.groups_created),
        ("groups updated", summary.groups_updated),
        ("groups deleted", summary.groups_deleted),
        ("members added", summary.members_added),
        ("members removed", summary.members_removed),
    ];
    let mut fields: Vec<_> =
        counts.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name, count.to_string())).collect();
    let retried = if summary.retried > 0 { format!(", {} of them again", summary.retried) } else { String::new() };
    let latency = summary.latency_ms;
    fields.extend([
        ("requests", format!("{}{retried}", summary.requests)),
        ("took", format!("{:.1} s", Duration::from_millis(summary.elapsed_ms).as_secs_f64())),
        ("answered in", format!("{:.1} ms (95 %: {:.1} ms, slowest: {:.1} ms)", latency.p50, latency.p95, latency.max)),
    ]);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happened_is_shown() {
        let summary = Summary { users_created: 40, requests: 92, retried: 2, elapsed_ms: 1_500, ..Summary::default() };
        let fields = fields(&summary);
        assert_eq!(fields[0], ("users created", "40".to_owned()));
        assert_eq!(fields[1], ("requests", "92, 2 of them again".to_owned()));
        assert_eq!(fields[2], ("took", "1.5 s".to_owned()));
    }

    #[test]
    fn the_first_names_are_kept() {
        let mut progress = Progress::new();
        progress.phase("users", 10);
        for number in 0..10 {
            let user_name = format!("u{number}");
            progress.acknowledged(Acknowledged::UserCreated { user_name: &user_name, id: "1" });
            progress.step();
        }
        let (users, groups) = progress.finish();
        assert_eq!(users, ["u0", "u1", "u2", "u3", "u4"]);
        assert!(groups.is_empty());
    }
}
