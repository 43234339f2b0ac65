//! The runs of a study by their numbers. One process makes them one after the other, or several
//! make them at once, such as the elements of an array job.

use std::path::{Path, PathBuf};

use foresee_files::write_atomic;

use crate::config::Config;
use crate::error::{BeingMade, Busy, Interrupted, Result};
use crate::run::{Manifest, Stage, StageRecord, working_process};

/// What the runs of a study differ in, besides their seed.
pub(crate) trait Kind {
    /// The stage that makes a run complete.
    const LAST: Stage;

    /// In words.
    fn title(&self) -> String;
}

/// A run of a study.
pub(crate) trait StudyRun {
    /// In words.
    fn title(&self) -> String;
    fn folder(&self) -> &Path;
    /// Whether its folder holds it, to its end.
    fn is_done(&self) -> bool;
    /// Whether a manifest in its folder is of this run, and not of one with other settings.
    fn is_same(&self, run: &Manifest) -> bool;
}

/// Whether a folder is that of a study with these runs: one of them is there, or `only` one is to
/// be made, which leaves the study's own files alone.
pub(crate) fn has_begun(runs: &[impl StudyRun], only: Option<usize>) -> bool {
    only.is_some() || runs.iter().any(|run| run.folder().exists())
}

/// A run that a study makes from settings, a seed and a device.
pub(crate) struct MadeRun<'a, K> {
    pub kind: K,
    pub config: &'a Config,
    pub seed: u64,
    pub device: &'a str,
    pub folder: PathBuf,
}

impl<K: Kind> MadeRun<'_, K> {
    /// What one of its stages took, if that is done.
    pub fn record(&self, stage: Stage) -> Option<StageRecord> {
        let mut run = Manifest::read(&self.folder).ok().filter(|run| self.is_same(run))?;
        run.stages.remove(&stage)
    }
}

impl<K: Kind> StudyRun for MadeRun<'_, K> {
    fn title(&self) -> String {
        format!("{}, seed {}", self.kind.title(), self.seed)
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn is_done(&self) -> bool {
        self.record(K::LAST).is_some()
    }

    fn is_same(&self, run: &Manifest) -> bool {
        let same = run.config.identity().ok() == self.config.identity().ok();
        same && run.seed == self.seed && run.device == self.device
    }
}

/// How far a run is.
pub(crate) enum State {
    Done,
    /// By whom.
    BeingMade(String),
    /// Why.
    Failed(String),
    /// Its folder holds another run.
    OtherSettings,
    /// Nobody is making it now; all stages up to this one are done.
    PartlyDone(Stage),
    /// It was begun, nobody is making it now, and no stage is done.
    Stopped,
    New,
}

impl State {
    pub fn of<R: StudyRun>(out: &Path, number: usize, run: &R, outcome: &Outcome) -> Self {
        if run.is_done() {
            return Self::Done;
        }
        let folder = run.folder();
        let left = outcome.left.iter().find(|left| left.number == number);
        let holder = left.map(|left| left.holder.clone());
        if let Some(holder) = holder.or_else(|| working_process(folder)) {
            return Self::BeingMade(holder);
        }
        let failed = outcome.failed.iter().find(|failed| failed.number == number);
        let reason = failed.map(|failed| failed.reason.clone());
        if let Some(reason) = reason.or_else(|| std::fs::read_to_string(record(out, folder)).ok()) {
            return Self::Failed(reason.trim().to_owned());
        }
        match Manifest::read(folder) {
            Ok(other) if !run.is_same(&other) => Self::OtherSettings,
            Ok(run) => match run.stages.last_key_value() {
                Some((stage, _)) => Self::PartlyDone(*stage),
                None => Self::Stopped,
            },
            Err(_) => Self::New,
        }
    }

    /// In JSON.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::BeingMade(_) => "being_made",
            Self::Failed(_) => "failed",
            Self::OtherSettings => "other_settings",
            Self::PartlyDone(_) => "partly_done",
            Self::Stopped => "stopped",
            Self::New => "new",
        }
    }

    /// In words.
    pub fn title(&self) -> String {
        match self {
            Self::Done => "done".into(),
            Self::BeingMade(holder) => format!("being made by {holder}"),
            Self::Failed(reason) => format!("failed: {reason}"),
            Self::OtherSettings => "its folder holds a run of other settings".into(),
            Self::PartlyDone(stage) => {
                format!("done up to the stage `{stage}`, goes on from there")
            }
            Self::Stopped => "stopped, goes on where it was".into(),
            Self::New => "to be done".into(),
        }
    }
}

/// Which runs did not come to their end.
#[derive(Default)]
pub(crate) struct Outcome {
    pub failed: Vec<Failed>,
    /// Runs that other processes are making.
    pub left: Vec<Left>,
}

/// A run that ended in an error.
pub(crate) struct Failed {
    pub number: usize,
    pub reason: String,
}

/// A run that is left to another process.
pub(crate) struct Left {
    pub number: usize,
    pub holder: String,
}

/// Makes runs, or only the one of a number. One that fails does not stop the others: its reason is
/// kept in the study's folder, and it is tried again the next time. One that another process is
/// making is left to it.
pub(crate) fn make_each<R: StudyRun>(
    out: &Path,
    runs: &[R],
    only: Option<usize>,
    mut make: impl FnMut(usize, &R) -> Result<()>,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for (number, run) in runs.iter().enumerate() {
        if only.is_some_and(|only| only != number) {
            continue;
        }
        let record = record(out, run.folder());
        match make(number, run) {
            Err(e) if e.is::<Interrupted>() => return Err(e),
            Err(e) => match e.downcast_ref::<Busy>() {
                Some(Busy { holder, .. }) => {
                    tracing::warn!("{} is being made by {holder}", run.title());
                    outcome.left.push(Left { number, holder: holder.clone() });
                }
                None => {
                    tracing::error!("{}: {e:#}", run.title());
                    let reason = format!("{e:#}");
                    if let Err(e) = write_atomic(&record, format!("{reason}\n").as_bytes()) {
                        tracing::warn!("what failed cannot be kept: {e}");
                    }
                    outcome.failed.push(Failed { number, reason });
                }
            },
            Ok(()) if run.is_done() => remove(&record),
            // It is left for later.
            Ok(()) => {}
        }
    }
    Ok(outcome)
}

/// The file in the study's folder that says why a run failed the last time.
fn record(out: &Path, folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    out.join("failed").join(format!("{name}.txt"))
}

fn remove(record: &Path) {
    let _ = std::fs::remove_file(record);
    if let Some(folder) = record.parent() {
        // Fails while others are in it.
        let _ = std::fs::remove_dir(folder);
    }
}

impl Outcome {
    /// An error if a run failed, or if the only one that was to be made is left to another process.
    pub fn check<R: StudyRun>(&self, runs: &[R], only: Option<usize>) -> Result<()> {
        let title = |number: usize| format!("{number} ({})", runs[number].title());
        match (self.failed.first(), self.left.first(), only) {
            (Some(Failed { number, reason }), _, Some(_)) => {
                Err(anyhow::anyhow!("run {} failed: {reason}", title(*number)))
            }
            (Some(Failed { number, reason }), ..) => Err(anyhow::anyhow!(
                "{} of {} runs failed, the analysis is over the others; the first: {}: {reason}",
                self.failed.len(),
                runs.len(),
                runs[*number].title()
            )),
            (None, Some(Left { number, holder }), Some(_)) => {
                let run = title(*number);
                Err(BeingMade(format!("run {run} is being made by {holder}")).into())
            }
            (None, Some(_), None) => {
                let left: Vec<String> = self.left.iter().map(|left| title(left.number)).collect();
                tracing::warn!(
                    "other processes are making the runs {}; give the same command when they end",
                    left.join(", ")
                );
                Ok(())
            }
            (None, None, _) => Ok(()),
        }
    }
}
