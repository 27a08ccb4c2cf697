//! How far a run is, on a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of the parts of a run. Where standard error is no terminal it draws nothing.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn of(parts: u64) -> Self {
        let bar = ProgressBar::new(parts);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {elapsed}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// What is measured now.
    pub(crate) fn begin(&self, part: &str) {
        self.0.set_message(part.to_owned());
        // Drawn by itself, so that nothing wakes up to draw while something is measured.
        self.0.tick();
    }

    pub(crate) fn end(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
