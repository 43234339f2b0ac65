//! How ranks share a batch.

use std::ops::Range;

use foresee_ranks::{Communicator, Shares};

/// How ranks share a batch: in micro-batches of a fixed number of images, of which each rank has
/// neighbouring ones.
///
/// ```
/// use foresee_model::SharedBatch;
/// use foresee_ranks::Alone;
///
/// // 20 images in micro-batches of 8, of which the last has 4.
/// let shared = SharedBatch::new(&Alone, 20, 8);
/// assert_eq!(shared.shares().count(), 3);
/// assert_eq!(shared.images(), 0..20);
/// ```
#[derive(Clone, Copy)]
pub struct SharedBatch<'a> {
    shares: Shares<'a>,
    images: usize,
    micro_batch: usize,
}

impl<'a> SharedBatch<'a> {
    /// A batch of `images`, cut into micro-batches of `micro_batch` (at least 1).
    pub fn new(ranks: &'a dyn Communicator, images: usize, micro_batch: usize) -> Self {
        let micro_batch = micro_batch.max(1);
        Self { shares: Shares::new(ranks, images.div_ceil(micro_batch)), images, micro_batch }
    }

    /// Who has which micro-batch.
    pub fn shares(&self) -> &Shares<'a> {
        &self.shares
    }

    /// The images of the batch that are this rank's.
    pub fn images(&self) -> Range<usize> {
        let Range { start, end } = self.shares.own();
        self.of(start).start..self.of(end).start
    }

    /// Images of the whole batch.
    pub(crate) fn images_of_all(&self) -> usize {
        self.images
    }

    /// For each micro-batch of this rank, its rows in the rank's tensors.
    pub(crate) fn own_rows(&self) -> Vec<Range<usize>> {
        let first = self.images().start;
        let rows = |micro_batch: usize| {
            let Range { start, end } = self.of(micro_batch);
            start - first..end - first
        };
        self.shares.own().map(rows).collect()
    }

    /// The images of a micro-batch.
    fn of(&self, micro_batch: usize) -> Range<usize> {
        let place = |n: usize| (n * self.micro_batch).min(self.images);
        place(micro_batch)..place(micro_batch + 1)
    }

    /// The numbers of images of all micro-batches.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        (0..self.shares.count()).map(|n| self.of(n).len()).collect()
    }
}
