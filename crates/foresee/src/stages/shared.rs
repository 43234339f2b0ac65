//! Work on faces that ranks share: each does neighbouring batches of them, and rank 0 puts together
//! what all came to, so that it is what one rank comes to.

use anyhow::Context;
use foresee_perturb::Tally;
use foresee_ranks::{Communicator, Shares, gather_at_first, pack, unpack};

use super::jobs::Job;
use crate::error::Result;
use crate::ranks::{self, World};

/// A tally for each of some settings in two directions, such as curves and their points.
pub(super) type Table = Vec<Vec<Tally>>;

/// What a rank comes to, as the bytes that it sends.
pub(crate) trait Parcel: Sized {
    fn wrap(&self) -> Result<Vec<u8>>;
    fn unwrap(bytes: &[u8]) -> Result<Self>;
}

impl Parcel for Vec<Table> {
    fn wrap(&self) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec(self)?)
    }

    fn unwrap(bytes: &[u8]) -> Result<Self> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

impl Parcel for Vec<f64> {
    fn wrap(&self) -> Result<Vec<u8>> {
        Ok(pack(self))
    }

    fn unwrap(bytes: &[u8]) -> Result<Self> {
        Ok(unpack(bytes))
    }
}

/// Two lists of numbers.
impl Parcel for [Vec<f64>; 2] {
    fn wrap(&self) -> Result<Vec<u8>> {
        let [first, second] = self;
        Ok(pack(&[&[first.len() as f64], &first[..], second].concat()))
    }

    fn unwrap(bytes: &[u8]) -> Result<Self> {
        let numbers = unpack(bytes);
        let (length, numbers) = numbers.split_first().context("a list begins with its length")?;
        let (first, second) =
            numbers.split_at_checked(*length as usize).context("a list is as long as it says")?;
        Ok([first, second].map(<[f64]>::to_vec))
    }
}

/// The faces of this rank, of which each batch has so many.
pub(crate) fn own<'a>(faces: &'a [usize], batch: usize, ranks: &World) -> &'a [usize] {
    let own = Shares::new(ranks, faces.len().div_ceil(batch)).own();
    &faces[(own.start * batch).min(faces.len())..(own.end * batch).min(faces.len())]
}

/// Those of some things that are this rank's, each of which is as much work.
pub(super) fn own_of<T>(all: Vec<T>, ranks: &World) -> Vec<T> {
    let own = Shares::new(ranks, all.len()).own();
    all.into_iter().skip(own.start).take(own.len()).collect()
}

/// What all ranks come to in a job that they share, in their order. `own` does this rank's share.
pub(crate) fn job<T: Parcel>(
    ranks: &World,
    job: impl FnOnce() -> Result<Job>,
    own: impl FnOnce() -> Result<T>,
) -> Result<Vec<T>> {
    if ranks.size() > 1 {
        job()?.tell()?;
    }
    gather(ranks, own())
}

/// Another rank's part in a [`job`].
pub(super) fn take_part<T: Parcel>(own: Result<T>) -> Result<()> {
    gather(&ranks::world(), own).map(drop)
}

/// What all ranks came to, in their order, at rank 0; nothing at the others.
///
/// # Errors
/// At all ranks, if one has failed.
pub(crate) fn gather<T: Parcel>(ranks: &World, own: Result<T>) -> Result<Vec<T>> {
    if ranks.size() == 1 {
        return Ok(vec![own?]);
    }
    let own = ranks::agree(own.and_then(|own| own.wrap()))?;
    gather_at_first(ranks, &own)?.iter().map(|bytes| T::unwrap(bytes)).collect()
}

/// Tables of all ranks as one: tallies of images are put one behind the other.
pub(super) fn tables(parts: Vec<Vec<Table>>) -> Vec<Table> {
    let mut parts = parts.into_iter();
    let mut all = parts.next().unwrap_or_default();
    for part in parts {
        let tallies = all.iter_mut().flatten().flatten();
        let others = part.into_iter().flatten().flatten();
        tallies.zip(others).for_each(|(tally, other)| tally.append(other));
    }
    all
}
