//! Progress bars on a terminal; elsewhere a line now and then.

use std::fmt::Write;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::ranks;

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

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Images, each of which takes as long as another.
    Images,
    /// Images through a network that was changed.
    Passes,
    /// Faces with an attribute, on which all methods are scored.
    Pairs,
    /// Cells of the image.
    Cells,
    /// Channels of the features.
    Channels,
    /// Attributes' labels.
    Labels,
    /// Layers of a network.
    Layers,
    /// Numbers of people, with each of which studies are simulated.
    Sizes,
    /// Parts of a work that take about as long as each other.
    Steps,
    /// Bytes of a download.
    #[cfg_attr(not(feature = "hub"), allow(dead_code))]
    Bytes,
}

impl Unit {
    fn one(self) -> &'static str {
        match self {
            Self::Images => "image",
            Self::Passes => "pass",
            Self::Pairs => "pair",
            Self::Cells => "cell",
            Self::Channels => "channel",
            Self::Labels => "label",
            Self::Layers => "layer",
            Self::Sizes => "size",
            Self::Steps => "step",
            Self::Bytes => "byte",
        }
    }

    fn many(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Passes => "passes",
            Self::Pairs => "pairs",
            Self::Cells => "cells",
            Self::Channels => "channels",
            Self::Labels => "labels",
            Self::Layers => "layers",
            Self::Sizes => "sizes",
            Self::Steps => "steps",
            Self::Bytes => "bytes",
        }
    }

    /// So many of all.
    fn amount(self, done: u64, all: u64) -> String {
        match self {
            Self::Bytes => format!("{}/{}", HumanBytes(done), HumanBytes(all)),
            _ => format!("{done}/{all} {}", self.many()),
        }
    }

    /// How fast it goes: so many a second, or seconds each.
    fn pace(self, per_second: f64) -> String {
        match self {
            _ if per_second.is_nan() || per_second <= 0. => "–".into(),
            Self::Bytes => format!("{}/s", HumanBytes(per_second as u64)),
            _ if per_second < 0.95 => format!("{:.1} s a {}", 1. / per_second, self.one()),
            _ => format!("{per_second:.1} {}/s", self.many()),
        }
    }
}

/// Progress through a known number of what is counted.
pub(crate) struct Progress {
    bar: ProgressBar,
    title: String,
    unit: Unit,
    last_line: Mutex<Instant>,
}

impl Progress {
    pub fn new(title: &str, unit: Unit, total: usize, done: usize) -> Self {
        if ranks::number() > 0 {
            return Self::hidden();
        }
        let style =
            ProgressStyle::with_template("{prefix} {wide_bar} {amount}, {pace}, {eta} left {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .with_key("amount", move |state: &ProgressState, out: &mut dyn Write| {
                    let _ = out.write_str(&unit.amount(state.pos(), state.len().unwrap_or(0)));
                })
                .with_key("pace", move |state: &ProgressState, out: &mut dyn Write| {
                    let _ = out.write_str(&unit.pace(state.per_sec()));
                });
        let target = match shown() {
            Shown::Bars => ProgressDrawTarget::stderr(),
            Shown::Lines | Shown::Json => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(total as u64), target)
            .with_style(style)
            .with_prefix(title.to_owned());
        bar.set_position(done as u64);
        bar.reset_eta();
        Self { bar, title: title.to_owned(), unit, last_line: Mutex::new(Instant::now()) }
    }

    /// Shows nothing: for short work inside of something that has a bar.
    pub fn hidden() -> Self {
        Self {
            bar: ProgressBar::hidden(),
            title: String::new(),
            unit: Unit::Images,
            last_line: Mutex::new(Instant::now()),
        }
    }

    /// Some more are done, on any thread.
    pub fn add(&self, count: usize, message: impl FnOnce() -> String) {
        self.bar.inc(count as u64);
        self.show(message);
    }

    /// So much of all is done, where all is not known from the beginning.
    #[cfg_attr(not(feature = "hub"), allow(dead_code))]
    pub fn set(&self, done: u64, all: u64) {
        self.bar.set_length(all);
        self.bar.set_position(done);
        self.show(String::new);
    }

    fn show(&self, message: impl FnOnce() -> String) {
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
            let (unit, seconds_left) = (self.unit.many(), left.as_secs());
            tracing::info!(title, done, total, unit, per_second, seconds_left, "{message}");
        } else {
            let (amount, pace) = (self.unit.amount(done, total), self.unit.pace(per_second));
            let left = indicatif::HumanDuration(left);
            tracing::info!("{title}: {amount}, {pace}, {left} left {message}");
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

/// Progress whose end is only known once what is counted is set up.
#[derive(Default)]
pub(crate) struct LateProgress(OnceLock<Progress>);

impl LateProgress {
    /// Begins to show it. Only the first call counts.
    pub fn begin(&self, title: &str, unit: Unit, total: usize) {
        self.0.get_or_init(|| Progress::new(title, unit, total, 0));
    }

    /// Some more are done.
    pub fn add(&self, count: usize) {
        if let Some(progress) = self.0.get() {
            progress.add(count, String::new);
        }
    }
}

/// Passes an iterator's batches on, and counts each as done only when the next is asked for: until
/// then it is being worked on.
pub(crate) fn counted<B>(
    batches: impl Iterator<Item = B>,
    progress: &Progress,
    size: impl Fn(&B) -> usize,
    message: impl Fn() -> String,
) -> impl Iterator<Item = B> {
    let mut under_way = 0;
    let mut batches = batches;
    std::iter::from_fn(move || {
        progress.add(under_way, &message);
        let batch = batches.next();
        under_way = batch.as_ref().map_or(0, &size);
        batch
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paces_are_in_the_unit_that_is_counted() {
        assert_eq!(Unit::Images.pace(12.34), "12.3 images/s");
        assert_eq!(Unit::Pairs.pace(0.05), "20.0 s a pair");
        assert_eq!(Unit::Cells.pace(0.), "–");
        assert_eq!(Unit::Cells.pace(f64::NAN), "–");
        assert_eq!(Unit::Passes.amount(3, 40), "3/40 passes");
        assert_eq!(Unit::Bytes.amount(1024, 2048), "1.00 KiB/2.00 KiB");
    }

    #[test]
    fn a_batch_counts_when_it_is_done() {
        let progress = Progress::new("working", Unit::Images, 5, 0);
        let mut batches = counted([2, 3].into_iter(), &progress, |n| *n, String::new);
        assert_eq!(batches.next(), Some(2));
        assert_eq!(progress.bar.position(), 0);
        assert_eq!(batches.next(), Some(3));
        assert_eq!(progress.bar.position(), 2);
        assert_eq!(batches.next(), None);
        assert_eq!(progress.bar.position(), 5);
    }
}
