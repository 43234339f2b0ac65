/// What can go wrong between ranks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A rank does not take part any more.
    #[error(
        "rank {rank} of {size} waited {seconds} s for the others: one of them has failed or stands \
         still"
    )]
    Waited {
        /// The rank that waited.
        rank: usize,
        /// How many ranks there are.
        size: usize,
        /// How long it waited.
        seconds: u64,
    },
    /// Ranks do not do the same: they are of different versions, or were started differently.
    #[error(
        "rank {from} sent {found} bytes where {expected} were expected: start the same program \
         with the same options on all ranks"
    )]
    Length {
        /// The rank that sent.
        from: usize,
        /// What it sent.
        found: usize,
        /// What was expected.
        expected: usize,
    },
    /// More bytes at once than MPI counts.
    #[error("a message of {0} bytes is more than MPI sends at once (2 GiB)")]
    TooLarge(usize),
    /// MPI could not be started.
    #[error("MPI did not start: {0}")]
    Start(&'static str),
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
