//! What commands of many runs have in common: their runs by number, as array jobs make them.

use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::json::path_text;
use super::text::aligned;
use crate::error::{Result, input};
use crate::studies::runs::{Outcome, State, StudyRun};

/// The variable by which Slurm tells a job of an array its number.
const TASK: &str = "SLURM_ARRAY_TASK_ID";

#[derive(Args)]
pub struct ArrayArgs {
    /// Print the runs by their numbers, from 0 on: what is done, and what failed. Write nothing.
    #[arg(long)]
    pub list: bool,
    /// Make only the run of this number of the list, and no analysis: for array jobs. Without a
    /// number it is what SLURM_ARRAY_TASK_ID says. Exit status 75: another process is making it.
    #[arg(long, value_name = "I", num_args = 0..=1, conflicts_with = "list")]
    only: Option<Option<usize>>,
    /// Make no run: analyse those that are done.
    #[arg(long, conflicts_with_all = ["list", "only"])]
    pub analyse: bool,
}

impl ArrayArgs {
    /// The number of the only run that is asked for, of so many.
    pub fn only(&self, count: usize) -> Result<Option<usize>> {
        let (number, origin) = match self.only {
            None => return Ok(None),
            Some(Some(number)) => (number, "--only"),
            Some(None) => (task(std::env::var(TASK).ok())?, TASK),
        };
        match number < count {
            true => Ok(Some(number)),
            false => Err(input(format!("{origin}: a number from 0 to {}; see --list", count - 1))),
        }
    }
}

fn task(value: Option<String>) -> Result<usize> {
    let Some(value) = value else {
        return Err(input(format!(
            "--only without a number takes it from {TASK}, which is not set: give one of --list"
        )));
    };
    value.trim().parse().map_err(|_| {
        input(format!("--only without a number: {TASK} is `{value}`, which is no number from 0 on"))
    })
}

/// A run of the list, as `--json` prints it.
#[derive(Serialize)]
pub(super) struct ListedRun {
    number: usize,
    folder: String,
    done: bool,
    /// Why it failed the last time.
    failed: Option<String>,
    /// The process that is making it.
    made_by: Option<String>,
}

impl ListedRun {
    pub fn new<R: StudyRun>(out: &Path, number: usize, run: &R, outcome: &Outcome) -> Self {
        let folder = path_text(run.folder());
        let (mut done, mut failed, mut made_by) = (false, None, None);
        match State::of(out, number, run, outcome) {
            State::Done => done = true,
            State::Failed(reason) => failed = Some(reason),
            State::BeingMade(holder) => made_by = Some(holder),
            State::OtherSettings | State::PartlyDone(_) | State::Stopped | State::New => {}
        }
        Self { number, folder, done, failed, made_by }
    }
}

/// The list as text.
pub(super) fn list<R: StudyRun>(out: &Path, runs: &[R]) -> String {
    let row = |(number, run): (usize, &R)| {
        let state = State::of(out, number, run, &Outcome::default()).title();
        let state = state.split_whitespace().collect::<Vec<_>>().join(" ");
        vec![number.to_string(), run.title(), run.folder().display().to_string(), state]
    };
    let rows: Vec<Vec<String>> = runs.iter().enumerate().map(row).collect();
    aligned(&["run", "what", "folder", "state"], &rows, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_a_number() {
        assert_eq!(task(Some("12".into())).ok(), Some(12));
        for (value, expected) in [(None, "which is not set"), (Some("a"), "is `a`, which is no")] {
            let refused = task(value.map(Into::into)).unwrap_err().to_string();
            assert!(refused.contains(expected) && refused.contains(TASK), "{refused}");
        }
    }
}
