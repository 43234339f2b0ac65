//! What the stages of a run would do, and why.

use std::fmt;

use serde::Serialize;

use super::{Inputs, Run, Stage, is_untouched};

/// Whether a stage is done, and if it is not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StageState {
    /// Its inputs and outputs are as it left them.
    UpToDate,
    /// It was never done here.
    New,
    /// Another version of the stage made its files.
    OtherVersion,
    /// Its settings or the files that it reads are others.
    OtherInputs,
    /// A file of it is gone or was changed.
    FilesChanged,
    /// It reads what an earlier stage makes anew. It is done again if that is not the same.
    Follows,
}

impl StageState {
    /// Whether the stage is done now, or may be.
    pub fn runs(self) -> bool {
        self != Self::UpToDate
    }
}

/// The state as a reason.
impl fmt::Display for StageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UpToDate => "up to date",
            Self::New => "new",
            Self::OtherVersion => "an earlier version of this stage made its files",
            Self::OtherInputs => "its settings or inputs changed",
            Self::FilesChanged => "a file of it is gone or was changed",
            Self::Follows => "runs only if an earlier stage's output changes",
        })
    }
}

/// What a stage would do.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct PlannedStage {
    pub stage: Stage,
    pub state: StageState,
}

impl Run {
    /// Whether a stage with this key is done.
    pub(super) fn state(&self, inputs: &Inputs<'_, impl Serialize>, key: &str) -> StageState {
        match self.manifest.stages.get(&inputs.stage) {
            None => StageState::New,
            Some(record) if record.inputs_sha256 == key && is_untouched(&self.folder, record) => {
                StageState::UpToDate
            }
            Some(record) if record.format != inputs.format => StageState::OtherVersion,
            Some(record) if record.inputs_sha256 != key => StageState::OtherInputs,
            Some(_) => StageState::FilesChanged,
        }
    }

    /// Notes what a stage would do, after those before it.
    pub(super) fn note(&mut self, inputs: &Inputs<'_, impl Serialize>) {
        let stage = inputs.stage;
        let state = match (self.manifest.stages.contains_key(&stage), self.key(inputs)) {
            (false, _) => StageState::New,
            (true, Ok(key)) => match self.state(inputs, &key) {
                StageState::UpToDate if self.follows(inputs) => StageState::Follows,
                state => state,
            },
            // A file that it reads is gone.
            (true, Err(_)) => StageState::Follows,
        };
        if let Some(plan) = &mut self.plan {
            plan.push(PlannedStage { stage, state });
        }
    }

    /// Whether a stage that would be done makes a file that this one reads. Figures are of all
    /// stages.
    fn follows(&self, inputs: &Inputs<'_, impl Serialize>) -> bool {
        let reads = |stage: Stage| inputs.reads.iter().any(|file| self.made(stage, file));
        let mut done = self.planned().iter().filter(|planned| planned.state.runs());
        done.any(|planned| inputs.stage == Stage::Figures || reads(planned.stage))
    }
}
