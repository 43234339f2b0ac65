//! What rank 0 tells the other ranks to do.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::ranks;
use crate::run::{Manifest, Stage};

#[derive(Serialize, Deserialize)]
pub(crate) enum Job {
    /// Train the run's network with rank 0. The bytes of a checkpoint follow; none if it begins.
    Train { manifest: Box<Manifest>, folder: PathBuf },
    /// Count correct answers in a stage of a run that is trained, on a share of its faces.
    Count { stage: Stage, folder: PathBuf },
    /// The command is done.
    End,
}

impl Job {
    /// Tells it all other ranks, if there are any.
    pub fn tell(&self) -> Result<()> {
        ranks::tell(self)
    }
}
