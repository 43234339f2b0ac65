//! Work on faces that ranks share: each does neighbouring batches of them, and rank 0 gathers
//! their results, which equal those of a single rank.

use anyhow::{Context, ensure};
use foresee_perturb::Tally;
use foresee_ranks::{Communicator, Shares, gather_any, gather_at_first, pack, unpack};

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
        ensure!(bytes.len().is_multiple_of(8), "{} bytes are no numbers", bytes.len());
        Ok(unpack(bytes))
    }
}

/// Several lists of numbers as bytes, behind the lengths of all.
pub(super) fn wrap_lists<const N: usize>(lists: [&Vec<f64>; N]) -> Result<Vec<u8>> {
    let lengths = lists.map(|list| list.len() as f64);
    let numbers = lists.into_iter().flatten();
    lengths.iter().chain(numbers).copied().collect::<Vec<_>>().wrap()
}

/// The lists of such bytes.
///
/// # Errors
/// If they are longer or shorter than they say.
pub(super) fn unwrap_lists<const N: usize>(bytes: &[u8]) -> Result<[Vec<f64>; N]> {
    let numbers = <Vec<f64>>::unwrap(bytes)?;
    let (lengths, mut rest) =
        numbers.split_at_checked(N).context("lists begin with their lengths")?;
    let mut lists = [const { vec![] }; N];
    for (list, length) in lists.iter_mut().zip(lengths) {
        let (own, others) =
            rest.split_at_checked(*length as usize).context("lists are as long as they say")?;
        *list = own.to_vec();
        rest = others;
    }
    ensure!(rest.is_empty(), "lists are longer than they say");
    Ok(lists)
}

/// Things that ranks share, each of which is as much work and comes to some numbers.
pub(super) trait SharedItems {
    type Item;

    /// The things of all ranks.
    fn items(&self) -> &[Self::Item];

    /// How many numbers a thing comes to.
    fn count(&self, item: &Self::Item) -> usize;

    /// The numbers of some of the things, one behind the other.
    fn compute(&self, items: &[Self::Item]) -> Result<Vec<f64>>;

    /// The numbers of this rank's things.
    fn compute_own(&self, ranks: &World) -> Result<Vec<f64>> {
        self.compute(&self.items()[Shares::new(ranks, self.items().len()).own()])
    }

    /// The numbers of each thing, from what all ranks [computed](Self::compute_own).
    ///
    /// # Errors
    /// If a rank sent more or fewer numbers than its things come to.
    fn by_item<'a>(&'a self, sent: &[Vec<f64>], ranks: &World) -> Result<Vec<ItemNumbers<'a, Self>>>
    where
        Self: Sized,
    {
        let shares = Shares::new(ranks, self.items().len());
        let mut all = vec![];
        for (rank, numbers) in sent.iter().enumerate() {
            let items = &self.items()[shares.of(rank)];
            let expected: usize = items.iter().map(|item| self.count(item)).sum();
            check_count(rank, numbers.len(), expected)?;
            let mut rest = &numbers[..];
            for item in items {
                let (own, others) = rest.split_at(self.count(item));
                all.push((item, own.to_vec()));
                rest = others;
            }
        }
        Ok(all)
    }
}

/// Nothing, where a part is left out.
impl<S: SharedItems> SharedItems for Option<S> {
    type Item = S::Item;

    fn items(&self) -> &[S::Item] {
        self.as_ref().map_or(&[], S::items)
    }

    fn count(&self, item: &S::Item) -> usize {
        self.as_ref().map_or(0, |shared| shared.count(item))
    }

    fn compute(&self, items: &[S::Item]) -> Result<Vec<f64>> {
        self.as_ref().map_or_else(|| Ok(vec![]), |shared| shared.compute(items))
    }
}

/// A thing of [`SharedItems`] with its numbers.
type ItemNumbers<'a, S> = (&'a <S as SharedItems>::Item, Vec<f64>);

const SAME_PROGRAM: &str = "start the same program with the same options on all ranks";

/// Refuses what a rank sent if that is not as much as it was asked for.
pub(super) fn check_count(rank: usize, found: usize, expected: usize) -> Result<()> {
    ensure!(
        found == expected,
        "rank {rank} sent {found} numbers where {expected} were expected: {SAME_PROGRAM}"
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
    let own = ranks::agree(own.and_then(|own| own.wrap()))?;
    gather_at_first(ranks, &own)?.iter().map(|bytes| T::unwrap(bytes)).collect()
}

/// The same at every rank.
///
/// # Errors
/// As [`gather`].
pub(super) fn gather_at_all<T: Parcel>(ranks: &World, own: Result<T>) -> Result<Vec<T>> {
    if ranks.size() == 1 {
        return Ok(vec![own?]);
    }
    let own = ranks::agree(own.and_then(|own| own.wrap()))?;
    gather_any(ranks, &own)?.iter().map(|bytes| T::unwrap(bytes)).collect()
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
        assert!(said.contains("rank 0 sent 7 numbers where 6 were expected"), "{said}");
    }

    #[test]
    fn lists_arrive_whole_or_are_refused() -> Result<()> {
        let lists = [vec![1., f64::INFINITY], vec![], vec![0.1]];
        let bytes = wrap_lists(lists.each_ref())?;
        assert_eq!(unwrap_lists(&bytes)?, lists);
        for cut in [bytes.len() - 1, bytes.len() - 8, 8] {
            assert!(unwrap_lists::<3>(&bytes[..cut]).is_err());
        }
        let longer = [&bytes[..], &[0; 8]].concat();
        assert!(unwrap_lists::<3>(&longer).is_err());
        assert!(<Vec<f64>>::unwrap(&bytes[1..]).is_err());
        Ok(())
    }
}
