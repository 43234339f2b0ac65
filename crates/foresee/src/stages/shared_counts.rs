//! Counts of correct answers that ranks share: each rank counts on neighbouring batches of the
//! faces. Counts of images are put one behind the other, so that they are those of one rank.

use foresee_perturb::Tally;
use foresee_ranks::{Shares, gather_any};

use super::jobs::Job;
use crate::error::Result;
use crate::ranks;
use crate::run::{Run, Stage};
use crate::session::Session;

/// A tally for each of some settings in two directions, such as curves and their points.
pub(super) type Table = Vec<Vec<Tally>>;

/// The faces of this rank, of which each batch has so many. All of them where the device is not the
/// CPU: other ranks have none.
pub(super) fn own<'a>(faces: &'a [usize], batch: usize, session: &Session) -> &'a [usize] {
    if !session.device.is_cpu() {
        return faces;
    }
    let own = Shares::new(&*ranks::world(), faces.len().div_ceil(batch)).own();
    &faces[own.start * batch..(own.end * batch).min(faces.len())]
}

/// What all ranks count in a stage. `count` counts on [`own`] faces; each of its tables is put
/// together from those of all ranks.
pub(super) fn tallies(
    stage: Stage,
    run: &Run,
    session: &Session,
    count: impl FnOnce() -> Result<Vec<Table>>,
) -> Result<Vec<Table>> {
    if !ranks::is_several() || !session.device.is_cpu() {
        return count();
    }
    let folder = std::path::absolute(run.folder())?;
    Job::Count { stage, folder }.tell()?;
    let mut parts = gather(count())?.into_iter();
    let mut all = parts.next().unwrap_or_default();
    for part in parts {
        let tallies = all.iter_mut().flatten().flatten();
        let others = part.into_iter().flatten().flatten();
        tallies.zip(others).for_each(|(tally, other)| tally.append(other));
    }
    Ok(all)
}

/// Another rank's part in [`tallies`].
pub(super) fn take_part(count: impl FnOnce() -> Result<Vec<Table>>) -> Result<()> {
    gather(count()).map(drop)
}

/// What all ranks counted, in their order.
fn gather(own: Result<Vec<Table>>) -> Result<Vec<Vec<Table>>> {
    let own = serde_json::to_vec(&ranks::agree(own)?)?;
    let all = gather_any(&*ranks::world(), &own)?;
    all.iter().map(|bytes| Ok(serde_json::from_slice(bytes)?)).collect()
}
