//! The part of all ranks but the first: they do what rank 0 tells, until its command is done.

use anyhow::bail;

use super::jobs::Job;
use super::shared::take_part;
use super::{attribute, evaluate, measure, predict, prune, train, transform};
use crate::device::DeviceKind;
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
            Job::Train { manifest, folder, validation, device } => {
                train::follow(*manifest, &folder, validation, &device)
            }
            Job::Share { stage, manifest, folder, device } => {
                share(stage, Run::told(*manifest, folder), &device)
            }
            Job::Answer { question, sha256, device } => {
                take_part(evaluate::share(&question, &sha256, &device))
            }
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

fn share(stage: Stage, run: Run, device: &DeviceKind) -> Result<()> {
    let place = device.open().map(|device| (run, Session::new(device)));
    match stage {
        Stage::Measure => {
            take_part(place.and_then(|(run, session)| measure::share(&run, &session)))
        }
        Stage::Prune => take_part(place.and_then(|(run, session)| prune::share(&run, &session))),
        Stage::Transform => {
            take_part(place.and_then(|(run, session)| transform::share(&run, &session)))
        }
        Stage::Attribute => attribute::follow(&place),
        Stage::Predict => {
            take_part(place.and_then(|(run, session)| predict::share(&run, &session)))
        }
        _ => bail!("stage {stage} is not shared"),
    }
}
