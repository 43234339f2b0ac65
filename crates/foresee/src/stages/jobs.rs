//! What rank 0 tells the other ranks to do.

use std::path::PathBuf;

use candle_core::Device;
use foresee_celeba::Split;
use serde::{Deserialize, Serialize};

use crate::device::DeviceKind;
use crate::error::Result;
use crate::ranks;
use crate::run::{Manifest, Run, Stage};

#[derive(Serialize, Deserialize)]
pub(crate) enum Job {
    /// Train the run's network with rank 0, whose next act is a `validation` or a step. The bytes
    /// of a checkpoint follow; none if it begins.
    Train { manifest: Box<Manifest>, folder: PathBuf, validation: bool, device: DeviceKind },
    /// Do a share of a stage of a run that is trained, with the settings of this manifest: those of
    /// the folder are of the stages before.
    Share { stage: Stage, manifest: Box<Manifest>, folder: PathBuf, device: DeviceKind },
    /// Answer a share of the faces with a model file, whose hashes are to be these.
    Answer { question: Question, sha256: [String; 2], device: DeviceKind },
    /// The command is done.
    End,
}

/// Which model is asked about which faces.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Question {
    pub model: PathBuf,
    pub celeba: PathBuf,
    pub split: Split,
}

impl Job {
    /// To do a share of a stage.
    pub fn share(stage: Stage, run: &Run, device: &Device) -> Result<Self> {
        let folder = std::path::absolute(run.folder())?;
        let manifest = Box::new(run.manifest.clone());
        Ok(Self::Share { stage, manifest, folder, device: DeviceKind::of(device) })
    }

    /// Tells it all other ranks, if there are any.
    pub fn tell(&self) -> Result<()> {
        ranks::tell(self)
    }
}
