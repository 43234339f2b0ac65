/// What can go wrong with a statistic.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tensor does not have the shape that the statistic was made for.
    #[error("{statistic}: expected {expected}, got {got:?}")]
    Shape {
        /// Which statistic.
        statistic: &'static str,
        /// The shape needed.
        expected: String,
        /// The shape given.
        got: Vec<usize>,
    },
    /// Nothing was added before the statistic was asked for.
    #[error("{0}: nothing was added; a statistic needs at least one batch")]
    Empty(&'static str),
    /// A value that is not finite was met.
    #[error("{0}: a value is not finite; the network's weights or its inputs are damaged")]
    NotFinite(&'static str),
    /// An error of candle itself.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
