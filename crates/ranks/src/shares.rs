//! Who computes which micro-batch, and how what was computed comes together.

use std::convert::Infallible;
use std::ops::Range;

use crate::bytes::{pack, unpack};
use crate::communicator::{Communicator, check_lengths};
use crate::error::Result;
use crate::plan::Plan;
use crate::sum::{add, sum_of_ranks};
use crate::tree::{Node, fold, nodes, root};

/// The micro-batches of a batch, shared by ranks: each has neighbours. None has more than it must:
/// the number of micro-batches over that of ranks, rounded up. Below that a share ends where it
/// makes few nodes of the tree, which are what is sent.
#[derive(Clone, Copy)]
pub struct Shares<'a> {
    ranks: &'a dyn Communicator,
    count: usize,
}

impl<'a> Shares<'a> {
    /// `count` micro-batches.
    pub fn new(ranks: &'a dyn Communicator, count: usize) -> Self {
        Self { ranks, count }
    }

    /// The ranks.
    pub fn ranks(&self) -> &'a dyn Communicator {
        self.ranks
    }

    /// The number of micro-batches of all ranks.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The micro-batches of this rank.
    pub fn own(&self) -> Range<usize> {
        self.of(self.ranks.rank())
    }

    /// The micro-batches of a rank.
    pub fn of(&self, rank: usize) -> Range<usize> {
        let start = (0..rank).fold(0, |start, before| self.end(before, start));
        start..self.end(rank, start)
    }

    /// How many values [`fold_own`](Self::fold_own) gives on a rank.
    pub fn branches(&self, rank: usize) -> usize {
        nodes(self.of(rank), self.count).len()
    }

    /// Where the share of a rank ends that starts here: at the roundest number, in base 2, that
    /// leaves neither this rank nor those behind it more than they must have, nor much less than
    /// the others.
    fn end(&self, rank: usize, start: usize) -> usize {
        let (count, size) = (self.count, self.ranks.size());
        let behind = size - rank - 1;
        let most = count.div_ceil(size);
        let least = (count / size).saturating_sub(1).max(usize::from(count >= size));
        let first = (start + least).max(count.saturating_sub(behind * most));
        let last = (start + most).min(count.saturating_sub(behind * least));
        (first..=last).max_by_key(|end| (end.trailing_zeros(), *end)).unwrap_or(first)
    }

    /// The values of all micro-batches, in their order, at every rank. `own` are those of this
    /// rank's micro-batches, `width` of each.
    ///
    /// ```
    /// use foresee_ranks::{Shares, on_threads};
    ///
    /// let squares = on_threads(2, |ranks| {
    ///     let shares = Shares::new(ranks, 3);
    ///     let own: Vec<Vec<f64>> = shares.own().map(|i| vec![(i * i) as f64]).collect();
    ///     shares.gather(1, &own)
    /// });
    /// for all in squares {
    ///     assert_eq!(all?, [[0.], [1.], [4.]]);
    /// }
    /// # Ok::<(), foresee_ranks::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a rank has failed.
    ///
    /// # Panics
    /// If `own` is not of this rank's micro-batches, or a row is of another width.
    pub fn gather(&self, width: usize, own: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        assert_eq!(own.len(), self.own().len(), "a row for each micro-batch of this rank");
        assert!(own.iter().all(|row| row.len() == width), "rows of {width} values");
        if self.ranks.size() == 1 {
            return Ok(own.to_vec());
        }
        let bytes = pack(&own.concat());
        let lengths = self.each(|rank| 8 * width * self.of(rank).len());
        let received = self.ranks.all_gather(&bytes, &lengths)?;
        check_lengths(&received, &lengths)?;
        let rows = received.iter().flat_map(|bytes| bytes.chunks_exact((8 * width).max(1)));
        Ok(rows.map(unpack).collect())
    }

    /// The sum of all micro-batches' vectors, at every rank, in one fixed tree. `own` are those of
    /// this rank's micro-batches, `length` values each.
    ///
    /// Each rank adds up some of the values for all. Up to 8 ranks that share 16 micro-batches send
    /// at most twice the size of the sum.
    ///
    /// # Errors
    /// If a rank has failed.
    ///
    /// # Panics
    /// If `own` is not of this rank's micro-batches, or a vector is of another length.
    pub fn sum(&self, length: usize, own: Vec<Vec<f32>>) -> Result<Vec<f32>> {
        assert_eq!(own.len(), self.own().len(), "a vector for each micro-batch of this rank");
        assert!(own.iter().all(|part| part.len() == length), "vectors of {length} values");
        let mut own = own.into_iter();
        let next = |_| Ok::<_, Infallible>(own.next().unwrap_or_default());
        let Ok(sums) = self.fold_own(next, add);
        if self.ranks.size() == 1 {
            return Ok(sums.into_iter().next().unwrap_or_else(|| vec![0.; length]));
        }
        let own: Vec<_> = nodes(self.own(), self.count).into_iter().zip(sums).collect();
        let plan = Plan::of(self.each(|rank| self.of(rank)));
        sum_of_ranks(self.ranks, &plan, self.count, length, &own)
    }

    /// Joins what this rank's micro-batches come to in the fixed tree, as far as it is this rank's:
    /// a value for each of the few nodes that its share is made of. `leaf` computes a micro-batch;
    /// it is called in their order, and few values are held at a time.
    ///
    /// ```
    /// use foresee_ranks::{Error, Shares, gather_any, on_threads, pack, unpack};
    ///
    /// // The greatest of three numbers.
    /// let numbers = [1., 3., 2.];
    /// let join = |first: f64, second: f64| Ok::<f64, Error>(first.max(second));
    /// let joined = on_threads(2, |ranks| {
    ///     let shares = Shares::new(ranks, 3);
    ///     let own = shares.fold_own(|i| Ok(numbers[i]), join)?;
    ///     let all = gather_any(ranks, &pack(&own))?;
    ///     shares.fold_all(all.iter().flat_map(|of_rank| unpack(of_rank)), join)
    /// });
    /// for all in joined {
    ///     assert_eq!(all?, Some(3.));
    /// }
    /// # Ok::<(), foresee_ranks::Error>(())
    /// ```
    ///
    /// # Errors
    /// The first error of `leaf` or `join`.
    pub fn fold_own<T, E>(
        &self,
        mut leaf: impl FnMut(usize) -> std::result::Result<T, E>,
        mut join: impl FnMut(T, T) -> std::result::Result<T, E>,
    ) -> std::result::Result<Vec<T>, E> {
        let mut leaf = |node: Node| match node.size {
            1 => leaf(node.first).map(Some),
            _ => Ok(None),
        };
        let mut values = vec![];
        for node in nodes(self.own(), self.count) {
            values.extend(fold(node, self.count, &mut leaf, &mut join)?);
        }
        Ok(values)
    }

    /// Joins what [`fold_own`](Self::fold_own) gave on all ranks, in their order: `None` if there
    /// is no micro-batch. The order in which values are joined is the same for any number of ranks.
    ///
    /// # Errors
    /// The first error of `join`.
    pub fn fold_all<T, E>(
        &self,
        of_ranks: impl IntoIterator<Item = T>,
        mut join: impl FnMut(T, T) -> std::result::Result<T, E>,
    ) -> std::result::Result<Option<T>, E> {
        let mut of_ranks = of_ranks.into_iter();
        let mut known = self.each(|rank| nodes(self.of(rank), self.count)).into_iter().flatten();
        let mut next = known.next();
        let mut leaf = |node: Node| {
            if next != Some(node) {
                return Ok(None);
            }
            next = known.next();
            Ok(of_ranks.next())
        };
        fold(root(self.count), self.count, &mut leaf, &mut join)
    }

    fn each<T>(&self, of: impl FnMut(usize) -> T) -> Vec<T> {
        (0..self.ranks.size()).map(of).collect()
    }
}
