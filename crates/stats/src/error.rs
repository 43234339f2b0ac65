/// What can go wrong with a statistic.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There are no values, or too few.
    #[error("{0}: there are too few values")]
    Empty(&'static str),
    /// A value is NaN or infinite.
    #[error("{0}: a value is not finite")]
    NotFinite(&'static str),
    /// Tables or lists do not fit each other.
    #[error("{statistic}: expected {expected}, got {got:?}")]
    Shape {
        /// The statistic that was asked for.
        statistic: &'static str,
        /// The shape that it needs.
        expected: String,
        /// The shape that was given.
        got: Vec<usize>,
    },
    /// Values of several seeds are compared image by image, but the numbers of images differ.
    #[error("the runs were judged on different images")]
    DifferentImages,
    /// A parameter is outside its range.
    #[error("{parameter} = {value} is not possible: {expected}")]
    Parameter {
        /// Its name.
        parameter: &'static str,
        /// Its value.
        value: String,
        /// The values that are possible.
        expected: &'static str,
    },
    /// A regression has no unique solution; the text says why.
    #[error("{0}")]
    Degenerate(&'static str),
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
