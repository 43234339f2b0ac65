//! What ranks need of each other: two collective operations.

use crate::error::{Error, Result};

/// Ranks that work together. All of them call the same methods in the same order.
pub trait Communicator {
    /// The number of this rank, from 0.
    fn rank(&self) -> usize;

    /// How many ranks there are.
    fn size(&self) -> usize;

    /// What all ranks sent, rank by rank, at every rank. `lengths` are the numbers of bytes that
    /// each rank sends, which all ranks know.
    ///
    /// # Errors
    /// If a rank has failed, or sent another number of bytes.
    fn all_gather(&self, sent: &[u8], lengths: &[usize]) -> Result<Vec<Vec<u8>>>;

    /// Sends `to[r]` to rank r, and gives what each rank sent to this one. `lengths` are the
    /// numbers of bytes that each rank sends to this one.
    ///
    /// # Errors
    /// As [`all_gather`](Self::all_gather).
    fn exchange(&self, to: &[Vec<u8>], lengths: &[usize]) -> Result<Vec<Vec<u8>>>;
}

/// What all ranks sent, at every rank, where no rank knows how much the others send.
///
/// ```
/// use foresee_ranks::{Communicator, gather_any, on_threads};
///
/// let names = on_threads(2, |ranks| {
///     let name = if ranks.rank() == 0 { "first" } else { "the other" };
///     gather_any(ranks, name.as_bytes())
/// });
/// for gathered in names {
///     assert_eq!(gathered?, [b"first".to_vec(), b"the other".to_vec()]);
/// }
/// # Ok::<(), foresee_ranks::Error>(())
/// ```
///
/// # Errors
/// As [`Communicator::all_gather`].
pub fn gather_any(ranks: &dyn Communicator, sent: &[u8]) -> Result<Vec<Vec<u8>>> {
    ranks.all_gather(sent, &lengths_of_all(ranks, sent.len())?)
}

/// What all ranks sent, at rank 0 only; nothing at the others.
///
/// # Errors
/// As [`Communicator::all_gather`], and at all ranks if they send more than 2 GiB together.
pub fn gather_at_first(ranks: &dyn Communicator, sent: &[u8]) -> Result<Vec<Vec<u8>>> {
    let lengths = lengths_of_all(ranks, sent.len())?;
    // All ranks see it here. Later only the first would, and the others would wait for it.
    let all = lengths.iter().fold(0, |sum: usize, &length| sum.saturating_add(length));
    if all > MOST {
        return Err(Error::TooLarge(all));
    }
    let mut to = vec![vec![]; ranks.size()];
    to[0] = sent.to_vec();
    match ranks.rank() {
        0 => ranks.exchange(&to, &lengths),
        _ => ranks.exchange(&to, &vec![0; ranks.size()]).map(|_| vec![]),
    }
}

fn lengths_of_all(ranks: &dyn Communicator, own: usize) -> Result<Vec<usize>> {
    let length = (own as u64).to_le_bytes();
    let lengths = ranks.all_gather(&length, &vec![length.len(); ranks.size()])?;
    let lengths = lengths.into_iter().enumerate().map(|(from, bytes)| {
        let found = bytes.len();
        let bytes = <[u8; 8]>::try_from(bytes);
        let bytes = bytes.map_err(|_| Error::Length { from, found, expected: 8 })?;
        Ok(u64::from_le_bytes(bytes) as usize)
    });
    lengths.collect()
}

/// The most bytes that MPI counts.
const MOST: usize = i32::MAX as usize;

/// A program that runs by itself: the only rank.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Communicator for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn all_gather(&self, sent: &[u8], _: &[usize]) -> Result<Vec<Vec<u8>>> {
        Ok(vec![sent.to_vec()])
    }

    fn exchange(&self, to: &[Vec<u8>], _: &[usize]) -> Result<Vec<Vec<u8>>> {
        Ok(to.to_vec())
    }
}

/// Refuses messages of other lengths than were expected.
pub(crate) fn check_lengths(received: &[Vec<u8>], lengths: &[usize]) -> Result<()> {
    let pairs = received.iter().zip(lengths).enumerate();
    for (from, (bytes, &expected)) in pairs {
        let found = bytes.len();
        if found != expected {
            return Err(Error::Length { from, found, expected });
        }
    }
    Ok(())
}
