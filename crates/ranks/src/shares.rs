//! Who computes which micro-batch, and how what was computed comes together.

use std::ops::Range;

use crate::communicator::{Communicator, check_lengths};
use crate::error::Result;
use crate::tree::{Node, nodes, root, sum};

/// The micro-batches of a batch, shared by ranks: each has neighbours, and as many as the others or
/// one more.
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

    fn of(&self, rank: usize) -> Range<usize> {
        let size = self.ranks.size();
        rank * self.count / size..(rank + 1) * self.count / size
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
        let bytes: Vec<u8> = own.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
        let lengths = self.each(|rank| 8 * width * self.of(rank).len());
        let received = self.ranks.all_gather(&bytes, &lengths)?;
        check_lengths(&received, &lengths)?;
        let rows = received.iter().flat_map(|bytes| bytes.chunks_exact((8 * width).max(1)));
        Ok(rows.map(doubles).collect())
    }

    /// The sum of all micro-batches' vectors, at every rank, in one fixed tree. `own` are those of
    /// this rank's micro-batches, `length` values each.
    ///
    /// Each rank adds up a slice of the values for all: it sends and receives about twice the size
    /// of the sum.
    ///
    /// # Errors
    /// If a rank has failed.
    ///
    /// # Panics
    /// If `own` is not of this rank's micro-batches, or a vector is of another length.
    pub fn sum(&self, length: usize, own: Vec<Vec<f32>>) -> Result<Vec<f32>> {
        assert_eq!(own.len(), self.own().len(), "a vector for each micro-batch of this rank");
        assert!(own.iter().all(|part| part.len() == length), "vectors of {length} values");
        // Each leaf is asked for once, in the order of the micro-batches.
        let mut own = own.into_iter();
        let mut leaf = |node: Node| if node.size == 1 { own.next() } else { None };
        let mut of_node =
            |node: Node| sum(node, self.count, &mut leaf).unwrap_or_else(|| vec![0.; length]);
        if self.ranks.size() == 1 {
            return Ok(of_node(root(self.count)));
        }
        let sums: Vec<Vec<f32>> =
            nodes(self.own(), self.count).into_iter().map(&mut of_node).collect();
        let slice = self.sum_of_slice(length, &sums)?;
        let lengths = self.each(|rank| 4 * self.slice(length, rank).len());
        let received = self.ranks.all_gather(&bytes_of(&slice), &lengths)?;
        check_lengths(&received, &lengths)?;
        Ok(received.iter().flat_map(|bytes| singles(bytes)).collect())
    }

    /// The sum of this rank's slice of the values, from the nodes of all ranks.
    fn sum_of_slice(&self, length: usize, sums: &[Vec<f32>]) -> Result<Vec<f32>> {
        let part = |to: usize| {
            let slice = self.slice(length, to);
            sums.iter().flat_map(|sum| bytes_of(&sum[slice.clone()])).collect()
        };
        let to: Vec<Vec<u8>> = self.each(part);
        let width = self.slice(length, self.ranks.rank()).len();
        let of_each = self.each(|rank| nodes(self.of(rank), self.count));
        let lengths: Vec<usize> = of_each.iter().map(|nodes| 4 * width * nodes.len()).collect();
        let received = self.ranks.exchange(&to, &lengths)?;
        check_lengths(&received, &lengths)?;
        let chunks = received.iter().flat_map(|bytes| bytes.chunks_exact((4 * width).max(1)));
        let known: Vec<(Node, &[u8])> = of_each.into_iter().flatten().zip(chunks).collect();
        let mut leaf = |node: Node| {
            let found = known.iter().find(|(known, _)| *known == node);
            found.map(|(_, bytes)| singles(bytes).collect())
        };
        Ok(sum(root(self.count), self.count, &mut leaf).unwrap_or_else(|| vec![0.; width]))
    }

    /// The values that a rank adds up for all.
    fn slice(&self, length: usize, rank: usize) -> Range<usize> {
        let size = self.ranks.size();
        rank * length / size..(rank + 1) * length / size
    }

    fn each<T>(&self, of: impl FnMut(usize) -> T) -> Vec<T> {
        (0..self.ranks.size()).map(of).collect()
    }
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn singles(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")))
}

fn doubles(bytes: &[u8]) -> Vec<f64> {
    let value = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    bytes.chunks_exact(8).map(value).collect()
}
