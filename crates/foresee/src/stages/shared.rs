//! Work on faces that ranks share: each does neighbouring batches of them, and rank 0 gathers
//! their results, which equal those of a single rank.

use anyhow::{Context, ensure};
use foresee_perturb::Tally;
use foresee_ranks::{Communicator, Shares, gather_any, gather_at_first};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::jobs::Job;
use crate::error::Result;
use crate::ranks::{self, World};

/// A tally for each of some settings in two directions, such as curves and their points.
pub(super) type Table = Vec<Vec<Tally>>;

/// What a rank comes to. Ranks send it as MessagePack, in which numbers keep their bits.
pub(crate) trait Parcel: Serialize + DeserializeOwned {}

impl<T: Serialize + DeserializeOwned> Parcel for T {}

fn wrap(parcel: &impl Serialize) -> Result<Vec<u8>> {
    Ok(rmp_serde::to_vec(parcel)?)
}

fn unwrap<T: Parcel>(bytes: &[u8]) -> Result<T> {
    rmp_serde::from_slice(bytes).context(SAME_PROGRAM)
}

/// Things that ranks share, each of which is as much work.
pub(super) trait SharedItems {
    type Item;
    /// What a thing comes to.
    type Found: Parcel;

    /// The things of all ranks.
    fn items(&self) -> &[Self::Item];

    /// What some of the things come to, in their order.
    fn compute(&self, items: &[Self::Item]) -> Result<Vec<Self::Found>>;

    /// What this rank's things come to.
    fn compute_own(&self, ranks: &World) -> Result<Vec<Self::Found>> {
        self.compute(&self.items()[Shares::new(ranks, self.items().len()).own()])
    }

    /// What each thing comes to, from what all ranks [computed](Self::compute_own).
    ///
    /// # Errors
    /// If a rank sent results of more or fewer things than it has.
    fn by_item(&self, sent: Sent<Self>, ranks: &World) -> Result<Vec<(&Self::Item, Self::Found)>> {
        let shares = Shares::new(ranks, self.items().len());
        for (rank, found) in sent.iter().enumerate() {
            check_count(rank, found.len(), shares.of(rank).len())?;
        }
        Ok(self.items().iter().zip(sent.into_iter().flatten()).collect())
    }
}

/// What each rank found of its [`SharedItems`].
pub(super) type Sent<S> = Vec<Vec<<S as SharedItems>::Found>>;

/// Nothing, where a part is left out.
impl<S: SharedItems> SharedItems for Option<S> {
    type Item = S::Item;
    type Found = S::Found;

    fn items(&self) -> &[S::Item] {
        self.as_ref().map_or(&[], S::items)
    }

    fn compute(&self, items: &[S::Item]) -> Result<Vec<S::Found>> {
        self.as_ref().map_or_else(|| Ok(vec![]), |shared| shared.compute(items))
    }
}

const SAME_PROGRAM: &str = "start the same program with the same options on all ranks";

/// Refuses what a rank sent if that is not as much as it was asked for.
pub(super) fn check_count(rank: usize, found: usize, expected: usize) -> Result<()> {
    ensure!(
        found == expected,
        "rank {rank} sent {found} results where {expected} were expected: {SAME_PROGRAM}"
    );
    Ok(())
}

/// The faces of this rank, of which each batch has so many.
pub(crate) fn own<'a>(faces: &'a [usize], batch: usize, ranks: &World) -> &'a [usize] {
    of_rank(faces, batch, ranks, ranks.rank())
}

fn of_rank<'a>(faces: &'a [usize], batch: usize, ranks: &World, rank: usize) -> &'a [usize] {
    let share = Shares::new(ranks, faces.len().div_ceil(batch)).of(rank);
    &faces[(share.start * batch).min(faces.len())..(share.end * batch).min(faces.len())]
}

/// Refuses what ranks sent unless it is so many numbers for each of their faces.
pub(crate) fn check_faces(
    sent: &[Vec<f64>],
    numbers: usize,
    (faces, batch): (&[usize], usize),
    ranks: &World,
) -> Result<()> {
    let own = |rank| of_rank(faces, batch, ranks, rank).len();
    let mut each = sent.iter().enumerate();
    each.try_for_each(|(rank, sent)| check_count(rank, sent.len(), numbers * own(rank)))
}

/// What all ranks come to in a job that they share, in their order. `own` does this rank's share.
pub(crate) fn job<T: Parcel>(
    ranks: &World,
    job: impl FnOnce() -> Result<Job>,
    own: impl FnOnce() -> Result<T>,
) -> Result<Vec<T>> {
    call(ranks, job)?;
    gather(ranks, own())
}

/// Tells the other ranks a job in which all take part, if there are any.
pub(super) fn call(ranks: &World, job: impl FnOnce() -> Result<Job>) -> Result<()> {
    if ranks.size() > 1 { job()?.tell() } else { Ok(()) }
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
    let own = ranks::agree(own.and_then(|own| wrap(&own)))?;
    gather_at_first(ranks, &own)?.iter().map(|bytes| unwrap(bytes)).collect()
}

/// The same at every rank.
///
/// # Errors
/// As [`gather`].
pub(super) fn gather_at_all<T: Parcel>(ranks: &World, own: Result<T>) -> Result<Vec<T>> {
    if ranks.size() == 1 {
        return Ok(vec![own?]);
    }
    let own = ranks::agree(own.and_then(|own| wrap(&own)))?;
    gather_any(ranks, &own)?.iter().map(|bytes| unwrap(bytes)).collect()
}

/// Tables of all ranks as one, each of which is of some faces, that ranks share in batches: tallies
/// of images are put one behind the other.
///
/// # Errors
/// If a rank sent other tables than the first did, or of another number of faces.
pub(super) fn tables(
    parts: Vec<Vec<Table>>,
    faces: &[&[usize]],
    batch: usize,
    ranks: &World,
) -> Result<Vec<Table>> {
    let mut all: Vec<Table> = vec![];
    for (rank, part) in parts.into_iter().enumerate() {
        let own: Vec<usize> =
            faces.iter().map(|faces| of_rank(faces, batch, ranks, rank).len()).collect();
        let fits = has_images(&part, &own) && (rank == 0 || shape(&part) == shape(&all));
        ensure!(fits, "rank {rank} sent other counts than it was asked for: {SAME_PROGRAM}");
        if rank == 0 {
            all = part;
            continue;
        }
        let tallies = all.iter_mut().flatten().flatten();
        let others = part.into_iter().flatten().flatten();
        for (tally, other) in tallies.zip(others) {
            tally.append(other)?;
        }
    }
    Ok(all)
}

/// Whether there is a table for each number of images, and its tallies are of that many.
fn has_images(tables: &[Table], images: &[usize]) -> bool {
    let of_each = |(table, images): (&Table, &usize)| {
        table.iter().flatten().all(|tally| tally.by_image.len() == *images)
    };
    tables.len() == images.len() && tables.iter().zip(images).all(of_each)
}

fn shape(tables: &[Table]) -> Vec<Vec<usize>> {
    tables.iter().map(|table| table.iter().map(Vec::len).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(images: usize) -> Table {
        vec![vec![Tally { by_image: vec![1.; images], ..Tally::default() }; 2]]
    }

    #[test]
    fn counts_of_other_faces_are_refused() -> Result<()> {
        let (alone, faces) = (ranks::alone(), [0, 1, 2]);
        let of = |part: Vec<Table>| tables(vec![part], &[&faces], 2, &alone);
        assert_eq!(of(vec![table(3)])?, [table(3)]);
        for wrong in [vec![table(2)], vec![], vec![table(3), table(3)]] {
            let said = of(wrong).unwrap_err().to_string();
            assert!(said.contains("rank 0 sent other counts"), "{said}");
        }
        Ok(())
    }

    #[test]
    fn numbers_of_other_faces_are_refused() {
        let (alone, faces) = (ranks::alone(), [0, 1, 2]);
        let of = |numbers: usize| check_faces(&[vec![0.; numbers]], 2, (&faces, 2), &alone);
        assert!(of(6).is_ok());
        let said = of(7).unwrap_err().to_string();
        assert!(said.contains("rank 0 sent 7 results where 6 were expected"), "{said}");
    }

    #[test]
    fn numbers_keep_their_bits() -> Result<()> {
        let sent = [0.1, -0., f64::INFINITY, f64::from_bits(0x7ff8_0000_0000_0abc)];
        let bytes = wrap(&sent)?;
        let bits = |numbers: &[f64]| numbers.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&unwrap::<Vec<f64>>(&bytes)?), bits(&sent));
        let said = unwrap::<Vec<f64>>(&bytes[..bytes.len() - 1]).unwrap_err().to_string();
        assert_eq!(said, SAME_PROGRAM);
        Ok(())
    }
}
