//! Ranks that are the processes of an MPI job.

use mpi::Threading;
use mpi::datatype::{Partition, PartitionMut};
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, CommunicatorCollectives};

use crate::communicator::Communicator;
use crate::error::{Error, Result};

/// All processes that `mpirun` started. MPI ends when it is dropped. Only the thread that started
/// it may use it.
pub struct World {
    communicator: SimpleCommunicator,
    /// MPI is there as long as this is.
    _universe: Universe,
}

impl World {
    /// Starts MPI. A process without `mpirun` is the only rank.
    ///
    /// # Errors
    /// If it was started before in this process.
    pub fn start() -> Result<Self> {
        let (universe, _) = mpi::initialize_with_threading(Threading::Funneled)
            .ok_or(Error::Start("it was started before"))?;
        Ok(Self { communicator: universe.world(), _universe: universe })
    }
}

/// Counts and places of messages, one behind the other.
fn places(lengths: &[usize]) -> Result<(Vec<i32>, Vec<i32>, usize)> {
    let all = lengths.iter().sum();
    let small = |n: usize| i32::try_from(n).map_err(|_| Error::TooLarge(all));
    small(all)?;
    let counts = lengths.iter().map(|&n| small(n)).collect::<Result<Vec<_>>>()?;
    let places = counts.iter().scan(0, |place, count| {
        *place += count;
        Some(*place - count)
    });
    let places = places.collect();
    Ok((counts, places, all))
}

/// Nothing, at a place in memory: that of an empty `Vec` of bytes is the address 1, which Open MPI
/// takes for its `MPI_IN_PLACE`.
static NOTHING: [u8; 1] = [0];

fn some_place(bytes: &[u8]) -> &[u8] {
    if bytes.is_empty() { &NOTHING[..0] } else { bytes }
}

/// Memory for so many bytes, which has a place even if there are none.
fn memory(bytes: usize) -> Vec<u8> {
    vec![0; bytes.max(1)]
}

fn cut(bytes: &[u8], lengths: &[usize]) -> Vec<Vec<u8>> {
    let mut rest = bytes;
    let mut next = |length: &usize| {
        let (first, others) = rest.split_at(*length);
        rest = others;
        first.to_vec()
    };
    lengths.iter().map(&mut next).collect()
}

impl Communicator for World {
    fn rank(&self) -> usize {
        self.communicator.rank() as usize
    }

    fn size(&self) -> usize {
        self.communicator.size() as usize
    }

    fn all_gather(&self, sent: &[u8], lengths: &[usize]) -> Result<Vec<Vec<u8>>> {
        let (counts, places, all) = places(lengths)?;
        let mut received = memory(all);
        let mut parts = PartitionMut::new(&mut received[..all], counts, &places[..]);
        self.communicator.all_gather_varcount_into(some_place(sent), &mut parts);
        Ok(cut(&received, lengths))
    }

    fn exchange(&self, to: &[Vec<u8>], lengths: &[usize]) -> Result<Vec<Vec<u8>>> {
        let sent: Vec<u8> = to.concat();
        let sizes: Vec<usize> = to.iter().map(Vec::len).collect();
        let (of_sent, at_sent, _) = places(&sizes)?;
        let (counts, at, all) = places(lengths)?;
        let mut received = memory(all);
        let from = Partition::new(some_place(&sent), of_sent, &at_sent[..]);
        let mut into = PartitionMut::new(&mut received[..all], counts, &at[..]);
        self.communicator.all_to_all_varcount_into(&from, &mut into);
        Ok(cut(&received, lengths))
    }
}
