/// What can go wrong with a statistic.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor or a table does not have the shape that the statistic was made for.
    #[error("{statistic}: expected {expected}, got {got:?}")]
    Shape {
        /// The statistic that was asked for.
        statistic: &'static str,
        /// The shape that it needs.
        expected: String,
        /// The shape that was given.
        got: Vec<usize>,
    },
    /// The statistic was asked for before anything was added.
    #[error("{0}: nothing was added; a statistic needs at least one batch")]
    Empty(&'static str),
    /// A value is NaN or infinite.
    #[error("{0}: a value is not finite; the network's weights or its inputs are damaged")]
    NotFinite(&'static str),
    /// An error of the statistics of plain numbers.
    #[error(transparent)]
    Stats(#[from] foresee_stats::Error),
    /// An error of candle itself.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
