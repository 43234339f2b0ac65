//! The part of all ranks but the first: they do what rank 0 tells, until its command is done.

use std::path::Path;

use anyhow::bail;
use candle_core::Device;

use super::jobs::Job;
use super::shared_counts::{Table, take_part};
use super::{prune, train, transform};
use crate::error::Result;
use crate::interrupt::Patience;
use crate::ranks;
use crate::run::{Run, Stage};
use crate::session::Session;

/// Follows rank 0. Errors of the work are rank 0's to tell; those that are returned are of the
/// connection.
pub(crate) fn follow() -> Result<()> {
    // Rank 0 decides what a signal means.
    let _patience = Patience::begin();
    loop {
        let done = match ranks::hear()? {
            Job::End => return Ok(()),
            Job::Train { manifest, folder } => train::follow(*manifest, &folder),
            Job::Count { stage, folder } => take_part(|| count(stage, &folder)),
        };
        if let Err(e) = done {
            tracing::debug!("rank {}: {e:#}", ranks::number());
        }
    }
}

/// Tells the other ranks that the command is done.
pub(crate) fn dismiss() -> Result<()> {
    Job::End.tell()
}

fn count(stage: Stage, folder: &Path) -> Result<Vec<Table>> {
    let run = Run::open(folder)?;
    let session = Session::new(Device::Cpu);
    match stage {
        Stage::Prune => Ok(vec![prune::count_share(&run, &session)?]),
        Stage::Transform => transform::count_share(&run, &session),
        _ => bail!("stage {stage} is not shared"),
    }
}
