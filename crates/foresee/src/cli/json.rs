//! `--json`: the results of a command as one document on the standard output.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;
use foresee_model::{MeasuredChange, ModelCard};
use foresee_report::DataFrame;
use foresee_report::frame::Rows;
use serde::Serialize;

use crate::artifacts::{
    Accuracy, Artifact, AttributeAccuracy, AttributionCheck, AttributionScore, Channel,
    GroupMember, PermutedParts, PruningCurves, RandomisedStep, RegressionReport, ScoredForecasts,
    SurrogateRow, SystemCost, TopChannel, TransformationChoice, TransformationCurves,
};
use crate::error::{Result, input};
use crate::output::{OutputFile, print};
use crate::run::{DataRecord, Run, Stage, StageRecord};

/// Whether the results are printed as JSON.
#[derive(Args, Debug, Clone, Copy, Default)]
pub struct JsonArgs {
    /// Print the results as one JSON document, with numbers that are not rounded. Everything else
    /// goes to the standard error.
    #[arg(long)]
    json: bool,
}

impl JsonArgs {
    /// Whether it is asked for.
    pub fn is_asked(self) -> bool {
        self.json
    }

    /// Makes sure that the standard output is not asked for twice.
    ///
    /// # Errors
    /// If a file that is written is the standard output, too.
    pub fn check(self, option: &str, file: Option<&OutputFile>) -> Result<()> {
        match self.json && file.is_some_and(OutputFile::is_standard) {
            true => Err(input(format!(
                "{option} and --json both write to the standard output; name a file for {option}"
            ))),
            false => Ok(()),
        }
    }
}

/// Results of an ONNX network.
#[derive(Serialize)]
pub(super) struct ModelDocument {
    model: String,
    folder: String,
    page: String,
    /// Rows of data files. Their fields are the files' columns.
    #[serde(flatten)]
    results: BTreeMap<&'static str, Rows>,
}

impl ModelDocument {
    /// Of a network's file, the folder of its results, the page there, and rows by their names.
    pub fn new<const N: usize>(
        (model, folder, page): (&Path, &Path, &str),
        results: [(&'static str, DataFrame); N],
    ) -> Self {
        Self {
            model: path_text(model),
            folder: path_text(folder),
            page: path_text(&folder.join(page)),
            results: results.into_iter().map(|(name, frame)| (name, Rows(frame))).collect(),
        }
    }
}

/// Prints a document.
///
/// # Errors
/// If it cannot be written.
pub(super) fn print_json(document: &impl Serialize) -> Result<()> {
    print(&(serde_json::to_string_pretty(document)? + "\n"))
}

/// A path as text. What is not UTF-8 in it is replaced.
pub(super) fn path_text(path: &Path) -> String {
    path.display().to_string()
}

/// The faces of a run.
#[derive(Serialize)]
pub(super) struct Faces {
    /// `synthetic` or `celeba`.
    kind: &'static str,
    total: usize,
    train: usize,
    val: usize,
    test: usize,
}

impl Faces {
    /// Number and kind.
    pub fn title(&self) -> String {
        format!("{} {}", self.total, self.kind)
    }
}

impl From<&DataRecord> for Faces {
    fn from(data: &DataRecord) -> Self {
        Self {
            kind: data.kind(),
            total: data.faces,
            train: data.train,
            val: data.val,
            test: data.test,
        }
    }
}

/// A stage that is done.
#[derive(Serialize)]
struct DoneStage {
    wall_seconds: f64,
    peak_memory_bytes: Option<u64>,
    /// In the run's folder.
    files: Vec<String>,
}

impl From<&StageRecord> for DoneStage {
    fn from(record: &StageRecord) -> Self {
        Self {
            wall_seconds: record.wall_seconds,
            peak_memory_bytes: record.peak_memory_bytes,
            files: record.outputs.keys().cloned().collect(),
        }
    }
}

/// A pruned network that was written.
#[derive(Serialize)]
pub(super) struct Saved {
    pub file: String,
    pub channels: usize,
    pub channels_of_run: usize,
    pub kept_channels: Vec<usize>,
}

/// What a compacted network computes of its heads.
#[derive(Serialize)]
pub(super) struct Compacted {
    pub tolerance: f64,
    /// Training faces on which the rows were chosen.
    pub chosen_on: usize,
    /// Of all attributes.
    pub rows: usize,
    pub rows_kept: usize,
    /// Against the network that was compacted; `null` once it is pruned after that.
    pub measured: Option<MeasuredChange>,
}

impl Compacted {
    /// What a card says, if anything is left out.
    pub fn of(card: &ModelCard) -> Option<Self> {
        let left_out = card.left_out.as_ref()?;
        Some(Self {
            tolerance: left_out.tolerance,
            chosen_on: left_out.chosen_on,
            rows: card.network.attributes * card.network.channels,
            rows_kept: left_out.rows(),
            measured: left_out.measured.clone(),
        })
    }
}

/// A run, some of its stages, and what these found.
#[derive(Serialize)]
pub(super) struct RunDocument {
    folder: String,
    seed: u64,
    device: String,
    faces: Faces,
    stages: BTreeMap<Stage, DoneStage>,
    /// Rows of data files by the file's name without folder and ending. Their fields are the
    /// file's columns.
    results: BTreeMap<String, Rows>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved: Option<Saved>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Box<RunDocument>>,
}

impl RunDocument {
    /// A run with these stages, as far as they are done, and no results.
    pub fn new(run: &Run, stages: &[Stage]) -> Self {
        let manifest = &run.manifest;
        let done = manifest.stages.iter().filter(|(stage, _)| stages.contains(stage));
        Self {
            folder: path_text(run.folder()),
            seed: manifest.seed,
            device: manifest.device.clone(),
            faces: (&manifest.data).into(),
            stages: done.map(|(stage, record)| (*stage, record.into())).collect(),
            results: BTreeMap::new(),
            saved: None,
            figures: None,
            against: None,
        }
    }

    /// A run with one stage and what it found.
    ///
    /// # Errors
    /// If a file of the stage cannot be read.
    pub fn of_stage(run: &Run, stage: Stage) -> Result<Self> {
        Self::new(run, &[stage]).with_results(run, stage)
    }

    /// Adds what a stage found.
    ///
    /// # Errors
    /// If a file of the stage cannot be read.
    pub fn with_results(mut self, run: &Run, stage: Stage) -> Result<Self> {
        match stage {
            Stage::Train => {
                self.add::<Vec<Accuracy>>(run, stage)?;
                self.add::<Vec<AttributeAccuracy>>(run, stage)?;
            }
            Stage::Measure => {
                self.add::<Vec<Channel>>(run, stage)?;
                self.add::<Vec<TopChannel>>(run, stage)?;
                self.add::<Vec<GroupMember>>(run, stage)?;
            }
            Stage::Prune => self.add::<PruningCurves>(run, stage)?,
            Stage::Transform => {
                self.add::<TransformationCurves>(run, stage)?;
                self.add::<Vec<TransformationChoice>>(run, stage)?;
            }
            Stage::Predict => {
                self.add::<ScoredForecasts>(run, stage)?;
                self.add::<RegressionReport>(run, stage)?;
            }
            Stage::Attribute => {
                self.add::<Vec<AttributionScore>>(run, stage)?;
                self.add::<Vec<AttributionCheck>>(run, stage)?;
                self.add::<Vec<RandomisedStep>>(run, stage)?;
                self.add::<PermutedParts>(run, stage)?;
                self.add::<Vec<SurrogateRow>>(run, stage)?;
            }
            Stage::Judge => self.add::<Vec<SystemCost>>(run, stage)?,
            Stage::Figures => {}
        }
        Ok(self)
    }

    /// Adds the rows of a file, if the stage made it.
    fn add<A: Artifact>(&mut self, run: &Run, stage: Stage) -> Result<()> {
        if run.made(stage, A::PATH) {
            self.results.insert(stem(A::PATH), rows(&run.read::<A>()?)?);
        }
        Ok(())
    }
}

/// The rows of a data file.
///
/// # Errors
/// If the columns do not fit each other.
pub(super) fn rows(artifact: &impl Artifact) -> Result<Rows> {
    Ok(Rows(artifact.to_frame()?))
}

/// `data/accuracy.csv` → `accuracy`.
fn stem(path: &str) -> String {
    Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
