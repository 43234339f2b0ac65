//! The stages of a run, and what each is given and leaves.

use std::fmt;
use std::path::{Path, PathBuf};

use foresee_report::frame::DataFrame;
use serde::{Deserialize, Serialize};

use super::{Run, write_simulated};
use crate::artifacts::Artifact;
use crate::error::Result;

/// A stage of a run, in the order in which they are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Trains the network.
    Train,
    /// Statistics of features and masks (Figures 4 to 6, Table 4).
    Measure,
    /// Semantic channel pruning (Figure 7).
    Prune,
    /// Mask transformation under noise (Figure 8).
    Transform,
    /// Forecasts of what operations change, scored.
    Predict,
    /// Attribution methods, scored.
    Attribute,
    /// Draws figures, tables and the report.
    Figures,
    /// What `compare` measures of a system; it is in no other run.
    Judge,
}

impl Stage {
    /// All of a run of `reproduce`, first to last.
    pub const ALL: [Self; 7] = [
        Self::Train,
        Self::Measure,
        Self::Prune,
        Self::Transform,
        Self::Predict,
        Self::Attribute,
        Self::Figures,
    ];

    /// Its name in the manifest and on the command line.
    pub fn id(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Measure => "measure",
            Self::Prune => "prune",
            Self::Transform => "transform",
            Self::Predict => "predict",
            Self::Attribute => "attribute",
            Self::Figures => "figures",
            Self::Judge => "judge",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// What a stage's outputs are made from.
pub(crate) struct Inputs<'a, S> {
    pub stage: Stage,
    /// The version of its outputs: it grows with every change of what the stage computes or how it
    /// writes that, so that runs of before do the stage again.
    pub format: u32,
    /// Settings and seed; of `train` also the faces, which all others have from its model.
    pub settings: S,
    /// Files that earlier stages made.
    pub reads: &'a [&'a str],
}

/// The files that a stage makes, recorded as they are written.
pub(crate) struct Outputs<'a> {
    run: &'a Run,
    files: Vec<String>,
    earlier_seconds: f64,
}

impl<'a> Outputs<'a> {
    pub(super) fn new(run: &'a Run) -> Self {
        Self { run, files: vec![], earlier_seconds: 0. }
    }

    /// The run that the stage is of.
    pub fn run(&self) -> &'a Run {
        self.run
    }

    /// Writes a data file.
    pub fn write<A: Artifact>(&mut self, artifact: &A) -> Result<()> {
        self.write_frame(A::PATH, artifact.to_frame()?)
    }

    /// Writes a frame as a data file.
    pub fn write_frame(&mut self, file: &str, frame: DataFrame) -> Result<()> {
        self.run.write_frame(file, frame)?;
        self.add(file);
        Ok(())
    }

    /// Writes a data file whose numbers come from no faces at all.
    pub fn write_simulated<A: Artifact>(&mut self, artifact: &A) -> Result<()> {
        write_simulated(&self.run.path(A::PATH), artifact)?;
        self.add(A::PATH);
        Ok(())
    }

    /// Records a file that is written already, by its place in the run's folder.
    pub fn add(&mut self, file: impl Into<String>) {
        let file = file.into();
        tracing::debug!("wrote {file}");
        self.files.push(file);
    }

    /// Records files that are written already.
    pub fn add_written(&mut self, paths: Vec<PathBuf>) {
        let own = |path: &PathBuf| path.strip_prefix(self.run.folder()).ok().map(Path::to_owned);
        paths.iter().filter_map(own).for_each(|path| self.add(path.display().to_string()));
    }

    /// Adds what earlier, interrupted sessions took.
    pub fn add_earlier_seconds(&mut self, seconds: f64) {
        self.earlier_seconds += seconds;
    }

    pub(super) fn finish(self) -> (Vec<String>, f64) {
        (self.files, self.earlier_seconds)
    }
}
