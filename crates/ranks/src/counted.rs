//! How much ranks send.

use std::cell::Cell;

use crate::communicator::Communicator;
use crate::error::Result;

/// Ranks whose messages are counted.
///
/// ```
/// use foresee_ranks::{Counted, Shares, on_threads};
///
/// // Each of two ranks sends half of its sum, and the half that it has added up for both.
/// let sent = on_threads(2, |ranks| {
///     let counted = Counted::new(ranks);
///     let shares = Shares::new(&counted, 2);
///     shares.sum(100, vec![vec![1.; 100]])?;
///     Ok::<_, foresee_ranks::Error>((counted.sent(), counted.meetings()))
/// });
/// for sent in sent {
///     assert_eq!(sent?, (400, 2));
/// }
/// # Ok::<(), foresee_ranks::Error>(())
/// ```
pub struct Counted<'a> {
    ranks: &'a dyn Communicator,
    sent: Cell<usize>,
    meetings: Cell<usize>,
}

impl<'a> Counted<'a> {
    /// Nothing is counted yet.
    pub fn new(ranks: &'a dyn Communicator) -> Self {
        Self { ranks, sent: Cell::new(0), meetings: Cell::new(0) }
    }

    /// Bytes that this rank has sent to others: as many as it had for them, to each of them.
    pub fn sent(&self) -> usize {
        self.sent.get()
    }

    /// How often all ranks have met.
    pub fn meetings(&self) -> usize {
        self.meetings.get()
    }

    fn count(&self, bytes: usize) {
        self.sent.set(self.sent.get() + bytes);
        self.meetings.set(self.meetings.get() + 1);
    }
}

impl Communicator for Counted<'_> {
    fn rank(&self) -> usize {
        self.ranks.rank()
    }

    fn size(&self) -> usize {
        self.ranks.size()
    }

    fn all_gather(&self, sent: &[u8], lengths: &[usize]) -> Result<Vec<Vec<u8>>> {
        self.count(sent.len() * (self.size() - 1));
        self.ranks.all_gather(sent, lengths)
    }

    fn exchange(&self, to: &[Vec<u8>], lengths: &[usize]) -> Result<Vec<Vec<u8>>> {
        let own = to.get(self.rank()).map_or(0, Vec::len);
        self.count(to.iter().map(Vec::len).sum::<usize>() - own);
        self.ranks.exchange(to, lengths)
    }
}
