//! Progress bars on a terminal; elsewhere a line now and then.

use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Bars.
    Bars,
    /// A line of the log now and then.
    Lines,
    /// Such a line, with its numbers as fields.
    Json,
}

static SHOWN: OnceLock<Shown> = OnceLock::new();

/// Chooses how progress is shown. The first call counts; without one there are lines.
pub(crate) fn show(shown: Shown) {
    let _ = SHOWN.set(shown);
}

/// Whether each line of the log is a JSON object.
pub(crate) fn is_json() -> bool {
    shown() == Shown::Json
}

fn shown() -> Shown {
    SHOWN.get().copied().unwrap_or(Shown::Lines)
}

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
        let target = match shown() {
            Shown::Bars => ProgressDrawTarget::stderr(),
            Shown::Lines | Shown::Json => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(total as u64), target)
            .with_style(style)
            .with_prefix(title.to_owned());
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
            self.write_line(&message());
        }
    }

    fn write_line(&self, message: &str) {
        let title = &self.title;
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let (per_second, left) = (self.bar.per_sec(), self.bar.eta());
        if shown() == Shown::Json {
            let seconds_left = left.as_secs();
            tracing::info!(title, done, total, per_second, seconds_left, "{message}");
        } else {
            let left = indicatif::HumanDuration(left);
            tracing::info!("{title}: {done}/{total}, {per_second:.1} img/s, {left} left {message}");
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
