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
/// As [`Communicator::all_gather`].
pub fn gather_at_first(ranks: &dyn Communicator, sent: &[u8]) -> Result<Vec<Vec<u8>>> {
    gather_in_pieces(ranks, sent, MOST / ranks.size())
}

/// Gathers at rank 0 at most so many bytes of each rank at a time.
fn gather_in_pieces(ranks: &dyn Communicator, sent: &[u8], most: usize) -> Result<Vec<Vec<u8>>> {
    let lengths = lengths_of_all(ranks, sent.len())?;
    let is_first = ranks.rank() == 0;
    let mut gathered = vec![vec![]; if is_first { ranks.size() } else { 0 }];
    // All ranks know how often they meet.
    let longest = lengths.iter().copied().max().unwrap_or(0);
    for from in (0..longest).step_by(most) {
        let mut to = vec![vec![]; ranks.size()];
        to[0] = sent[from.min(sent.len())..(from + most).min(sent.len())].to_vec();
        let of_rank =
            |length: &usize| if is_first { length.saturating_sub(from).min(most) } else { 0 };
        let received = ranks.exchange(&to, &lengths.iter().map(of_rank).collect::<Vec<_>>())?;
        gathered.iter_mut().zip(received).for_each(|(all, piece)| all.extend(piece));
    }
    Ok(gathered)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::on_threads;

    #[test]
    fn pieces_are_put_together() {
        let sent = |rank: usize| (0..5 * rank as u8).collect::<Vec<u8>>();
        for most in [1, 3, 5, 100] {
            let of = |ranks: &dyn Communicator| gather_in_pieces(ranks, &sent(ranks.rank()), most);
            let gathered = on_threads(4, of).into_iter().collect::<Result<Vec<_>>>().unwrap();
            assert_eq!(gathered[0], [sent(0), sent(1), sent(2), sent(3)], "{most}");
            assert!(gathered[1..].iter().all(Vec::is_empty));
        }
    }
}
