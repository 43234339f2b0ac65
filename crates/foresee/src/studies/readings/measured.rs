//! What the files of a run were made from: they are made again if that changes.

use std::path::Path;

use foresee_files::write_atomic;
use serde::{Deserialize, Serialize};

use crate::artifacts::ChannelStatisticsFile;
use crate::error::Result;
use crate::run::{MODEL, Run, Stage};

/// The version of the files. It grows when what is measured changes.
const FORMAT: u32 = 1;

/// The file in the folder of a run, which is written last.
const FILE: &str = "made_from.json";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Test images; 0: all.
    pub images: usize,
    /// Channels from one point of a curve to the next.
    pub step: usize,
    pub random_orders: u64,
}

/// What decides the files of a run.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MadeFrom {
    format: u32,
    settings: Settings,
    faces_sha256: String,
    model_sha256: Option<String>,
    statistics_sha256: Option<String>,
}

impl MadeFrom {
    /// Of a run that is trained and measured.
    pub fn new(run: &Run, settings: Settings) -> Self {
        let hash = |stage: Stage, file: &str| {
            run.manifest.stages.get(&stage).and_then(|record| record.outputs.get(file)).cloned()
        };
        Self {
            format: FORMAT,
            settings,
            faces_sha256: run.manifest.data.sha256.clone(),
            model_sha256: hash(Stage::Train, MODEL),
            statistics_sha256: hash(Stage::Measure, ChannelStatisticsFile::PATH),
        }
    }

    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Whether the files in a folder are made from this.
    pub fn is_of(&self, folder: &Path) -> bool {
        let text = std::fs::read(folder.join(FILE)).unwrap_or_default();
        serde_json::from_slice::<Self>(&text).is_ok_and(|found| found == *self)
    }

    /// Before the files are made anew.
    pub fn forget(&self, folder: &Path) {
        let _ = std::fs::remove_file(folder.join(FILE));
    }

    /// Once all files are there.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        Ok(write_atomic(&folder.join(FILE), text.as_bytes())?)
    }
}
