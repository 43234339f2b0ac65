//! Progress bars on a terminal; elsewhere a line now and then.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Progress through a known number of images.
pub(crate) struct Progress {
    bar: ProgressBar,
    title: String,
    last_line: Mutex<Instant>,
}

impl Progress {
    pub fn new(title: &str, total: usize, done: usize) -> Self {
        let style = ProgressStyle::with_template(
            "{prefix} {wide_bar} {pos}/{len} {per_sec} ETA {eta} {msg}",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key(
            "per_sec",
            |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = write!(out, "{:.1} img/s", state.per_sec());
            },
        );
        let bar = ProgressBar::new(total as u64).with_style(style).with_prefix(title.to_owned());
        bar.set_position(done as u64);
        bar.reset_eta();
        Self { bar, title: title.to_owned(), last_line: Mutex::new(Instant::now()) }
    }

    /// Shows nothing: for short work inside of something that has a bar.
    pub fn hidden() -> Self {
        Self {
            bar: ProgressBar::hidden(),
            title: String::new(),
            last_line: Mutex::new(Instant::now()),
        }
    }

    /// Some more are done, on any thread.
    pub fn add(&self, images: usize, message: impl FnOnce() -> String) {
        self.bar.inc(images as u64);
        if !self.bar.is_hidden() {
            self.bar.set_message(message());
        } else if !self.title.is_empty() && self.is_time_for_a_line() {
            let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
            let eta = indicatif::HumanDuration(self.bar.eta());
            tracing::info!(
                "{}: {done}/{total}, {:.1} img/s, {eta} left {}",
                self.title,
                self.bar.per_sec(),
                message()
            );
        }
    }

    fn is_time_for_a_line(&self) -> bool {
        let Ok(mut last) = self.last_line.lock() else { return false };
        let is_time = last.elapsed() > LINE_EVERY;
        if is_time {
            *last = Instant::now();
        }
        is_time
    }

    /// Writes a line above the bar.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| tracing::info!("{line}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
