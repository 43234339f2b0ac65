/// What a model may fail with: any error.
pub type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong when items are chosen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model failed.
    #[error("the model: {0}")]
    Model(#[source] AnyError),
    /// A table has another shape than what it belongs to.
    #[error("{what}: expected {expected}, got {got}")]
    Shape {
        /// The table.
        what: &'static str,
        /// The shape needed.
        expected: String,
        /// The shape given.
        got: String,
    },
    /// A number is outside of its range.
    #[error("{what} is {value}, expected {expected}")]
    Value {
        /// What it is.
        what: &'static str,
        /// The number.
        value: f64,
        /// What is possible.
        expected: &'static str,
    },
    /// An item is listed twice, or is both labelled and not.
    #[error("item {0} is listed twice")]
    Twice(usize),
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
